"""What every command of `munkey` shares: the list it stands in, its answer, its progress."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from munkey_core.progress import Progress, Steps, T, drive, finish

if TYPE_CHECKING:
    from munkey_core.bundle.bundle import Bundle
    from munkey_core.studio import Studio

Command = TypeVar("Command", bound=Callable[..., int])

# Plain text, without colours and frames: it must be readable on every console.
commands = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def command(*examples: str) -> Callable[[Command], Command]:
    """Make a function one of the commands. It goes by the function's name, its help is the
    docstring, at the end of which stand examples: whole command lines. It returns the exit code."""

    def add(run: Command) -> Command:
        added = commands.command(short_help=run.__doc__, epilog=examples_text(examples))
        return added(run)

    return add


def examples_text(examples: Sequence[str]) -> str | None:
    """The end of a help page, for typer: \\b keeps lines as they are."""
    return "\n".join(["\b", "examples:", *(f"  {line}" for line in examples)]) if examples else None


def session(name: str) -> Studio:
    """A session with a bundle. Raises BundleError."""
    from munkey_core.studio import Studio

    return Studio.open(name)


def opened(name: str, mode: str = "") -> tuple[Path, Bundle]:
    """The folder of a bundle and what is in it, in a mode that it has (empty: its own). Raises
    BundleError."""
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.read import read_bundle

    folder = find_bundle(name)
    bundle = read_bundle(folder)
    return folder, bundle.in_mode(mode or bundle.mode)


def answer(as_json: bool, document: Any, lines: Iterable[str], code: int = 0) -> int:
    """Print one of the two; return the exit code."""
    for line in [json.dumps(document, indent=1)] if as_json else lines:
        print(line)
    return code


def table(rows: Sequence[Sequence[str]], left: int = 1) -> Iterator[str]:
    """Lines of a table for a terminal. left: so many columns begin at the left, others end at the
    right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        aligned = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(cells)]
        yield "  ".join(aligned).rstrip()


def duration(seconds: float) -> str:
    """`42 s`, `2.3 min`."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def watch(steps: Steps[T]) -> T:
    """Run the work, showing its progress on stderr, at most about once a second; return its
    result."""
    if os.environ.get("MUNKEY_BACKGROUND"):
        return _watch_for_parent(steps)
    return finish(steps, partial(print, file=sys.stderr, flush=True))


def _watch_for_parent(steps: Steps[T]) -> T:
    """Tell progress to `jobs.process`, as JSON lines on stderr, at most a few a second."""
    stage, told = "", 0.0

    def see(step: Progress) -> None:
        nonlocal stage, told
        if step.stage != stage or step.done == step.total or time.monotonic() - told > 0.3:
            stage, told = step.stage, time.monotonic()
            told_of = ("stage", "done", "total", "remaining_seconds")
            values = {name: getattr(step, name) for name in told_of}
            print(json.dumps({"progress": values}), file=sys.stderr, flush=True)

    return drive(steps, see)
