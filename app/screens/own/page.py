"""Your own images: from a folder or an archive to a model that can forget each of them."""

from pathlib import Path

import streamlit as st

from app.components.demo_note import demo_note
from app.screens.own.kept import kept_here
from app.screens.own.offer import facts, find_out
from app.screens.own.source import choose, format_wanted
from app.screens.own.start import start_card
from app.screens.own.training import others_under_way, training
from app.session import state

_STYLE = Path(__file__).with_name("own.css")
_HIDING = ("menu", "own", "jobs")


def show() -> None:
    """Draw the page. It needs no model to be open."""
    st.html(_STYLE)
    st.title("Your own images", anchor=False)
    if state.demo():
        demo_note("Training on images of your own")
        return
    if any(state.hidden(control) for control in _HIDING):
        st.info("The link that brought you here leaves this page out.")
        return
    st.markdown(
        "Training teaches a model to tell your classes apart and gives **each of your pictures a "
        "key in its memory**, so that you can watch it forget any of them. Everything runs on the "
        "machine that this app runs on, and **the pictures stay there**."
    )
    name = state.get("training")
    if name:
        training(name)
    else:
        _new()
    kept_here()


def _new() -> None:
    others_under_way()
    source = choose()
    if not source:
        format_wanted()
        return
    offer, refused = find_out(source, state.get("data"))
    if refused:
        format_wanted()
    if offer is not None:
        left, right = st.columns([58, 42], gap="medium")
        with left:
            facts(offer)
        with right:
            start_card(offer)
