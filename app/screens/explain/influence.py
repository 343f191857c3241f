"""What would change if one memory were forgotten: figures and the images that it changes most."""

import streamlit as st

from app.components.gallery import Tile, gallery
from app.components.shapley_chart import points
from app.screens.explain.subject import Seen
from app.session import state, state_keys
from app.session.background import Background
from app.session.services import Session
from app.shared.sections import section
from app.shared.work import work
from app.words.phrases import count
from munkey_core.explain.influence import Influence, InfluencedQuery
from munkey_core.progress import Progress, Steps
from munkey_core.results import PRIVATE

INFLUENCE = "influence"
_SHOWN = 12
_VISIBLE = 0.0005  # A change of the true class's probability that is shown as more than 0.0 points.
_STAGES = {"others": "Asking every test image again, without this memory"}

Changed = tuple[InfluencedQuery, ...]


def influence(session: Session, image: Seen) -> None:
    """The section of the page; for a training image only."""
    section("What would change if this memory were forgotten", "influence")
    if image.split != PRIVATE:
        st.caption("Only a training image has a key that can be forgotten; this one has none.")
        return

    def run() -> Steps[Changed]:
        yield Progress("others", 0, 1, 0.0)
        return session.studio.explain.influenced(image.name)

    asked = work(session, INFLUENCE, image.name, lambda: Background(run, INFLUENCE))
    asked.begun()
    changed = asked.result(_STAGES)
    if changed is None:
        return
    known = session.remember("influence", session.studio.explain.influence)
    st.html(f'<div class="mk mk-plainly">{sentence(changed)}</div>')
    if known is not None and changed:
        st.html(figures(known, image.name))
    _gallery(session, changed)


def sentence(changed: Changed) -> str:
    """How much the rest of the world depends on one memory, as HTML."""
    flips = sum(query.class_before != query.class_after for query in changed)
    most = max((abs(query.shift) for query in changed), default=0.0)
    if not changed:
        return "No test image is answered differently at all: <b>nobody else</b> needs this memory."
    if most < _VISIBLE and not flips:
        return (
            f"{count(len(changed), 'test image')} would be answered a little differently, none by "
            "a tenth of a point: <b>practically nobody else</b> needs this memory."
        )
    turned = "none would get another answer"
    if flips:
        turned = f"<b>{flips:,}</b> would get another answer"
    return (
        f"The answers to <b>{count(len(changed), 'test image')}</b> would change, the true "
        f"class's probability by at most {points(most).lstrip('+')} points; {turned}."
    )


def figures(known: Influence, id_: str) -> str:
    """What the bundle knows of one memory's influence on all test images, as HTML."""
    row = known.ids.index(id_)
    facts = [
        (
            f"{int(known.touched[row]):,}",
            f"of {known.n_test:,} test images have it among their nearest memories",
        ),
        (f"{int(known.flips[row]):,}", "of them get another answer without it"),
        (
            points(float(known.total[row])).lstrip("+"),
            "points in sum, up or down, by which the true class's probability changes",
        ),
    ]
    boxes = "".join(f"<div><b>{number}</b>{words}</div>" for number, words in facts)
    return f'<div class="mk mk-facts">{boxes}</div>'


def _gallery(session: Session, changed: Changed) -> None:
    shown = [
        query
        for query in changed
        if abs(query.shift) >= _VISIBLE or query.class_before != query.class_after
    ][:_SHOWN]
    if not shown:
        return
    st.markdown("**Test images that change most**: click one to look at it.")
    gallery(
        [_tile(session, query) for query in shown],
        selected=[],
        key=state_keys.EXPLAIN_CHANGED,
        size=state.scaled(84),
        single=True,
        label="Test images that change most",
    )
    st.caption(
        "Points: change of the probability of the true class, which stands below the picture."
    )


def _tile(session: Session, query: InfluencedQuery) -> Tile:
    change = turn(session.studio.about.classes, query)
    return session.tile(query.id, f"{points(query.shift)} points", (change,), change)


def turn(classes: tuple[str, ...], query: InfluencedQuery) -> str:
    """The answer before and after."""
    if query.class_before == query.class_after:
        return f"still {classes[query.class_before]}"
    return f"{classes[query.class_before]} → {classes[query.class_after]}"
