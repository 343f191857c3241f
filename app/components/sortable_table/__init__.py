"""A table whose headers sort it, with an interval or a note under each figure.

Python holds order and direction and sends the rows sorted; a click on a header only says which
column is wanted. So the order is part of the link, and numbers sort as numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from app.components.script import script

_HERE = Path(__file__).parent

_component = st.components.v2.component(
    "munkey_sortable_table",
    html='<div class="scroll"><table><caption></caption><thead></thead><tbody></tbody></table>'
    "</div>",
    css=(_HERE / "sortable_table.css").read_text(encoding="utf-8"),
    js=script(_HERE / "sortable_table.js"),
)


@dataclass(frozen=True)
class Header:
    """One column. unit: a second, smaller line. help: shown on hover and on focus, and read out."""

    key: str
    label: str
    unit: str = ""
    help: str = ""


@dataclass(frozen=True)
class Cell:
    """A figure and what stands under it. tag: a word in a pill; tone: "good" or "plain"."""

    text: str
    small: tuple[str, ...] = ()
    tag: str = ""
    tone: str = "plain"


@dataclass(frozen=True)
class Row:
    """mark: the sign beside the name. kind: which of the style sheet's colours it has."""

    cells: tuple[Cell, ...]
    mark: str
    kind: str
    strong: bool = False


def sortable_table(
    headers: Sequence[Header],
    rows: Sequence[Row],
    *,
    sort: str,
    descending: bool,
    on_sort: Callable[[str], None],
    caption: str,
    key: str,
) -> None:
    """Show the rows as given. on_sort: called with the key of the header that was clicked.

    All texts are shown as text, whatever they contain.
    """
    known = {header.key for header in headers}

    def clicked() -> None:
        wanted = st.session_state[key].get("sort")
        if wanted in known:  # It comes from a browser.
            on_sort(wanted)

    _component(
        key=key,
        data={
            "headers": [asdict(header) for header in headers],
            "rows": [asdict(row) for row in rows],
            "sort": sort,
            "descending": descending,
            "caption": caption,
        },
        on_sort_change=clicked,
    )
