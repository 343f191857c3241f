"""What a lesson is once its file has been read: frozen and checked, nothing computed yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from munkey_core.errors import MunkeyError

PAGES = ("forget", "map", "explain", "privacy", "compare", "about")
"""Pages that a step may stand on."""

CLASS, CHOICE, YES_NO, NUMBER = "class", "choice", "yes-no", "number"
KINDS = (CLASS, CHOICE, YES_NO, NUMBER)


class LessonError(MunkeyError):
    """A lesson's file is not what is wanted. file: its name. line: from 1."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}, line {line}: {reason}")
        self.file, self.line, self.reason = file, line, reason


@dataclass(frozen=True)
class Images:
    """Images with a name, by id or by a rule that is followed in the bundle at hand.

    rule: "ids", "most", "near", "owner", "set", "random" or "test" (drawn test images). of: what
    the rule is about: ids separated by spaces, a score, the name of other images, an owner, a
    forget set, or empty.
    label: a class's name; empty for all. count: at most so many. skip: leave out so many first.
    """

    name: str
    rule: str
    of: str
    label: str = ""
    count: int = 1
    skip: int = 0
    line: int = 0


@dataclass(frozen=True)
class Value:
    """Something that is computed from the live model. what: a name of measures.MEASURES.
    arguments: names of images, or settings, by name."""

    name: str
    what: str
    arguments: Mapping[str, str]
    line: int = 0


@dataclass(frozen=True)
class Option:
    """One of several answers. It is the true one if the computed value reads like `equals`, or lies
    in [low, high)."""

    text: str
    equals: str | None = None
    low: float | None = None
    high: float | None = None

    def fits(self, value: object, words: str) -> bool:
        """Whether it is the true one. words: the value in a sentence."""
        if self.equals is not None:
            return words == self.equals
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)


@dataclass(frozen=True)
class Question:
    """What a person has to answer before the step goes on. truth: the name of a Value. commit:
    what the button says. low, high, within: of a number: what may be given, and how far off is
    still close."""

    ask: str
    kind: str
    truth: str
    commit: str
    options: tuple[Option, ...] = ()
    low: float = 0.0
    high: float = 100.0
    within: float = 0.0


@dataclass(frozen=True)
class Screen:
    """A page and what it shows: properties as a URL has them, with $name for the ids of images.
    hide: groups of controls."""

    page: str
    properties: Mapping[str, str]
    hide: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """before: the screen while the question is open (or there is none). after: once it is
    answered. text, reveal, attempt: Markdown with {name} for computed values; attempt is what to
    try on one's own."""

    title: str
    text: str
    before: Screen
    after: Screen
    question: Question | None = None
    reveal: str = ""
    attempt: str = ""
    line: int = 0


@dataclass(frozen=True)
class Lesson:
    """One file. digest: SHA-256 of it, so that what was computed for another version is not used.
    own: whether it lies in a folder of a person's own."""

    id: str
    title: str
    minutes: int
    bundle: str
    summary: str
    images: Mapping[str, Images]
    values: Mapping[str, Value]
    steps: tuple[Step, ...]
    file: str
    digest: str
    own: bool = False
    modes: tuple[str, ...] = field(default=())
