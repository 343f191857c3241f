import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Camera } from "../../../app/components/memory_map/camera.js";
import { near } from "./clouds.mjs";

const PLACES = [[0, 0], [400, 300], [800, 600], [123, 456]];
let frame;
let camera;

beforeEach(() => {
  frame = { clientWidth: 800, clientHeight: 600 };
  camera = new Camera(frame);
  camera.bounds = { x: [-10, 10], y: [0, 5] };
  camera.view = camera.whole();
});

test("the whole map is in the middle, with a margin, at one scale", () => {
  assert.deepEqual(camera.toScreen([0, 2.5]), [400, 300]);
  const [left, right] = [camera.toScreen([-10, 2.5]), camera.toScreen([10, 2.5])];
  assert.ok(near([left[0], right[0]], [24, 776]));
  const across = camera.toScreen([1, 2.5])[0] - 400;
  const upwards = 300 - camera.toScreen([0, 3.5])[1];
  assert.ok(near([across], [upwards]));
  assert.ok(camera.isWhole());
});

test("a high map fills the height, and a single point is no division by zero", () => {
  camera.bounds = { x: [0, 1], y: [0, 9] };
  camera.view = camera.whole();
  assert.ok(near([camera.toScreen([0, 9])[1], camera.toScreen([0, 0])[1]], [24, 576]));
  camera.bounds = { x: [3, 3], y: [4, 4] };
  camera.view = camera.whole();
  assert.deepEqual(camera.toScreen([3, 4]), [400, 300]);
  frame.clientWidth = frame.clientHeight = 0; // Not on the page yet.
  assert.ok(Number.isFinite(camera.whole().unit));
});

test("data to screen and back", () => {
  camera.view = { middle: [2, 1], unit: 0.013 };
  for (const place of PLACES) {
    assert.ok(near(camera.toScreen(camera.toData(place)), place, 1e-6));
  }
  const { x, y } = camera.ranges();
  assert.ok(near(camera.toScreen([x[0], y[1]]), [0, 0], 1e-6));
  assert.ok(near(camera.toScreen([x[1], y[0]]), [800, 600], 1e-6));
});

test("zooming in and out again is where it was, and whole again", () => {
  const before = camera.view;
  camera.view = camera.zoomed(0.6);
  assert.ok(!camera.isWhole());
  camera.view = camera.zoomed(1 / 0.6);
  assert.ok(near(camera.view.middle, before.middle));
  assert.ok(camera.isWhole());
  camera.view = camera.zoomed(0.5, [3, 3]);
  assert.deepEqual(camera.toScreen([3, 3]), [400, 300]);
});

test("what is under the pointer stays there when the wheel turns", () => {
  for (const place of PLACES) {
    for (const step of [-100, 40, 9000]) {
      const under = camera.toData(place);
      camera.view = camera.wheeled(place, step);
      assert.ok(near(camera.toScreen(under), place, 1e-6), `${place} ${step}`);
    }
  }
});

test("the wheel goes neither through the map nor out of its sight", () => {
  for (let k = 0; k < 300; k++) camera.view = camera.wheeled([400, 300], -150);
  const nearest = camera.view.unit;
  for (let k = 0; k < 300; k++) camera.view = camera.wheeled([400, 300], 150);
  const width = 20 / camera.view.unit;
  assert.ok(near([width], [150]));
  assert.ok(near([camera.view.unit / nearest], [20000], 1e-3));
});

test("dragging takes the map along", () => {
  const [start, end] = [[100, 200], [160, 150]];
  const under = camera.toData(start);
  camera.view = camera.dragged(camera.view, start, end);
  assert.ok(near(camera.toScreen(under), end, 1e-6));
  assert.ok(!camera.isWhole());
});

test("the star is in the middle, its neighbours on screen with room for pictures", () => {
  const links = [{ at: [4, 3] }, { at: [-1, 0] }];
  camera.view = camera.onto({ at: [1, 2], links });
  assert.deepEqual(camera.toScreen([1, 2]), [400, 300]);
  for (const { at } of links) {
    const [x, y] = camera.toScreen(at);
    assert.ok(x >= 99.9 && x <= 700.1 && y >= 99.9 && y <= 500.1, `${x} ${y}`);
  }
  camera.view = camera.onto({ at: [1, 2], links: [] });
  assert.ok(camera.view.unit > 0);
});

test("the old picture lies where its points are now", () => {
  const drawn = camera.view;
  assert.equal(camera.transformOf(drawn), "");
  const point = [3, 4];
  const [px, py] = camera.toScreen(point);
  camera.view = camera.wheeled([700, 100], -80);
  const text = camera.transformOf(drawn);
  const [, left, top, scale] = text.match(/translate\((.+)px, (.+)px\) scale\((.+)\)/).map(Number);
  // CSS scales around the middle of the stage, and moves then.
  const moved = [400 + (px - 400) * scale + left, 300 + (py - 300) * scale + top];
  assert.ok(near(moved, camera.toScreen(point), 1e-6));
});

test("in a frame of another size, the same things are in the middle", () => {
  camera.view = { middle: [2, 1], unit: 0.02 };
  frame.clientWidth = 500;
  assert.deepEqual(camera.toScreen([2, 1]), [250, 300]);
  assert.ok(near(camera.ranges().x, [-3, 7]));
});
