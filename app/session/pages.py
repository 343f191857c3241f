"""The pages of the app: one table for the menu and for links from page to page."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import streamlit as st
from streamlit.navigation.page import Page

from app.session import state
from app.shared.ask import look_at

# URL path, which is also how code names a page → module of app.views, title.
_PAGES = {
    "forget": ("forget", "Forget"),
    "map": ("memory_map", "Memory map"),
    "explain": ("explain", "Explain"),
    "privacy": ("privacy", "Privacy"),
    "compare": ("compare", "Compare"),
    "lessons": ("lessons", "Lessons"),
    "desk": ("desk", "Request desk"),
    "own": ("own_data", "Own images"),
    "about": ("about", "About"),
    "teacher": ("teacher", "Teacher's link"),
}
_NOT_IN_MENU = ("teacher",)
_FIRST = "forget"


def pages() -> list[Page]:
    """All pages, in the order of the menu."""
    return [_page(name) for name in _PAGES]


def names() -> tuple[str, ...]:
    """The pages' URL paths, in the order of the menu."""
    return tuple(_PAGES)


def link(label: str, icon: str, name: str, id_: str, key: str) -> None:
    """A button that turns to a page that is about one image, and makes it about this one. A link
    that hides the menu hides it, too."""
    if not state.hidden("menu") and st.button(label, icon=icon, key=key):
        look_at(id_)
        st.switch_page(_page(name))


def draw(name: str) -> None:
    """Draw a page as a part of this one, which is how a lesson runs over it."""
    _show(name)()


def title(name: str) -> str:
    """A page's name in the menu."""
    return _PAGES[name][1]


def address(name: str) -> str:
    """The last part of a page's address; empty for the first page."""
    return "" if name == _FIRST else name


def turn_to(name: str) -> None:
    """Leave this page for another one."""
    st.switch_page(_page(name))


def _page(name: str) -> Page:
    return st.Page(
        _show(name),
        title=title(name),
        url_path=name,
        default=name == _FIRST,
        visibility="hidden" if name in _NOT_IN_MENU else "visible",
    )


def _show(name: str) -> Callable[[], None]:
    # Late, because pages link to each other.
    show: Callable[[], None] = importlib.import_module(f"app.views.{_PAGES[name][0]}").show
    return show
