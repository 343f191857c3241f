"""What the model says about the picked images now, before anything is deleted."""

from __future__ import annotations

import streamlit as st

from app import services, state
from app.components.prediction import Series, card, percent
from app.panels.answers import neighbours, row, share_of
from app.panels.words import count, whose
from app.services import Session
from munkey_core.types import Prediction

_CARDS = 3


def preview(session: Session) -> None:
    """Cards of the images picked last, newest first."""
    basket = state.get("basket")
    shown = basket[::-1][:_CARDS]
    prediction = session.remember(("predict", shown), lambda: session.studio.predict(shown))
    if len(basket) > len(shown):
        st.caption(
            f"The last {len(shown)} of {len(basket):,} picked images, as the model sees them:"
        )
    _near_copies(session, basket)
    cards = [_card(session, id_, prediction, i) for i, id_ in enumerate(shown)]
    st.html(f'<div class="mk-cards">{"".join(cards)}</div>')


def _card(session: Session, id_: str, prediction: Prediction, i: int) -> str:
    probabilities, ids, weights = row(prediction, i)
    own = share_of(id_, ids, weights)
    back = "Its key is back. " if id_ in session.restored else ""
    return card(
        session.pictures.uri(id_),
        whose(session, id_),
        session.studio.classes,
        session.studio.record(id_).label,
        [Series("before", "with its key", probabilities)],
        f"{back}Its own key gives {percent(own)} of this answer.",
        neighbours(session, ids, weights, own=id_),
    )


def _near_copies(session: Session, basket: tuple[str, ...]) -> None:
    """A near-copy that stays can answer in the deleted image's place: say so beforehand."""
    picked = set(basket)
    found = {pair.other for pair in session.near_duplicates(basket)} - picked
    if not found:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        stay = "stays" if len(found) == 1 else "stay"
        st.caption(
            f"{count(len(found), 'near-copy', 'near-copies')} of your selection {stay} in the "
            "memory and may answer instead.",
            width=230,
        )
        st.button(f"Add {len(found):,}", on_click=services.pick, args=(sorted(found),))
