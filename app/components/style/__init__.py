"""The style sheet of everything that pages draw as HTML, in both modes at once."""

from functools import cache
from pathlib import Path

import streamlit as st

from app.components.heatmap import enlarged
from app.words.theme import BASE_FONT_PX, palette

_HERE = Path(__file__).parent
_SMOOTH_FROM = 57  # pixels: one more than the smallest place a picture has
_COLOURS = ("page", "panel", "text", "muted", "border", "grid", "forget", "retain", "test")


def use_style() -> None:
    """Put the style sheet on the page; once a run, before anything that needs it.

    Colours follow the browser's mode without a word from the server, which doesn't know it on
    the very first run.
    """
    st.html(_sheet())


def use_print(scale: float) -> None:
    """Let everything be so many times its normal size. Streamlit measures in rem, and so do our own
    sheets, which have the page's narrow form where the letters leave no more room than a tablet."""
    rules = f"html:has(.stApp) {{ font-size: {scale * BASE_FONT_PX:.1f}px; }}"
    sheet = (_HERE / "large_print.css").read_text(encoding="utf-8")
    st.html(f"<style>{f'{rules} {sheet}' if scale != 1 else '.stApp {}'}</style>")


def use_picture_size(side: int, scale: float = 1.0) -> None:
    """Let all pictures of `side` pixels be drawn at whole multiples of it, so that their pixels are
    alike; larger ones are shrunk or grown smoothly. scale: as in :func:`use_print`."""
    smooth = side >= _SMOOTH_FROM
    wanted = {"pic": 112, "small-pic": 56, "seen-pic": 168, "hover-pic": 84}
    grown = {name: round(scale * size) for name, size in wanted.items()}
    sizes = {name: size if smooth else enlarged(side, size) for name, size in grown.items()}
    rules = "".join(f"--mk-{name}:{size}px;" for name, size in sizes.items())
    rules += f"--mk-rendering:{'auto' if smooth else 'pixelated'};"
    st.html(f"<style>.stApp {{ {rules} }}</style>")


@cache
def _sheet() -> str:
    light, dark = palette(dark=False), palette(dark=True)
    names = {f"--mk-{name}": (getattr(light, name), getattr(dark, name)) for name in _COLOURS}
    names["--mk-retrained-colour"] = (light.retrained, dark.retrained)
    names["--mk-for"], names["--mk-against"] = (
        (light.diverging[end], dark.diverging[end]) for end in (-1, 0)
    )
    plain = "".join(f"{name}:{pair[0]};" for name, pair in names.items())
    both = "".join(f"{name}:light-dark({pair[0]},{pair[1]});" for name, pair in names.items())
    sheets = (_HERE / f"{name}.css" for name in ("cards", "page"))
    rules = "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    supported = f"@supports (color: light-dark(red, blue)) {{ .stApp {{ {both} }} }}"
    return f"<style>.stApp {{ {plain} }}\n{supported}\n{rules}</style>"
