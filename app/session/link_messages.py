"""The one message about what a link asked for and didn't get, line by line."""

import streamlit as st

_MESSAGES = "munkey-messages"
_ABOUT = "munkey-messages-about"
_ABOUT_LINK = "This link was not followed to the letter."


def say(message: str) -> None:
    """Add a line to the one message about the link, shown until the person's next step."""
    said = st.session_state.setdefault(_MESSAGES, [])
    if message not in said:
        said.append(message)


def clear(about: str = _ABOUT_LINK) -> None:
    """Forget what was said. about: the line over what will be said next."""
    st.session_state[_MESSAGES] = []
    st.session_state[_ABOUT] = about


def about() -> str:
    """What the messages are about, in a sentence."""
    return str(st.session_state.get(_ABOUT, _ABOUT_LINK))


def said() -> tuple[str, ...]:
    return tuple(st.session_state.get(_MESSAGES, ()))
