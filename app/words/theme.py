"""The one visual language of the app: a colour has the same meaning on every page and chart.

Three colours carry the story and nothing else wears them: *forget* (what is to go, or is gone),
*retain* (what stays) and *retrained* (the model that never saw the forgotten images). They start
from Okabe and Ito's colour-blind-safe set and are darkened for the light page and lightened for
the dark one until each can be read as text (contrast of at least 4.5:1). The numbers are
checked in ``tests/app/test_theme.py``, simulated colour blindness included.
"""

import json
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from plotly.colors import make_colorscale
from streamlit import config

FONT_STACK = '"Source Sans", "Source Sans Pro", system-ui, sans-serif'
"""What charts ask for: the font that Streamlit serves itself, so nothing is fetched elsewhere."""

BASE_FONT_PX = 17  # A little above Streamlit's 16: legible from the last row of a classroom.


@dataclass(frozen=True)
class Palette:
    """Colours of one mode (light or dark), each as ``#RRGGBB``.

    page: the page's background. panel: cards, sidebar, input fields. text: body text. muted:
    captions, axis labels. border: hairlines around cards and fields. grid: gridlines in charts,
    there when looked for. primary: Streamlit's accent, forget again, dark enough for the white
    label of its buttons.

    The colours of meaning have at least 4.5:1 against ``page``, so they serve for marks and for
    words alike; ``on_mark`` is the text colour to put *on* any of them, also at 4.5:1. forget: in
    the basket, to be deleted, deleted. retain: stays in the memory. retrained: the model that was
    trained without the forgotten images. test: images nobody trained on. neutral: everything
    without a part in the story: the other points, the null band.

    classes: ten colours for ten classes, never the only cue: write the class's name too.
    sequential: from nothing to much, for magnitudes. diverging: negative, zero, positive, for
    attributions: olive speaks against a class, magenta for it. Neither has a part in the story, and
    neither has any of these.
    """

    page: str
    panel: str
    text: str
    muted: str
    border: str
    grid: str
    forget: str
    retain: str
    retrained: str
    test: str
    neutral: str
    on_mark: str
    primary: str
    classes: tuple[str, ...]
    sequential: tuple[str, ...]
    diverging: tuple[str, ...]


def _colours(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Class colours: found by farthest-point search, so that any two of them, and each of them and
# forget, stay apart for normal, deuteranopic and protanopic eyes (see tests/app/test_theme.py).
_LIGHT = Palette(
    page="#FFFFFF",
    panel="#F5F6F8",
    text="#1B212B",
    muted="#596373",
    border="#D9DEE6",
    grid="#E8EBF0",
    forget="#BD4B00",
    retain="#0067A5",
    retrained="#007A5A",
    test="#4E0D9A",
    neutral="#667080",
    on_mark="#FFFFFF",
    primary="#BD4B00",
    classes=_colours(
        "#7924B2 #3D4C4C #B2749A #5777F7 #1F9968 #8A994C #3131F7 #298BCC #4C4080 #804E2D"
    ),
    sequential=("#F7F3F7", "#E8BFE5", "#D58CD0", "#C053BA", "#A818A0", "#650E60"),
    diverging=("#5F5A00", "#B8B276", "#F7F7F5", "#D78AD0", "#A818A0"),
)

_DARK = Palette(
    page="#12161C",
    panel="#1D232C",
    text="#EDF0F4",
    muted="#A9B3C1",
    border="#3A4350",
    grid="#2A313B",
    forget="#FF8A45",
    retain="#56B4E9",
    retrained="#2FC79A",
    test="#BA62FF",
    neutral="#9AA4B2",
    on_mark="#12161C",
    primary="#C24E00",
    classes=_colours(
        "#F7D031 #D031F7 #B4CCA3 #7474B2 #31F781 #F7C6F7 #F77CF7 #CC477C #24B2B2 #B27D59"
    ),
    sequential=("#241D29", "#4D2848", "#863C78", "#C459AE", "#FF78DC", "#FFD0F3"),
    diverging=("#B1C400", "#66701A", "#1D232C", "#854A78", "#FF78DC"),
)


def palette(dark: bool) -> Palette:
    """Return the colours of the dark or the light mode.

    >>> palette(dark=False).page
    '#FFFFFF'
    """
    return _DARK if dark else _LIGHT


def is_dark() -> bool:
    """Say whether this person's browser shows the app in dark mode.

    Streamlit does not know on the very first run of a session and says nothing outside of one;
    then the configured base theme decides, and light if there is none.
    """
    kind = st.context.theme.type
    if kind is None:
        kind = st.get_option("theme.base")
    return kind == "dark"


def current_palette() -> Palette:
    """Return the palette of the mode this person's browser is in."""
    return palette(is_dark())


def streamlit_options() -> dict[str, str]:
    """Return the theme as Streamlit's options, name to value, all of them strings.

    Both modes are set, so Streamlit follows the system's preference and its own menu can switch.
    Each pair is a command-line flag: ``f"--{name}={value}"``.
    """
    options = {
        "theme.baseFontSize": str(BASE_FONT_PX),
        # Streamlit's h1 of 2.75rem takes a third of a laptop's first screen away from the images.
        "theme.headingFontSizes": json.dumps(
            ["2.1rem", "1.15rem", "1.1rem", "1.05rem", "1rem", "0.9rem"]
        ),
        "theme.baseRadius": "0.5rem",
        "theme.showWidgetBorder": "true",
        "theme.paddingTop": "1rem",
    }
    for mode, colours in (("light", _LIGHT), ("dark", _DARK)):
        options |= {
            f"theme.{mode}.primaryColor": colours.primary,
            f"theme.{mode}.backgroundColor": colours.page,
            f"theme.{mode}.secondaryBackgroundColor": colours.panel,
            f"theme.{mode}.textColor": colours.text,
            f"theme.{mode}.borderColor": colours.border,
            # A link is told by its underline, so that blue keeps its one meaning: retain.
            f"theme.{mode}.linkColor": colours.text,
            f"theme.{mode}.linkUnderline": "true",
        }
    # Streamlit refuses flags it does not know, and gained some of these only recently.
    known = config.get_config_options()
    return {name: value for name, value in options.items() if name in known}


_MEANINGS = ("forget", "retain", "retrained", "test", "neutral")
PLOTLY_CONFIG: dict[str, Any] = {"displaylogo": False, "displayModeBar": "hover"}
"""``config=`` of every ``st.plotly_chart``: the layout alone cannot hide Plotly's logo."""


def plotly_layout(palette: Palette) -> dict[str, Any]:
    """Return the layout every chart starts from: ``figure.update_layout(plotly_layout(p))``.

    Transparent background (the page shows through in both modes), quiet gridlines, small
    margins, labels at a size that a projector carries. Pass :data:`PLOTLY_CONFIG` beside it and
    ``theme=None``, or Streamlit lays its own template over this one.
    """
    axis = {
        "gridcolor": palette.grid,
        "linecolor": palette.border,
        "zerolinecolor": palette.border,
        "zerolinewidth": 1,
        "ticks": "",
        "automargin": True,
        "tickfont": {"color": palette.muted, "size": 13},
        "title": {"font": {"color": palette.text, "size": 14}, "standoff": 10},
    }
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT_STACK, "color": palette.text, "size": 14},
        "colorway": [getattr(palette, name) for name in _MEANINGS],
        "colorscale": {
            "sequential": make_colorscale(palette.sequential),
            "diverging": make_colorscale(palette.diverging),
        },
        "margin": {"l": 8, "r": 8, "t": 32, "b": 8},
        "xaxis": axis,
        "yaxis": axis,
        "legend": {
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.0,
            "x": 0,
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"color": palette.text, "size": 13},
        },
        "hoverlabel": {
            "bgcolor": palette.panel,
            "bordercolor": palette.border,
            "font": {"family": FONT_STACK, "color": palette.text, "size": 13},
        },
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": palette.muted,
            "activecolor": palette.text,
            # At the edge, from top to bottom, and short: across it lies over the legend. Dragging
            # zooms without a button.
            "orientation": "v",
            "remove": [
                *("select2d", "lasso2d", "autoScale2d", "toggleSpikelines"),
                *("zoom2d", "pan2d", "zoomIn2d", "zoomOut2d"),
            ],
        },
        "hovermode": "closest",
    }


def enlarge(figure: go.Figure, scale: float) -> go.Figure:
    """Return a chart whose letters, marks, lines and height are `scale` times as large.

    Its width is the page's, so what is laid out in pixels across should have room to spare.
    """
    return figure if scale == 1 else go.Figure(_times(figure.to_plotly_json(), scale))


# What Plotly measures in pixels.
_PIXELS = {"size", "width", "height", "standoff", "arrowwidth", "ax", "ay", "l", "r", "t", "b"}


def _times(value: Any, scale: float) -> Any:
    if isinstance(value, dict):
        return {
            name: scale * part
            if name in _PIXELS and isinstance(part, (int, float))
            else _times(part, scale)
            for name, part in value.items()
        }
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        return [_times(part, scale) for part in value]
    return value
