"""What every command of `munkey` shares: its parser, its answer, its progress.

Answers go to stdout (with --json exactly one JSON document), progress and notes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

from munkey_core.errors import BadInputError
from munkey_core.types import Progress

T = TypeVar("T")

IDS_HELP = "ids separated by commas, @file.csv, owner:NAME, or a set such as random-10pct"

MODE_HELP = "joint or exact, of a bundle that has both (default: its own)"


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one line."""

    def error(self, message: str) -> NoReturn:
        raise BadInputError(f"{message} (see {self.prog} --help)")


def command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], about: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    parser.add_argument("--json", action="store_true", help="answer with one JSON document")
    parser.set_defaults(command=run)
    return parser


def answer(arguments: argparse.Namespace, document: Any, lines: Iterable[str]) -> int:
    if arguments.json:
        print(json.dumps(document, indent=1))
    else:
        for line in lines:
            print(line)
    return 0


def watch(steps: Iterable[Progress | T]) -> T | None:
    """Show progress on stderr, at most about once a second; return the last other thing."""
    if os.environ.get("MUNKEY_BACKGROUND"):
        return _watch_for_parent(steps)
    result: T | None = None
    shown = ("", -1.0)
    for step in steps:
        if not isinstance(step, Progress):
            result = step
            continue
        last = step.done == step.total
        if step.stage == shown[0] and step.elapsed_seconds - shown[1] < 1 and not last:
            continue
        shown = (step.stage, step.elapsed_seconds)
        left = "" if step.remaining_seconds is None else f", {step.remaining_seconds:.0f} s left"
        detail = "".join(f", {name} {value:.4g}" for name, value in step.detail.items())
        print(f"{step.stage}: {step.done}/{step.total}{left}{detail}", file=sys.stderr, flush=True)
    return result


def _watch_for_parent(steps: Iterable[Progress | T]) -> T | None:
    """Tell progress to jobs.py, as JSON lines on stderr, at most a few a second."""
    result: T | None = None
    stage, told = "", 0.0
    for step in steps:
        if not isinstance(step, Progress):
            result = step
        elif step.stage != stage or step.done == step.total or time.monotonic() - told > 0.3:
            stage, told = step.stage, time.monotonic()
            values = {
                "stage": step.stage,
                "done": step.done,
                "total": step.total,
                "remaining_seconds": step.remaining_seconds,
            }
            print(json.dumps({"progress": values}), file=sys.stderr, flush=True)
    return result
