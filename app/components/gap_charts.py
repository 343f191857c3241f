"""How far each method is from retraining: a row of dots with intervals, and gap against time.

Colour and shape say the family, as in the table; the band is what honest retrainings differ by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

import plotly.graph_objects as go

from app.components.chart_marks import Box, around, dot, dress, line, place_labels
from app.words.theme import Palette

_ROW = 27
_TIME_HEIGHT = 430
_TIME_WIDTH = 560  # What labels are laid out for; a wider chart only gives them more room.
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
            width = 5 if mark.strong else 3
            figure.add_trace(line(mark.interval, [mark.name] * 2, colour, width, 0.5))
        figure.add_trace(_dot(mark, mark.gap, mark.name, p))
    dress(figure, p, _ROW * len(shown) + 74)
    far = 1.03 * _largest(shown, bands)
    figure.update_xaxes(title_text="Avg Gap (points)", range=[-0.03 * far, far])
    names = [mark.name for mark in shown]
    figure.update_yaxes(
        tickfont_color=p.text,
        categoryorder="array",
        categoryarray=names,
        tickmode="array",
        tickvals=names,
        ticktext=[f"<b>{m.name}</b>" if m.strong else m.name for m in shown],
        showgrid=False,
        range=[-0.7, len(shown) - 0.3],
    )
    return figure


def gap_by_time(marks: Sequence[Mark], bands: Sequence[Band], p: Palette) -> go.Figure:
    """Gap against the time to forget, on a logarithmic axis; methods without a time are left
    out."""
    timed = [mark for mark in marks if mark.seconds]
    figure = go.Figure()
    _shade(figure, bands, p, vertical=False)
    for mark in timed:
        if mark.interval is not None:
            colour = colours(p)[mark.family]
            figure.add_trace(line([mark.seconds] * 2, mark.interval, colour, 2.5, 0.35))
    for mark in timed:
        figure.add_trace(_dot(mark, mark.seconds or 0.0, mark.gap, p))
    dress(figure, p, _TIME_HEIGHT)
    span = _span([log10(mark.seconds) for mark in timed if mark.seconds])
    top = 1.12 * _largest(timed, bands)
    figure.update_xaxes(
        title_text="Time to forget",
        type="log",
        range=list(span),
        tickvals=[10.0**decade for decade in _DECADES],
        ticktext=list(_DECADES.values()),
    )
    figure.update_yaxes(title_text="Avg Gap (points)", range=[-0.04 * top, top])
    figure.update_layout(annotations=_labels(timed, span, top, p))
    return figure


def _largest(marks: Sequence[Mark], bands: Sequence[Band]) -> float:
    """The largest gap that the axis has to hold."""
    ends = [mark.interval[1] if mark.interval else mark.gap for mark in marks] or [1.0]
    return max(*ends, *(band.high for band in bands), 0.1)


def _dot(mark: Mark, x: Any, y: Any, p: Palette) -> go.Scatter:
    symbol, size = _SYMBOLS.get(mark.family, "triangle-up"), 15 if mark.strong else 11
    return dot(x, y, symbol, size, colours(p)[mark.family], p, mark.name, mark.hover)


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


def _labels(
    marks: Sequence[Mark], span: tuple[float, float], top: float, p: Palette
) -> list[dict[str, Any]]:
    """A label a mark, each at the nearest place where it covers no mark and no other label."""
    width, height = _TIME_WIDTH - 60.0, _TIME_HEIGHT - 90.0
    at = {
        mark.name: (
            (log10(mark.seconds or 1.0) - span[0]) / (span[1] - span[0]) * width,
            (1 - (mark.gap + 0.04 * top) / (1.04 * top)) * height,
        )
        for mark in marks
    }
    taken = [around(x, y) for x, y in at.values()]
    for mark in marks:
        if mark.interval is not None:
            x = at[mark.name][0]
            high, low = ((1 - (gap + 0.04 * top) / (1.04 * top)) * height for gap in mark.interval)
            taken.append(Box(x - 2, low, x + 2, high))
    order = sorted(marks, key=lambda mark: (not mark.strong, mark.gap))
    offsets = place_labels({m.name: at[m.name] for m in order}, taken, Box(0, 0, width, height))
    return [
        offsets[mark.name].annotation(
            log10(mark.seconds or 1.0),
            mark.gap,
            f"<b>{mark.name}</b>" if mark.strong else mark.name,
            colours(p)[mark.family],
            p,
        )
        for mark in order
    ]
