"""Forget: pick training images, delete their keys, see what changes."""

from functools import partial

import streamlit as st

from app.components.gallery import Tile, gallery
from app.components.pager import pager, part
from app.components.to_answers import to_answers
from app.screens.forget.first_minute import explanation, first_steps, guess_first
from app.screens.forget.own_picture import own_picture
from app.screens.forget.preview import preview
from app.screens.forget.result import result
from app.session import services, state, state_keys
from app.session.services import Session
from app.shared.basket import delete_button
from app.shared.filters import empty_text, filters, matching
from app.shared.near import near_copies
from app.words.glossary import term
from app.words.phrases import count

_PER_PAGE = 20
_MANY = 2_000


def show() -> None:
    """Draw the page of the current session."""
    session = services.current()
    st.title("Watch a model forget", anchor=False)
    st.markdown(explanation(session))
    images, answers = st.columns([60, 40], gap="small")
    with images:
        _images(session)
        own_picture(session)
    with answers:
        _answers(session)
    to_answers(".st-key-delete, .st-key-result", session.studio.memory.generation)


# -- left: the training images -------------------------------------------------------------------


def _images(session: Session) -> None:
    filters(session)
    found = matching(session)
    shown, page, total = part(found, _PER_PAGE, state.get("page"))
    copies = near_copies(session, tuple(shown))
    _above(session)
    gallery(
        [_tile(session, id_, copies[id_]) for id_ in shown],
        selected=state.get("basket"),
        key=state_keys.GALLERY,
        size=state.scaled(84),
        selectable=not state.hidden("pick"),
        label="Training images",
        empty=empty_text(),
    )
    if found:
        _below(session, found, page, total)


def _above(session: Session) -> None:
    """What stands below each picture, before anybody has to ask."""
    if state.get("show") == "influential":
        k = session.studio.about.ensemble.k
        st.caption(
            f"**In 41 answers**: one of the {k} memories that answer for "
            f"41 test images. First come those with the largest {term('influence', 'influence')}."
        )
    elif session.scored:
        st.caption(
            f"**{term('memorisation', 'By heart')} +97**: with its key the model is 97 points "
            "surer of the true class."
        )


def _tile(session: Session, id_: str, copies: int) -> Tile:
    caption = session.caption(id_)
    if state.get("show") == "influential":
        caption = f"in {count(session.answers_for(id_), 'answer')}"
    badges = (count(copies, "near-copy", "near-copies"),) if copies else ()
    return session.tile(id_, caption, badges)


def _below(session: Session, found: tuple[str, ...], page: int, total: int) -> None:
    turning, adding = st.columns([3, 2], vertical_alignment="center")
    with turning:
        text = f"Page {page:,} of {total:,} · {count(len(found), 'image')}"
        pager(page, total, text, partial(state.change, "page"), "gallery-pager")
    picked = set(state.get("basket"))
    new = [
        id_ for id_ in found if id_ not in picked and not session.studio.memory.is_forgotten(id_)
    ]
    if new and len(found) <= _MANY and not state.hidden("pick"):
        adding.button(
            f"Pick all {len(new):,}", on_click=services.pick, args=(tuple(new),), width="stretch"
        )


# -- right: the answers --------------------------------------------------------------------------


def _answers(session: Session) -> None:
    basket = state.get("basket")
    n = len(basket)
    delete_button(n)
    if n:
        guess_first(session)
        preview(session)
    job = session.consequences
    if job is not None:
        with st.container(border=bool(n), key="result"):
            result(session, job)
    elif not n and not state.hidden("pick"):
        first_steps(session)
