"""Forget: pick training images, delete their keys, see what changes."""

from __future__ import annotations

import streamlit as st

from app import services, state
from app.components.gallery import Tile, gallery
from app.components.pager import pager, pages
from app.glossary import term
from app.panels.basket import delete_button
from app.panels.filters import empty_text, filters, matching
from app.panels.first_minute import explanation, first_steps, guess_first
from app.panels.near import near_copies
from app.panels.own_picture import own_picture
from app.panels.preview import preview
from app.panels.result import result
from app.panels.words import class_name, count
from app.services import Session

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


# -- left: the training images -------------------------------------------------------------------


def _images(session: Session) -> None:
    filters(session)
    found = matching(session)
    total = pages(len(found), _PER_PAGE)
    page = min(state.get("page"), total)
    shown = found[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    copies = near_copies(session, shown)
    _above(session)
    gallery(
        [_tile(session, id_, copies[id_]) for id_ in shown],
        selected=state.get("basket"),
        key=state.GALLERY,
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
    studio = session.studio
    return Tile(
        id=id_,
        src=session.pictures.uri(id_),
        label=class_name(session, id_),
        caption=_caption(session, id_),
        badges=(count(copies, "near-copy", "near-copies"),) if copies else (),
        state="deleted" if studio.memory.is_forgotten(id_) else "kept",
        alt=f"{class_name(session, id_)}, {id_}",
    )


def _caption(session: Session, id_: str) -> str:
    if state.get("show") == "influential":
        return f"in {count(session.answers_for(id_), 'answer')}"
    return session.caption(id_)


def _below(session: Session, found: tuple[str, ...], page: int, total: int) -> None:
    turning, adding = st.columns([3, 2], vertical_alignment="center")
    with turning:
        text = f"Page {page:,} of {total:,} · {count(len(found), 'image')}"
        pager(page, total, text, _turn, "gallery-pager")
    picked, gone = set(state.get("basket")), session.studio.memory.is_forgotten
    new = [id_ for id_ in found if id_ not in picked and not gone(id_)]
    if new and len(found) <= _MANY and not state.hidden("pick"):
        adding.button(
            f"Pick all {len(new):,}", on_click=services.pick, args=(tuple(new),), width="stretch"
        )


def _turn(page: int) -> None:
    state.change("page", page)


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
