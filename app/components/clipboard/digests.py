"""Long fingerprints: each shown by its beginning, with a button that copies all of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from app.components.script import script

_HERE = Path(__file__).parent
_LETTERS = 12

_component = st.components.v2.component(
    "munkey_digests",
    html="<dl></dl>",
    css=(_HERE / "digests.css").read_text(encoding="utf-8"),
    js=script(_HERE / "digests.js"),
)


@dataclass(frozen=True)
class Digest:
    """What it is of, and its hexadecimal digits; nothing is shown for an empty one."""

    name: str
    value: str


def digests(rows: Sequence[Digest], key: str) -> None:
    """Show the fingerprints. All texts are shown as text, whatever they contain."""
    shown = [asdict(row) for row in rows if row.value]
    _component(key=key, data={"rows": shown, "letters": _LETTERS})
