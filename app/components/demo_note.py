"""A calm line where a read-only demonstration leaves controls out."""

import streamlit as st


def demo_note(what: str, are: str = "is") -> None:
    """Say that something is not done here. what: the beginning of a sentence, an -ing form such
    as "Training". are: the verb that goes with it."""
    st.caption(
        f":material/visibility: {what} {are} switched off: this is a read-only demonstration. "
        "Looking, deleting keys and undoing work as ever, for you alone."
    )
