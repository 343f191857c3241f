"""What charts draw for one figure: a mark, the line of its interval, and its name beside it, where
that covers no mark and no other name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import cos, pi, sin
from typing import Any

import plotly.graph_objects as go

from app.words.theme import Palette, plotly_layout

_LINE = 17
_CHARACTER = 7.2
_GAPS = (12, 22, 36, 54, 76, 100)


def dress(figure: go.Figure, p: Palette, height: int, right: int = 8, top: int = 14) -> None:
    """Give a chart the theme's layout, without a legend. right, top: its margins."""
    layout = plotly_layout(p) | {"margin": {"l": 8, "r": right, "t": top, "b": 8}}
    figure.update_layout(layout, height=height, showlegend=False)


def line(x: Sequence[Any], y: Sequence[Any], colour: str, width: float, faint: float) -> go.Scatter:
    """The line of an interval, from one end to the other. faint: its opacity."""
    return go.Scatter(
        x=list(x),
        y=list(y),
        mode="lines",
        line={"color": colour, "width": width},
        opacity=faint,
        hoverinfo="skip",
        showlegend=False,
    )


def dot(
    x: Any, y: Any, symbol: str, size: float, colour: str, p: Palette, name: str, hover: str
) -> go.Scatter:
    """A mark. hover: what it says when pointed at (plain text)."""
    return go.Scatter(
        x=[x],
        y=[y],
        mode="markers",
        marker={
            "symbol": symbol,
            "size": size,
            "color": colour,
            "line": {"color": p.page, "width": 1.5},
        },
        name=name,
        hovertemplate="%{text}<extra></extra>",
        text=[hover],
        showlegend=False,
    )


@dataclass(frozen=True)
class Box:
    """left, top, right, bottom in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "Box") -> float:
        """Area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


@dataclass(frozen=True)
class Offset:
    """Where a name stands: offset of its middle from its mark, half its width, in pixels."""

    dx: float
    dy: float
    half: float

    def annotation(self, x: Any, y: Any, text: str, colour: str, p: Palette) -> dict[str, Any]:
        """For Plotly. x, y: the mark, in units of the axes. A line leads to a name further off."""
        far = abs(self.dy) > _LINE + 8 or abs(self.dx) > self.half + 22
        return {
            "x": x,
            "y": y,
            "text": text,
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 1,
            "arrowcolor": p.muted if far else "rgba(0,0,0,0)",
            "standoff": 8,
            "ax": self.dx,
            "ay": self.dy,
            "font": {"size": 13, "color": colour},
            "xanchor": "center",
            "yanchor": "middle",
        }


def around(x: float, y: float) -> Box:
    """What a mark itself takes."""
    return Box(x - 9, y - 9, x + 9, y + 9)


def place_labels(
    at: Mapping[str, tuple[float, float]], taken: Sequence[Box], page: Box
) -> dict[str, Offset]:
    """Where each name stands, the first ones having the choice of all places.

    at: name → its mark, in pixels. taken: what must not be covered. page: what to stay inside.
    """
    boxes, found = list(taken), {}
    for name, (x, y) in at.items():
        half = (len(name) * _CHARACTER + 8) / 2
        options = []
        for dx, dy in _places(half):
            box = Box(x + dx - half, y + dy - _LINE / 2, x + dx + half, y + dy + _LINE / 2)
            covered = sum(box.overlap(other) for other in boxes)
            outside = (box.right - box.left) * _LINE - box.overlap(page)
            cost = covered + 2 * outside + 0.4 * (abs(dy) + max(0.0, abs(dx) - half))
            options.append((cost, Offset(dx, dy, half), box))
        _, found[name], box = min(options, key=lambda option: option[0])
        boxes.append(box)
    return found


def _places(half: float) -> list[tuple[float, float]]:
    """Offsets of a label's middle from its mark, the nearest first."""
    angles = [i * pi / 8 for i in range(16)]
    return [
        (cos(angle) * (half + gap), sin(angle) * (_LINE / 2 + gap))
        for gap, angle in product(_GAPS, angles)
    ]
