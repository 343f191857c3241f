"""YAML with its line numbers kept: what a file says, and where it says it.

PyYAML's safe loader composes the nodes (as its safe_load does), and nothing is made of them but
text: no tag can make anything else. Every wrong thing is a LessonError with its line.

Not checked by `munkey_core.files.typed`: an author needs the line, not the place in a tree, and
most rules hold between parts, so a tree of types beside them would be longer.
"""

import difflib
import math
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

import yaml

from app.lessons.lesson import LessonError

MAX_BYTES = 200_000


class Node:
    """A place in a lesson's file."""

    def __init__(self, node: Any, file: str) -> None:
        self._node, self._file = node, file

    @property
    def line(self) -> int:
        return int(self._node.start_mark.line) + 1

    def fail(self, reason: str, line: int | None = None) -> NoReturn:
        raise LessonError(self._file, line or self.line, reason)

    def mapping(self, what: str, wanted: Collection[str], needed: Collection[str]) -> "Parts":
        """The parts by name; what: this place in words. An unknown name, one that comes twice and
        one that is missing are refused."""
        parts = self.named(what)
        for name, part in parts.items():
            if name not in wanted:
                part.key_fail(f"{what} has no {_quoted(name)}{_meant(name, wanted)}")
        for name in needed:
            if name not in parts:
                self.fail(f"{what} needs {_quoted(name)}")
        return Parts(parts)

    def named(self, what: str) -> "dict[str, Part]":
        """The parts by name, whatever they are called."""
        if not isinstance(self._node, yaml.MappingNode):
            self.fail(f"{what} must be a list of “name: value”, got {self._got()}")
        parts: dict[str, Part] = {}
        for key, value in self._node.value:
            if not isinstance(key, yaml.ScalarNode):
                Node(key, self._file).fail(f"a name in {what} must be a word")
            if key.value in parts:
                Node(key, self._file).fail(f"{_quoted(key.value)} comes twice in {what}")
            parts[key.value] = Part(value, self._file, int(key.start_mark.line) + 1)
        return parts

    def items(self, what: str) -> "Iterator[Node]":
        if not isinstance(self._node, yaml.SequenceNode):
            self.fail(f"{what} must be a list with “- ” before each, got {self._got()}")
        for node in self._node.value:
            yield Node(node, self._file)

    def text(self, what: str, limit: int = 4_000, empty: bool = False) -> str:
        if not isinstance(self._node, yaml.ScalarNode):
            self.fail(f"{what} must be a text, got {self._got()}")
        text: str = self._node.value.strip()
        if not text and not empty:
            self.fail(f"{what} is empty")
        if len(text) > limit:
            self.fail(f"{what} is {len(text):,} characters long; at most {limit:,} are wanted")
        bad = next((c for c in text if not (c.isprintable() or c == "\n")), None)
        if bad is not None:
            self.fail(f"{what} has a character that can't be shown ({ord(bad):#x})")
        return text

    def line_of(self, offset: int) -> int:
        """The line on which a part of the text lies, as far as the block's style tells."""
        block = self._node.style in ("|", ">")
        return self.line + block + str(self._node.value[:offset]).count("\n")

    def number(self, what: str, low: float, high: float) -> float:
        text = self.text(what, 40)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            self.fail(f"{what} must be a number from {low:g} to {high:g}, got {_quoted(text)}")
        return value

    def whole(self, what: str, low: int, high: int) -> int:
        value = self.number(what, low, high)
        if value != int(value):
            self.fail(f"{what} must be a whole number, got {_quoted(self.text(what))}")
        return int(value)

    def choice(self, what: str, options: Collection[str]) -> str:
        text = self.text(what, 100)
        if text not in options:
            self.fail(f"{what} must be one of {', '.join(options)}, got {_quoted(text)}")
        return text

    def _got(self) -> str:
        if isinstance(self._node, yaml.ScalarNode):
            return _quoted(self._node.value) if self._node.value else "nothing"
        return "a list" if isinstance(self._node, yaml.SequenceNode) else "names and values"


class Part(Node):
    """A value with a name."""

    def __init__(self, node: Any, file: str, key_line: int) -> None:
        super().__init__(node, file)
        self._key_line = key_line

    def key_fail(self, reason: str) -> NoReturn:
        """Refuse the name, not the value."""
        self.fail(reason, self._key_line)


class Parts(dict[str, Part]):
    """Parts that are known by name; the optional ones may be missing."""

    def text(self, name: str, what: str, limit: int = 4_000) -> str:
        """Empty if it is not there."""
        return self[name].text(what, limit) if name in self else ""


def compose(data: bytes, file: str) -> Node:
    """The only document of a file. Raises LessonError."""
    if len(data) > MAX_BYTES:
        raise LessonError(file, 1, f"the file is larger than {MAX_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LessonError(file, line, "this is no UTF-8 text") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(filter(None, (error.context, error.problem))) or "no YAML"
        raise LessonError(file, mark.line + 1 if mark else 1, _one_line(reason)) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise LessonError(file, line, "a character that YAML doesn't allow") from None
    except RecursionError:
        raise LessonError(file, 1, "the file is nested too deeply") from None
    if node is None:
        raise LessonError(file, 1, "the file is empty")
    return Node(node, file)


def _quoted(text: str) -> str:
    shown = text if len(text) <= 40 else text[:40] + "…"
    return "“" + "".join(c if c.isprintable() else "·" for c in shown) + "”"


def _meant(name: str, wanted: Collection[str]) -> str:
    close = difflib.get_close_matches(name, wanted, n=1)
    if close:
        return f"; did you mean {_quoted(close[0])}?"
    return f"; it may have {', '.join(wanted)}"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
