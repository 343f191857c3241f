import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ALIVE,
  GHOST,
  boundsOf,
  classify,
  decode,
  indexOf,
  nearby,
  opened,
  placeOf,
  sorted,
  unpack,
  within,
} from "../../../app/components/memory_map/points.js";
import { cloudAt, packed, scattered } from "./clouds.mjs";

test("what Python packs is unpacked, wherever the bytes lie", () => {
  const message = packed([[1, 2], [3, -4], [0.5, 0]]);
  const shifted = new Uint8Array(message.length + 3); // No multiple of four.
  shifted.set(message, 3);
  for (const data of [message, message.buffer, shifted.subarray(3)]) {
    const cloud = unpack(opened(data));
    assert.equal(cloud.name, "cloud");
    assert.deepEqual([...cloud.xy], [1, 2, 3, -4, 0.5, 0]);
    assert.deepEqual([...cloud.labels], [0, 1, 0]);
    assert.deepEqual(cloud.ids, ["p0", "p1", "p2"]);
    assert.deepEqual(placeOf(cloud, 1), [3, -4]);
    assert.deepEqual([indexOf(cloud, "p2"), indexOf(cloud, "q")], [2, undefined]);
  }
});

test("a map may have no points", () => {
  const cloud = cloudAt([]);
  assert.deepEqual([cloud.n, cloud.ids], [0, []]);
  assert.deepEqual(boundsOf(cloud), { x: [0, 1], y: [0, 1] });
});

test("numbers travel as text", () => {
  const text = Buffer.from(Uint16Array.from([1, 500]).buffer).toString("base64");
  assert.deepEqual([...decode(text, Uint16Array)], [1, 500]);
});

test("bounds and rectangles", () => {
  const cloud = cloudAt([[0, 0], [2, 1], [-1, 3]]);
  assert.deepEqual(boundsOf(cloud), { x: [-1, 2], y: [0, 3] });
  const found = [];
  within(cloud, { x: [-1, 1], y: [0, 3] }, (i, x, y) => found.push([i, x, y]));
  assert.deepEqual(found, [[0, 0, 0], [2, -1, 3]]);
});

test("the nearest come first, and nothing comes that is hidden or too far", () => {
  const points = scattered(500);
  const cloud = cloudAt(points);
  const shown = Uint8Array.from(points, (_, i) => (i % 3 ? ALIVE : 0));
  const distance = (i) => Math.hypot(cloud.xy[2 * i] - 1, cloud.xy[2 * i + 1]);
  const wanted = [...points.keys()].filter((i) => i % 3 && distance(i) <= 2);
  assert.ok(wanted.length > 10);
  wanted.sort((a, b) => distance(a) - distance(b));
  assert.deepEqual(nearby(cloud, shown, [1, 0], 2), wanted);
});

test("filters and the legend hide; of what is left, the deleted are ghosts", () => {
  const cloud = cloudAt([[0, 0], [1, 0], [2, 0], [3, 0], [4, 0]]);
  const kept = Uint8Array.from([1, 0, 1, 1, 1]);
  const codes = Uint16Array.from([0, 0, 1, 2, 0]);
  const shown = classify(cloud, kept, codes, new Set([1]), ["p0", "p1", "p2", "of another map"]);
  assert.deepEqual([...shown], [GHOST, 0, 0, ALIVE, ALIVE]);
  assert.deepEqual(sorted(shown, codes, 3), { members: [[4], [], [3]], ghosts: [0] });
  assert.deepEqual([...kept], [1, 0, 1, 1, 1]);
});
