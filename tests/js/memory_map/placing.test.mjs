import assert from "node:assert/strict";
import { test } from "node:test";

import { pictureSize, placeNames, placePictures } from "../../../app/components/memory_map/placing.js";
import { beside } from "../../../app/components/memory_map/tooltip.js";
import { near } from "./clouds.mjs";

const STAGE = [800, 600];

test("names stand where they belong if there is room", () => {
  const names = [{ label: "Coat", at: [100, 100] }, { label: "Bag", at: [300, 100] }];
  const placed = placeNames(names, 800, 1).map(({ label, x, y }) => [label, x, y]);
  assert.deepEqual(placed, [["Coat", 100, 100], ["Bag", 300, 100]]);
});

test("a name that meets others gives way downwards", () => {
  const names = ["Coat", "Shirt", "Dress"].map((label) => ({ label, at: [100, 100] }));
  assert.deepEqual(placeNames(names, 800, 1).map(({ y }) => y), [100, 120, 140]);
  assert.deepEqual(placeNames(names, 800, 2).map(({ y }) => y), [100, 140, 180]);
});

test("names of places on the stage stay on it; others may be beyond", () => {
  const names = [2, 799, -50].map((x, k) => ({ label: "Ankle boot", at: [x, 100 + 90 * k] }));
  assert.deepEqual(placeNames(names, 800, 1).map(({ x }) => x), [46, 754, -50]);
});

test("neighbours close to the star have their pictures on a circle, far ones beside themselves", () => {
  const star = [400, 300];
  const [close, far] = placePictures(star, [[420, 300], [700, 300]], STAGE, 1);
  assert.ok(near([close.lx, close.ly], [484, 300]));
  assert.ok(near([far.lx, far.ly], [734, 300]));
});

test("two close neighbours in one direction turn away from each other, and stay on the circle", () => {
  const places = placePictures([400, 300], [[420, 300], [422, 300]], STAGE, 1);
  const radii = places.map(({ lx, ly }) => Math.hypot(lx - 400, ly - 300));
  assert.ok(near(radii, [84, 84]));
  assert.ok(places[0].ly < 275 && places[1].ly > 325);
});

test("pictures cover neither each other nor the edge, in any print", () => {
  const star = [400, 300];
  for (const print of [1, 1.5]) {
    const points = Array.from({ length: 6 }, (_, k) => [405 + k, 302]);
    const places = placePictures(star, points, STAGE, print);
    const { half, tall } = pictureSize(print);
    for (const [i, a] of places.entries()) {
      assert.deepEqual([a.x, a.y], points[i]);
      for (const b of places.slice(0, i)) {
        const apart = Math.abs(a.lx - b.lx) >= 2 * half - 1 || Math.abs(a.ly - b.ly) >= tall - 1;
        assert.ok(apart, `${a.lx},${a.ly} ${b.lx},${b.ly}`);
      }
    }
  }
  const [corner] = placePictures([5, 5], [[5, 8]], STAGE, 1);
  assert.deepEqual([corner.lx, corner.ly > 21], [21, true]);
});

test("two neighbours at the star's own place are shown side by side", () => {
  const [a, b] = placePictures([400, 300], [[400, 300], [400, 300]], STAGE, 1);
  assert.ok(Math.hypot(a.lx - b.lx, a.ly - b.ly) > 40);
});

test("the tooltip stands on the side where there is room", () => {
  assert.deepEqual(beside([100, 300], [200, 100], STAGE), [118, 250]);
  assert.deepEqual(beside([700, 300], [200, 100], STAGE), [482, 250]);
  assert.deepEqual(beside([100, 10], [200, 100], STAGE), [118, 0]);
  assert.deepEqual(beside([100, 590], [200, 100], STAGE), [118, 500]);
  assert.deepEqual(beside([100, 10], [290, 100], [200, 600]), [0, 0]);
});
