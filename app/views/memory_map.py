"""Memory map: every memory as a point, to look at, pick from and see empty."""

from __future__ import annotations

import streamlit as st


def show() -> None:
    """Draw the page of the current session."""
    st.title("Memory map", anchor=False)
