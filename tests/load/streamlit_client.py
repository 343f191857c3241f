"""A person's browser without the browser: Streamlit's protocol over HTTP and a websocket.

The page arrives as protobuf messages; what a person sees of it is gathered by widget and text, and
a click or a choice goes back as the same message that a browser would send.
"""

import asyncio
import html
import re
import time
import urllib.request

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.waiting import PATIENCE

_FINISHED = ForwardMsg.ScriptFinishedStatus
_DONE = (_FINISHED.FINISHED_SUCCESSFULLY, _FINISHED.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
_TAG = re.compile(r"<style.*?</style>|<[^>]*>", re.DOTALL)


class PageError(AssertionError):
    """The page showed an error, or a traceback."""


class Visitor:
    """One session. Use `connect`, then `open`, `click` and `choose`; each waits for the page."""

    def __init__(self, url, patience=PATIENCE):
        self.url = url
        self.seconds = []  # (kind of interaction, seconds)
        self.query = ""
        self._patience = patience
        self._cache = {}
        self._elements = {}  # path in the page → element, and the part that draws it
        self._timers = {}  # fragment → interval
        self._socket = None
        self._page_hash = ""
        self.session = ""

    async def connect(self):
        """As a browser does: the page by HTTP, then its socket."""
        await asyncio.to_thread(_get, self.url)
        self._socket = await websockets.connect(
            self.url.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=["streamlit"],
            max_size=None,
            open_timeout=self._patience,
            ping_timeout=None,
        )

    async def leave(self):
        if self._socket is not None:
            await self._socket.close()

    async def open(self, query="", page=""):
        """Follow a link. page: the path of one of the pages, empty for the first."""
        message = BackMsg()
        message.rerun_script.query_string = query
        message.rerun_script.page_name = page
        self.query, self._page_hash = query, ""
        await self._send(message, "first screen")

    async def click(self, label):
        """Press the button whose label begins so."""
        message = self._rerun()
        state = message.rerun_script.widget_states.widgets.add()
        state.id, state.trigger_value = self._widget("button", label).id, True
        await self._send(message, label)

    async def choose(self, label, option):
        """Choose in a list of choices."""
        found = self._widget("selectbox", label)
        message = self._rerun()
        state = message.rerun_script.widget_states.widgets.add()
        state.id = found.id
        shown = next(text for text in found.options if text.startswith(option))
        state.string_value = shown
        await self._send(message, label)

    async def settle(self, most=PATIENCE):
        """Let the parts of the page that draw themselves again do so, until none does."""
        end = time.monotonic() + most
        while self._timers and time.monotonic() < end:
            fragment, interval = next(iter(self._timers.items()))
            await asyncio.sleep(interval)
            message = self._rerun()
            message.rerun_script.fragment_id = fragment
            message.rerun_script.is_auto_rerun = True
            await self._send(message, "part that follows its work")
        return not self._timers

    @property
    def text(self):
        """All that the page says, as one text."""
        return "\n".join(filter(None, map(_text, self._shown())))

    def has(self, kind, label):
        return any(_label(e, kind).startswith(label) for e in self._shown())

    def _shown(self):
        return [element for element, _ in self._elements.values()]

    def _widget(self, kind, label):
        for element in self._shown():
            if _label(element, kind).startswith(label):
                return getattr(element, kind)
        raise PageError(f"there is no {kind} {label!r} on the page")

    def _rerun(self):
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_script_hash = self._page_hash
        return message

    async def _send(self, message, kind):
        start = time.monotonic()
        await self._socket.send(message.SerializeToString())
        await asyncio.wait_for(self._until_finished(), self._patience)
        self.seconds.append((kind, time.monotonic() - start))
        self._check()

    async def _until_finished(self):
        while True:
            message = ForwardMsg.FromString(await self._socket.recv())
            if message.WhichOneof("type") == "ref_hash":
                message.CopyFrom(self._cached(message))
            elif message.metadata.cacheable and message.hash:
                self._cache[message.hash] = ForwardMsg.FromString(message.SerializeToString())
            if self._take(message):
                return

    def _cached(self, message):
        known = ForwardMsg()
        known.CopyFrom(self._cache[message.ref_hash])
        known.metadata.CopyFrom(message.metadata)
        return known

    def _take(self, message):
        """Take in one message; whether the page is drawn."""
        kind = message.WhichOneof("type")
        if kind == "new_session":
            parts = set(message.metadata.run.fragment_ids)
            if parts:
                self._elements = {
                    path: (element, part)
                    for path, (element, part) in self._elements.items()
                    if part not in parts
                }
            else:
                self._elements, self._timers = {}, {}
            self._page_hash = message.new_session.page_script_hash
            self.session = message.new_session.initialize.session_id or self.session
        elif kind == "delta":
            path = tuple(message.metadata.delta_path)
            # A new block takes the place of whatever stood there.
            for other in [p for p in self._elements if p[: len(path)] == path]:
                del self._elements[other]
            if message.delta.WhichOneof("type") == "new_element":
                self._elements[path] = message.delta.new_element, message.delta.fragment_id
        elif kind == "auto_rerun":
            self._timers[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._timers.pop(fragment, None)
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        return kind == "script_finished" and message.script_finished in _DONE

    def _check(self):
        for element in self._shown():
            kind = element.WhichOneof("type")
            if kind == "exception":
                raise PageError(f"{element.exception.type}: {element.exception.message}")
            if kind == "alert" and element.alert.format == element.alert.ERROR:
                raise PageError(element.alert.body)


def _get(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        assert answer.status == 200
        return answer.read()


def _label(element, kind):
    return getattr(element, kind).label if element.WhichOneof("type") == kind else ""


def _text(element):
    kind = element.WhichOneof("type")
    if kind in ("markdown", "html"):
        return html.unescape(_TAG.sub(" ", getattr(element, kind).body)).strip()
    return element.alert.body if kind == "alert" else ""
