"""Texts that come from elsewhere (an address, a file, an error), as Markdown that does nothing."""

import re

_SHAPING = "\u00a0\u200c\u200d"  # what names of many scripts need: joiners, and firm blanks


def quoted(text: str) -> str:
    """A foreign text in quotation marks, shortened, as Markdown."""
    return "“" + escaped(text if len(text) <= 40 else text[:40] + "…") + "”"


def escaped(text: str) -> str:
    """A foreign text as Markdown that shows it as it is: no link, no image, no formatting."""
    visible = "".join(c if c.isprintable() or c in _SHAPING else "·" for c in text)
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", visible)
