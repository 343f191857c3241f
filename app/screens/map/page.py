"""Memory map: every memory as a point, to look at, pick from and see empty."""

import numpy as np
import streamlit as st

from app.components.memory_map import (
    MapEvent,
    Points,
    Scene,
    map_pictures,
    memory_map,
    points,
    take_event,
)
from app.screens.map.colours import Colouring, Mask, colouring, labels, offered, owners
from app.screens.map.query import BEFORE, projection_of, query_of, query_panel
from app.session import properties, services, state, state_keys
from app.session.services import Session
from app.shared.basket import delete_button
from app.shared.filters import class_filter, owner_filter
from app.shared.job_words import PROJECT
from app.shared.near import warning
from app.shared.retrain import retrain_panel
from app.shared.sections import looking
from app.words.foreign import escaped
from app.words.glossary import term
from munkey_core.errors import MunkeyError
from munkey_core.explain.projection import Projection

_HEIGHT = 416
_UMAP, _PCA = "umap", "pca"


def show() -> None:
    """Draw the page of the current session."""
    session = services.current()
    if take_event(state_keys.MAP, _apply):
        st.rerun()  # What an interrupted run left over; the sidebar shows an older basket.
    with st.container(horizontal=True, vertical_alignment="bottom", key="map-head"):
        st.title("The memory, seen from above", anchor=False, width="content")
        looking("map")
    st.markdown(
        "Each point is a training image in memory. **Near each other: the model finds them "
        "similar.** Far apart: how far means nothing."
    )
    _controls(session)
    left, right = st.columns([72, 28], gap="medium")
    with left:
        _map(session)
    with right:
        _after(session)
        query_panel(session)


# -- what a person does ----------------------------------------------------------------------------


def _apply(event: MapEvent) -> None:
    """Take clicks, lassos and the legend's filter into the state."""
    if event.removed:
        gone = set(event.removed)
        state.change("basket", tuple(id_ for id_ in state.get("basket") if id_ not in gone))
    if event.added:
        services.pick(event.added)
    if event.off is not None:
        state.change("off", event.off)
    if event.clicked:
        st.session_state[state_keys.MAP_CLICKED] = event.clicked


def _all_groups() -> None:
    """Group numbers of one colouring mean nothing in another."""
    state.put("off", ())


# -- the controls ----------------------------------------------------------------------------------


def _controls(session: Session) -> None:
    settings, filters = not state.hidden("settings"), not state.hidden("filters")
    if not settings and not filters:
        return
    with st.container(key="map-controls"):
        cells = st.columns([24] * settings + [20, 24] * filters + [18, 14] * settings, gap="small")
    if settings:
        first, *cells = cells
        colours = {name: f"Colour: {properties.COLOURS[name]}" for name in offered(session)}
        first.selectbox(
            "Colour by",
            label_visibility="collapsed",
            **state.choice("colour", colours, _all_groups),
        )
    if filters:
        classes, owner, *cells = cells
        with classes:
            class_filter(session)
        with owner:
            owner_filter(session)
    if settings:
        space, layout = cells
        space.selectbox(
            "Points are", label_visibility="collapsed", **state.choice("space", properties.SPACES)
        )
        layout.selectbox(
            "Layout", label_visibility="collapsed", **state.choice("layout", properties.LAYOUTS)
        )


def _after(session: Session) -> None:
    """Delete, and look at the map as it was and as it is."""
    basket = state.get("basket")
    delete_button(len(basket))
    if basket and not state.hidden("delete"):
        warning(session, basket, deleted=False)
    if session.studio.memory.forgotten:
        st.segmented_control(
            "The map",
            label_visibility="collapsed",
            width="stretch",
            **state.choice("when", properties.WHEN),
        )


# -- the map ---------------------------------------------------------------------------------------


def _map(session: Session) -> None:
    space, method = state.get("space"), state.get("layout")
    try:
        if method == _UMAP and not session.studio.maps.ready(space):
            method = _PCA
            retrain_panel(session, (), PROJECT)
        projection = projection_of(session, space, method)
        chosen = colouring(session, state.get("colour"))
    except MunkeyError as error:
        st.error(f"The map can't be drawn: {escaped(str(error))}")
        return
    _check_off(len(chosen.labels))
    query = None
    try:
        query = query_of(session, space, method)
    except MunkeyError as error:
        st.warning(f"The query has no place on the map: {escaped(str(error))}")
    shown = _shown(session)
    before = state.get("when") == BEFORE
    scene = Scene(
        chosen.title,
        chosen.groups(_counted(session, chosen, shown, before), projection.positions),
        chosen.codes,
        shown,
        basket=state.get("basket"),
        deleted=session.studio.memory.forgotten,
        ghosts=not before,
        off=state.get("off"),
        value=chosen.value,
        query=query,
        pickable=not state.hidden("pick"),
    )
    memory_map(
        _points(session, projection),
        scene,
        key=state_keys.MAP,
        on_event=_apply,
        height=_HEIGHT,
        print_scale=state.print_scale(),
    )
    st.fragment(_pictures)()
    st.caption(_about(space, method))


def _about(space: str, method: str) -> str:
    """What the points and the layout are."""
    what = {
        "keys": f"Where an image's {term('key', 'key')} lies",
        "tokens": f"Where an image's {term('exemplar-token', 'exemplar token')} lies",
    }[space]
    how = {_UMAP: term("umap"), _PCA: term("pca")}[method]
    return (
        f"{what}, laid flat by {how}. Deleted keys stay as hollow points; no other point moves for "
        "them. Instead of a lasso: narrow the map down by the lists above, then *Pick shown*."
    )


def _check_off(groups: int) -> None:
    """A link may hide groups that this colouring doesn't have."""
    off = state.get("off")
    if any(group >= groups for group in off):
        st.warning(
            f"off must be group numbers from 0 to {groups - 1} of this legend: the others are "
            "left out."
        )
        state.put("off", tuple(group for group in off if group < groups))


def _shown(session: Session) -> Mask:
    """(N,) whether the filters let a point through."""
    shown: Mask = np.ones(session.studio.memory.keys_total, dtype=np.bool_)
    if state.get("class"):
        shown &= np.isin(labels(session), state.get("class"))
    if state.get("owner"):
        shown &= np.asarray(owners(session) == state.get("owner"), dtype=np.bool_)
    return shown


def _counted(session: Session, chosen: Colouring, shown: Mask, before: bool) -> Mask:
    """What the legend counts: the points that are drawn, without ghosts unless they are what it
    is about."""
    if before or state.get("colour") == "deleted" or not session.studio.memory.forgotten:
        return shown
    gone = [session.studio.memory.is_forgotten(id_) for id_ in session.studio.memory.private_ids()]
    counted: Mask = shown & ~np.array(gone, dtype=np.bool_)
    return counted


def _points(session: Session, projection: Projection) -> Points:
    return session.remember(
        ("map-points", projection.space, projection.method),
        lambda: points(
            projection.ids,
            projection.positions,
            labels(session).tolist(),
            session.studio.about.classes,
        ),
    )


def _pictures() -> None:
    """Its own part of the page, so that a pointer on the map never runs the whole of it."""
    session = services.current()

    def answer(id_: str) -> tuple[str, str]:
        owner = session.studio.memory.record(id_).owner
        return session.pictures.uri(id_), owner and owner + session.simulated

    map_pictures(state_keys.MAP, answer)
