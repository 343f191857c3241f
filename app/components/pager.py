"""Turning pages: back, forward, and where one is."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

T = TypeVar("T")


def part(rows: Sequence[T], per_page: int, page: int) -> tuple[Sequence[T], int, int]:
    """What is on a page, which one it is, and how many there are. page: the one that is wanted,
    from 1; the last one if there are not so many."""
    total = max(1, -(-len(rows) // per_page))
    page = min(page, total)
    return rows[(page - 1) * per_page : page * per_page], page, total


def kept(name: str) -> Callable[[int], None]:
    """Turns pages by keeping the number in the session's state under this name."""

    def turn(page: int) -> None:
        st.session_state[name] = page

    return turn


def pager(page: int, total: int, text: str, turn: Callable[[int], None], key: str) -> None:
    """Show "back · text · forward". page: from 1; turn: called with the page wanted."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"{key}-row"):
        for name, step in (("Back", -1), ("Next", 1)):
            st.button(
                name,
                key=f"{key}{step}",
                disabled=not 1 <= page + step <= total,
                on_click=turn,
                args=(page + step,),
            )
        st.caption(text, width="content")
