"""Teacher's link."""

from __future__ import annotations

import streamlit as st


def show() -> None:
    """Draw the page."""
    st.title("A link for your class", anchor=False)
