"""Attributions laid over the pixels they belong to: large crisp pixels, signs as colours.

Colours are those of :attr:`app.words.theme.Palette.diverging`: magenta speaks for the class,
olive against it. Pictures that are to be compared are drawn on one scale, which the caller gets
from :func:`common_scale` and hands to each of them.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from app.words.theme import Palette
from munkey_core.results import FloatArray, ImageArray
from munkey_core.studio.pictures import BundlePictures

# The colours end where 1 pixel in 100 lies beyond: one extreme pixel would turn all others grey.
_WITHIN = 99.0
_PLACES = (
    ("upper left", "upper middle", "upper right"),
    ("left", "centre", "right"),
    ("lower left", "lower middle", "lower right"),
)


@dataclass(frozen=True)
class Heatmap:
    """One picture with its attribution.

    values: (H, W) float32. kind: "before", "after" or "" for neither: the colour of the title's
    mark. under: a line below the picture. title, under: plain text.
    """

    title: str
    values: FloatArray
    kind: str = ""
    under: str = ""


def common_scale(maps: Sequence[FloatArray]) -> float:
    """The magnitude at which the colours of all these maps end; positive.

    >>> common_scale([np.zeros((2, 2), np.float32)])
    1.0
    """
    magnitudes = np.concatenate([np.abs(values).ravel() for values in maps])
    return float(np.percentile(magnitudes, _WITHIN)) or float(magnitudes.max()) or 1.0


def colour(values: FloatArray, scale: float, signed: bool, palette: Palette) -> ImageArray:
    """(H, W) attributions → (H, W, 3) uint8 colours.

    signed: −scale to scale on the diverging colours; else 0 to scale on the sequential ones. What
    lies beyond the scale has the colour of its end.
    """
    share = np.clip(values / scale, -1, 1)
    position = (share + 1) / 2 if signed else np.abs(share)
    return between(palette.diverging if signed else palette.sequential, position)


def between(colours: Sequence[str], position: npt.NDArray[np.floating[Any]]) -> ImageArray:
    """(…, 3) uint8 mixtures of colours that are spread evenly over [0, 1], at these positions."""
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], float)
    at = np.linspace(0, 1, len(stops))
    channels = [np.interp(position, at, stops[:, channel]) for channel in range(3)]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


def enlarged(side: int, wanted: int) -> int:
    """The size at which a picture of `side` pixels is drawn: the whole multiple nearest `wanted`,
    so that all its pixels are alike.

    >>> enlarged(28, 250), enlarged(224, 250)
    (252, 224)
    """
    return max(1, round(wanted / side)) * side


def heatmaps(
    picture: str,
    maps: Sequence[Heatmap],
    scale: float,
    signed: bool,
    opacity: int,
    palette: Palette,
    size: int = 252,
) -> str:
    """Pictures in a row, all on one scale.

    picture: data URI of the image under the attributions. opacity: of the attributions, 0 to 100.
    size: wanted side of a picture in CSS pixels.
    """
    shown = "".join(_figure(picture, one, scale, signed, opacity, palette, size) for one in maps)
    return f'<div class="mk mk-maps">{shown}</div>'


def _figure(
    picture: str,
    one: Heatmap,
    scale: float,
    signed: bool,
    opacity: int,
    palette: Palette,
    size: int,
) -> str:
    height, width = one.values.shape
    factor = enlarged(max(height, width), size) // max(height, width)
    overlay = _uri(colour(one.values, scale, signed, palette))
    box = f"width:{factor * width}px;aspect-ratio:{width}/{height}"
    kind = f" mk-{one.kind}" if one.kind else ""
    return (
        f'<figure class="mk-map{kind}" style="width:{factor * width}px">'
        f"<figcaption>{escape(one.title)}</figcaption>"
        f'<div class="mk-stack" style="{box}"><img src="{picture}" alt="">'
        f'<img src="{overlay}" style="opacity:{opacity / 100:.2f}" '
        f'alt="{escape(in_words(one, signed), quote=True)}"></div>'
        f'<div class="mk-small">{escape(one.under)}</div></figure>'
    )


def in_words(one: Heatmap, signed: bool) -> str:
    """What a map shows, for whoever can't see it: how much speaks for and against, and where."""
    strength = np.abs(one.values).astype(float)
    total = float(strength.sum())
    if total <= 0:
        return f"{one.title}: no pixel matters."
    height, width = strength.shape
    row = int(strength.sum(axis=1) @ np.arange(height) / total * 3 / height)
    column = int(strength.sum(axis=0) @ np.arange(width) / total * 3 / width)
    where = _PLACES[min(row, 2)][min(column, 2)]
    if not signed:
        return f"{one.title}: the pixels that matter lie around the {where}."
    share = round(100 * float(strength[one.values > 0].sum()) / total)
    return (
        f"{one.title}: {share} % of the colour speaks for the class, {100 - share} % against it; "
        f"it lies around the {where}."
    )


def _uri(image: ImageArray) -> str:
    return "data:image/png;base64," + base64.b64encode(BundlePictures.as_png(image)).decode()


def colour_bar(scale: float, signed: bool, palette: Palette) -> str:
    """What the colours mean, with the scale's ends in figures."""
    stops = palette.diverging if signed else palette.sequential
    ends = f"{figure(-scale)} and below" if signed else "0", f"{figure(scale)} and above"
    words = ("speaks against", "speaks for the class") if signed else ("matters little", "much")
    middle = "<span>0</span>" if signed else ""
    return (
        '<div class="mk mk-colours">'
        f"<b>{words[0]}</b>"
        f'<div><i style="background:linear-gradient(90deg,{",".join(stops)})"></i>'
        f'<div class="mk-ends"><span>{ends[0]}</span>{middle}<span>{ends[1]}</span></div></div>'
        f"<b>{words[1]}</b></div>"
    )


def figure(value: float) -> str:
    """An attribution in two significant digits, with a minus sign instead of a hyphen.

    >>> figure(-0.01234), figure(12.3), figure(0)
    ('−0.012', '12', '0')
    """
    if value == 0 or abs(value) >= 10:
        text = f"{value:.0f}"
    elif abs(value) < 1e-4:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa}·10^{int(exponent)}"
    else:
        text = f"{value:.{1 - int(np.floor(np.log10(abs(value))))}f}"
    return text.replace("-", "−")
