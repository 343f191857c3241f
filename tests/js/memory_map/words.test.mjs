import assert from "node:assert/strict";
import { test } from "node:test";

import { layout, traces } from "../../../app/components/memory_map/drawing.js";
import { allBut, toggled } from "../../../app/components/memory_map/legend.js";
import { count, meaning, summary } from "../../../app/components/memory_map/words.js";
import { cloudAt } from "./clouds.mjs";

test("numbers are grouped", () => {
  assert.equal(count(10000), "10,000");
});

test("what is on the map, in numbers", () => {
  const numbers = { drawn: 9000, hidden: 900, deleted: 100, basket: 7 };
  const words = ["9,000 drawn", "900 hidden by filters", "100 deleted", "7 in the basket"];
  assert.deepEqual(summary(numbers, true), words);
  assert.equal(summary(numbers, false)[2], "100 deleted, drawn as before");
  assert.equal(summary({ ...numbers, deleted: 0 }, false)[2], "0 deleted");
});

test("a colour that is the class goes without saying", () => {
  const data = { title: "Owner", groups: [{ label: "Coat" }, { label: "customer 3" }] };
  assert.equal(meaning(data, 0, undefined, "Coat"), "");
  assert.equal(meaning(data, 1, undefined, "Coat"), "Owner: customer 3");
});

test("a score has its sign, digits and unit, and nought has no sign", () => {
  const value = { name: "By heart", factor: 100, digits: 0, signed: true, unit: " points" };
  const said = (number, more = {}) => meaning({ value: { ...value, ...more } }, 0, number, "");
  assert.equal(said(0.314), "By heart: +31 points");
  assert.equal(said(-0.314), "By heart: −31 points");
  assert.equal(said(0.314, { signed: false, digits: 1 }), "By heart: 31.4 points");
  assert.equal(said(-0.001), "By heart: 0 points");
});

test("the legend turns one group, or all others, on and off", () => {
  const off = new Set([1]);
  assert.deepEqual(toggled(off, 2), new Set([1, 2]));
  assert.deepEqual(toggled(off, 1), new Set());
  assert.deepEqual(off, new Set([1]));
  assert.deepEqual(allBut(["a", "b", "c"], 1), new Set([0, 2]));
});

test("each group is drawn in its colour, then ghosts, then rings", () => {
  const cloud = cloudAt([[0, 1], [2, 3], [4, 5], [6, 7]]);
  const groups = [{ light: "white", dark: "black" }, { light: "pink", dark: "red" }];
  const points = { members: [[0, 3], [1]], ghosts: [2], picked: [3] };
  const colours = { forget: "orange", muted: "grey", dark: true };
  const drawn = traces(cloud, groups, points, colours, "scattergl");
  assert.deepEqual(drawn.map(({ x, y }) => [[...x], [...y]]), [
    [[0, 6], [1, 7]],
    [[2], [3]],
    [[4], [5]],
    [[6], [7]],
  ]);
  assert.deepEqual(drawn.map(({ marker }) => marker.color), ["black", "red", "grey", "orange"]);
  assert.ok(drawn.every(({ type }) => type === "scattergl"));
  const frame = layout([800, 600], { x: [0, 8], y: [0, 6] });
  assert.deepEqual([frame.width, frame.xaxis.range, frame.yaxis.range], [800, [0, 8], [0, 6]]);
});

test("points are small and rings are narrow where there are many", () => {
  const cloud = cloudAt(Array.from({ length: 4001 }, (_, i) => [i, 0]));
  const all = [...cloud.ids.keys()];
  const of = (picked) =>
    traces(cloud, [{}], { members: [all], ghosts: [], picked }, {}, "scatter").map((t) => t.marker);
  const [few, many] = [of(all.slice(0, 200)), of(all)];
  assert.equal(few[0].size, 4.5);
  assert.deepEqual([few[2].line.width, many[2].line.width], [2, 1.3]);
});
