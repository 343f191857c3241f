"""The page's URL says what the screen shows, so that opening it elsewhere shows the same screen.

It is read when a session starts (and when somebody goes back, or edits it by hand), and written
after each event.
"""

import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.components.address import correct_address
from app.session import link_messages, properties, state, state_keys
from app.session.long_links import UnknownDigestError, shorten
from app.words.foreign import escaped, quoted

_WRITTEN = "munkey-url:written"  # the query this session wrote last, and when
_RECENT = "munkey-url:recent"
_READ = "munkey-url:read"  # whether this run took its state from the URL
_PAGE = "munkey-url:page"
_TURNED = "munkey-url:turned"  # whether this run came to another page than the last one
_BARE = "munkey-url:bare"  # there until the browser has put the query behind the page's address
_LOOSE = "munkey-url:loose"  # a link's query that the browser is told to put into our words
_GIVEN = "munkey-url:given"  # names of the properties that the URL said
_START = "munkey-url:start"  # property → what it is where the URL doesn't say it
# A click made before the browser has shown the newest URL still brings an older one along.
LATE_SECONDS = 3.0
_FOREIGN = re.compile(r"embed(_options)?|utm_\w+|fbclid|gclid")
_LONG = ("forgotten", "basket", "request")
# Whom a request is about stands in no address: addresses are kept in histories, logs and messages.
# One that says it is followed all the same.
_UNSAID = ("asks", "request")


def start_from(values: Mapping[str, Any], hides: Sequence[str] = ()) -> None:
    """Let a lesson's step stand for these properties, so that the URL says only what differs, and
    hide these groups of controls beside those of the link."""
    st.session_state[_START] = dict(values)
    st.session_state[state_keys.LESSON_HIDES] = tuple(hides)


def current_page() -> str:
    """The path of the page that this run draws; empty for the first one."""
    path: str = st.session_state.get(_PAGE, "")
    return path


def given() -> frozenset[str]:
    """Names of the properties that the URL said when it was read last."""
    return frozenset(st.session_state.get(_GIVEN, ()))


def is_news(page: str) -> bool:
    """Whether the URL holds a state that this session doesn't have: at its start, or when a
    person went back or edited the address.

    Call it once a run, before anything else changes the state. page: the page's path.
    """
    session = st.session_state
    current = st.query_params.to_dict()
    turned = session.get(_PAGE, page) != page
    touched = bool(session.pop(state_keys.TOUCHED, False))
    session[_PAGE] = page
    session[_TURNED] = turned and _WRITTEN in session
    if _WRITTEN not in session:
        return True
    written, when = session[_WRITTEN]
    if current == written:
        session.pop(_BARE, None)
        return False
    if touched or (not current and not turned and _BARE in session):
        return False
    if not turned and current == session.get(_LOOSE):
        return False
    if turned:
        # Streamlit's menu leaves the query out; a step back to another page brings its own along.
        return bool(current)
    late = time.monotonic() - when < LATE_SECONDS and current in session.get(_RECENT, [])
    return not late


def read() -> None:
    """Take every property from the URL; what is wrong gets a message and the default."""
    link_messages.clear()
    st.session_state[_READ] = True
    params = st.query_params.to_dict()
    st.session_state[_GIVEN] = frozenset(params)
    for prop in properties.PROPERTIES:
        if prop.name in params or prop.name not in _UNSAID:
            state.put(prop.name, _value(prop, params.pop(prop.name, None)))
    unknown = [name for name in params if not _FOREIGN.fullmatch(name)]
    if unknown:
        link_messages.say(f"unknown part {quoted(unknown[0])}: ignored.")
    if not state.get("bundle"):
        state.put("bundle", properties.default_bundle())


def _value(prop: properties.Property, raw: str | None) -> Any:
    if raw is None:
        return prop.default
    try:
        return properties.parse(prop.name, raw)
    except properties.BadValueError as error:
        reject(prop.name, raw, str(error))
    except UnknownDigestError:
        link_messages.say(
            f"{prop.name}: the link stands for a long list of images that this server no longer "
            "holds. The list is left out; ask for a new link."
        )
    return prop.default


def reject(name: str, got: str, wanted: str) -> None:
    """Put a property back to its default and say so."""
    value = properties.default_bundle() if name == "bundle" else properties.default(name)
    state.put(name, value)
    nothing = value in ("", (), properties.PREDICTED)
    instead = "left out" if nothing else f"using {escaped(str(value))}"
    link_messages.say(f"{name} must be {wanted}, got {quoted(got)}: {instead}.")


def query_of(values: Mapping[str, Any], start: Mapping[str, Any]) -> dict[str, str]:
    """The URL's query for a screen. start: what a property is where the URL doesn't say it, for
    those that don't start from their default."""
    query = {
        prop.name: prop.dump(values[prop.name])
        for prop in properties.PROPERTIES
        if prop.name not in _UNSAID
        and values.get(prop.name, prop.default) != start.get(prop.name, prop.default)
    }
    if len(query) == 1 and query.get("bundle") == properties.default_bundle():
        query = {}
    return shorten(query, _LONG)


def write(forgotten: properties.Groups) -> None:
    """Make the URL say what the screen shows. forgotten: the session's standing deletions."""
    session = st.session_state
    values = {prop.name: state.get(prop.name) for prop in properties.PROPERTIES} | {
        "forgotten": forgotten
    }
    query = query_of(values, session.get(_START, {}))
    current = st.query_params.to_dict()
    behind = current != query
    turned, just_read = session.pop(_TURNED, False), session.pop(_READ, False)
    # What a link says in other words than ours is put into ours in its place: an entry more in the
    # browser's history would lead back to the link, and from there here again, at each step back.
    loose = behind and (just_read or session.get(_LOOSE) == current)
    if behind and (turned or loose):
        correct_address(session[_PAGE], urlencode(query))
        if turned:
            session[_BARE] = True
    elif behind:
        st.query_params.from_dict(query)
    session[_LOOSE] = current if loose else None
    # The browser shows what was just read from it, so no older URL is under way: somebody who
    # goes back twice in a row means it.
    exact = just_read and not behind
    if session.get(_WRITTEN, ({}, 0.0))[0] != query or _WRITTEN not in session:
        session[_RECENT] = [*session.get(_RECENT, [])[-20:], session.get(_WRITTEN, ({}, 0))[0]]
        session[_WRITTEN] = (query, -math.inf if exact else time.monotonic())
