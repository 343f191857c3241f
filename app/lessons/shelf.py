"""Which lessons there are: those that ship, and a person's own under $MUNKEY_LESSONS."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.lessons.lesson import Lesson, LessonError
from app.lessons.reader import read_lesson

VARIABLE = "MUNKEY_LESSONS"
_APP = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Shelf:
    """lessons: by id, in the order of their files' names. errors: files that are no lesson."""

    lessons: dict[str, Lesson]
    errors: tuple[LessonError, ...]


def shelf() -> Shelf:
    """All lessons; a file is read again only when it has changed."""
    lessons: dict[str, Lesson] = {}
    errors: list[LessonError] = []
    for path, own in files():
        found = _read(path, own)
        if isinstance(found, LessonError):
            errors.append(found)
        elif found.id in lessons:
            other = lessons[found.id].file
            errors.append(
                LessonError(path.name, 1, f"the id “{found.id}” is that of {other}: not shown")
            )
        else:
            lessons[found.id] = found
    return Shelf(lessons, tuple(errors))


def shipped_folder() -> Path:
    """The source tree's lessons, or those inside the installed package."""
    beside = _APP.parent / "tutorials" / "lessons"
    return beside if beside.is_dir() else _APP / "tutorials" / "lessons"


def own_folders() -> list[Path]:
    """Folders of a person's own lessons (os.pathsep between several)."""
    named = os.environ.get(VARIABLE, "")
    return [Path(part).expanduser() for part in named.split(os.pathsep) if part.strip()]


def files() -> Iterator[tuple[Path, bool]]:
    """File and whether it is a person's own; those that ship come first."""
    for folder, own in ((shipped_folder(), False), *((one, True) for one in own_folders())):
        for pattern in ("*.yaml", "*.yml"):
            yield from ((path, own) for path in sorted(folder.glob(pattern)))


def _read(path: Path, own: bool) -> Lesson | LessonError:
    try:
        stat = path.stat()
    except OSError as error:
        return LessonError(path.name, 1, f"can't be read: {error.strerror}")
    return _read_once(str(path), own, stat.st_mtime_ns, stat.st_size)


@st.cache_resource(max_entries=200, show_spinner=False)
def _read_once(path: str, own: bool, changed: int, size: int) -> Lesson | LessonError:
    try:
        return read_lesson(Path(path), own)
    except LessonError as error:
        return error
