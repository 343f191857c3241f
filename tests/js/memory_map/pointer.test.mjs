import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { onMove, onPress, onWheel } from "../../../app/components/memory_map/pointer.js";
import { mapOf } from "./on_the_map.mjs";

const POINTS = [[50, 50], [60, 50], [200, 150]];
let prevented;

// x, y: on the stage.
function event(name, x, y, more = {}) {
  const [clientX, clientY] = [x + 10, y + 20];
  const preventDefault = () => (prevented += 1);
  const init = { button: 0, isPrimary: true, shiftKey: false, clientX, clientY, preventDefault };
  return Object.assign(new Event(name), init, more);
}

function drag(map, path, more = {}) {
  onPress(map, event("pointerdown", ...path[0], more));
  for (const place of path.slice(1)) window.dispatchEvent(event("pointermove", ...place));
}

const release = (x, y, more) => window.dispatchEvent(event("pointerup", x, y, more));

beforeEach(() => {
  globalThis.window = new EventTarget();
  prevented = 0;
});

test("a press and release on a point toggles it, even with a hand that trembles", () => {
  const map = mapOf(POINTS);
  drag(map, [[53, 50], [55, 51]]);
  release(55, 51);
  assert.deepEqual(map.done, [["toggle", 0]]);
  assert.equal(map.dragging, false);
  assert.equal(prevented, 1);
});

test("beside all points it does nothing", () => {
  const map = mapOf(POINTS);
  drag(map, [[120, 120]]);
  release(120, 120);
  assert.deepEqual(map.done, []);
});

test("a lasso is drawn as it grows, and picks on release", () => {
  const map = mapOf(POINTS);
  map.hovered = 1;
  drag(map, [[10, 10], [90, 10], [90, 90]]);
  assert.ok(map.dragging);
  assert.equal(map.hovered, -1);
  assert.deepEqual(map.lasso, [[10, 10], [90, 10], [90, 90]]);
  release(10, 90);
  assert.deepEqual(map.done, [["pick", [[10, 10], [90, 10], [90, 90], [10, 90]], true]]);
  assert.deepEqual([map.lasso, map.dragging], [[], false]);
  window.dispatchEvent(event("pointermove", 0, 0));
  release(0, 0);
  assert.equal(map.done.length, 1);
});

test("a box needs its ends only", () => {
  const map = mapOf(POINTS, { mode: "box" });
  drag(map, [[10, 10], [300, 20], [90, 90]]);
  release(90, 90);
  assert.deepEqual(map.done, [["pick", [[10, 10], [90, 10], [90, 90], [10, 90]], true]]);
});

test("Shift takes out, at the beginning or at the end, and so does the toolbar", () => {
  for (const [settings, press, last] of [
    [{}, { shiftKey: true }, {}],
    [{}, {}, { shiftKey: true }],
    [{ takeOut: true }, {}, {}],
  ]) {
    const map = mapOf(POINTS, settings);
    drag(map, [[10, 10], [90, 10], [90, 90]], press);
    release(10, 90, last);
    assert.equal(map.done[0].at(-1), false);
  }
});

test("moving takes the map along; a mere display can only be moved", () => {
  for (const settings of [{ mode: "pan" }, { pickable: false }]) {
    const map = mapOf(POINTS, settings);
    drag(map, [[100, 100], [150, 90]]);
    assert.deepEqual(map.camera.view.middle, [150, 140]);
    release(160, 90);
    assert.deepEqual(map.camera.view.middle, [140, 140]);
    assert.deepEqual(map.done, [["view"]]);
  }
});

test("Escape and an interrupted gesture pick nothing", () => {
  const escape = Object.assign(new Event("keydown"), { key: "Escape" });
  for (const stop of [escape, event("pointercancel", 0, 0)]) {
    const map = mapOf(POINTS);
    drag(map, [[10, 10], [90, 10], [90, 90]]);
    window.dispatchEvent(Object.assign(new Event("keydown"), { key: "Shift" }));
    assert.ok(map.dragging);
    window.dispatchEvent(stop);
    release(10, 90);
    assert.deepEqual(map.done, []);
    assert.deepEqual([map.lasso, map.dragging], [[], false]);
  }
});

test("other buttons, other fingers and a map that is not drawn yet start nothing", () => {
  for (const more of [{ button: 2 }, { isPrimary: false }]) {
    const map = mapOf(POINTS);
    drag(map, [[50, 50]], more);
    assert.equal(map.dragging, undefined);
  }
  const map = Object.assign(mapOf(POINTS), { plotted: false });
  drag(map, [[50, 50]]);
  onWheel(map, event("wheel", 50, 50, { deltaMode: 0, deltaY: 9 }));
  onMove(map, event("pointermove", 50, 50));
  assert.deepEqual([map.dragging, map.hovered, prevented], [undefined, -1, 0]);
});

test("the pointer looks at the nearest point within reach; a finger looks at none", () => {
  const map = mapOf(POINTS);
  onMove(map, event("pointermove", 56, 50, { pointerType: "mouse" }));
  assert.equal(map.hovered, 1);
  onMove(map, event("pointermove", 90, 50, { pointerType: "mouse" }));
  assert.equal(map.hovered, -1);
  onMove(map, event("pointermove", 56, 50, { pointerType: "touch" }));
  assert.equal(map.hovered, -1);
});

test("a wheel that counts lines turns farther than one that counts pixels", () => {
  const [pixels, lines] = [mapOf(POINTS), mapOf(POINTS)];
  onWheel(pixels, event("wheel", 0, 0, { deltaMode: 0, deltaY: -3 }));
  onWheel(lines, event("wheel", 0, 0, { deltaMode: 1, deltaY: -3 }));
  assert.ok(lines.camera.view.unit < pixels.camera.view.unit);
  assert.ok(pixels.camera.view.unit < 1);
});
