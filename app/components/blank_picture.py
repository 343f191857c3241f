"""What stands for a picture that isn't here: a quiet card with the image's class and number."""

import base64
import re
from html import escape

from app.words.theme import palette

_NUMBER = re.compile(r"\d{1,6}$")
_TEXT = "#7A8494"  # on both pages at least 3:1, which letters of this size need
_LONGEST = 13


def blank_picture(id_: str, label: int, name: str) -> str:
    """A data URI. label, name: of the image's class; the colour is the class's on every chart."""
    colours = palette(dark=False).classes
    colour = colours[label % len(colours)]
    short = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    size = min(10.0, 84 / max(1, len(short)))
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 56 56" font-family="sans-serif">'
        f'<path fill="{colour}" fill-opacity=".16" d="M0 0h56v56H0z"/>'
        f'<path fill="{colour}" fill-opacity=".75" d="M0 0h56v4H0z"/>'
        f'<g fill="{_TEXT}" text-anchor="middle" font-weight="600">'
        f'<text x="28" y="25" font-size="{size:.3g}">{escape(short)}</text>'
        f'<text x="28" y="42" font-size="13">{escape(_number(id_))}</text></g></svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _number(id_: str) -> str:
    """The number an id ends with, or its last letters: what tells neighbours apart."""
    stem = id_.rpartition("/")[2].partition(".")[0] or id_
    found = _NUMBER.search(stem)
    return found[0] if found else stem[-6:]
