"""Which image the pages Memory map and Explain are about: asked for by its id, or drawn."""

import random

import streamlit as st

from app.session import properties, services, state, state_keys
from app.session.pages import turn_to
from app.session.services import Session
from app.words.foreign import escaped, quoted
from munkey_core.data.base import MAX_ID

_FIELDS = (state_keys.MAP_FIND, state_keys.EXPLAIN_FIND)


def look_at(id_: str) -> None:
    """Make them be about an image of the bundle, and about what the model takes it for. An empty
    id: about none that a link could name."""
    state.put("target", properties.PREDICTED)
    st.session_state[state_keys.OWN_CHOSEN] = False
    for field in _FIELDS:
        st.session_state.pop(state_keys.REFUSED + field, None)
    state.change("query", id_)


def link(label: str, icon: str, name: str, id_: str, key: str) -> None:
    """A button that turns to a page that is about one image, and makes it about this one. A link
    that hides the menu hides it, too."""
    if not state.hidden("menu") and st.button(label, icon=icon, key=key):
        look_at(id_)
        turn_to(name)


def look_at_random() -> None:
    """Make them be about some test image."""
    look_at(random.choice(services.current().studio.memory.test_ids()))


def id_field(session: Session, key: str) -> None:
    """The field for an id. key: MAP_FIND or EXPLAIN_FIND."""
    st.text_input(
        "Image id",
        key=key,
        placeholder="Image id, e.g. " + session.studio.memory.test_ids()[0],
        max_chars=MAX_ID,
        label_visibility="collapsed",
        on_change=_find,
        args=(key,),
    )


def refuse(key: str, reason: str) -> None:
    """Note why what a person wanted was not followed. reason: Markdown."""
    st.session_state[state_keys.REFUSED + key] = reason


def refusal(key: str) -> None:
    """Why a field was not followed, if it was not."""
    reason = st.session_state.get(state_keys.REFUSED + key)
    if reason:
        st.error(reason)


def _find(key: str) -> None:
    """Follow an id that a person typed, or say why not and change nothing."""
    studio, typed = services.current().studio, st.session_state[key].strip()
    if typed and studio.memory.can_ask(studio.memory.image_id(typed)):
        st.session_state[key] = ""
        look_at(studio.memory.image_id(typed))
    elif typed:
        examples = " or ".join(
            escaped(ids[0]) for ids in (studio.memory.private_ids(), studio.memory.test_ids())
        )
        refuse(
            key,
            f"No training or test image has the id {quoted(typed)}. Wanted: a whole id, "
            f"or the name of a file, e.g. {examples}.",
        )
