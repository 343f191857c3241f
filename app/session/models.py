"""Loaded bundles, shared by all sessions of this server and only read."""

import base64
import gc
import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from cachetools import LRUCache

from app.components.blank_picture import blank_picture
from munkey_core.bundle.find import BundleInfo
from munkey_core.errors import BundleError, MunkeyError
from munkey_core.studio import Studio, list_bundles

_MAX_PICTURES = 20_000
_MODES = ("joint", "exact")
_PATIENCE = 3.0  # seconds to wait for pictures from elsewhere before a page is drawn without


class Pictures:
    """Data URIs of a bundle's images, the least used ones forgotten first."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._uris: LRUCache[str, str] = LRUCache(_MAX_PICTURES)
        self._lock = threading.Lock()

    def uri(self, id_: str) -> str:
        """Class and number stand for a picture that isn't here, or not yet."""
        with self._lock:
            known = self._uris.get(id_)
        if known is not None:
            return known
        record = self._studio.memory.record(id_)
        blank = blank_picture(id_, record.label, self._studio.about.classes[record.label])
        if not self._studio.pictures.status.ready:
            return blank
        try:
            uri = as_uri(self._studio.pictures.png(id_))
        except MunkeyError:  # one file of many is gone or damaged
            return blank
        with self._lock:
            self._uris[id_] = uri
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
    """Bundles that a link may name, beside the one that the server was started with."""
    return tuple(info for info in list_bundles() if not info.problem)


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
    gc.unfreeze()  # A version that nobody has any more, if there is one, may go now.
    studio = Studio.open(path)
    # Streamlit collects garbage after every run of a page, a fragment's too; going through all
    # the objects of a model took 0.15 s each time, and they are not garbage.
    gc.collect()
    gc.freeze()
    # The first deletion should not wait for what it needs to know about everybody's neighbours.
    threading.Thread(target=studio.memory.warm_up, name="warm-up", daemon=True).start()
    find_pictures(studio)
    return Shared(studio, Pictures(studio))


def find_pictures(studio: Studio) -> None:
    """Look for the pictures of a model that came without; what takes long goes on in a thread."""
    if studio.pictures.status.ready or studio.pictures.status.state == "searching":
        return
    search = threading.Thread(target=studio.pictures.find, name="pictures", daemon=True)
    search.start()
    search.join(_PATIENCE)


@st.cache_resource(show_spinner="Loading the other memory…", max_entries=4)
def _in_mode(path: str, digest: str, mode: str) -> Shared:
    common = _shared(path, digest)
    studio = common.studio.session(mode)
    threading.Thread(target=studio.memory.warm_up, name="warm-up", daemon=True).start()
    return Shared(studio, common.pictures)


def shared(name: str, mode: str = "") -> Shared:
    """The loaded bundle, loaded anew when the one on disk is another. mode: one of its modes,
    empty for its own. Raises MunkeyError."""
    path = location(name)
    manifest = Path(path, "manifest.json")
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else ""
    common = _shared(path, digest)
    return common if mode in ("", common.studio.about.mode) else _in_mode(path, digest, mode)


def forget_version(name: str, digest: str) -> None:
    """Keep a version of a bundle no longer than the sessions that show it: what was erased from it
    must not wait in this server's memory for a next visitor. digest: of its manifest."""
    path = location(name)
    _shared.clear(path, digest)
    for mode in _MODES:
        _in_mode.clear(path, digest, mode)
    bundles.clear()
