"""The pages by name: their titles, their addresses, and the way to them.

Pages link to each other by name, so that none has to know another; what draws them, main knows.
"""

from collections.abc import Callable, Mapping

import streamlit as st
from streamlit.navigation.page import Page

from app.session import state_keys

# URL path, which is also how code names a page → title.
TITLES = {
    "forget": "Forget",
    "map": "Memory map",
    "explain": "Explain",
    "privacy": "Privacy",
    "compare": "Compare",
    "lessons": "Lessons",
    "desk": "Request desk",
    "own": "Own images",
    "about": "About",
    "teacher": "Teacher's link",
}
_NOT_IN_MENU = ("teacher",)
_FIRST = "forget"  # at the root of the server, and at its own name, as people type it


def pages(shows: Mapping[str, Callable[[], None]]) -> list[Page]:
    """All pages, in the order of the menu, and the first one once more under its own name; from now
    on this session can turn to them. shows: name of each page → what draws it."""
    found = {
        name: st.Page(
            shows[name],
            title=title,
            url_path=address(name),
            default=name == _FIRST,
            visibility="hidden" if name in _NOT_IN_MENU else "visible",
        )
        for name, title in TITLES.items()
    }
    st.session_state[state_keys.PAGES] = found
    by_name = st.Page(shows[_FIRST], title=TITLES[_FIRST], url_path=_FIRST, visibility="hidden")
    return [*found.values(), by_name]


def address(name: str) -> str:
    """The last part of a page's address; empty for the first page."""
    return "" if name == _FIRST else name


def turn_to(name: str) -> None:
    """Leave this page for another one."""
    st.switch_page(st.session_state[state_keys.PAGES][name])
