"""What this session erases for good: at most one request at a time, in a thread.

It goes on whatever page is on the screen, and even when the browser is closed: half of it would be
no use to anybody. What it leaves is the receipt, in the bundle's ledger.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app import state
from app.background import Background
from munkey_core.studio import Studio
from munkey_core.types import Progress, Receipt, RequestEvidence

SIGNING_KEY = "MUNKEY_SIGNING_KEY"  # names the file of the server's private key


@dataclass(frozen=True)
class Erasing:
    """A request on its way. name: of the bundle. evidence: what was known before."""

    name: str
    ids: tuple[str, ...]
    evidence: RequestEvidence
    job: Background[Receipt]


@dataclass(frozen=True)
class Done:
    """A request that this session has erased: what is handed out."""

    receipt: Receipt
    report: str


def start(studio: Studio, name: str, ids: tuple[str, ...], evidence: RequestEvidence) -> None:
    """Begin, unless this session is erasing already."""
    if current() is not None:
        return

    def work() -> Iterator[Progress | Receipt]:
        return studio.erase(ids, key=signing_key())

    st.session_state.pop(state.ERASE_FAILED, None)
    st.session_state[state.ERASING] = Erasing(name, ids, evidence, Background(work, "erase"))


def current() -> Erasing | None:
    """The request that is being erased, or has been and was not taken in yet."""
    found: Erasing | None = st.session_state.get(state.ERASING)
    return found


def take_finished() -> Erasing | None:
    """The request that has come to its end since, once; its receipt or failure is kept."""
    found = current()
    if found is None or not found.job.finished:
        return None
    del st.session_state[state.ERASING]
    receipt = found.job.result
    if receipt is None:
        st.session_state[state.ERASE_FAILED] = _reason(found.job.error)
    else:
        report = Studio.request_report(receipt, found.evidence)
        kept = st.session_state.setdefault(state.ERASED, {})
        kept[receipt.hash] = Done(receipt, report)
    return found


def _reason(error: str) -> str:
    """Why it failed, without a path of the server's."""
    key = signing_key()
    if key is not None:
        error = error.replace(str(key), "the server's signing key")
    return error or "it was interrupted"


def done(receipt: Receipt) -> Done | None:
    """The report that this session made with a receipt, when it erased the images."""
    found: Done | None = st.session_state.get(state.ERASED, {}).get(receipt.hash)
    return found


def signing_key() -> Path | None:
    """The key that this server signs its receipts with; its owner names it, never a browser."""
    named = os.environ.get(SIGNING_KEY, "").strip()
    return Path(named) if named else None
