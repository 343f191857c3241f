"""The query on the memory map: an image, where it lies, and the memories that answer for it."""

import streamlit as st

from app.components.memory_map import Link, Query
from app.components.prediction import Series, card, legend, percent
from app.session import state, state_keys
from app.session.services import Session
from app.shared.answers import neighbours, row
from app.shared.ask import id_field, link, look_at, look_at_random, refusal
from app.shared.without_pictures import blind_cards, has_pictures
from app.words.foreign import escaped
from munkey_core.errors import MunkeyError
from munkey_core.explain.projection import Placement, Projection
from munkey_core.model.predictor import Prediction

BEFORE = "before"


def query_of(session: Session, space: str, method: str) -> Query | None:
    """The star and its lines; None without a query. Raises MunkeyError if it can't be placed."""
    id_ = state.get("query")
    if not id_ or not has_pictures(session):
        return None
    studio = session.studio
    projection = projection_of(session, space, method)
    before = state.get("when") == BEFORE
    prediction = _before(session, id_) if before else _now(session, id_)
    placement = _placement(session, id_, projection, before)
    _, ids, weights = row(prediction, 0)
    answering = [(one, float(w)) for one, w in zip(ids, weights, strict=False) if one != id_]
    links = [_link(session, projection, one, percent(w), w) for one, w in answering]
    if not before and studio.memory.forgotten:
        gone = studio.memory.is_forgotten
        lost = [i for i in row(_before(session, id_), 0)[1] if gone(i) and i != id_]
        links += [_link(session, projection, one, "gone", 0.0, gone=True) for one in lost]
    x, y = placement.positions[0]
    alone = f"image alone {percent(float(weights[-1]))}" if len(weights) > len(ids) else ""
    picture = session.pictures.uri(id_)
    return Query((float(x), float(y)), picture, id_, tuple(links), alone)


def projection_of(session: Session, space: str, method: str) -> Projection:
    """The map in this generation of the memory."""
    return session.remember(
        ("map", space, method), lambda: session.studio.maps.projection(space, method)
    )


def _link(
    session: Session,
    projection: Projection,
    id_: str,
    share: str,
    weight: float,
    gone: bool = False,
) -> Link:
    [(x, y)] = session.studio.maps.positions([id_], projection)
    return Link(id_, (float(x), float(y)), session.pictures.uri(id_), share, weight, gone)


def _now(session: Session, id_: str) -> Prediction:
    found = session.remember(("predict", (id_,)), lambda: session.studio.predict((id_,)))
    return found.require(session.studio.memory.generation)


def _before(session: Session, id_: str) -> Prediction:
    """The answer of the whole memory; it belongs to a generation of another session."""
    if not session.studio.memory.forgotten:
        return _now(session, id_)
    whole = session.studio.session()  # a view of its own, in which nothing is deleted
    [found] = session.remember(("map-before", id_), lambda: [whole.predict((id_,))])
    return found


def _placement(session: Session, id_: str, projection: Projection, before: bool) -> Placement:
    """Where the query lies; before: in the whole memory."""
    now, where = session.studio, (projection.space, projection.method)
    if not before:
        return session.remember(
            ("map-place", id_, where),
            lambda: now.maps.place(_now(session, id_), (id_,), projection),
        )
    whole = now.session() if now.memory.forgotten else now
    [found] = session.remember(
        ("map-place-before", id_, where),
        lambda: [whole.maps.place(_before(session, id_), (id_,), whole.maps.projection(*where))],
    )
    return found


# -- on the page ---------------------------------------------------------------------------------


def query_panel(session: Session) -> None:
    """The ways to a query, and who answers for it."""
    st.markdown("**Who answers for an image?**")
    if not state.hidden("pick"):
        _choose(session)
    if state.get("query") and not has_pictures(session):
        blind_cards(session, (state.get("query"),))
    elif state.get("query"):
        try:
            _card(session, state.get("query"))
            link(
                "Explain this answer",
                ":material/troubleshoot:",
                "explain",
                state.get("query"),
                "map-explain",
            )
        except MunkeyError as error:
            st.error(f"This image can't be predicted: {escaped(str(error))}")
    else:
        st.caption(
            "Choose an image: a star shows where it lies, lines lead to the memories that answer "
            "for it."
        )


def _choose(session: Session) -> None:
    id_field(session, state_keys.MAP_FIND)
    with st.container(horizontal=True, gap="small"):
        st.button("Random test image", on_click=look_at_random, key="map-random")
        clicked = st.session_state.get(state_keys.MAP_CLICKED)
        if clicked and clicked != state.get("query") and session.studio.memory.can_ask(clicked):
            st.button("The point I clicked", on_click=look_at, args=(clicked,), key="map-clicked")
        if state.get("query"):
            st.button("Remove", on_click=look_at, args=("",), key="map-no-query")
    refusal(state_keys.MAP_FIND)


def _card(session: Session, id_: str) -> None:
    """What the model says of it, then and now, and who answers in the state that is drawn."""
    studio = session.studio
    now = row(_now(session, id_), 0)
    shown, series = now, [Series("before", "now", now[0])]
    before = state.get("when") == BEFORE and bool(studio.memory.forgotten)
    if studio.memory.forgotten:
        then = row(_before(session, id_), 0)
        series = [Series("before", "before deletion", then[0]), Series("after", "now", now[0])]
        shown = then if before else now
        st.html(legend(series))
    st.html(
        card(
            session.pictures.uri(id_),
            session.whose(id_),
            studio.about.classes,
            studio.memory.record(id_).label,
            series,
            _note(session, id_),
            neighbours(session, shown[1], shown[2], own=id_),
            "Who answered before" if before else "Who answers now",
        )
    )


def _note(session: Session, id_: str) -> str:
    if not session.studio.memory.is_private(id_):
        return "A test image: drawn at the weighted mean of its nearest keys."
    if session.studio.memory.is_forgotten(id_):
        return "A training image whose key is deleted."
    return "A training image with a key of its own."
