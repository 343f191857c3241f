import assert from "node:assert/strict";
import { test } from "node:test";

import { ALIVE, GHOST } from "../../../app/components/memory_map/points.js";
import {
  boxOf,
  enclosed,
  inside,
  outlineOf,
  standing,
} from "../../../app/components/memory_map/selection.js";
import { cloudAt, scattered } from "./clouds.mjs";

const DENTED = [[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]]; // A dent from above, down to (2, 1).

test("inside a polygon with a dent", () => {
  const is = (x, y) => inside(DENTED.flat(), x, y);
  assert.ok(is(0.5, 1) && is(3.5, 1) && is(2, 0.5) && is(3.8, 3.5));
  assert.ok(!is(2, 2) && !is(2, 3.9) && !is(-1, 1) && !is(5, 1) && !is(2, -1) && !is(2, 5));
});

test("the direction of a lasso means nothing, and twice around is out again", () => {
  assert.ok(inside([...DENTED].reverse().flat(), 0.5, 1));
  assert.ok(!inside([...DENTED, ...DENTED].flat(), 0.5, 1));
});

test("a point between two shapes that share an edge is in exactly one", () => {
  const left = boxOf([0, 0], [1, 1]).flat();
  const right = boxOf([1, 0], [2, 1]).flat();
  assert.equal(Number(inside(left, 1, 0.5)) + Number(inside(right, 1, 0.5)), 1);
});

test("enclosed is what lies inside and is alive", () => {
  const points = scattered(400);
  const cloud = cloudAt(points);
  const shown = Uint8Array.from(points, (_, i) => [0, ALIVE, ALIVE, GHOST][i % 4]);
  const outline = [[-8, -2], [5, -2.5], [1, 0], [6, 2], [-3, 2.5]];
  const wanted = points.flatMap(([x, y], i) =>
    shown[i] === ALIVE && inside(outline.flat(), x, y) ? [`p${i}`] : [],
  );
  assert.ok(wanted.length > 30 && wanted.length < 200);
  assert.deepEqual(enclosed(cloud, shown, outline), wanted);
});

test("a box has its corners where the pointer was pressed and is now", () => {
  const path = [[5, 5], [9, 9], [1, 8]];
  assert.deepEqual(outlineOf(path, "box"), [[5, 5], [1, 5], [1, 8], [5, 8]]);
});

test("a lasso leaves out corners that say nothing", () => {
  const path = [[0, 0], [1, 0], [2, 0], [2, 1], [9, 9]];
  assert.deepEqual(outlineOf(path, "lasso"), [[0, 0], [2, 0], [9, 9]]);
  assert.deepEqual(outlineOf([[0, 0]], "lasso"), [[0, 0]]);
});

test("what Python has not acknowledged lies on top of its state", () => {
  const data = { basket: ["a", "b"], off: [1] };
  assert.deepEqual(standing(data, []), { basket: new Set(["a", "b"]), off: new Set([1]) });
  const pending = [
    [7, "click-remove", ["a"]],
    [8, "off", [2, 3]],
    [9, "add", ["c", "d"]],
    [10, "remove", ["d"]],
    [11, "click-add", ["a"]],
    [12, "off", []],
  ];
  const now = standing(data, pending);
  assert.deepEqual([...now.basket], ["b", "c", "a"]);
  assert.equal(now.off.size, 0);
  assert.deepEqual(data, { basket: ["a", "b"], off: [1] });
});
