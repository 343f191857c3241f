"""What a person does in a component of the browser, taken in by Python once and in order.

The browser numbers its actions and repeats them in every message until Python acknowledges them,
and draws Python's state with the unacknowledged ones on top. So no click is lost or flips back,
however slow a run is and wherever the next click interrupts it. ``action_log.js``, which the
component's own script imports, is the other half of this file.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")


def kept(name: str, make: type[T]) -> T:
    """What the session keeps under a name, made at the first need."""
    record = st.session_state.get(name)
    if not isinstance(record, make):
        record = make()
        st.session_state[name] = record
    return record


@dataclass
class ActionLog:
    """What this session knows of one component's log; changed in place, never replaced.

    In place, because every access to ``st.session_state`` is a point at which Streamlit may
    interrupt the run for a newer one: after the log is at hand, a batch is taken in and
    acknowledged in one piece.
    """

    scope: str = field(default_factory=lambda: uuid.uuid4().hex)
    nonce: str = ""  # of the browser-side log that `seq` counts in
    seq: int = 0  # the last action taken in
    delivered: int = 0  # the last action given to the page: what the browser may forget

    @property
    def head(self) -> dict[str, Any]:
        """What the component's data says of the log."""
        return {"scope": self.scope, "ack": {"nonce": self.nonce, "seq": self.delivered}}

    def news(self, key: str) -> Iterator[list[Any]]:
        """Yield the actions not seen yet from the state of the component of this key, each without
        its number. The message comes from a browser, so anything may be in them."""
        state = st.session_state.get(key)
        batch = state.get("batch") if isinstance(state, Mapping) else None
        if not isinstance(batch, Mapping) or not isinstance(batch.get("nonce"), str):
            return
        if batch["nonce"] != self.nonce:  # Another tab life, its numbers start anew.
            self.nonce, self.seq, self.delivered = batch["nonce"], 0, 0
        actions = batch.get("actions")
        for action in actions if isinstance(actions, list) else []:
            match action:
                case [int(seq), *what] if seq > self.seq:
                    self.seq = seq
                    yield what

    def deliver(self) -> None:
        """Note that the page has all that was taken in."""
        self.delivered = self.seq
