import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import {
  ARRIVED,
  ASK_AGAIN_MS,
  cloudOf,
  receive,
  tabOf,
  wishes,
} from "../../../app/components/memory_map/hub.js";
import { packed } from "./clouds.mjs";

let arrived;

beforeEach(() => {
  arrived = 0;
  globalThis.window = new EventTarget();
  window.addEventListener(ARRIVED, () => (arrived += 1));
});

test("points are unpacked once and forgotten when many others came", () => {
  assert.ok(receive(packed([[1, 2]], "first")));
  const first = cloudOf("first");
  assert.deepEqual(first.ids, ["p0"]);
  receive(packed([[1, 2]], "first").buffer);
  assert.equal(cloudOf("first"), first);
  for (const name of ["b", "c", "d"]) receive(packed([], name));
  assert.equal(cloudOf("first"), first);
  receive(packed([], "e"));
  assert.equal(cloudOf("first"), undefined);
  assert.equal(arrived, 6);
});

test("pictures find the map that asked for them", () => {
  const sent = [];
  const send = (...message) => sent.push(message);
  tabOf("here").wanted.set("a", 0);
  const pictures = { a: ["data:image/png;base64,", "customer 3"] };
  assert.ok(receive({ role: "pictures", scope: "here", pictures }, send));
  assert.deepEqual(tabOf("here").known.get("a"), pictures.a);
  assert.equal(tabOf("here").wanted.size, 0);
  assert.equal(tabOf("there").known.size, 0);
  tabOf("here").ask(["b"]);
  assert.deepEqual(sent, [["wanted", ["b"]]]);
  assert.equal(arrived, 1);
});

test("all else is the map's own", () => {
  assert.ok(!receive({ role: "map" }));
  assert.equal(arrived, 0);
});

test("a picture is asked for with its neighbours', not twice, but again if it does not come", () => {
  const tab = tabOf("asking");
  tab.known.set("c", ["", ""]);
  assert.deepEqual(wishes(tab, ["a", "a", "b", "c"], 1000), ["a", "b"]);
  assert.deepEqual(wishes(tab, ["a", "x"], 1000 + ASK_AGAIN_MS - 1), []);
  assert.deepEqual(wishes(tab, ["c", "x"], 1000), []);
  assert.deepEqual(wishes(tab, ["d"], 1500), ["d", "a", "b"]); // What is still open goes along.
  assert.deepEqual(wishes(tab, ["a"], 1000 + ASK_AGAIN_MS), ["a", "b", "d"]);
});

test("so many at once, at most", () => {
  const tab = tabOf("asking for many");
  const ids = (name) => Array.from({ length: 90 }, (_, i) => `${name}${i}`);
  assert.equal(wishes(tab, ids("a"), 0).length, 60);
  assert.equal(wishes(tab, ids("b"), 0).length, 120);
  assert.equal(wishes(tab, ids("c"), 0).length, 120);
});
