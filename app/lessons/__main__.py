"""``python -m app.lessons [FILE…]``: are these lessons right, and what does the model answer?

Without files: all that the app would show. With --model each lesson is held against its bundle:
its images are found and every value is computed. Exit code 1 if something is wrong.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from app.lessons.images import find_images
from app.lessons.lesson import Lesson, LessonError
from app.lessons.measures import Asked, Scope, compute, why_not
from app.lessons.reader import read_lesson
from app.lessons.shelf import files
from munkey_core.errors import MunkeyError
from munkey_core.progress import finish
from munkey_core.studio import Studio


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m app.lessons")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--model", action="store_true", help="compute every value, too")
    parser.add_argument("--seed", type=int, default=0, help="of images drawn at random")
    arguments = parser.parse_args()
    wrong = 0
    for path in arguments.files or [path for path, _ in files()]:
        try:
            lesson = read_lesson(path)
            print(f"{path.name}: {lesson.title} ({len(lesson.steps)} steps)")
            lines = _values(lesson, arguments.seed) if arguments.model else iter(())
            for line, fine in lines:
                print(f"  {line}")
                wrong += not fine
        except MunkeyError as error:
            print(error if isinstance(error, LessonError) else f"{path.name}: {error}")
            wrong += 1
    return 1 if wrong else 0


def _values(lesson: Lesson, seed: int) -> Iterator[tuple[str, bool]]:
    """A line for each value, and whether it could be had."""
    studio = Studio.open(lesson.bundle)
    studios = {"": studio, **{mode: studio.session(mode) for mode in lesson.modes}}
    scope = Scope(studios.__getitem__, find_images(lesson, studio, seed))
    for value in lesson.values.values():
        try:
            found = finish(compute(value.what, Asked(scope, value.arguments)))
            yield f"{value.name}: {found.words}", True
        except MunkeyError as error:
            reason = f"value “{value.name}”: {why_not(error)}"
            yield str(LessonError(lesson.file, value.line, reason)), False


if __name__ == "__main__":
    sys.exit(main())
