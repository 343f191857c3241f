"""Jobs that this session wants, told on every page: how far each is, and its end, with the way to
what it found."""

from dataclasses import dataclass

import streamlit as st

from app.session import page_url, state, state_keys
from app.session.background import me, present
from app.session.pages import turn_to
from app.session.services import BASKET, FORGOTTEN, Session
from app.shared.changed import polled
from app.shared.job_words import COMPARE, PROJECT, RETRAIN, where
from app.words.foreign import escaped
from app.words.phrases import count
from munkey_core.errors import MunkeyError
from munkey_core.jobs.queue import JobStatus

_POLL = 1.0
_NAMES: dict[str, str] = {RETRAIN: "Retraining", COMPARE: "Comparison", PROJECT: "Map"}
_PAGES: dict[str, str] = {RETRAIN: "privacy", COMPARE: "compare", PROJECT: "map"}


@dataclass(frozen=True)
class Wanted:
    """A job that somebody waits for. model: its bundle's digest and mode."""

    kind: str
    ids: tuple[str, ...]
    model: tuple[str, str]


def want(session: Session, kind: str, ids: tuple[str, ...]) -> None:
    """Tell of this job from now on, until its end was seen."""
    st.session_state[state_keys.JOBS] = dict.fromkeys([*_all(), _wanted(session, kind, ids)])


def seen(session: Session, kind: str, ids: tuple[str, ...]) -> None:
    """The page shows what came of it."""
    _drop(_wanted(session, kind, ids))


def jobs_note(session: Session) -> None:
    """Draw the note; nothing without a job of this model."""
    if state.demo() or state.hidden("jobs"):
        return
    if any(one.model == _model(session) for one in _all()):
        with st.container(key="jobs-note"):
            polled(_note, seconds=_POLL)(session)


def _note(session: Session) -> None:
    for number, one in enumerate(_all()):
        if one.model == _model(session):
            _line(session, one, number)


def _line(session: Session, one: Wanted, number: int) -> None:
    try:
        status = session.studio.jobs.status(one.kind, one.ids, me(), present)
    except MunkeyError:  # the bundle has lost what the job was about
        _drop(one)
        return
    what = _NAMES[one.kind] + (f" without {count(len(one.ids), 'image')}" if one.ids else "")
    if session.studio.jobs.done(one.kind, one.ids):
        st.markdown(f":material/check_circle: **{what}: done.**")
        label = "See the result"
    elif status is None or status.state == "cancelled":
        _drop(one)
        return
    elif status.active:
        if (page_url.current_page() or "forget") == _page(session, one):
            return  # which shows it
        st.progress(min(1.0, status.fraction), text=f"{what}: {_first_small(where(status))}")
        label = "Go there"
    else:
        st.markdown(f":material/error: **{what}: failed.** {escaped(status.reason)}")
        label = "See what can be done"
    if not state.hidden("menu") and st.button(label, key=f"job-see-{number}", width="stretch"):
        _show(session, one, status)


def _show(session: Session, one: Wanted, status: JobStatus | None) -> None:
    """Turn to the page about this job, and make it be about its images."""
    if status is None or not status.active:
        _drop(one)
    memory, ids = session.studio.memory, set(one.ids)
    page = _page(session, one)
    if one.ids:
        sets = {FORGOTTEN: memory.forgotten, BASKET: state.get("basket")} | memory.canonical_sets()
        name = next((name for name, members in sets.items() if set(members) == ids), None)
        if name is None and not any(map(memory.is_forgotten, one.ids)):
            state.put("basket", one.ids)
            name = BASKET
        if name is not None:
            state.put("of", name)
    state.touch()
    turn_to(page)


def _page(session: Session, one: Wanted) -> str:
    """The page that shows the job: a retraining without what is deleted belongs to its result."""
    deleted = set(one.ids) == set(session.studio.memory.forgotten) and one.kind == RETRAIN
    return "forget" if deleted else _PAGES[one.kind]


def _wanted(session: Session, kind: str, ids: tuple[str, ...]) -> Wanted:
    return Wanted(kind, tuple(sorted(ids)), _model(session))


def _model(session: Session) -> tuple[str, str]:
    return session.studio.about.digest, session.studio.about.mode


def _all() -> tuple[Wanted, ...]:
    return tuple(st.session_state.get(state_keys.JOBS, ()))


def _drop(one: Wanted) -> None:
    st.session_state[state_keys.JOBS] = dict.fromkeys(w for w in _all() if w != one)


def _first_small(text: str) -> str:
    return text[:1].lower() + text[1:]
