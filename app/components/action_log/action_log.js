// What a person did that Python has not acknowledged yet. The other half is the Python beside it.
//
// An action shows at once and is sent a moment later. Each gets a number (seq) and stays in
// `pending` until Python's answer acknowledges it; what is drawn is always Python's state with the
// pending actions applied on top. Every message carries all pending actions, so a message that is
// overtaken by a newer one, or met by a run that was interrupted, loses nothing; and an answer to
// an older state cannot flip a newer click back. Should a message have got lost all the same, it
// is sent again, more and more rarely: each one interrupts a run that may be answering just now.

const SEND_AFTER_MS = 150; // One message for a burst of clicks...
const SEND_AT_LATEST_MS = 600; // ...but someone who never pauses gets answers too.
const SEND_AGAIN_MS = 3_000; // Twice as long after each try.

export class ActionLog {
  // Logs live in the tab, not in the DOM: Streamlit may mount a component anew (another place in
  // the page, back from another page) before its actions were acknowledged.
  static of(scope) {
    const logs = (window.munkeyActionLogs ??= new Map());
    if (!logs.has(scope)) logs.set(scope, new ActionLog());
    return logs.get(scope);
  }

  constructor() {
    this.nonce = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    this.seq = 0;
    this.pending = []; // [[seq, ...what was done]]
    this.send = () => {}; // Streamlit's setStateValue; a new one every time.
    this.timer = null;
    this.again = null;
    this.oldestUnsent = null;
    this.tries = 0;
  }

  add(...action) {
    this.seq += 1;
    this.pending.push([this.seq, ...action]);
    this.schedule();
  }

  acknowledge(ack) {
    if (ack && ack.nonce === this.nonce) {
      this.pending = this.pending.filter(([seq]) => seq > ack.seq);
    }
    if (!this.pending.length) {
      clearTimeout(this.again);
      this.tries = 0;
    } else if (this.timer === null) {
      this.schedule(); // Left over from an earlier mount, or newer than this answer.
    }
  }

  schedule() {
    const now = performance.now();
    this.oldestUnsent ??= now;
    clearTimeout(this.timer);
    const latest = this.oldestUnsent + SEND_AT_LATEST_MS - now;
    this.timer = setTimeout(() => this.flush(), Math.max(0, Math.min(SEND_AFTER_MS, latest)));
  }

  // The component is drawn anew, or gone: only its next drawing knows how to send.
  rest() {
    this.flush();
    clearTimeout(this.again);
  }

  // Sends at once what is waiting to be sent.
  flush() {
    if (this.timer === null) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.oldestUnsent = null;
    this.transmit();
  }

  transmit() {
    clearTimeout(this.again);
    if (!this.pending.length) return;
    this.send("batch", { nonce: this.nonce, actions: this.pending, attempt: this.tries });
    this.again = setTimeout(() => this.transmit(), SEND_AGAIN_MS * 2 ** this.tries);
    this.tries += 1;
  }
}
