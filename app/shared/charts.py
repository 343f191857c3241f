"""How a page draws a chart: in the app's theme, as large as a person wants it, and in words."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from app.session import state
from app.words.theme import PLOTLY_CONFIG, enlarge


def draw(figure: go.Figure, key: str, words: str) -> None:
    """words: one sentence that says what there is to see, computed from what is drawn, for whoever
    can't see it."""
    figure = enlarge(figure, state.print_scale())
    st.plotly_chart(figure, theme=None, config=PLOTLY_CONFIG, key=key, alt=words)
