"""Long work that a page shows: in the background, with its progress and a way to stop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import streamlit as st

from app.session import state_keys
from app.session.background import Background
from app.session.services import Session
from app.shared.changed import polled
from app.words.foreign import escaped

T = TypeVar("T")
J = TypeVar("J", bound=Background[Any])


@dataclass
class Work(Generic[J]):
    """What one part of a page wants to know in this state of the memory. make: begins to find it
    out. job: None as long as nobody has begun."""

    part: str
    make: Callable[[], J]
    job: J | None = None

    def start(self) -> None:
        """Begin the work, again if it was begun before."""
        self.job = None
        self.begun()

    def begun(self) -> J:
        """The job, begun now if it was not."""
        if self.job is None:
            self.job = st.session_state[state_keys.WORKING + self.part] = self.make()
        return self.job

    def result(self: "Work[Background[T]]", stages: Mapping[str, str]) -> T | None:
        """The result, or None with the progress, the reason or a way to start again on the screen.

        stages: names of stages → what a person reads.
        """
        job = self.job
        if job is None:
            return None
        job.wait()
        if not job.finished:
            watched(job, lambda: _progress(job, self.part, stages))
            return None
        if job.result is None:
            if job.error:
                st.error(f"This could not be worked out: {escaped(job.error)}")
            else:
                st.info("Stopped: nothing is known yet.")
            st.button("Start again", on_click=self.start, key=f"again-{self.part}")
        return job.result


def work(session: Session, part: str, key: object, make: Callable[[], J]) -> Work[J]:
    """What was asked for under this key. Whatever the part was busy with before is stopped: only
    what is on the screen goes on running. make: as :class:`Work` has it."""
    found = session.remember((part, key), lambda: Work(part, make))
    name = state_keys.WORKING + part
    earlier: Background[Any] | None = st.session_state.get(name)
    if earlier is not None and earlier is not found.job:
        earlier.stop()
    if found.job is not None and found.job.stopped and found.job is not earlier:
        found.job = None  # Left before its end, and now wanted again.
    st.session_state[name] = found.job
    return found


def watched(job: Background[Any], draw: Callable[[], object], watching: bool = True) -> None:
    """Draw a part of the page, and draw it again every moment until the job has finished; then the
    whole page once more, without the timer. watching: whether there is something to wait for."""

    def look() -> None:
        if watching and job.finished:
            st.rerun()
        draw()

    polled(look, watching)()


def _progress(job: Background[Any], part: str, stages: Mapping[str, str]) -> None:
    progress = job.progress
    stage = stages.get(progress.stage, progress.stage) if progress else "Starting"
    steps = f": {progress.done:,} of {progress.total:,}" if progress else " …"
    st.progress(job.fraction, text=stage + steps)
    st.button("Stop", on_click=job.stop, key=f"stop-{part}")
