import assert from "node:assert/strict";
import { test } from "node:test";

import {
  between,
  changeOf,
  placeAfter,
  selectionOf,
} from "../../app/components/gallery/selection.js";

const anything = () => true;

test("what Python has not acknowledged is applied in order", () => {
  const pending = [[1, ["c", "d"], ["a"]], [2, [], ["d"]]];
  assert.deepEqual([...selectionOf({ selected: ["a", "b"] }, pending)], ["b", "c"]);
});

test("only what changes is reported", () => {
  const selected = new Set(["a"]);
  assert.deepEqual(changeOf(["a", "b", "c"], true, selected, anything, false), [["b", "c"], []]);
  assert.deepEqual(changeOf(["a", "b"], false, selected, anything, false), [[], ["a"]]);
  assert.equal(changeOf(["a"], true, selected, anything, false), null);
});

test("what is deleted goes out but does not come in", () => {
  const canAdd = (id) => id !== "gone";
  assert.deepEqual(changeOf(["gone", "b"], true, new Set(), canAdd, false), [["b"], []]);
  assert.deepEqual(changeOf(["gone"], false, new Set(["gone"]), canAdd, false), [[], ["gone"]]);
});

test("where one may be selected, it takes the place of the others", () => {
  const selected = new Set(["a", "on another page"]);
  const change = changeOf(["b", "c"], true, selected, anything, true);
  assert.deepEqual(change, [["c"], ["a", "on another page"]]);
  assert.deepEqual(changeOf(["a"], false, selected, anything, true), [[], ["a"]]);
});

test("a range goes both ways", () => {
  const order = ["a", "b", "c", "d"];
  assert.deepEqual(between(order, "b", "d"), ["b", "c", "d"]);
  assert.deepEqual(between(order, "c", "a"), ["a", "b", "c"]);
  assert.deepEqual(between(order, "c", "c"), ["c"]);
});

test("keys lead along rows and columns, and to both ends", () => {
  const after = (key) => placeAfter(key, 7, 5, 20);
  const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "x"];
  assert.deepEqual(keys.map(after), [6, 8, 2, 12, 0, 19, undefined]);
});
