"""Recipes as points: how much of the private images stays in the weights, how accurate they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from app.components.chart_marks import Box, around, dot, dress, line, place_labels
from app.words.theme import Palette

_HEIGHT = 460
_WIDTH = 860  # What labels are laid out for; a wider chart only gives them more room.
_FAR = 2.5  # A plain transformer that leaks more than so many times every recipe is off the scale.


@dataclass(frozen=True)
class RecipeMark:
    """One recipe. leak: in points, with its interval; accuracy: in percent, of test images.
    trials: the same two of each seed. hover: what it says when pointed at (plain text)."""

    name: str
    leak: float
    interval: tuple[float, float] | None
    accuracy: float
    trials: tuple[tuple[float, float], ...]
    shipped: bool = False
    hover: str = ""


def accuracy_by_leak(
    marks: Sequence[RecipeMark], plain: RecipeMark | None, p: Palette
) -> go.Figure:
    """marks: the recipes. plain: the plain transformer, a line across at its accuracy."""
    on_scale = plain is not None and not off_scale(marks, plain)
    shown = [*marks, plain] if plain is not None and on_scale else list(marks)
    x_range, y_range = _ranges(shown, plain)
    figure = go.Figure()
    figure.add_vline(x=0, line={"color": p.border, "width": 1.5}, layer="below")
    if plain is not None:
        dashes = {"color": p.retain, "width": 1.5, "dash": "dash"}
        figure.add_hline(y=plain.accuracy, line=dashes, layer="below")
    for mark in shown:
        colour = _colour(mark, plain, p)
        _seeds(figure, mark, colour)
        if mark.interval is not None:
            width = 4 if mark.shipped else 2.5
            figure.add_trace(line(mark.interval, [mark.accuracy] * 2, colour, width, 0.45))
    for mark in shown:
        figure.add_trace(_dot(mark, plain, p))
    dress(figure, p, _HEIGHT)
    across = "Backbone leak (points): what no deletion reaches"
    figure.update_xaxes(title_text=across, range=list(x_range), zeroline=False)
    figure.update_yaxes(title_text="Test accuracy (%)", range=list(y_range), zeroline=False)
    figure.update_layout(annotations=_labels(shown, plain, x_range, y_range, p))
    if plain is not None and not on_scale:
        figure.add_annotation(
            x=1,
            xref="paper",
            xanchor="right",
            y=plain.accuracy,
            yanchor="bottom",
            text=f"{plain.name}: leak {plain.leak:+.1f} →",
            showarrow=False,
            font={"size": 13, "color": p.retain},
        )
    return figure


def off_scale(marks: Sequence[RecipeMark], plain: RecipeMark) -> bool:
    """Whether the plain transformer's leak would press all recipes together."""
    far = max((abs(bound) for mark in marks for bound in _ends(mark)), default=0.0)
    return plain.leak > _FAR * max(far, 1.0)


def _ends(mark: RecipeMark) -> list[float]:
    return [mark.leak, *(mark.interval or ()), *(leak for leak, _ in mark.trials)]


def _ranges(
    shown: Sequence[RecipeMark], plain: RecipeMark | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of both axes, with zero leak, the line and every seed on them."""
    leaks = [0.0, *(end for mark in shown for end in _ends(mark))]
    heights = [
        height for mark in shown for height in (mark.accuracy, *(high for _, high in mark.trials))
    ]
    heights += [plain.accuracy] if plain is not None else []
    return _padded(leaks, 0.06, 0.5), _padded(heights or [0.0, 100.0], 0.12, 0.5)


def _padded(values: Sequence[float], share: float, least: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = max(share * (high - low), least)
    return low - room, high + room


def _colour(mark: RecipeMark, plain: RecipeMark | None, p: Palette) -> str:
    if mark is plain:
        return p.retain
    return p.forget if mark.shipped else p.neutral


def _seeds(figure: go.Figure, mark: RecipeMark, colour: str) -> None:
    """A thin point a seed, tied to the recipe's own; one alone is the mark itself."""
    if len(mark.trials) < 2:
        return
    ties: tuple[list[float | None], list[float | None]] = ([], [])
    for leak, accuracy in mark.trials:
        ties[0].extend((mark.leak, leak, None))
        ties[1].extend((mark.accuracy, accuracy, None))
    figure.add_trace(line(*ties, colour, 1, 0.3))
    figure.add_trace(
        go.Scatter(
            x=[leak for leak, _ in mark.trials],
            y=[accuracy for _, accuracy in mark.trials],
            mode="markers",
            marker={"size": 5, "color": colour},
            opacity=0.55,
            hoverinfo="skip",
            showlegend=False,
        )
    )


def _dot(mark: RecipeMark, plain: RecipeMark | None, p: Palette) -> go.Scatter:
    symbol = "triangle-up" if mark is plain else "star" if mark.shipped else "circle"
    size, colour = 19 if mark.shipped else 12, _colour(mark, plain, p)
    return dot(mark.leak, mark.accuracy, symbol, size, colour, p, mark.name, mark.hover)


def _labels(
    marks: Sequence[RecipeMark],
    plain: RecipeMark | None,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    p: Palette,
) -> list[dict[str, Any]]:
    width, height = _WIDTH - 70.0, _HEIGHT - 80.0

    def across(leak: float) -> float:
        return (leak - x_range[0]) / (x_range[1] - x_range[0]) * width

    def down(accuracy: float) -> float:
        return (y_range[1] - accuracy) / (y_range[1] - y_range[0]) * height

    taken = []
    for mark in marks:
        y = down(mark.accuracy)
        taken.append(around(across(mark.leak), y))
        if mark.interval is not None:
            taken.append(Box(across(mark.interval[0]), y - 2, across(mark.interval[1]), y + 2))
        for leak, accuracy in mark.trials:
            x, y = across(leak), down(accuracy)
            taken.append(Box(x - 3, y - 3, x + 3, y + 3))
    if plain is not None:
        y = down(plain.accuracy)
        taken.append(Box(0, y - 2, width, y + 2))
        if plain not in marks:
            taken.append(Box(width - 230, y - 20, width, y))
    order = sorted(marks, key=lambda mark: (not mark.shipped, mark is not plain, mark.leak))
    at = {mark.name: (across(mark.leak), down(mark.accuracy)) for mark in order}
    offsets = place_labels(at, taken, Box(0, 0, width, height))
    return [
        offsets[mark.name].annotation(
            mark.leak,
            mark.accuracy,
            f"<b>{mark.name}</b>" if mark.shipped else mark.name,
            _colour(mark, plain, p),
            p,
        )
        for mark in order
    ]
