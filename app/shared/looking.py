"""Headings of sections, and beside them "What am I looking at?": one way to ask, on every chart."""

from __future__ import annotations

import streamlit as st

from app.words.readings import READINGS

_QUESTION = "What am I looking at?"


def looking(name: str, more: str = "", where: str = "") -> None:
    """The question, and its answer when somebody asks. name: of READINGS. more: Markdown that goes
    before the rest, where a part of the answer depends on a choice. where: tells two charts of one
    kind on a page apart."""
    reading = READINGS[name]
    with st.popover(
        _QUESTION, type="tertiary", icon=":material/help:", key=f"looking-{name}{where}", wrap=False
    ):
        parts = (more, reading.shows, f"**Look for:** {reading.look_for}")
        said_not = f"**It doesn't say:** {reading.does_not_say}"
        st.markdown("\n\n".join(filter(None, (*parts, said_not))))


def section(title: str, name: str = "", more: str = "") -> None:
    """A section's heading with the question beside it. title: Markdown. name: of READINGS, empty
    for a section without a chart."""
    if not name:
        st.header(title, anchor=False)
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key=f"section-{name}"
    ):
        st.header(title, anchor=False, width="content")
        looking(name, more)
