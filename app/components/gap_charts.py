"""How far each method is from retraining: a row of dots with intervals, and gap against time.

Colour and shape say the family, as in the table; the band is what honest retrainings differ by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import cos, log10, pi, sin
from typing import Any

import plotly.graph_objects as go

from app.theme import Palette, plotly_layout

_ROW = 27
_TIME_HEIGHT = 430
_TIME_WIDTH = 560  # What labels are laid out for; a wider chart only gives them more room.
_LINE = 17
_CHARACTER = 7.2
_MARGIN = {"l": 8, "r": 8, "t": 14, "b": 8}
_SYMBOLS = {"by-design": "circle", "post-hoc": "square", "oracle": "diamond"}
_DECADES = {
    -6: "1 µs",
    -5: "10 µs",
    -4: "0.1 ms",
    -3: "1 ms",
    -2: "10 ms",
    -1: "0.1 s",
    0: "1 s",
    1: "10 s",
    2: "100 s",
    3: "1,000 s",
    4: "10,000 s",
}


@dataclass(frozen=True)
class Mark:
    """One method. gap and its interval in points; seconds: None where nothing was forgotten.
    hover: what it says when pointed at (plain text)."""

    name: str
    family: str
    gap: float
    interval: tuple[float, float] | None
    seconds: float | None
    strong: bool = False
    hover: str = ""


@dataclass(frozen=True)
class Band:
    """Gaps between honest retrainings, in points."""

    name: str
    low: float
    high: float


def colours(p: Palette) -> dict[str, str]:
    """The colour of each family."""
    return {
        "by-design": p.forget,
        "post-hoc": p.neutral,
        "oracle": p.retrained,
        "original": p.retain,
    }


def gap_by_method(marks: Sequence[Mark], bands: Sequence[Band], p: Palette) -> go.Figure:
    """A dot and its interval a method, the smallest gap on top."""
    shown = sorted(marks, key=lambda mark: -mark.gap)
    figure = go.Figure()
    _shade(figure, bands, p, vertical=True)
    for mark in shown:
        colour = colours(p)[mark.family]
        if mark.interval is not None:
            figure.add_trace(
                go.Scatter(
                    x=list(mark.interval),
                    y=[mark.name] * 2,
                    mode="lines",
                    line={"color": colour, "width": 5 if mark.strong else 3},
                    opacity=0.5,
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
        figure.add_trace(_dot(mark, mark.gap, mark.name, p))
    layout = plotly_layout(p)
    far = max([mark.interval[1] if mark.interval else mark.gap for mark in shown], default=1.0)
    far = 1.03 * max(far, max((band.high for band in bands), default=0.0), 0.1)
    layout["xaxis"] = _axis(layout["xaxis"], "Avg Gap (points)") | {"range": [-0.03 * far, far]}
    layout["yaxis"] = layout["yaxis"] | {
        "tickfont": {"color": p.text, "size": 13},
        "categoryorder": "array",
        "categoryarray": [mark.name for mark in shown],
        "tickmode": "array",
        "tickvals": [mark.name for mark in shown],
        "ticktext": [f"<b>{m.name}</b>" if m.strong else m.name for m in shown],
        "showgrid": False,
        "range": [-0.7, len(shown) - 0.3],
    }
    layout["margin"] = _MARGIN
    figure.update_layout(**layout, height=_ROW * len(shown) + 74, showlegend=False)
    return figure


def gap_by_time(marks: Sequence[Mark], bands: Sequence[Band], p: Palette) -> go.Figure:
    """Gap against the time to forget, on a logarithmic axis; methods without a time are left
    out."""
    timed = [mark for mark in marks if mark.seconds]
    figure = go.Figure()
    _shade(figure, bands, p, vertical=False)
    for mark in timed:
        if mark.interval is not None:
            figure.add_trace(
                go.Scatter(
                    x=[mark.seconds] * 2,
                    y=list(mark.interval),
                    mode="lines",
                    line={"color": colours(p)[mark.family], "width": 2.5},
                    opacity=0.35,
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
    for mark in timed:
        figure.add_trace(_dot(mark, mark.seconds or 0.0, mark.gap, p))
    layout = plotly_layout(p)
    span = _span([log10(mark.seconds) for mark in timed if mark.seconds])
    top = max([mark.interval[1] if mark.interval else mark.gap for mark in timed], default=1.0)
    top = 1.12 * max(top, max((band.high for band in bands), default=0.0), 0.1)
    layout["xaxis"] = _axis(layout["xaxis"], "Time to forget") | {
        "type": "log",
        "range": list(span),
        "tickvals": [10.0**decade for decade in _DECADES],
        "ticktext": list(_DECADES.values()),
    }
    layout["yaxis"] = _axis(layout["yaxis"], "Avg Gap (points)") | {"range": [-0.04 * top, top]}
    layout["margin"] = _MARGIN
    annotations = _labels(timed, span, top, p)
    figure.update_layout(**layout, height=_TIME_HEIGHT, showlegend=False)
    for annotation in annotations:
        figure.add_annotation(**annotation)
    return figure


def _axis(axis: dict[str, Any], title: str) -> dict[str, Any]:
    return axis | {"title": axis["title"] | {"text": title}}


def _dot(mark: Mark, x: Any, y: Any, p: Palette) -> go.Scatter:
    return go.Scatter(
        x=[x],
        y=[y],
        mode="markers",
        marker={
            "symbol": _SYMBOLS.get(mark.family, "triangle-up"),
            "size": 15 if mark.strong else 11,
            "color": colours(p)[mark.family],
            "line": {"color": p.page, "width": 1.5},
        },
        name=mark.name,
        hovertemplate="%{text}<extra></extra>",
        text=[mark.hover],
        showlegend=False,
    )


def _shade(figure: go.Figure, bands: Sequence[Band], p: Palette, vertical: bool) -> None:
    for band in bands:
        ends = {"x0": band.low, "x1": band.high} if vertical else {"y0": band.low, "y1": band.high}
        add = figure.add_vrect if vertical else figure.add_hrect
        add(**ends, fillcolor=p.neutral, opacity=0.16, line_width=0, layer="below")


def _span(logs: Sequence[float]) -> tuple[float, float]:
    """From the shortest to the longest, with room for a label on both sides."""
    if not logs:
        return -3.0, 2.0
    low, high = min(logs), max(logs)
    room = max(0.35, 0.09 * (high - low))
    return low - room, high + 1.5 * room


# -- labels that don't cover each other ----------------------------------------------------------


@dataclass(frozen=True)
class _Box:
    """left, top, right, bottom in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: _Box) -> float:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


def _labels(
    marks: Sequence[Mark], span: tuple[float, float], top: float, p: Palette
) -> list[dict[str, Any]]:
    """A label a mark, each at the nearest place where it covers no mark and no other label."""
    width, height = _TIME_WIDTH - 60.0, _TIME_HEIGHT - 90.0
    page = _Box(0, 0, width, height)
    at = {
        mark.name: (
            (log10(mark.seconds or 1.0) - span[0]) / (span[1] - span[0]) * width,
            (1 - (mark.gap + 0.04 * top) / (1.04 * top)) * height,
        )
        for mark in marks
    }
    taken = [_Box(x - 9, y - 9, x + 9, y + 9) for x, y in at.values()]
    for mark in marks:
        if mark.interval is not None:
            x = at[mark.name][0]
            high, low = ((1 - (gap + 0.04 * top) / (1.04 * top)) * height for gap in mark.interval)
            taken.append(_Box(x - 2, low, x + 2, high))
    found = []
    for mark in sorted(marks, key=lambda mark: (not mark.strong, mark.gap)):
        x, y = at[mark.name]
        half = (len(mark.name) * _CHARACTER + 8) / 2
        best: tuple[float, float, float, _Box] | None = None
        for dx, dy in _places(half):
            box = _Box(x + dx - half, y + dy - _LINE / 2, x + dx + half, y + dy + _LINE / 2)
            covered = sum(box.overlap(other) for other in taken)
            outside = (box.right - box.left) * _LINE - box.overlap(page)
            cost = covered + 2 * outside + 0.4 * (abs(dy) + max(0.0, abs(dx) - half))
            if best is None or cost < best[0]:
                best = cost, dx, dy, box
        assert best is not None
        _, dx, dy, box = best
        taken.append(box)
        found.append(_annotation(mark, dx, dy, half, p))
    return found


def _places(half: float) -> list[tuple[float, float]]:
    """Offsets of a label's middle from its mark, the nearest first."""
    around = [i * pi / 8 for i in range(16)]
    return [
        (cos(angle) * (half + gap), sin(angle) * (_LINE / 2 + gap))
        for gap, angle in product((12, 22, 36, 54, 76, 100), around)
    ]


def _annotation(mark: Mark, dx: float, dy: float, half: float, p: Palette) -> dict[str, Any]:
    """A line leads to the label where it lies further off."""
    far = abs(dy) > _LINE + 8 or abs(dx) > half + 22
    return {
        "x": log10(mark.seconds or 1.0),
        "y": mark.gap,
        "text": f"<b>{mark.name}</b>" if mark.strong else mark.name,
        "showarrow": True,
        "arrowhead": 0,
        "arrowwidth": 1,
        "arrowcolor": p.muted if far else "rgba(0,0,0,0)",
        "standoff": 8,
        "ax": dx,
        "ay": dy,
        "font": {"size": 13, "color": colours(p)[mark.family]},
        "xanchor": "center",
        "yanchor": "middle",
    }
