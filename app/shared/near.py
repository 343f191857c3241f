"""Near-copies: images of almost the same key, which go on answering when their twin is gone."""

from collections import Counter

import streamlit as st

from app.session import services, state
from app.session.services import Session
from app.words.glossary import term


def near_copies(session: Session, ids: tuple[str, ...]) -> Counter[str]:
    """How many near-copies each of these images has that are still in the memory."""
    return Counter(pair.id for pair in session.near_duplicates(ids))


def warning(session: Session, ids: tuple[str, ...], deleted: bool) -> None:
    """Say that near-copies of these images stay, with a button that picks them. deleted: whether
    the images are gone already."""
    found = {pair.other for pair in session.near_duplicates(ids)} - set(ids)
    if not found:
        return
    it = "this one" if len(ids) == 1 else "these"
    stay = (
        f"{len(found):,} {term('near-copy', 'near-copy' if len(found) == 1 else 'near-copies')} "
        f"{'stays' if len(found) == 1 else 'stay'}"
    )
    effect = f"so deleting {it} alone may {'have changed' if deleted else 'change'} little"
    with st.container(border=True, key=f"near-{'deleted' if deleted else 'picked'}"):
        text, button = st.columns([5, 3], vertical_alignment="center")
        text.markdown(f":material/content_copy: **{stay}** and can answer instead, {effect}.")
        if state.hidden("pick"):
            return
        button.button(
            f"Pick {'it' if len(found) == 1 else f'all {len(found):,}'} too",
            on_click=services.pick,
            args=(sorted(found),),
            key=f"pick-near-{'deleted' if deleted else 'picked'}",
            width="stretch",
        )
