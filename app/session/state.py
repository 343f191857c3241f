"""The values of the properties in this session, and the widgets that show and change them.

Widgets have keys of their own, because Streamlit drops the state of widgets that a page doesn't
draw; :func:`widget` ties one to its property.
"""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from app.session import link_messages, properties, state_keys
from munkey_core.files import limits

# What a read-only demonstration leaves out; the library refuses it, too.
_NOT_IN_A_DEMO = ("own", "jobs")
LARGE_PRINT = 1.3  # times the normal size: legible from the last row
_PREFIX = "munkey:"
_WIDGET = "munkey-widget:"


def get(name: str) -> Any:
    """The value of a property; its default before the URL was read."""
    prop = properties.BY_NAME[name]
    return st.session_state.get(_PREFIX + name, prop.default)


def hidden(control: str) -> bool:
    """Whether the link, the lesson or a demonstration hides a group of controls (of CONTROLS)."""
    if control not in properties.CONTROLS:
        raise KeyError(control)
    return (
        control in get("hide")
        or control in st.session_state.get(state_keys.LESSON_HIDES, ())
        or (demo() and control in _NOT_IN_A_DEMO)
    )


def demo() -> bool:
    """Whether this server is a read-only demonstration: nothing is erased, taken in or trained."""
    return limits.demo()


def print_scale() -> float:
    """How many times their normal size text and pictures have."""
    return LARGE_PRINT if get("large") else 1.0


def scaled(pixels: int) -> int:
    """A length on the screen, in the print that this person wants."""
    return round(pixels * print_scale())


def put(name: str, value: Any) -> None:
    """Set a property, as code that handles no event of a person does."""
    st.session_state[_PREFIX + properties.BY_NAME[name].name] = value


def change(name: str, value: Any) -> None:
    """Set a property because a person asked for it: the URL follows, old messages go."""
    put(name, value)
    touch()


def touch() -> None:
    """Note that a person did something in this run, so the URL follows the state."""
    st.session_state[state_keys.TOUCHED] = True
    link_messages.clear()


def widget(name: str, then: Callable[[], None] | None = None, shown: Any = None) -> dict[str, Any]:
    """Arguments that tie a widget to a property: ``st.text_input("Id", **widget("find"))``.

    then: called after a person has changed it. shown: what it shows where that isn't the value.
    """
    key = _WIDGET + name
    value = get(name) if shown is None else shown
    st.session_state[key] = list(value) if isinstance(value, tuple) else value

    def pull() -> None:
        new = st.session_state[key]
        default = properties.BY_NAME[name].default
        if new is None:
            new = default
        change(name, tuple(new) if isinstance(default, tuple) else new)
        if then is not None:
            then()

    return {"key": key, "on_change": pull}


def choice(
    name: str, words: Mapping[str, str], then: Callable[[], None] | None = None, shown: Any = None
) -> dict[str, Any]:
    """Arguments of a widget that offers some values of a property. words: what a person reads for
    each of them. then, shown: as in :func:`widget`."""
    # What was chosen before, and isn't offered here, has no words.
    offered = {"options": list(words), "format_func": lambda value: words.get(value, value)}
    return offered | widget(name, then, shown)
