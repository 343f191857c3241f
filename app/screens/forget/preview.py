"""What the model says about the picked images now, before anything is deleted."""

import streamlit as st

from app.components.prediction import Series, card, percent
from app.session import state
from app.session.services import Session
from app.shared import near
from app.shared.answers import neighbours, row, share_of
from app.shared.ask import link
from app.shared.sections import looking
from app.shared.whole_class import about_whole_classes
from app.shared.without_pictures import blind_cards
from munkey_core.errors import MunkeyError
from munkey_core.model.predictor import Prediction

_CARDS = 3
_WHY = "preview-why"


def preview(session: Session) -> None:
    """Cards of the images picked last, newest first."""
    basket = state.get("basket")
    shown = basket[::-1][:_CARDS]
    prediction = _prediction(session, shown)
    if len(basket) > len(shown):
        st.caption(
            f"The last {len(shown)} of {len(basket):,} picked images, as the model sees them:"
        )
    near.warning(session, basket, deleted=False)
    about_whole_classes(session, basket)
    if prediction is None:
        blind_cards(session, shown)
        return
    cards = [_card(session, id_, prediction, i) for i, id_ in enumerate(shown)]
    st.html(f'<div class="mk-cards">{"".join(cards)}</div>')
    with st.container(horizontal=True, vertical_alignment="center", key="why-picked"):
        link("Why does it say that?", ":material/search_insights:", "explain", shown[0], _WHY)
        looking("prediction", where="-picked")


def _prediction(session: Session, ids: tuple[str, ...]) -> Prediction | None:
    """None where it takes pictures that are not here."""
    if session.studio.pictures.status.state == "searching":
        return None
    try:
        return session.remember(("predict", ids), lambda: session.studio.predict(ids))
    except MunkeyError:
        return None


def _card(session: Session, id_: str, prediction: Prediction, i: int) -> str:
    probabilities, ids, weights = row(prediction, i)
    own = share_of(id_, ids, weights)
    back = "Its key is back. " if id_ in session.restored else ""
    return card(
        session.pictures.uri(id_),
        session.whose(id_),
        session.studio.about.classes,
        session.studio.memory.record(id_).label,
        [Series("before", "with its key", probabilities)],
        f"{back}Its own key gives {percent(own)} of this answer.",
        neighbours(session, ids, weights, own=id_),
    )
