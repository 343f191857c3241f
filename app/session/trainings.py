"""Trainings on people's own images: what this server was asked for, by the name of the model.

The jobs end with the server's process, so what it remembers of them need not live longer either.
"""

import re
import threading
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import streamlit as st
from cachetools import LRUCache

from app.session import models, properties
from app.session.background import me, present
from munkey_core.errors import BadInputError
from munkey_core.jobs import own_data
from munkey_core.jobs.offer import TrainingOffer
from munkey_core.jobs.queue import JobStatus

MOST_LETTERS = 40
_REMEMBERED = 100
_LONGEST_LABEL = 80
_DIGEST = re.compile(r"-[0-9a-f]{8}$")  # what an upload's name ends with on the server


class _Asked:
    """What was asked for, the newest last: whoever reloads, or comes later, sees the same facts."""

    def __init__(self) -> None:
        self._offers: LRUCache[str, TrainingOffer] = LRUCache(_REMEMBERED)
        self._lock = threading.Lock()

    def put(self, offer: TrainingOffer) -> None:
        with self._lock:
            self._offers.pop(offer.name, None)
            self._offers[offer.name] = offer

    def get(self, name: str) -> TrainingOffer | None:
        with self._lock:
            return self._offers.get(name)

    def names(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._offers)


@st.cache_resource(show_spinner=False)
def _asked() -> _Asked:
    return _Asked()


# -- what there is -------------------------------------------------------------------------------


def sources() -> dict[str, str]:
    """What may be trained on, by what a person reads: a link must not tell a server's paths."""
    paths = own_data.list_sources()
    names = Counter(_printable(Path(path).name) for path in paths)
    found: dict[str, str] = {}
    for path in paths:
        name = _printable(Path(path).name)
        stem = name if names[name] == 1 else f"{_printable(Path(path).parent.name)}/{name}"
        label, number = stem, 2
        while label in found:
            label, number = f"{stem} ({number})", number + 1
        found[label] = path
    return found


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in name[:_LONGEST_LABEL])


def label_of(source: str) -> str:
    """What a person reads for a source; empty if it is not there any more."""
    return next((label for label, path in sources().items() if path == source), "")


def suggested_name(label: str) -> str:
    """A name that no model has, made from what the images are called."""
    ascii_ = unicodedata.normalize("NFKD", Path(label).name).encode("ascii", "ignore").decode()
    stem = re.sub(r"\.(zip|npz)$", "", ascii_, flags=re.IGNORECASE).lower()
    stem = re.sub(r"[^a-z0-9_]+", "-", _DIGEST.sub("", stem)).strip("-_")[: MOST_LETTERS - 5]
    stem = stem or "my-images"
    name, number = stem, 2
    while taken(name):
        name, number = f"{stem}-{number}", number + 1
    return name


def taken(name: str) -> bool:
    """Whether a model of this name is there, or being trained. What can't be a name isn't."""
    # The model that the server was started with may lie outside the folders that are listed.
    if name == properties.default_bundle() or any(info.name == name for info in models.bundles()):
        return True
    try:
        status = own_data.training_status(name)
        return own_data.bundle_ready(name) or (status is not None and status.active)
    except BadInputError:
        return False


# -- one training --------------------------------------------------------------------------------


def start(offer: TrainingOffer, name: str) -> None:
    """Ask for the model under this name. Raises BadInputError with the reason if it can't be."""
    named = replace(offer, name=name)
    own_data.start_training(named, me())
    _asked().put(named)


def offered(name: str) -> TrainingOffer | None:
    """What was known before the training of a model began; None if this server never began it."""
    return _asked().get(name)


def status(name: str) -> JobStatus | None:
    return own_data.training_status(name, me(), present)


def cancel(name: str) -> None:
    own_data.cancel_training(name, me(), present)


def ready(name: str) -> bool:
    """Whether the model can be opened."""
    return own_data.bundle_ready(name)


def under_way() -> tuple[str, ...]:
    """Names of the models that are being trained or wait for it, whoever asked."""
    found = [(name, status(name)) for name in _asked().names()]
    return tuple(name for name, where in found if where is not None and where.active)


def left_alone() -> tuple[str, ...]:
    """Those of them that nobody who is there waits for any more."""
    found = {name: own_data.training_status(name, present=present) for name in _asked().names()}
    return tuple(name for name, at in found.items() if at and at.active and not at.others)
