"""Jobs that this session wants, told on every page: how far each is, and its end, with the way to
what it found."""

from dataclasses import dataclass

import streamlit as st

from app.session import page_url, state, state_keys, trainings
from app.session.background import me, present
from app.session.pages import turn_to
from app.session.services import BASKET, FORGOTTEN, Session
from app.shared.changed import polled
from app.shared.job_words import COMPARE, MEASURE, PROJECT, RETRAIN, TRAIN, where
from app.words.foreign import escaped
from app.words.phrases import count
from munkey_core.errors import MunkeyError
from munkey_core.jobs.queue import JobStatus

_POLL = 1.0
_NAMES = {
    RETRAIN: "Retraining",
    COMPARE: "Comparison",
    PROJECT: "Map",
    MEASURE: "Measuring again",
    TRAIN: "Training",
}
_PAGES = {RETRAIN: "privacy", COMPARE: "compare", PROJECT: "map", MEASURE: "desk", TRAIN: "own"}


@dataclass(frozen=True)
class Wanted:
    """A job that somebody waits for. ids: what it leaves out; of a training the new model's name.
    model: its bundle's digest and mode; of a measuring, which makes another version, its name; none
    of a training, which has no bundle yet."""

    kind: str
    ids: tuple[str, ...]
    model: tuple[str, ...]


def want(session: Session, kind: str, ids: tuple[str, ...]) -> None:
    """Tell of this job from now on, until its end was seen."""
    _add(Wanted(kind, tuple(sorted(ids)), _model(session, kind)))


def want_training(name: str) -> None:
    """Tell of the training of a model of this name."""
    _add(Wanted(TRAIN, (name,), ()))


def seen(session: Session, kind: str, ids: tuple[str, ...]) -> None:
    """The page shows what came of it."""
    _drop(Wanted(kind, tuple(sorted(ids)), _model(session, kind)))


def training_seen(name: str) -> None:
    """The page shows what came of the training of this model."""
    _drop(Wanted(TRAIN, (name,), ()))


def jobs_note(session: Session) -> None:
    """Draw the note, which follows the jobs by itself; nothing without a job of this model."""
    if state.demo() or state.hidden("jobs"):
        return
    _take_over(session)
    if _ours(session):
        with st.container(key="jobs-note"):
            polled(_note, seconds=_POLL)(session, _standing(session))


def jobs_on_a_phone(session: Session) -> None:
    """The note once more, above the page, as on a phone the sidebar is closed; the style shows it
    there alone. It is drawn with the page, which the other one has drawn when a job ends: a part
    that is drawn by itself must not lie where another page has something else."""
    if not (state.demo() or state.hidden("jobs")) and _ours(session):
        with st.container(key="jobs-note-above"):
            for number, one in enumerate(_ours(session)):
                _line(session, one, f"-above-{number}", follows=False)


def _take_over(session: Session) -> None:
    """What runs and nobody who is there waits for any more is this person's, who has reloaded or
    come next: a reload is another session."""
    for kind, ids in session.studio.jobs.left_alone(present):
        want(session, kind, ids)
    for name in trainings.left_alone():
        want_training(name)


def _note(session: Session, drawn: tuple[bool, ...]) -> None:
    """drawn: which of the jobs were active when the page was drawn."""
    if _standing(session) != drawn:
        st.rerun()
    for number, one in enumerate(_ours(session)):
        _line(session, one, f"-{number}", follows=True)


def _standing(session: Session) -> tuple[bool, ...]:
    found = []
    for one in _ours(session):
        try:
            status = _status(session, one)
        except MunkeyError:  # which its line will find out, too
            status = None
        found.append(status is not None and status.active)
    return tuple(found)


def _line(session: Session, one: Wanted, key: str, follows: bool) -> None:
    """follows: whether it is drawn again as the job goes on."""
    try:
        status = _status(session, one)
        done = _done(session, one, status)
    except MunkeyError:  # the bundle has lost what the job was about
        _drop(one)
        return
    if done:
        st.markdown(f":material/check_circle: **{_what(one)}: done.**")
        label = "See the result"
    elif status is None or status.state == "cancelled":
        _drop(one)
        return
    elif status.active:
        if (page_url.current_page() or "forget") == _page(session, one):
            return  # which shows it
        if follows:
            said = f"{_what(one)}: {_first_small(where(status))}"
            st.progress(min(1.0, status.fraction), text=said)
        else:
            st.markdown(f":material/hourglass_top: **{_what(one)}** is under way.")
        label = "Go there"
    else:
        st.markdown(f":material/error: **{_what(one)}: failed.** {escaped(status.reason)}")
        label = "See what can be done"
    if not state.hidden("menu") and st.button(label, key=f"job-see{key}", width="stretch"):
        _show(session, one, status)


def _what(one: Wanted) -> str:
    """What a job is, as Markdown."""
    if one.kind == TRAIN:
        return f"{_NAMES[TRAIN]} of {escaped(one.ids[0])}"
    return _NAMES[one.kind] + (f" without {count(len(one.ids), 'image')}" if one.ids else "")


def _status(session: Session, one: Wanted) -> JobStatus | None:
    if one.kind == TRAIN:
        return trainings.status(one.ids[0])
    return session.studio.jobs.status(one.kind, one.ids, me(), present)


def _done(session: Session, one: Wanted, status: JobStatus | None) -> bool:
    if one.kind == TRAIN:
        return (status is None or not status.active) and trainings.ready(one.ids[0])
    return session.studio.jobs.done(one.kind, one.ids)


def _show(session: Session, one: Wanted, status: JobStatus | None) -> None:
    """Turn to the page about this job, and make it be about its images."""
    if status is None or not status.active:
        _drop(one)
    page = _page(session, one)
    if one.kind == TRAIN:
        state.put("training", one.ids[0])
    elif one.ids:
        _make_it_the_subject(session, one.ids)
    state.touch()
    turn_to(page)


def _make_it_the_subject(session: Session, ids: tuple[str, ...]) -> None:
    memory = session.studio.memory
    sets = {FORGOTTEN: memory.forgotten, BASKET: state.get("basket")} | memory.canonical_sets()
    name = next((name for name, members in sets.items() if set(members) == set(ids)), None)
    if name is None and not any(map(memory.is_forgotten, ids)):
        state.put("basket", ids)
        name = BASKET
    if name is not None:
        state.put("of", name)


def _page(session: Session, one: Wanted) -> str:
    """The page that shows the job: a retraining without what is deleted belongs to its result."""
    deleted = set(one.ids) == set(session.studio.memory.forgotten) and one.kind == RETRAIN
    return "forget" if deleted else _PAGES[one.kind]


def _model(session: Session, kind: str) -> tuple[str, ...]:
    if kind == MEASURE:
        return (session.name,)
    return session.studio.about.digest, session.studio.about.mode


def _concerns(one: Wanted, session: Session) -> bool:
    """Whether a job is about the model on the screen, or about none yet."""
    return one.kind == TRAIN or one.model == _model(session, one.kind)


def _ours(session: Session) -> list[Wanted]:
    return [one for one in _all() if _concerns(one, session)]


def _all() -> tuple[Wanted, ...]:
    return tuple(st.session_state.get(state_keys.JOBS, ()))


def _add(one: Wanted) -> None:
    st.session_state[state_keys.JOBS] = dict.fromkeys([*_all(), one])


def _drop(one: Wanted) -> None:
    st.session_state[state_keys.JOBS] = dict.fromkeys(w for w in _all() if w != one)


def _first_small(text: str) -> str:
    return text[:1].lower() + text[1:]
