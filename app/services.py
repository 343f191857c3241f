"""What pages ask the library for: shared weights, one person's session, cached pictures.

Weights are loaded once a server and only read; each browser session has a Studio of its own, so
one person's deletion never shows in another's screen.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from app import state
from app.jobs import Consequences
from munkey_core.errors import BadInputError, BundleError, MunkeyError, UnknownIdError
from munkey_core.studio import Studio, list_bundles
from munkey_core.types import PRIVATE, Browse, BundleInfo, Deletion, NearDuplicate

T = TypeVar("T")

_SESSION = "munkey-session"
_MAX_PICTURES = 20_000
_MAX_RESULTS = 64
_NO_PICTURE = (
    "data:image/svg+xml;base64,"
    + base64.b64encode(
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 28 28">'
        b'<path fill="#8a94a3" fill-opacity=".35" d="M0 0h28v28H0z"/></svg>'
    ).decode()
)


# -- shared by all sessions --------------------------------------------------------------------


class Pictures:
    """Data URIs of a bundle's images, the least used ones forgotten first."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._uris: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def uri(self, id_: str) -> str:
        """A grey square stands for a picture that the bundle may not carry."""
        with self._lock:
            if id_ in self._uris:
                self._uris.move_to_end(id_)
                return self._uris[id_]
        try:
            uri = as_uri(self._studio.picture(id_))
        except BundleError:
            uri = _NO_PICTURE
        with self._lock:
            self._uris[id_] = uri
            while len(self._uris) > _MAX_PICTURES:
                self._uris.popitem(last=False)
        return uri


@dataclass(frozen=True)
class Shared:
    """One loaded bundle and its pictures."""

    studio: Studio
    pictures: Pictures


def as_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


@st.cache_data(ttl=20, show_spinner=False)
def bundles() -> tuple[BundleInfo, ...]:
    """Bundles that a link may name: those found, and the one the server was started with."""
    return list_bundles()


def location(name: str) -> str:
    """What to open for a name in a link. Raises BundleError listing what there is.

    A link can't name a path: that would let anybody make the server read any folder.
    """
    started_with = os.environ.get("MUNKEY_BUNDLE", "").strip()
    if started_with and name == Path(started_with).name and Path(started_with).is_dir():
        return started_with
    for info in bundles():
        if info.name == name:
            return info.path
    names = ", ".join(info.name for info in bundles()) or "none"
    raise BundleError(f"the name of a model on this server ({names})")


@st.cache_resource(show_spinner="Loading the model and its memory…", max_entries=4)
def _shared(path: str, digest: str) -> Shared:
    studio = Studio.open(path)
    # The first deletion should not wait for what it needs to know about everybody's neighbours.
    threading.Thread(target=studio.warm_up, name="warm-up", daemon=True).start()
    return Shared(studio, Pictures(studio))


def shared(name: str) -> Shared:
    """The loaded bundle, loaded anew when the one on disk is another. Raises MunkeyError."""
    path = location(name)
    manifest = Path(path, "manifest.json")
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else ""
    return _shared(path, digest)


# -- one person's session ----------------------------------------------------------------------


@dataclass
class Session:
    """What one browser session holds. Results are kept per generation of its memory."""

    name: str
    studio: Studio
    pictures: Pictures
    consequences: Consequences | None = None
    restored: tuple[str, ...] = ()
    _results: OrderedDict[Any, Any] = field(default_factory=OrderedDict)

    def remember(self, key: Any, compute: Callable[[], T]) -> T:
        """compute(), or what it gave before in this generation of the memory."""
        key = (self.studio.generation, key)
        if key not in self._results:
            self._results[key] = compute()
        self._results.move_to_end(key)
        while len(self._results) > _MAX_RESULTS:
            self._results.popitem(last=False)
        result: T = self._results[key]
        return result

    def browse(self, query: Browse) -> tuple[str, ...]:
        return self.remember(query, lambda: self.studio.browse(query))

    def near_duplicates(self, ids: tuple[str, ...]) -> tuple[NearDuplicate, ...]:
        return self.remember(("near", ids), lambda: self.studio.near_duplicates(ids))

    @property
    def groups(self) -> state.Groups:
        """Ids of the standing deletions, oldest first."""
        return tuple(deletion.ids for deletion in self.studio.history)


def enter(page: str) -> Session:
    """The session's model, as the URL or the person wants it. Raises MunkeyError if it can't be
    opened, after putting the choice back so that the next run works."""
    news = state.url_is_news(page)
    if news:
        state.read_url()
    session = _open(state.get("bundle"), renew=news)
    if news or session is not st.session_state.get(_SESSION):
        st.session_state[_SESSION] = session
        _settle(session)
    return session


def current() -> Session:
    """The session that :func:`enter` opened, for callbacks."""
    session: Session = st.session_state[_SESSION]
    return session


def _open(name: str, renew: bool) -> Session:
    session: Session | None = st.session_state.get(_SESSION)
    try:
        common = shared(name)
    except BundleError as error:
        if name == state.default_bundle():
            raise
        state.reject("bundle", name, str(error))
        name = state.default_bundle()
        state.put("bundle", name)
        common = shared(name)
    if session is None or renew or session.studio.digest != common.studio.digest:
        return Session(name, common.studio.session(), common.pictures)
    return session


def _settle(session: Session) -> None:
    """Check what the URL said against the bundle, and delete what it says is deleted."""
    studio = session.studio
    classes = state.get("class")
    if any(not 0 <= label < len(studio.classes) for label in classes):
        wanted = f"class numbers from 0 to {len(studio.classes) - 1}"
        state.reject("class", " ".join(map(str, classes)), wanted)
    owner = state.get("owner")
    if owner and owner not in studio.owners:
        state.reject("owner", owner, "an owner in this bundle")
    seen: set[str] = set()
    for group in state.get("forgotten"):
        ids = [id_ for id_ in known_ids(studio, "forgotten", group) if id_ not in seen]
        seen.update(ids)
        if ids:
            studio.forget(ids)
    state.put("forgotten", ())
    basket = known_ids(studio, "basket", state.get("basket"))
    state.put("basket", tuple(id_ for id_ in basket if id_ not in seen))
    _work_out(session)


def known_ids(studio: Studio, where: str, ids: Iterable[str]) -> list[str]:
    """The ids that have a key in this bundle; one message for the others."""
    known, unknown = [], []
    for id_ in ids:
        try:
            (known if studio.record(id_).split == PRIVATE else unknown).append(id_)
        except UnknownIdError:
            unknown.append(id_)
    if unknown:
        count = len(known) + len(unknown)
        some = ", ".join(state.quoted(id_) for id_ in unknown[:3])
        state.say(
            f"{where}: {len(unknown):,} of {count:,} ids name no image with a key in "
            f"{studio.title} ({some}{', …' if len(unknown) > 3 else ''}): left out."
        )
    return known


# -- deleting and undoing ----------------------------------------------------------------------


def delete_basket() -> None:
    """Delete the keys of everything in the basket, which is then empty."""
    session = current()
    ids = [id_ for id_ in state.get("basket") if not session.studio.is_forgotten(id_)]
    if not ids:
        return
    _attempt(lambda: session.studio.forget(ids))
    state.change("basket", ())
    session.restored = ()
    _work_out(session)


def undo(index: int) -> None:
    """Put back the keys of one standing deletion; they are in the basket again."""
    session = current()
    history = session.studio.history
    if not 0 <= index < len(history):
        return  # A second click on a button that is about to go.
    ids = history[index].ids
    _attempt(lambda: session.studio.restore(ids))
    basket = state.get("basket")
    state.change("basket", (*basket, *(id_ for id_ in ids if id_ not in basket)))
    session.restored = ids
    _work_out(session)


def undo_all() -> None:
    """Put every key back, without filling the basket."""
    session = current()
    if session.studio.forgotten:
        _attempt(lambda: session.studio.restore(session.studio.forgotten))
        state.touch()
        session.restored = ()
        _work_out(session)


def newest(studio: Studio) -> Deletion | None:
    """The newest standing deletion as of now: undoing another one makes it no older."""
    if not studio.history:
        return None
    return replace(studio.history[-1], generation=studio.generation)


def _work_out(session: Session) -> None:
    """Start finding out what the newest standing deletion changed, instead of an older one."""
    if session.consequences is not None:
        session.consequences.stop()
    history = session.studio.history
    session.consequences = Consequences(session.studio, history) if history else None


def _attempt(action: Callable[[], object]) -> None:
    try:
        action()
    except (BadInputError, MunkeyError) as error:
        state.say(state.quoted(str(error)))
