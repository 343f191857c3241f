"""About this model: its card, how it was made, what it guarantees and what it doesn't."""

import re
from typing import Any

import streamlit as st

from app.components.glossary_list import glossary_list
from app.session import properties, services
from app.session.services import Session
from app.shared.leak import backbone_leak
from app.shared.sections import section
from app.words.foreign import escaped
from app.words.glossary import Term
from app.words.phrases import count

_HEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)  # the card's YAML, for machines
_TITLE = re.compile(r"\A\s*# [^\n]*\n")


def show() -> None:
    """Draw the page of the current session."""
    session = services.current()
    st.title("About this model", anchor=False)
    st.markdown(
        f"**{escaped(session.studio.about.title)}**: what it was made of, and what it promises."
    )
    card, facts = st.columns([62, 38], gap="large")
    with card:
        _card(session)
    with facts:
        _facts(session)
    section("Glossary")
    st.caption(
        "Words with dots under them say this wherever they stand, when they are pointed at or "
        "reached with the Tab key."
    )
    st.html(glossary_list(_pixel_methods(session)))


def _pixel_methods(session: Session) -> list[Term]:
    """What the library says of its own methods."""
    methods = session.studio.explain.pixel_methods
    return [
        Term(properties.PIXEL_METHODS[name], sentence, "tutorials/METHOD.md, section 6")
        for name, sentence in methods.items()
    ]


def _card(session: Session) -> None:
    text = _TITLE.sub("", _HEAD.sub("", session.studio.about.card))
    if text.strip():
        # A picture from elsewhere would tell its server who is looking.
        st.markdown(text.replace("![", "!\\["))
    else:
        st.info("This model came without a card: nobody wrote down how it was made.")
    leak = backbone_leak(session)
    if leak:
        st.markdown(f"**What key deletion does not remove.** {leak}")


def _facts(session: Session) -> None:
    studio, facts = session.studio, session.studio.about.manifest
    with st.container(border=True, key="facts"):
        st.markdown("**At a glance**")
        rows = [
            ("Name", session.name),
            ("Keys", f"{studio.memory.keys_total:,}"),
            ("Classes", f"{len(studio.about.classes)}: {', '.join(studio.about.classes)}"),
            ("Test images", f"{len(studio.memory.test_ids()):,}"),
            ("Owners", _owners(session)),
            ("Licence of the data", str(facts["dataset"].get("licence", "unknown"))),
            ("Attribution", str(facts["dataset"].get("attribution", ""))),
            *_made(facts),
            ("Digest (SHA-256)", studio.about.digest),
        ]
        for name, value in rows:
            if value:
                st.caption(f"**{name}**  \n{escaped(value)}")


def _owners(session: Session) -> str:
    owners = len(session.studio.memory.owners)
    if not owners:
        return "the data names none"
    return count(owners, session.owner_word)


def _made(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """How the model was made, as far as its manifest tells."""
    made, training = facts.get("provenance", {}), facts.get("training", {})
    seconds = made.get("seconds")
    total = sum(seconds.values()) if isinstance(seconds, dict) else seconds
    versions = made.get("versions", {})
    rows = [
        ("Trained on", str(made.get("device", ""))),
        ("Training time", f"{total:,.0f} s" if isinstance(total, (int, float)) else ""),
        ("Seed", str(training.get("seed", ""))),
        ("Neighbours asked (K)", str(facts.get("ensemble", {}).get("k", ""))),
    ]
    if isinstance(versions, dict) and versions:
        rows.append(("Versions", ", ".join(f"{k} {v}" for k, v in versions.items())))
    return rows
