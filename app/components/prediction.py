"""What the model says about an image, as a card: picture, verdict in words, bars, who answered.

Plain HTML, because a page may show dozens of them; everything foreign in it is escaped here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from munkey_core.results import FloatArray

_MOST_ROWS = 4
_WORTH_A_ROW = 0.02
_MOST_NEIGHBOURS = 5
_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Series:
    """The probabilities (C,) of one model for one image.

    kind: "before", "after" or "retrained": the colour it has on every page.
    """

    kind: str
    name: str
    probabilities: FloatArray

    @property
    def answer(self) -> int:
        return int(self.probabilities.argmax())


@dataclass(frozen=True)
class Neighbour:
    """Somebody who took part in an answer. picture: a data URI; share: in [0, 1].

    An empty picture stands for the image alone, without any memory (the null anchor).
    """

    picture: str
    name: str
    share: float


def percent(value: float) -> str:
    """A probability for people: whole percent, never a false 0 or 100, never torn apart."""
    if value < 0.01:
        return "<1\u00a0%"
    return ">99\u00a0%" if value > 0.99 else f"{round(100 * value)}\u00a0%"


def legend(series: Sequence[Series]) -> str:
    items = "".join(f'<span class="mk-{s.kind}">{escape(s.name)}</span>' for s in series)
    return f'<div class="mk mk-legend">{items}</div>'


def bars(classes: Sequence[str], label: int | None, series: Sequence[Series]) -> str:
    """One row a class that matters, one bar a series, all on a scale from 0 to 100 %.

    label: the true class, which always has a row; None if nobody knows it.
    """
    rows = "".join(_row(classes, i, i == label, series) for i in _shown_classes(label, series))
    turns = " mk-turns" if len(series) > 1 else ""
    axis = '<div class="mk-axis"><span><i>0 %</i><i>50 %</i><i>100 %</i></span></div>'
    return f'<div class="mk-bars{turns}">{rows}{axis}</div>'


def in_words(classes: Sequence[str], label: int | None, series: Sequence[Series]) -> str:
    """What the bars show, for whoever can't see them."""
    rows = (
        f"{classes[i]}{', the true class' if i == label else ''}: "
        + ", ".join(f"{percent(float(s.probabilities[i]))} {s.name}" for s in series)
        for i in _shown_classes(label, series)
    )
    return f"Probabilities. {'; '.join(rows)}."


def _shown_classes(label: int | None, series: Sequence[Series]) -> list[int]:
    """The classes with the highest bars, the true one first."""
    top = np.max([s.probabilities for s in series], axis=0)
    order = [int(i) for i in np.argsort(-top, kind="stable")]
    first = [] if label is None else [label]
    others = [i for i in order if i != label and top[i] >= _WORTH_A_ROW]
    return (first + others)[:_MOST_ROWS]


def _row(classes: Sequence[str], index: int, is_true: bool, series: Sequence[Series]) -> str:
    tag = '<span class="mk-tag">true class</span>' if is_true else ""
    start = series[0].probabilities[index]
    tracks, numbers = [], []
    for s in series:
        value = float(s.probabilities[index])
        begin = value if s is series[0] else start
        size = f"--from:{100 * begin:.2f}%;--to:{100 * value:.2f}%"
        tracks.append(f'<i class="mk-bar mk-{s.kind}" style="{size}"></i>')
        title = escape(f"{classes[index]}, {s.name}", quote=True)
        numbers.append(f'<b class="mk-{s.kind}" title="{title}">{escape(percent(value))}</b>')
    return (
        f'<div class="mk-row{" mk-true" if is_true else ""}">'
        f'<div class="mk-name">{escape(classes[index])}{tag}</div>'
        f'<div class="mk-tracks">{"".join(tracks)}</div>'
        f'<div class="mk-percents">{"".join(numbers)}</div></div>'
    )


def card(
    picture: str,
    above: str,
    classes: Sequence[str],
    label: int | None,
    series: Sequence[Series],
    note: str,
    neighbours: Sequence[Neighbour],
    title: str = "Who answers now",
) -> str:
    """One image's card. above: a small line over the verdict; note: one under it."""
    told = in_words(classes, label, series)
    return (
        f'<article class="mk mk-card">{head(picture, above, _verdict(classes, series), note)}'
        f'<div role="img" aria-label="{escape(told, quote=True)}">'
        f"{bars(classes, label, series)}</div>"
        f"{neighbour_row(neighbours, title) if neighbours else ''}</article>"
    )


def head(picture: str, above: str, verdict: str, note: str) -> str:
    """The picture of a card with its words. verdict: HTML; above, note: the small lines around."""
    return (
        '<div class="mk-head">'
        f'<img class="mk-pic" src="{picture}" alt="{escape(above, quote=True)}">'
        f'<div class="mk-words"><div class="mk-small">{escape(above)}</div>'
        f'<div class="mk-verdict">{verdict}</div>'
        f'<div class="mk-small">{escape(note)}</div></div></div>'
    )


def _verdict(classes: Sequence[str], series: Sequence[Series]) -> str:
    first = series[0]
    last = next((s for s in series if s.kind == "after"), first)  # a retrained model turns nothing
    name = escape(classes[first.answer])
    if first is last:
        return f"{name}, {escape(percent(float(first.probabilities.max())))}"
    if first.answer == last.answer:
        was, now = (escape(percent(float(s.probabilities[first.answer]))) for s in (first, last))
        return f'{name} {was} <span class="mk-arrow">→</span> {now}'
    return f'{name} <span class="mk-arrow">→</span> {escape(classes[last.answer])}'


def neighbour_row(neighbours: Sequence[Neighbour], title: str) -> str:
    """The images whose memories take part in an answer, each with its share of it.

    neighbours: the largest share first; the last ones are only counted.
    """
    shown, rest = neighbours[:_MOST_NEIGHBOURS], neighbours[_MOST_NEIGHBOURS:]
    tiles = "".join(_neighbour(n) for n in shown)
    others = f", {len(rest)} others {percent(sum(n.share for n in rest))}" if rest else ""
    return (
        f'<div class="mk-title">{escape(title)} <span>· share of the answer{others}</span></div>'
        f'<div class="mk-tiles">{tiles}</div>{_alone(neighbours)}'
    )


def _alone(neighbours: Sequence[Neighbour]) -> str:
    """Explain the sign for "image alone" where it gives nearly all of the answer."""
    if neighbours[0].picture or neighbours[0].share < _NEARLY_ALL:
        return ""
    return (
        '<div class="mk-small mk-alone">∅ No memory is similar enough to decide, so the model goes '
        "mostly by the image itself.</div>"
    )


def small_picture(picture: str, name: str) -> str:
    """A picture with its name for whoever can't see it; without one the sign for "image alone"."""
    if not picture:
        return '<div class="mk-blank" aria-hidden="true">∅</div>'
    return f'<img src="{picture}" alt="{escape(name, quote=True)}">'


def _neighbour(neighbour: Neighbour) -> str:
    name = escape(neighbour.name)
    return (
        f'<div class="mk-tile" title="{escape(neighbour.name, quote=True)}">'
        f"{small_picture(neighbour.picture, neighbour.name)}"
        f"<b>{escape(percent(neighbour.share))}</b><span>{name}</span></div>"
    )


@dataclass(frozen=True)
class Tile:
    """A small picture with a few lines: what it was, what it is now, what retraining gives."""

    picture: str
    name: str
    line: str
    strong: str = ""
    number: str = ""
    retrained: str = ""


def tiles(items: Sequence[Tile]) -> str:
    """A grid of small pictures."""
    return f'<div class="mk mk-tiles" style="--mk-tile:74px">{"".join(map(_tile, items))}</div>'


def _tile(item: Tile) -> str:
    strong = f'<span class="mk-new">{escape(item.strong)}</span>' if item.strong else ""
    number = f"<span>{escape(item.number)}</span>" if item.number else ""
    if item.retrained:
        number += f'<span class="mk-oracle mk-retrained">{escape(item.retrained)}</span>'
    return (
        f'<div class="mk-tile" title="{escape(item.name, quote=True)}">'
        f'<img src="{item.picture}" alt="{escape(item.name, quote=True)}">'
        f"<span>{escape(item.line)}</span>{strong}{number}</div>"
    )
