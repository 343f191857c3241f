"""Images that get another answer: small, before and after, a page at a time."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from app.components.pager import kept, pager, part
from app.components.prediction import Tile, percent, tiles
from app.session import state_keys
from app.session.consequences import Consequences
from app.session.services import Session
from app.shared.answers import Retrained
from munkey_core.model.side_effects import Change, SideEffects

T = TypeVar("T")

_PER_PAGE = 24


def compact(session: Session, change: Change, retrained: Retrained | None) -> Tile:
    """One image's answers before → after, and retrained, as a small tile."""
    classes = session.studio.about.classes
    was, now = (int(p.argmax()) for p in (change.before, change.after))
    before, after = change.before[change.label], change.after[change.label]
    return Tile(
        session.pictures.uri(change.id),
        f"{change.id}, {classes[change.label]}",
        classes[was],
        f"→ {classes[now]}" if was != now else "",
        f"{percent(before)} → {percent(after)}",
        f"retrained {percent(retrained[change.id][change.label])}" if retrained else "",
    )


def progress(job: Consequences) -> None:
    """How far the checking has come, and a way to stop it."""
    step = job.progress
    what = "Checking the deleted images"
    if step and step.stage == "side effects":
        what = "Checking images that lost a neighbour"
    numbers = f": {step.done:,} of {step.total:,}" if step else " …"
    left = step.remaining_seconds if step else None
    time_left = f", about {max(1, round(left))} s left" if left is not None else ""
    st.progress(job.fraction, text=what + numbers + time_left)
    st.button("Stop checking", on_click=job.stop, key="stop")


def others(session: Session, effects: SideEffects) -> None:
    """The images that stay and get another answer, a page at a time."""
    for key, title, rows in (
        ("retain", "Training images with another answer", effects.retain),
        ("test", "Test images with another answer", effects.test),
    ):
        if rows:
            key, title = f"{key}-{effects.generation}", f"{title}: {len(rows):,}"
            paged(key, title, rows, lambda row: _other(session, *row))


def _other(session: Session, id_: str, was: int, now: int) -> Tile:
    classes = session.studio.about.classes
    true = session.class_name(id_)
    verdict = "right" if classes[now] == true else "wrong"
    return Tile(
        session.pictures.uri(id_),
        f"{id_}, true class {true}",
        classes[was],
        f"→ {classes[now]}",
        f"now {verdict}",
    )


def paged(
    key: str, title: str, rows: Sequence[T], make: Callable[[T], Tile], closed: bool = False
) -> None:
    """A grid of small pictures, a page at a time; only the page shown is made. closed: at first."""
    expanded = len(rows) <= _PER_PAGE and not closed
    with st.expander(title, expanded=expanded, key=f"expander-{key}"):
        name = state_keys.RESULT_PAGE + key
        shown, page, total = part(rows, _PER_PAGE, st.session_state.get(name, 1))
        st.html(tiles([make(row) for row in shown]))
        if total > 1:
            pager(page, total, f"{page} of {total}", kept(name), f"pager-{key}")
