import assert from "node:assert/strict";
import { test } from "node:test";

import { ahead, onKey } from "../../../app/components/memory_map/keyboard.js";
import { mapOf } from "./on_the_map.mjs";

//   1          5
//     0  2
//   3     4
const POINTS = [[100, 100], [80, 60], [130, 104], [80, 140], [140, 140], [390, 60]];
const [LEFT, RIGHT, UP, DOWN] = [[-1, 0], [1, 0], [0, -1], [0, 1]];

function press(map, key, more = {}) {
  let stopped = 0;
  const stop = () => (stopped += 1);
  onKey(map, { key, preventDefault: stop, stopPropagation: stop, ...more });
  return stopped === 2;
}

test("the next point in a direction is near, and not far off the straight way", () => {
  const { camera, cloud, shown } = mapOf(POINTS);
  const next = (i, direction) => ahead(camera, cloud, shown, i, direction);
  assert.deepEqual([RIGHT, UP, DOWN].map((way) => next(0, way)), [2, 1, 3]);
  assert.equal(next(0, LEFT), undefined); // Both are more up or down than left.
  assert.equal(next(2, RIGHT), 5); // However far, as long as it is on the way.
  shown[2] = 0;
  assert.equal(next(0, RIGHT), 4);
});

test("points that look like one are passed over", () => {
  const { camera, cloud, shown } = mapOf([[0, 100], [5, 100], [8, 100], [30, 100]]);
  assert.equal(ahead(camera, cloud, shown, 0, RIGHT), 3);
});

test("arrows begin in the middle, go from point to point, and say where they are", () => {
  const map = mapOf(POINTS);
  assert.ok(press(map, "ArrowRight"));
  assert.equal(map.hovered, 4);
  press(map, "ArrowUp");
  assert.equal(map.hovered, 2);
  assert.deepEqual(map.done, [["say", "even, p4"], ["say", "even, p2"]]);
  map.gone.add("p0");
  map.now = () => ({ basket: new Set(["p1"]) });
  press(map, "ArrowLeft");
  press(map, "ArrowUp");
  assert.deepEqual(map.done.slice(2), [["say", "even, p0, key deleted"], ["say", "odd, p1, picked"]]);
});

test("a point beyond the edge comes to the middle", () => {
  const map = mapOf([[390, 150], [420, 150]]);
  map.hovered = 0;
  press(map, "ArrowRight");
  assert.deepEqual(map.camera.view, { middle: [420, 150], unit: 1 });
  assert.equal(map.hovered, 1);
});

test("Space and Enter toggle once, and only what is looked at", () => {
  const map = mapOf(POINTS);
  press(map, " ");
  map.hovered = 3;
  press(map, " ");
  press(map, " ", { repeat: true });
  press(map, "Enter");
  assert.deepEqual(map.done, [["toggle", 3], ["toggle", 3]]);
});

test("plus, minus and nought zoom", () => {
  const map = mapOf(POINTS);
  for (const key of ["+", "=", "-", "0"]) assert.ok(press(map, key));
  assert.deepEqual(map.done, [["zoom", 0.6], ["zoom", 0.6], ["zoom", 1 / 0.6], ["view"]]);
  assert.ok(map.camera.isWhole());
});

test("all other keys are the page's", () => {
  const map = mapOf(POINTS);
  for (const key of ["a", "Tab", "Escape"]) assert.ok(!press(map, key));
  for (const more of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }]) {
    assert.ok(!press(map, "+", more));
  }
  assert.ok(!press(Object.assign(map, { plotted: false }), "+"));
  assert.deepEqual(map.done, []);
});
