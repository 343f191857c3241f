// Clouds for the tests: as Python packs them, and as the map keeps them.

import { opened, unpack } from "../../../app/components/memory_map/points.js";

// points: [x, y] each. Their labels are 0, 1, 0, 1, ..., their ids p0, p1, ...
export function packed(points, name = "cloud") {
  const head = { role: "points", name, n: points.length, classes: ["even", "odd"] };
  const ids = points.map((_, i) => `p${i}`).join("\n");
  const parts = [
    Buffer.from(`${JSON.stringify(head)}\n`),
    Buffer.from(Float32Array.from(points.flat()).buffer),
    Buffer.from(Uint16Array.from(points, (_, i) => i % 2).buffer),
    Buffer.from(ids),
  ];
  return new Uint8Array(Buffer.concat(parts));
}

export const cloudAt = (points) => unpack(opened(packed(points)));

// The same numbers on every run, between 0 and 1.
export function numbers(seed = 1) {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

export function scattered(n) {
  const random = numbers();
  return Array.from({ length: n }, () => [20 * random() - 10, 6 * random() - 3]);
}

export const near = (actual, wanted, tolerance = 1e-9) =>
  actual.length === wanted.length &&
  actual.every((value, k) => Math.abs(value - wanted[k]) <= tolerance);
