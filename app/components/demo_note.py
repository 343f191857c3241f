"""A calm line where a read-only demonstration leaves controls out."""

from __future__ import annotations

import streamlit as st


def demo_note(what: str) -> None:
    """Say that something is not done here. what: the beginning of a sentence, an -ing form such
    as "Training"."""
    st.caption(
        f":material/visibility: {what} is switched off: this is a read-only demonstration. "
        "Looking, deleting keys and undoing work as ever, for you alone."
    )
