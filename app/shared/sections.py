"""Sections of a page: the heading, beside it "What am I looking at?", and the chart, in the app's
theme, as large as a person wants it, and in words."""

import plotly.graph_objects as go
import streamlit as st

from app.session import state
from app.words.readings import READINGS
from app.words.theme import PLOTLY_CONFIG, enlarge

_QUESTION = "What am I looking at?"


def looking(name: str, where: str = "") -> None:
    """The question, and its answer when somebody asks. name: of READINGS. where: tells two charts
    of one kind on a page apart."""
    reading = READINGS[name]
    with st.popover(
        _QUESTION, type="tertiary", icon=":material/help:", key=f"looking-{name}{where}", wrap=False
    ):
        said_not = f"**It doesn't say:** {reading.does_not_say}"
        st.markdown(f"{reading.shows}\n\n**Look for:** {reading.look_for}\n\n{said_not}")


def section(title: str, name: str = "") -> None:
    """A section's heading with the question beside it. title: Markdown. name: of READINGS, empty
    for a section without a chart."""
    if not name:
        st.header(title, anchor=False)
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key=f"section-{name}"
    ):
        st.header(title, anchor=False, width="content")
        looking(name)


def draw(figure: go.Figure, key: str, words: str) -> None:
    """Draw a chart. words: one sentence that says what there is to see, computed from what is
    drawn, for whoever can't see it."""
    figure = enlarge(figure, state.print_scale())
    st.plotly_chart(figure, theme=None, config=PLOTLY_CONFIG, key=key, alt=words)
