"""A job in the background about one forget set: retrain without it, or compare all methods.

The job belongs to the server and its result to the cache, both found by the set itself. So a page
that comes back, after a turn, a reload or through a link, finds what was started before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.components.demo_note import demo_note
from app.session import state
from app.session.background import me, present
from app.session.services import Session
from app.shared import jobs_note
from app.shared.changed import polled
from app.shared.job_words import COMPARE, MEASURE, PROJECT, RETRAIN, where
from app.words.foreign import escaped
from app.words.glossary import term
from app.words.phrases import duration
from munkey_core.errors import MunkeyError
from munkey_core.jobs.queue import JobStatus

_POLL = 1.0


@dataclass(frozen=True)
class _Words:
    what: str
    missing: str  # + what is missing; {these} images
    start: str
    failed: str
    cancelled: str


_WORDS = {
    RETRAIN: _Words(
        "Retraining",
        f"Not compared yet with a model **{term('oracle', 'retrained')}** without {{these}}.",
        "Retrain now",
        "The retraining failed",
        "The retraining was cancelled.",
    ),
    COMPARE: _Words(
        "Comparing methods",
        "The methods have not been compared yet on {these}.",
        "Compare now",
        "The comparison failed",
        "The comparison was cancelled.",
    ),
    PROJECT: _Words(
        "Making a map",
        f"The map that keeps similar images together ({term('umap')}) has not been made yet for "
        f"this model: what you see is a flat shadow of the memory ({term('pca')}).",
        "Make the map now",
        "The map could not be made",
        "The making of the map was cancelled.",
    ),
    MEASURE: _Words(
        "Measuring again",
        "When images were erased, what had been measured with them in the memory went too: "
        "{these}. It can be measured again on the images that stay.",
        "Measure again",
        "The measuring failed",
        "The measuring was cancelled; what was trained is kept.",
    ),
}


def retrain_panel(session: Session, ids: Sequence[str], kind: str = RETRAIN) -> bool:
    """Offer, show or end the job that finds out about exactly `ids`.

    Draws nothing and returns True if its result is known already; the page shows it then. While
    the job runs, only this part of the page is drawn again and again; the whole page is when the
    job ends.
    """
    if session.studio.jobs.done(kind, ids):
        jobs_note.seen(session, kind, tuple(ids))
        return True
    if state.demo():
        demo_note(_WORDS[kind].what)
        return False
    if state.hidden("jobs"):
        return False
    try:
        status = _status(session, ids, kind)
    except MunkeyError as error:  # nothing can be trained from this model, or not without these
        st.caption(f"No retrained model to compare with: {escaped(str(error))}.")
        return False
    watching = status is not None and status.active
    if status is not None and status.active and status.mine:
        jobs_note.want(session, kind, tuple(ids))
    elif status is not None and not status.active:
        jobs_note.seen(session, kind, tuple(ids))
    with st.container(key=f"job-{kind}"):
        polled(_show, watching, _POLL)(session, tuple(ids), kind, watching)
    return False


def measure_again(session: Session) -> None:
    """Where erasing took measurements along: what they were, and a button that makes them anew."""
    if session.studio.erasure.missing:
        with st.container(border=True, key="measure-again"):
            retrain_panel(session, (), MEASURE)


def _show(session: Session, ids: tuple[str, ...], kind: str, watching: bool) -> None:
    status = _status(session, ids, kind)
    active = status is not None and status.active
    if active != watching or (not active and session.studio.jobs.done(kind, ids)):
        st.rerun()  # Draws the page once more, with or without the timer.
    if status is not None and status.active:
        _running(session, ids, status)
    else:
        _offer(session, ids, kind, status)


def _offer(session: Session, ids: tuple[str, ...], kind: str, status: JobStatus | None) -> None:
    words = _WORDS[kind]
    failed = status is not None and status.state == "failed"
    if status is not None and failed:
        st.error(f"{words.failed}: {escaped(status.reason)}")
    text = words.missing.format(these=_these(session, ids, kind))
    if status is not None and status.state == "cancelled" and status.mine:
        text = f"{words.cancelled} {text}"
    seconds = session.studio.jobs.seconds(kind)
    takes = f" (about {duration(seconds)})" if seconds else ""
    st.caption(text)
    if st.button(
        ("Try again" if failed else words.start) + takes,
        icon=":material/model_training:",
        key=f"job-start-{kind}",
    ):
        try:
            session.studio.jobs.start(kind, ids, me())
        except MunkeyError as error:
            st.error(escaped(str(error)))
        else:
            st.rerun()


def _these(session: Session, ids: tuple[str, ...], kind: str) -> str:
    """What the job is about."""
    if kind == MEASURE:
        return ", ".join(one.what for one in session.studio.erasure.missing)
    return "this image" if len(ids) == 1 else f"these {len(ids):,} images"


def _running(session: Session, ids: tuple[str, ...], status: JobStatus) -> None:
    somebody_else = not status.mine
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, status.fraction), text=where(status), width="stretch")
        if not somebody_else and st.button("Cancel", key=f"job-cancel-{status.kind}"):
            session.studio.jobs.cancel(status.kind, ids, me(), present)
            st.rerun()
    st.caption(
        "Somebody else on this server asked for it; its result will show up here, too."
        if somebody_else
        else "Goes on while you are elsewhere; its result is kept."
    )


def _status(session: Session, ids: Sequence[str], kind: str) -> JobStatus | None:
    return session.studio.jobs.status(kind, ids, me(), present)
