"""A lesson's computed values: worked out once a server, in the background, for everybody.

A class of thirty starts one lesson at once; the model is asked once. What takes long (an attack)
is begun when the first person opens the lesson, so that it is known when the question comes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import streamlit as st

from app.lessons.images import find_images
from app.lessons.lesson import Lesson
from app.lessons.measures import MEASURES, Asked, Known, Scope, compute, why_not
from app.session import models
from app.session.background import Background
from app.words.foreign import escaped
from munkey_core.errors import MunkeyError
from munkey_core.progress import Steps


@dataclass(frozen=True)
class Unknown:
    """A value that can't be had. reason: why, as a sentence's end."""

    reason: str


class Values(Background[None]):
    """Makes all values of a lesson, the quick ones first. `known` grows while it runs."""

    def __init__(self, lesson: Lesson, scope: Scope) -> None:
        self.known: dict[str, Known | Unknown] = {}
        self.scope = scope
        self._lesson = lesson
        super().__init__(self._compute, "lesson")

    def words(self) -> dict[str, str]:
        """Name → words of what is known, as Markdown; a value that can't be had is "unknown", one
        that is not known yet "…"."""
        known = self.known.copy()
        texts = {name: v.words if isinstance(v, Known) else "unknown" for name, v in known.items()}
        waiting = dict.fromkeys(self._lesson.values, "unknown" if self.finished else "…")
        plain = {name: escaped(text.replace("\u00a0", " ")) for name, text in texts.items()}
        return waiting | plain

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Of these names those that are still being worked out."""
        if self.finished:
            return ()
        return tuple(name for name in names if name not in self.known)

    def _compute(self) -> Steps[None]:
        values = self._lesson.values.values()
        for value in sorted(values, key=lambda one: MEASURES[one.what].slow):
            try:
                asked = Asked(self.scope, value.arguments)
                self.known[value.name] = yield from compute(value.what, asked)
            except MunkeyError as error:
                self.known[value.name] = Unknown(why_not(error))


def values_of(lesson: Lesson, seed: int) -> Values:
    """The values of a lesson with this server's bundle, whoever asks. Raises MunkeyError."""
    digest = models.shared(lesson.bundle).studio.about.digest
    return _values(lesson.digest, digest, seed, lesson)


@st.cache_resource(max_entries=64, show_spinner=False)
def _values(digest: str, bundle: str, seed: int, _lesson: Lesson) -> Values:
    # Loaded here, as the thread can't show that it is loading.
    studios = {mode: models.shared(_lesson.bundle, mode).studio for mode in ("", *_lesson.modes)}
    scope = Scope(studios.__getitem__, find_images(_lesson, studios[""], seed))
    return Values(_lesson, scope)
