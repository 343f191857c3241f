"""The first minute: what this is in three sentences, and one thing to do next, until it is done."""

import streamlit as st

from app.session import services, state
from app.session.services import Session
from app.words.glossary import term
from app.words.phrases import count


def explanation(session: Session) -> str:
    """The app in three sentences, as Markdown."""
    pictures = count(session.studio.memory.keys_total, "picture")
    sentences = (
        f"This model learned from {pictures} and keeps **a memory of each** (a "
        f"{term('key', 'key')} in its {term('memory-bank', 'memory bank')}). Shown a picture, it "
        "lets the most similar memories answer. "
    )
    if state.hidden("delete"):
        return f"{sentences}Pick pictures, and see what it says about them and why."
    return f"{sentences}Delete a key and see, at once, what it says without it; you can undo."


def first_steps(session: Session) -> None:
    """What to do on an untouched page: one button, and what comes after it."""
    with st.container(border=True, key="first-steps"):
        deletes = not state.hidden("delete")
        then = (
            "<li><b>Guess</b> what it will say once it has forgotten that picture.</li>"
            "<li><b>Delete</b> its key, and look: were you right?</li>"
        )
        st.html(
            '<div class="mk"><div class="mk-sum">Start here</div><ol class="mk-steps">'
            "<li><b>Pick</b> a picture: what the model says about it shows up here.</li>"
            f"{then if deletes else ''}</ol></div>"
        )
        best = session.best_known()
        if best:
            st.button(
                "Pick the image it knows best by heart",
                type="primary",
                icon=":material/favorite:",
                width="stretch",
                on_click=services.pick,
                args=((best,),),
                key="pick-best",
            )


def guess_first(session: Session) -> None:
    """Before somebody's first deletion: the next step, in one line."""
    if session.studio.memory.generation or state.hidden("delete"):
        return
    it = "its key is" if len(state.get("basket")) == 1 else "their keys are"
    st.html(
        f'<div class="mk mk-next"><b>Now guess:</b> what will it say once {it} gone? '
        "Then press <b>Delete</b>.</div>"
    )
