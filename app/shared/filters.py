"""What the gallery shows: class, owner, order, draw, near-copies, id."""

from collections.abc import Callable

import streamlit as st

from app.session import properties, state
from app.session.services import Session
from app.words.phrases import count
from munkey_core.data.base import MAX_ID
from munkey_core.results import Browse


def _first_page() -> None:
    state.put("page", 1)


def filters(session: Session) -> None:
    """Draw the controls; their values are properties of the state.

    Their labels are hidden, as each says by itself what it is about, and a projector has room
    for images or for labels.
    """
    if state.hidden("filters"):
        return
    show, classes = st.columns(2, gap="small")
    owner, find = st.columns(2, gap="small")
    show.selectbox(
        "Show", label_visibility="collapsed", **state.choice("show", _orders(session), _first_page)
    )
    with classes:
        class_filter(session, _first_page)
    with owner:
        owner_filter(session, _first_page)
    find.text_input(
        "Image id",
        placeholder="Image id, or a part of it",
        max_chars=MAX_ID,
        label_visibility="collapsed",
        **state.widget("find", _first_page),
    )
    if state.get("show") == "random":
        _draw_controls()


def _orders(session: Session) -> dict[str, str]:
    """What can be shown of this model: not each has been attacked, or asked about influence."""
    missing = set()
    if not session.studio.privacy.has_exposure:
        missing.add("exposed")
    if session.studio.explain.influence() is None:
        missing.add("influential")
    return {name: words for name, words in properties.SHOW.items() if name not in missing}


def class_filter(session: Session, then: Callable[[], None] | None = None) -> None:
    """Which classes a page shows. then: called after a person has changed it."""
    names = session.studio.about.classes
    st.multiselect(
        "Class",
        range(len(names)),
        format_func=names.__getitem__,
        placeholder="All classes",
        label_visibility="collapsed",
        **state.widget("class", then),
    )


def owner_filter(session: Session, then: Callable[[], None] | None = None) -> None:
    """Whose images a page shows. then: called after a person has changed it."""
    owners, word = session.studio.memory.owners, session.owner_word
    st.selectbox(
        word.capitalize(),
        ["", *owners],
        format_func=lambda name: f"{name} ({owners[name]})" if name else f"All {word}s",
        disabled=not owners,
        label_visibility="collapsed",
        **state.widget("owner", then),
    )


def _draw_controls() -> None:
    number, seed, again = st.columns([1, 1, 1], vertical_alignment="bottom")
    number.number_input(
        "How many", 1, properties.MAX_DRAW, step=10, **state.widget("n", _first_page)
    )
    seed.number_input(
        "Seed",
        0,
        2**31 - 1,
        step=1,
        help="The same seed draws the same images.",
        **state.widget("seed", _first_page),
    )
    again.button("Draw others", on_click=_draw_again, width="stretch", icon=":material/casino:")


def _draw_again() -> None:
    state.change("seed", state.get("seed") + 1)
    _first_page()


def matching(session: Session) -> tuple[str, ...]:
    """Ids that fit the filters, in the order asked for."""
    show, basket = state.get("show"), state.get("basket")
    query = Browse(
        classes=state.get("class"),
        owner=state.get("owner"),
        contains=state.get("find").strip(),
        near=basket if show == "near" else None,
        paired=show == "twins",
        order=show if show in ("random", "id", "exposed", "influential") else "memorised",
        sample=state.get("n") if show == "random" else None,
        seed=state.get("seed"),
    )
    found = session.browse(query)
    if show == "selection":
        fits = set(found)
        return tuple(id_ for id_ in basket if id_ in fits)
    if show == "gone":
        return tuple(id_ for id_ in found if session.studio.memory.is_forgotten(id_))
    return found


def empty_text() -> str:
    """What to do when nothing fits."""
    show, basket = state.get("show"), state.get("basket")
    if show == "selection" and not basket:
        return "You have picked no images yet. Choose another order under “Show” and click some."
    if show == "gone":
        return "No key that fits these filters has been deleted in this session."
    if show == "near" and not basket:
        return "Pick an image first: its near-copies, if there are any, then show up here."
    if show == "twins":
        return "No image that fits these filters has a near-copy in the memory."
    if show == "near":
        return f"{count(len(basket), 'picked image')}, and no near-copy stays in the memory."
    return "No image fits all of these filters. Loosen one of them."
