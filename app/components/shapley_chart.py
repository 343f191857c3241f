"""Who made a prediction: diverging bars of Shapley values, from the image alone to the answer.

Plain HTML, as the prediction cards are; everything foreign in it is escaped here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.components.prediction import percent, small_picture

_ROUND = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)

_LEAVES = '<span class="mk-tag mk-gone">deleted afterwards</span>'


@dataclass(frozen=True)
class Player:
    """One that took part in an answer.

    picture: a data URI, empty for the null anchor. name: what it is; about: a smaller line.
    share: its share of the answer, in [0, 1]. value: what it adds to the class's probability, in
    [-1, 1]. leaves: its key is deleted in the state this one is compared with.
    """

    picture: str
    name: str
    about: str
    share: float
    value: float
    leaves: bool = False


@dataclass(frozen=True)
class Answer:
    """One state of the memory. kind: "before" or "after". empty, full: the class's probability by
    the image alone and with all players. sentence: what there is to see. residual: how far the
    values miss full − empty."""

    kind: str
    title: str
    sentence: str
    players: tuple[Player, ...]
    empty: float
    full: float
    residual: float


def points(value: float) -> str:
    """A change of a probability in percentage points, always with its sign.

    >>> points(0.6312), points(-0.0004), points(-0.05)
    ('+63.1', '0.0', '−5.0')
    """
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def common_scale(answers: Sequence[Answer]) -> float:
    """Where the axes of all these charts end, on both sides of zero: a round number, so that no
    bar is cut off."""
    most = max((abs(p.value) for answer in answers for p in answer.players), default=0.0)
    return next((end for end in _ROUND if most <= end), most)


def chart(answer: Answer, class_name: str, scale: float) -> str:
    """The bars of one answer on an axis from −scale to scale."""
    ordered = sorted(answer.players, key=lambda player: -abs(player.value))
    rows = "".join(_row(player, scale) for player in ordered)
    about = escape(class_name)
    words = escape(in_words(answer, class_name), quote=True)
    end = round(100 * scale)
    axis = f"<i>−{end}</i><i>0</i><i>+{end} points</i>" if ordered else ""
    return (
        f'<section class="mk mk-card mk-answer mk-{answer.kind}">'
        f'<h3 class="mk-state">{escape(answer.title)}</h3>'
        f'<div class="mk-said">{escape(answer.sentence)}</div>'
        f"{_end(f'The image alone says “{about}” with', answer.empty, 'mk-start')}"
        f'<div role="img" aria-label="{words}">{rows}</div>'
        f'<div class="mk-shap mk-shap-axis"><span></span><span></span><div>{axis}</div></div>'
        f"{_end(f'Together they say “{about}” with', answer.full, 'mk-finish')}"
        f'<div class="mk-small">Check: the bars add up to the difference within '
        f"{_tiny(answer.residual)} points.</div></section>"
    )


def in_words(answer: Answer, class_name: str) -> str:
    """What the bars show, for whoever can't see them."""
    ordered = sorted(answer.players, key=lambda player: -abs(player.value))
    shown = "; ".join(f"{p.name} ({p.about}) {points(p.value)} points" for p in ordered)
    return f"What each memory adds to “{class_name}”: {shown or 'no memory took part'}."


def _end(text: str, probability: float, name: str) -> str:
    return (
        f'<div class="mk-end {name}"><span>{text}</span><b>{escape(percent(probability))}</b></div>'
    )


def _tiny(residual: float) -> str:
    value = 100 * abs(residual)
    return "0.001" if value < 1e-3 else f"{value:.2g}"


def _row(player: Player, scale: float) -> str:
    picture = small_picture(player.picture, player.about)
    leaves = " mk-leaves" if player.leaves else ""
    return (
        f'<div class="mk-shap{leaves}">{picture}'
        f'<div class="mk-name">{escape(player.name)}'
        f'<span class="mk-tag">{escape(player.about)}</span>'
        f'<span class="mk-tag">{escape(percent(player.share))} of the answer</span>'
        f"{_LEAVES if player.leaves else ''}</div>"
        f'<div class="mk-zero">{_bar(player.value, scale)}</div>'
        f"<b>{points(player.value)}</b></div>"
    )


def _bar(value: float, scale: float) -> str:
    """Nothing for what is written as 0.0: a sliver would claim a sign."""
    if points(value) == "0.0":
        return ""
    sign = "for" if value > 0 else "against"
    return f'<i class="mk-{sign}" style="--size:{50 * min(1.0, abs(value) / scale):.2f}%"></i>'


def legend() -> str:
    """What the two colours mean."""
    return (
        '<div class="mk mk-legend"><span class="mk-for">speaks for the class</span>'
        '<span class="mk-against">speaks against it</span></div>'
    )
