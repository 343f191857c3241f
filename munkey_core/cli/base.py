"""What every command of `munkey` shares: its parser, its answer, its progress.

Answers go to stdout (with --json exactly one JSON document), progress and notes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NoReturn

from munkey_core.errors import BadInputError
from munkey_core.progress import Progress, Steps, T, drive, finish

IDS_HELP = (
    "ids separated by commas, @file.csv (a column id), owner:NAME, or a canonical set: "
    "random-1pct, random-5pct, random-10pct, one-class, one-owner, hard-1pct, near-duplicates"
)

MODE_HELP = "joint or exact, of a bundle that has both (default: its own)"


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one line."""

    def error(self, message: str) -> NoReturn:
        raise BadInputError(f"{message} (see {self.prog} --help)")


def command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    about: str,
    examples: Sequence[str] = (),
    json_answer: bool = True,
) -> argparse.ArgumentParser:
    """Add a command. about: what it does, in one line. examples: whole command lines. json_answer:
    whether it has an answer to give."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=examples_text(examples) if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if json_answer:
        parser.add_argument("--json", action="store_true", help="answer with one JSON document")
    parser.set_defaults(command=run)
    return parser


def examples_text(examples: Sequence[str]) -> str:
    """The end of a help page."""
    return "\n".join(["examples:", *(f"  {line}" for line in examples)])


def bundle_argument(parser: argparse.ArgumentParser, **options: Any) -> None:
    """Add the argument that names a bundle."""
    about = "a name, as `munkey bundles` lists them, or a folder"
    if "default" in options:
        about += " (default: %(default)s)"
    parser.add_argument("bundle", metavar="BUNDLE", help=about, **options)


def answer(arguments: argparse.Namespace, document: Any, lines: Iterable[str]) -> int:
    if arguments.json:
        print(json.dumps(document, indent=1))
    else:
        for line in lines:
            print(line)
    return 0


def watch(steps: Steps[T]) -> T:
    """Run the work, showing its progress on stderr, at most about once a second; return its
    result."""
    if os.environ.get("MUNKEY_BACKGROUND"):
        return _watch_for_parent(steps)
    return finish(steps, partial(print, file=sys.stderr, flush=True))


def _watch_for_parent(steps: Steps[T]) -> T:
    """Tell progress to jobs.py, as JSON lines on stderr, at most a few a second."""
    stage, told = "", 0.0

    def see(step: Progress) -> None:
        nonlocal stage, told
        if step.stage != stage or step.done == step.total or time.monotonic() - told > 0.3:
            stage, told = step.stage, time.monotonic()
            values = {
                "stage": step.stage,
                "done": step.done,
                "total": step.total,
                "remaining_seconds": step.remaining_seconds,
            }
            print(json.dumps({"progress": values}), file=sys.stderr, flush=True)

    return drive(steps, see)
