"""Forget: pick training images, delete their keys, see what changes."""

from __future__ import annotations

import streamlit as st

from app import services, state
from app.components.gallery import Tile, gallery
from app.components.pager import pager, pages
from app.panels.basket import delete_button
from app.panels.filters import empty_text, filters, matching
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
    st.markdown(
        "This model keeps a **memory of every training image** (a *key* in its memory bank) and "
        "looks there before it answers. Pick images, delete their keys, and see what it says "
        "without them. You can always undo."
    )
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
    gallery(
        [_tile(session, id_, copies[id_]) for id_ in shown],
        selected=state.get("basket"),
        key=state.GALLERY,
        size=84,
        selectable=not state.hidden("pick"),
        label="Training images",
        empty=empty_text(),
    )
    if found:
        _below(session, found, page, total)


def _tile(session: Session, id_: str, copies: int) -> Tile:
    studio = session.studio
    return Tile(
        id=id_,
        src=session.pictures.uri(id_),
        label=class_name(session, id_),
        caption=_caption(session, id_),
        badges=(count(copies, "near-copy", "near-copies"),) if copies else (),
        state="deleted" if studio.is_forgotten(id_) else "kept",
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
    picked = set(state.get("basket"))
    new = [id_ for id_ in found if id_ not in picked and not session.studio.is_forgotten(id_)]
    if new and len(found) <= _MANY and not state.hidden("pick"):
        adding.button(
            f"Pick all {len(new):,}", on_click=services.pick, args=(tuple(new),), width="stretch"
        )
    if state.get("show") == "influential":
        st.caption(
            f"**In 41 answers** means: it is one of the {session.studio.ensemble.k} memories that "
            "answer for 41 test images. First come those whose deletion would move the answers "
            "most (influence: summed change of the true class's probability)."
        )
    elif session.scored:
        st.caption(
            "**By heart +87** means: with its key the model is 87 percentage points surer of the "
            "true class than without (memorisation)."
        )


def _turn(page: int) -> None:
    state.change("page", page)


# -- right: the answers --------------------------------------------------------------------------


def _answers(session: Session) -> None:
    basket = state.get("basket")
    n = len(basket)
    delete_button(n)
    if n:
        preview(session)
    job = session.consequences
    if job is not None:
        with st.container(border=bool(n), key="result"):
            result(session, job)
    elif not n and not state.hidden("pick"):
        _first_steps(session)


def _first_steps(session: Session) -> None:
    with st.container(border=True, key="first-steps"):
        st.html(
            '<div class="mk"><div class="mk-sum">Try it</div><ol class="mk-steps">'
            "<li>Click an image, or several: what the model says about it shows up here.</li>"
            "<li>Guess what it will say once it has forgotten the image.</li>"
            "<li>Delete the key, look, undo.</li></ol></div>"
        )
        best = session.best_known()
        if best:
            st.button(
                "Pick the image it knows best by heart",
                icon=":material/favorite:",
                width="stretch",
                on_click=services.pick,
                args=((best,),),
            )
