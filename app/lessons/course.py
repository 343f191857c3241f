"""Where a person is in a lesson: the step from the URL, their guesses, and the step's screen.

A step stands for a whole screen. Entering it sets every property, so nothing that a person did in
an earlier one can spoil it; what they change within it is in the URL beside its number.
"""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.lessons.lesson import Lesson, LessonError, Screen, Step
from app.lessons.reader import refer
from app.lessons.shelf import shelf
from app.lessons.values import Values, values_of
from app.session import link_messages, models, page_url, properties, state, state_keys
from app.session.long_links import UnknownDigestError
from app.words.foreign import escaped, quoted
from munkey_core.errors import MunkeyError

PATH = "lessons"  # the page that lessons are played on

# Who shares the link says these, for all steps at once.
_CARRIED = ("lesson", "step", "hide", "seed")

Guess = int | float | bool | str


@dataclass(frozen=True)
class Place:
    """A step of a lesson that can be played here. number: from 1."""

    lesson: Lesson
    number: int
    values: Values

    @property
    def step(self) -> Step:
        return self.lesson.steps[self.number - 1]

    @property
    def last(self) -> bool:
        return self.number == len(self.lesson.steps)

    @property
    def guess(self) -> Guess | None:
        """What this person has answered here; None as long as the question is open."""
        guesses: dict[tuple[str, int], Guess] = st.session_state.get(state_keys.LESSON_GUESSES, {})
        return guesses.get((self.lesson.digest, self.number))

    @property
    def open(self) -> bool:
        """Whether a question waits for an answer."""
        return self.step.question is not None and self.guess is None

    @property
    def screen(self) -> Screen:
        return self.step.before if self.open or self.step.question is None else self.step.after


# -- what a run does -------------------------------------------------------------------------------


def enter(path: str, news: bool) -> bool:
    """Let the lesson's step have its say before the page is drawn; whether it has set the screen.

    path: of the page. news: whether the URL has just been read. A lesson that can't be played is
    left, with a message.
    """
    turn = bool(st.session_state.pop(state_keys.LESSON_TURN, False))
    page_url.start_from({})
    if path != PATH or not state.get("lesson"):
        return False
    place, problem = find(state.get("lesson"), state.get("step"))
    if place is None:
        _leave(problem)
        return False
    try:
        properties = _properties(place)
    except LessonError as error:
        _leave(str(error))
        return False
    page_url.start_from(properties, place.screen.hide)
    reached = st.session_state.setdefault(state_keys.LESSON_REACHED, {})
    reached[place.lesson.id] = place.number
    if not (news or turn):
        return False
    said = page_url.given() if news else frozenset()
    for name, value in properties.items():
        if name not in said or name == "bundle":
            state.put(name, value)
    return True


def here() -> Place | None:
    """The step that this person is at, if any."""
    return find(state.get("lesson"), state.get("step"))[0] if state.get("lesson") else None


def find(lesson_id: str, number: int) -> tuple[Place | None, str]:
    """A step of a lesson, or why there is none (Markdown)."""
    found = shelf()
    lesson = found.lessons.get(lesson_id)
    if lesson is None:
        names = ", ".join(found.lessons) or "none"
        return None, f"lesson: there is no {quoted(lesson_id)} here (there is: {names})."
    if number > len(lesson.steps):
        page_url.reject(
            "step", str(number), f"a step of this lesson, from 1 to {len(lesson.steps)}"
        )
        number = 1
    problem = missing(lesson)
    if problem:
        return None, f"The lesson {quoted(lesson.title)} can't be played here: {problem}"
    try:
        return Place(lesson, number, values_of(lesson, state.get("seed"))), ""
    except MunkeyError as error:
        return None, escaped(str(error))


def missing(lesson: Lesson, load: bool = True) -> str:
    """What this server lacks for a lesson (Markdown); empty if nothing. load: open its model, which
    may take a while, to see whether it has the modes."""
    try:
        models.location(lesson.bundle)
    except MunkeyError:
        there = ", ".join(escaped(info.name) for info in models.bundles()) or "none"
        return (
            f"it is about the model {quoted(lesson.bundle)}, which this server doesn't have "
            f"(it has: {there})."
        )
    if not load:
        return ""
    try:
        studio = models.shared(lesson.bundle).studio
    except MunkeyError as error:
        return escaped(str(error))
    lacking = [properties.MODES[mode] for mode in lesson.modes if mode not in studio.about.modes]
    if lacking:
        return (
            f"it needs the {' and the '.join(lacking).lower()} mode, which the model "
            f"{quoted(lesson.bundle)} doesn't have."
        )
    return ""


def _properties(place: Place) -> dict[str, Any]:
    """Every property of the step's screen that is not the link's own."""
    lesson, ids = place.lesson, place.values.scope.ids
    texts = place.screen.properties
    values = {
        prop.name: prop.default for prop in properties.PROPERTIES if prop.name not in _CARRIED
    }
    for name, text in texts.items():
        try:
            values[name] = properties.parse(name, refer(text, ids))
        except (properties.BadValueError, UnknownDigestError) as error:
            raise LessonError(lesson.file, place.step.line, f"{name} must be {error}") from None
    return values | {"bundle": lesson.bundle}


def _leave(problem: str) -> None:
    link_messages.say(problem)
    state.put("lesson", "")
    state.put("step", 1)


# -- what a person does ----------------------------------------------------------------------------


def begin(lesson_id: str, number: int = 1) -> None:
    """Go to a step, whatever the screen shows now."""
    state.put("lesson", lesson_id)
    state.change("step", number)
    st.session_state[state_keys.LESSON_TURN] = True


def answer(place: Place, guess: Guess) -> None:
    """Commit to a guess: the step goes on to the screen that shows the truth."""
    guesses = st.session_state.setdefault(state_keys.LESSON_GUESSES, {})
    guesses[place.lesson.digest, place.number] = guess
    begin(place.lesson.id, place.number)


def restart(lesson: Lesson) -> None:
    """From the first step, as if nothing had been answered."""
    guesses: dict[tuple[str, int], Guess] = st.session_state.get(state_keys.LESSON_GUESSES, {})
    for digest, number in list(guesses):
        if digest == lesson.digest:
            del guesses[digest, number]
    begin(lesson.id)


def leave() -> None:
    """Back to all lessons; what is picked and deleted stays."""
    state.put("lesson", "")
    state.change("step", 1)


def reached(lesson: Lesson) -> int:
    """The step at which this person was last; 0 if they haven't begun."""
    seen: dict[str, int] = st.session_state.get(state_keys.LESSON_REACHED, {})
    return min(seen.get(lesson.id, 0), len(lesson.steps))
