"""Links that would grow too long: a list of ids is kept on this server under its digest."""

import contextlib
import hashlib
import threading
from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st
from cachetools import LRUCache

MAX_QUERY = 1_500
_MARK = "@"  # no id contains it
_MAX_TEXTS = 2_000
_MAX_CHARACTERS = 20_000_000


class UnknownDigestError(ValueError):
    """A link names a list that this server doesn't hold (any more)."""


class TextStore:
    """Texts by their digest, shared by all sessions of this server; the oldest ones go first."""

    def __init__(self) -> None:
        self._texts: LRUCache[str, str] = LRUCache(_MAX_CHARACTERS, len)
        self._lock = threading.Lock()

    def put(self, text: str) -> str:
        """Keep a text and return its digest. The same text always gets the same digest."""
        digest = hashlib.sha256(text.encode()).hexdigest()[:20]
        with self._lock, contextlib.suppress(ValueError):  # one larger than all that is kept
            self._texts[digest] = text
            while len(self._texts) > _MAX_TEXTS:
                self._texts.popitem()
        return digest

    def get(self, digest: str) -> str:
        """Raises UnknownDigestError."""
        with self._lock:
            if digest not in self._texts:
                raise UnknownDigestError(digest)
            return self._texts[digest]


@st.cache_resource(show_spinner=False)
def _store() -> TextStore:
    return TextStore()


def shorten(query: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    """Replace the values of `names`, the longest first, by digests until the query is short."""
    short = dict(query)
    for name in sorted(names, key=lambda name: -len(short.get(name, ""))):
        if len(urlencode(short)) > MAX_QUERY and name in short:
            short[name] = _MARK + _store().put(short[name])
    return short


def spell_out(value: str) -> str:
    """The text behind a digest, or the value itself if it is none. Raises UnknownDigestError."""
    return _store().get(value[1:]) if value.startswith(_MARK) else value
