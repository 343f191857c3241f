"""The way from the pictures to the answers on a phone, where they lie below each other.

On a wider screen both are in sight, and nothing is drawn.
"""

from pathlib import Path

import streamlit as st

from app.components.script import script

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "munkey_to_answers",
    html='<button type="button">Answers&nbsp;↓</button>',
    css=(_HERE / "to_answers.css").read_text(encoding="utf-8"),
    js=script(_HERE / "to_answers.js"),
)


def to_answers(target: str, generation: int) -> None:
    """Draw the button. target: CSS selector of what stands in the answers' column. generation:
    of the memory; when it becomes another one while somebody looks, the answers are brought into
    sight."""
    _component(key="to-answers", data={"target": target, "generation": generation})
