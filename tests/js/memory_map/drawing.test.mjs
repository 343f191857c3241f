import assert from "node:assert/strict";
import { test } from "node:test";

import { traces } from "../../../app/components/memory_map/drawing.js";

const COLOURS = { forget: "#b00", muted: "#888", dark: false };

for (const n of [100, 10_000, 50_000]) {
  test(`of ${n} points the deleted ones stand back behind those that are there`, () => {
    const cloud = { n, xy: new Float32Array(2 * n) };
    const groups = [{ light: "#123456", dark: "#abcdef" }];
    const points = { members: [[0, 1]], ghosts: [2, 3], picked: [1] };
    const [alive, ghosts, picked] = traces(cloud, groups, points, COLOURS, "scattergl");
    assert.equal(ghosts.x.length, 2);
    assert.equal(ghosts.marker.symbol, "circle-open");
    assert.ok(ghosts.marker.size <= alive.marker.size);
    assert.ok(ghosts.marker.opacity < alive.marker.opacity);
    assert.ok(picked.marker.size > alive.marker.size);
  });
}
