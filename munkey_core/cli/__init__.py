"""`munkey …`: a thin skin over Studio and the training line.

Answers go to stdout (with --json exactly one JSON document), progress and notes to stderr.
Exit code 0: done. 1: a check failed. 2: bad input, with a one-line reason on stderr.
What takes long to import is imported by the command that needs it: help and a mistyped option are
answered at once.
"""

import io
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Annotated

import typer

from munkey_core import __version__

# In the order in which the help lists their commands.
from munkey_core.cli import (  # noqa: F401  # isort: skip
    serve,
    show,
    predict,
    forget,
    erase,
    train,
    audit,
    compare,
    oracles,
    maps,
    write,
    verify,
    results,
    experiments,
    bench,
    images,
    kept,
    doctor,
)
from munkey_core.cli.base import commands, examples_text
from munkey_core.errors import BadInputError, MunkeyError

_NICE = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if os.environ.get("MUNKEY_BACKGROUND"):
        _stay_in_the_background()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without θ shows something else
    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    group = typer.main.get_group(commands)
    try:
        try:
            with group.make_context("munkey", list(words)) as context:
                code: int = group.invoke(context)
                return code
        except typer.Exit as end:  # of --help and --version
            return end.exit_code
        except typer.TyperException as error:
            message = " ".join(error.format_message().split()).rstrip(".")
            which = f"munkey {words[0]}" if words[0] in group.commands else "munkey"
            raise BadInputError(
                f"{message[:1].lower()}{message[1:]} (see {which} --help){_dashed(words)}"
            ) from error
    except BrokenPipeError:
        # Whoever read our output has left (`munkey bundles | head -1`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MunkeyError, OSError) as error:  # OSError: a full disk, a folder that can't be written
        print(f"munkey: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("munkey: interrupted; what was finished is kept", file=sys.stderr)
        return 130


def _dashed(words: Sequence[str]) -> str:
    """What helps whose image begins with a dash: it is taken for an option."""
    options = words[: words.index("--")] if "--" in words else words
    image = next((w for w in options if re.match(r"-[^-].*[/.\\]", w)), None)
    return "" if image is None else f"; a name that begins with - goes after --: -- {image}"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"munkey {__version__}")
        raise typer.Exit


@commands.callback(
    epilog=examples_text(
        [
            "munkey app                                   open the app",
            "munkey forget fashion random-1pct            what 100 keys less would change",
            "munkey train --data photos --out my-bundle   a model of your own images",
        ]
    )
)
def munkey(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="tell it and end")
    ] = False,
) -> None:
    """Watch a model forget: delete an image's key from a memory-augmented transformer, see what
    changes, and hold it against a model that never saw the image.

    `munkey COMMAND --help` says more of each command.
    """


def _stay_in_the_background() -> None:
    """For a job of the app (MUNKEY_BACKGROUND=1): leave the cores to whoever else wants them, and
    end when stdin does, because then the app is gone."""
    if hasattr(os, "nice"):
        os.nice(max(0, _NICE - os.nice(0)))

    def end_with_parent() -> None:
        while os.read(0, 1024):  # not sys.stdin: its lock must be free when this process ends
            pass
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
