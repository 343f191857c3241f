"""What this session erases for good: at most one request at a time, in a thread.

It goes on whatever page is on the screen, and even when the browser is closed: half of it would be
no use to anybody. What it leaves is the receipt, in the bundle's ledger.
"""

import contextlib
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from app.components.action_log import kept
from app.session import state_keys
from app.session.background import Background
from munkey_core.bundle.ledger import Receipt
from munkey_core.erasure.request_page import RequestEvidence
from munkey_core.errors import MunkeyError
from munkey_core.progress import Steps
from munkey_core.studio import Studio
from munkey_core.studio.erasure import Erasure

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


@dataclass
class _Desk:
    """What this session erases and has erased; changed in place, as every access to the session's
    state is a point at which a newer event may end the run. lock: a second click has a thread of
    its own, beside the one that the first click is not done with yet."""

    erasing: Erasing | None = None
    failed: str = ""
    done: dict[str, Done] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def _desk() -> _Desk:
    return kept(state_keys.ERASING, _Desk)


def start(studio: Studio, name: str, ids: tuple[str, ...], evidence: RequestEvidence) -> None:
    """Begin, unless this session is erasing already, or what it shows is not there any more."""
    desk, key = _desk(), signing_key()

    def work() -> Steps[Receipt]:
        return erased(studio, ids, key, evidence)

    with desk.lock:
        if desk.erasing is None and not studio.erasure.stale:
            desk.failed = ""
            desk.erasing = Erasing(name, ids, evidence, Background(work, "erase"))


def erased(
    studio: Studio, ids: tuple[str, ...], key: Path | None, evidence: RequestEvidence
) -> Steps[Receipt]:
    """Yield progress; return the receipt, whose report is kept whether anybody is there still or
    not: nobody can measure its figures again."""
    receipt = yield from studio.erasure.erase(ids, key=key)
    with contextlib.suppress(MunkeyError, OSError):  # else it is at hand until this session ends
        Erasure.file_report(receipt, evidence)
    return receipt


def current() -> Erasing | None:
    """The request that is being erased, or has been and was not taken in yet."""
    return _desk().erasing


def finished() -> Erasing | None:
    """The request that has come to its end and was not taken in yet."""
    found = current()
    return found if found is not None and found.job.finished else None


def close() -> None:
    """Take in what has come to its end: the receipt with its report, or why there is none."""
    desk, found = _desk(), finished()
    if found is None:
        return
    receipt = found.job.result
    if receipt is None:
        desk.failed = _reason(found.job.error)
    else:
        report = Erasure.report(receipt, found.evidence)
        desk.done[receipt.hash] = Done(receipt, report)
    desk.erasing = None


def failed() -> str:
    """Why the newest attempt came to no receipt; empty if it did, or there was none."""
    return _desk().failed


def forget_failure() -> None:
    """What went wrong says nothing about another request."""
    _desk().failed = ""


def _reason(error: str) -> str:
    """Why it failed, without a path of the server's."""
    key = signing_key()
    if key is not None:
        error = error.replace(str(key), "the server's signing key")
    return error or "it was interrupted"


def done(receipt: Receipt) -> Done | None:
    """The report that this session made with a receipt, when it erased the images."""
    return _desk().done.get(receipt.hash)


def signing_key() -> Path | None:
    """The key that this server signs its receipts with; its owner names it, never a browser."""
    named = os.environ.get(SIGNING_KEY, "").strip()
    return Path(named) if named else None
