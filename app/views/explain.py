"""Explain: why the model gives one answer, before and after deletion."""

from __future__ import annotations

import streamlit as st


def show() -> None:
    """Draw the page of the current session."""
    st.title("Explain", anchor=False)
