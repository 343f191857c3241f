"""Explain: why the model gives one answer, before and after deletion."""

from html import escape
from pathlib import Path

import streamlit as st

from app.screens.explain.exemplars import attribution, exemplars, verdict
from app.screens.explain.influence import influence
from app.screens.explain.pathways import pathways
from app.screens.explain.pixels import begin, pixels
from app.screens.explain.subject import Seen, about, chooser, explained_class, seen, take_clicks
from app.session import services, state
from app.session.services import Session
from app.shared.ask import link, look_at
from app.shared.without_pictures import blind_cards, has_pictures
from app.words.foreign import escaped
from munkey_core.errors import MunkeyError
from munkey_core.results import PRIVATE

_STYLE = Path(__file__).with_name("explain.css")


def show() -> None:
    """Draw the page of the current session."""
    session = services.current()
    take_clicks()
    st.html(_STYLE)
    st.title("Why does the model say that?", anchor=False)
    st.markdown("Which memories and which pixels made the answer, **before and after deletion**.")
    image = seen(session)
    if image is not None and image.label is not None and not has_pictures(session):
        _without_picture(session, image)
        return
    try:
        _page(session, image)
    except MunkeyError as error:
        st.error(f"This image can't be explained: {escaped(str(error))}")


def _page(session: Session, image: Seen | None) -> None:
    left, right = st.columns([5, 6], gap="medium")
    with right:
        class_control = chooser(session, image)
    if image is None:
        with left:
            _first_steps(session)
    else:
        answered = [attribution(session, image, when, None) for when in image.states]
        with class_control:
            target = explained_class(session, image, answered[0].target)
        begin(session, image, target)
        with left:
            _subject(session, image, verdict(session, answered))
        exemplars(session, image, target)
        pixels(session, image, target)
        influence(session, image)
    if has_pictures(session):
        pathways(session)


def _without_picture(session: Session, image: Seen) -> None:
    """Who answers is known by the key; why takes the pixels."""
    left, right = st.columns([5, 6], gap="medium")
    with right:
        chooser(session, image)
        st.info(
            "Which pixels speak for an answer, and how much each memory adds to it, takes the "
            "picture, and this model came without. A picture of your own can be explained."
        )
    with left:
        blind_cards(session, (image.name,))
        _links(session, image)


def _subject(session: Session, image: Seen, answers: str) -> None:
    """The image itself. answers: what the model says, as HTML."""
    title = escape(_title(session, image), quote=True)
    st.html(
        f'<div class="mk mk-seen"><img class="mk-pic" src="{image.picture}" alt="{title}">'
        f'<div class="mk-words"><div class="mk-small">{title}</div>'
        f'<div class="mk-verdict">{answers}</div>'
        f'<div class="mk-small">{escape(_true_class(session, image))}</div>'
        f'<div class="mk-small">{escape(about(session, image))}</div></div></div>'
    )
    _links(session, image)


def _title(session: Session, image: Seen) -> str:
    return session.whose(image.name) if image.label is not None else "Your own picture"


def _true_class(session: Session, image: Seen) -> str:
    if image.label is None:
        return "Nobody has told the model what it is"
    return f"True class: {session.studio.about.classes[image.label]}"


def _links(session: Session, image: Seen) -> None:
    with st.container(horizontal=True, gap="small"):
        if image.label is not None:
            link("Show on the map", ":material/scatter_plot:", "map", image.name, "explain-map")
        gone = image.split != PRIVATE or session.studio.memory.is_forgotten(image.name)
        if gone or state.hidden("pick"):
            return
        picked = image.name in state.get("basket")
        st.button(
            "In the basket" if picked else "Add to the basket",
            icon=":material/shopping_basket:",
            disabled=picked,
            on_click=services.pick,
            args=((image.name,),),
            key="explain-pick",
        )


def _first_steps(session: Session) -> None:
    with st.container(border=True, key="explain-first-steps"):
        st.html(
            '<div class="mk"><div class="mk-sum">Choose an image to look inside</div>'
            '<ol class="mk-steps"><li>See which memories made the answer, and how much each of '
            "them adds.</li><li>See which pixels speak for it.</li><li>Delete its key, and see "
            "both beside each other: before and after.</li></ol></div>"
        )
        best = session.best_known() or session.studio.memory.test_ids()[0]
        known = best == session.best_known()
        st.button(
            "Look at the image it knows best by heart" if known else "Look at a test image",
            type="primary",
            icon=":material/favorite:" if known else ":material/image:",
            width="stretch",
            on_click=look_at,
            args=(best,),
            key="explain-best",
        )
