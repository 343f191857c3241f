"""Charts of a membership attack: score histograms, one above the other, and the ROC curve."""

from collections.abc import Mapping
from math import log10
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.components.chart_marks import dress
from app.words.theme import Palette, plotly_layout
from munkey_core.audit.privacy import AttackFigures, ScoreHistogram
from munkey_core.erasure.words import FEW

_PANEL_HEIGHT = 132
_ROC_HEIGHT = 440


def colours(palette: Palette) -> dict[str, str]:
    """The colour of each attacked model, as on every page."""
    return {
        "before": palette.retain,
        "after": palette.forget,
        "retrained": palette.retrained,
        "plain": palette.neutral,
        "plain retrained": palette.neutral,
    }


def histograms(
    found: Mapping[str, ScoreHistogram], names: Mapping[str, str], axis: str, n: int, p: Palette
) -> go.Figure:
    """One panel a model, all on one scale: the images in question filled, unseen ones outlined.

    names: what each model is called, in the order of the panels. n: images in question.
    """
    shown = [state for state in names if state in found]
    figure = make_subplots(
        rows=len(shown),
        cols=1,
        shared_xaxes=True,
        shared_yaxes="all",
        vertical_spacing=0.36 / max(2, len(shown)),
        subplot_titles=[names[state] for state in shown],
    )
    tallest = max(max(found[state].non_members) for state in shown)
    for row, state in enumerate(shown, start=1):
        histogram = found[state]
        colour = colours(p)[state]
        # Few images are drawn one by one: a histogram of two is no distribution.
        members = _few(histogram, colour, tallest) if n < FEW else _filled(histogram, colour)
        in_question = go.Scatter(
            **members,
            name=f"images in question, {names[state]}",
            fillcolor=_faint(colour),
            hovertemplate="%{y:.1f} %<extra>images in question</extra>",
        )
        unseen = go.Scatter(
            x=histogram.edges,
            y=(*histogram.non_members, histogram.non_members[-1]),
            mode="lines",
            line={"color": p.test, "width": 1.8, "shape": "hv"},
            name="images it never saw",
            hovertemplate="%{y:.1f} %<extra>images it never saw</extra>",
        )
        figure.add_traces([in_question, unseen], rows=row, cols=1)
    dress(figure, p, _PANEL_HEIGHT * len(shown) + 70, top=28)
    figure.update_layout(hoversubplots="axis", bargap=0)
    layout = plotly_layout(p)
    figure.update_xaxes(layout["xaxis"])
    figure.update_yaxes(layout["yaxis"], ticksuffix=" %", nticks=4, rangemode="tozero")
    figure.update_xaxes(title_text=axis, row=len(shown), col=1)
    for note, state in zip(figure.layout.annotations, shown, strict=True):
        font = {"size": 14, "color": colours(p)[state]}
        note.update(x=0, xanchor="left", font=font, text=f"<b>{note.text}</b>")
    return figure


def roc(found: Mapping[str, AttackFigures], names: Mapping[str, str], p: Palette) -> go.Figure:
    """TPR against FPR on log axes, where the small false-positive rates can be seen."""
    figure = go.Figure()
    # Below one image of either kind there is nothing to see.
    some = next(iter(found.values()))
    floor = max(0.01, min(1.0, 100 / min(some.n_members, some.n_non_members)))
    figure.add_trace(
        go.Scatter(
            x=[floor, 100],
            y=[floor, 100],
            mode="lines",
            name="guessing",
            line={"color": p.muted, "width": 1.2, "dash": "dot"},
            hoverinfo="skip",
        )
    )
    for state, name in names.items():
        if state not in found:
            continue
        points = [(x, y) for x, y in found[state].roc if y > 0]
        figure.add_trace(
            go.Scatter(
                x=[x for x, _ in points],
                y=[y for _, y in points],
                mode="lines",
                name=name,
                line={
                    "color": colours(p)[state],
                    "width": 2.4 if not state.startswith("plain") else 1.6,
                    "dash": {"plain": "solid", "plain retrained": "dash"}.get(state, "solid"),
                },
                hovertemplate="finds %{y:.2g} % at %{x:.2g} % false alarms<extra>%{fullData.name}"
                "</extra>",
            )
        )
    figure.update_layout(plotly_layout(p), height=_ROC_HEIGHT, legend_font_size=12)
    ticks: dict[str, Any] = {
        "type": "log",
        "tickvals": [0.01, 0.1, 1, 10, 100],
        "ticktext": ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"],
    }
    lowest = min([y for f in found.values() for _, y in f.roc if y > 0] + [floor])
    figure.update_xaxes(
        **ticks, range=_log_range(floor), title_text="Unseen images called members (FPR)"
    )
    figure.update_yaxes(
        **ticks, range=_log_range(lowest), title_text="Images in question found (TPR)"
    )
    return figure


def _filled(histogram: ScoreHistogram, colour: str) -> dict[str, Any]:
    return {
        "x": histogram.edges,
        "y": (*histogram.members, histogram.members[-1]),
        "mode": "lines",
        "fill": "tozeroy",
        "line": {"color": colour, "width": 1, "shape": "hv"},
    }


def _few(histogram: ScoreHistogram, colour: str, height: float) -> dict[str, Any]:
    """A line for each bin that holds an image."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for left, right, share in zip(
        histogram.edges, histogram.edges[1:], histogram.members, strict=False
    ):
        if share > 0:
            xs += [(left + right) / 2, (left + right) / 2, None]
            ys += [0, height, None]
    return {"x": xs, "y": ys, "mode": "lines", "line": {"color": colour, "width": 2.5}}


def _faint(colour: str) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},0.28)"


def _log_range(floor: float) -> list[float]:
    return [log10(floor), 2.04]
