"""Turning pages: back, forward, and where one is."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st


def pages(count: int, per_page: int) -> int:
    """Number of pages, at least one."""
    return max(1, -(-count // per_page))


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
