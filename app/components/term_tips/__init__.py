"""What a word means, beside it: on hover, on keyboard focus and on a tap, for a whole page.

Terms are links to ``#term-NAME`` (see :mod:`app.words.glossary`), so they can stand in Markdown as
well as in HTML, and a keyboard reaches them. Elements of other components carry their explanation
in ``data-help``. One tooltip serves all of them; Escape puts it away.
"""

from pathlib import Path

import streamlit as st

from app.components.script import script
from app.words.glossary import TERMS

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "munkey_term_tips",
    css=(_HERE / "term_tips.css").read_text(encoding="utf-8"),
    js=script(_HERE / "term_tips.js"),
    isolate_styles=False,  # It serves the page around it.
)


def term_tips() -> None:
    """Put the tooltip on the page; anywhere on it, once."""
    _component(
        key="munkey-term-tips",
        data={slug: [term.name, term.field, term.plain] for slug, term in TERMS.items()},
    )
