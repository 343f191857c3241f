"""Long work that a page shows: in the background, with its progress and a way to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st

from app.session import state
from app.session.background import Background
from app.session.services import Session
from app.shared.changed import polled
from munkey_core.progress import Steps

T = TypeVar("T")


@dataclass
class Work:
    """What one part of a page has asked for in this state of the memory; at first nothing."""

    job: Background[Any] | None = None


def work(session: Session, part: str, key: object) -> Work:
    """What was asked for under this key. Whatever the part was busy with before is stopped: only
    what is on the screen goes on running."""
    found = session.remember((part, key), Work)
    name = state.WORKING + part
    earlier: Background[Any] | None = st.session_state.get(name)
    if earlier is not None and earlier is not found.job:
        earlier.stop()
    if found.job is not None and found.job.stopped and found.job is not earlier:
        found.job = None  # Left before its end, and now wanted again.
    st.session_state[name] = found.job
    return found


def start(found: Work, part: str, run: Callable[[], Steps[Any]]) -> None:
    """Begin the work, again if it was begun before."""
    begin(found, part, Background(run, part))


def begin(found: Work, part: str, job: Background[Any]) -> None:
    """Let a job that runs be the work."""
    found.job = job
    st.session_state[state.WORKING + part] = job


def result(found: Work, part: str, run: Callable[[], Steps[T]], stages: dict[str, str]) -> T | None:
    """The result, or None with the progress, the reason or a way to start again on the screen.

    stages: names of stages → what a person reads.
    """
    job = found.job
    if job is None:
        return None
    job.wait()
    if not job.finished:
        polled(_watch)(job, part, stages)
        return None
    if job.result is not None:
        value: T = job.result
        return value
    if job.error:
        st.error(f"This could not be worked out: {state.plain(job.error)}")
    else:
        st.info("Stopped: nothing is known yet.")
    st.button("Start again", on_click=start, args=(found, part, run), key=f"again-{part}")
    return None


def _watch(job: Background[Any], part: str, stages: dict[str, str]) -> None:
    if job.finished:
        st.rerun()  # Draws the page once more, without the timer.
    progress = job.progress
    stage = stages.get(progress.stage, progress.stage) if progress else "Starting"
    fraction = progress.done / max(1, progress.total) if progress else 0.0
    steps = f": {progress.done:,} of {progress.total:,}" if progress else " …"
    st.progress(min(1.0, fraction), text=stage + steps)
    st.button("Stop", on_click=job.stop, key=f"stop-{part}")
