import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { ActionLog } from "../../app/components/action_log/action_log.js";

// A clock that stands still until it is told to go on.
const clock = {
  now: 0,
  waiting: new Map(),
  go(ms) {
    const until = this.now + ms;
    for (;;) {
      const [next] = [...this.waiting].sort((a, b) => a[1].at - b[1].at);
      if (!next || next[1].at > until) break;
      this.waiting.delete(next[0]);
      this.now = next[1].at;
      next[1].act();
    }
    this.now = until;
  },
};
let log;
let sent;

beforeEach(() => {
  clock.waiting.clear();
  let timers = 0;
  globalThis.setTimeout = (act, ms) => {
    clock.waiting.set(++timers, { at: clock.now + ms, act });
    return timers;
  };
  globalThis.clearTimeout = (timer) => clock.waiting.delete(timer);
  performance.now = () => clock.now;
  log = new ActionLog();
  sent = [];
  log.send = (name, message) => sent.push(message.actions.map(([seq]) => seq));
});

test("a burst of clicks is one message, soon after the last", () => {
  log.add("click");
  clock.go(100);
  log.add("click");
  clock.go(149);
  assert.deepEqual(sent, []);
  clock.go(1);
  assert.deepEqual(sent, [[1, 2]]);
});

test("who never pauses is heard all the same", () => {
  for (let k = 0; k < 7; k++) {
    log.add("click");
    clock.go(100);
  }
  assert.deepEqual(sent, [[1, 2, 3, 4, 5, 6]]);
});

test("what is not acknowledged goes with every message, and is sent again, more and more rarely", () => {
  log.add("one");
  clock.go(150);
  log.add("two");
  clock.go(150);
  assert.deepEqual(sent, [[1], [1, 2]]);
  log.acknowledge({ nonce: log.nonce, seq: 1 });
  clock.go(150);
  assert.deepEqual(sent.slice(2), [[2]]);
  clock.go(3_000 * 4 - 1);
  assert.equal(sent.length, 3);
  clock.go(1 + 3_000 * 8);
  assert.equal(sent.length, 5);
  log.acknowledge({ nonce: log.nonce, seq: 2 });
  clock.go(1e6);
  assert.equal(sent.length, 5);
  assert.deepEqual(log.pending, []);
});

test("another tab life's acknowledgement says nothing about this one's actions", () => {
  log.add("one");
  log.acknowledge({ nonce: "another", seq: 9 });
  assert.deepEqual(log.pending, [[1, "one"]]);
});

test("what waits is sent at once when the component goes, and not by it any more", () => {
  log.add("one");
  log.rest();
  assert.deepEqual(sent, [[1]]);
  clock.go(1e6);
  assert.equal(sent.length, 1);
});

test("a log outlives the component that wrote it", () => {
  globalThis.window = globalThis;
  assert.equal(ActionLog.of("here"), ActionLog.of("here"));
  assert.notEqual(ActionLog.of("here"), ActionLog.of("there"));
});
