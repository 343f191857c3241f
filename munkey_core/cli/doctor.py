"""`munkey doctor`: what is here, whether the model answers, what would fail or be slow on stage.

A check is a generator of findings. One that raises is a finding too, and the others go on.
"""

from __future__ import annotations

import errno
import os
import platform
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from typer import Argument

from munkey_core import __version__
from munkey_core.cli.base import answer, command, duration, session, table
from munkey_core.cli.bench import timed
from munkey_core.cli.options import Images, Json, Port
from munkey_core.errors import MunkeyError
from munkey_core.files import limits
from munkey_core.files.cache import cache_folder
from munkey_core.files.in_words import counted
from munkey_core.files.machine import free_disk, free_memory, readable_bytes

if TYPE_CHECKING:
    from munkey_core.studio import Studio

OK, NOTE, FAILS = "ok", "note", "fails"
_LITTLE = 2e9  # bytes of memory or disk
_SLOW_MS = 1000  # a prediction that people wait for

# Settings from the environment: those that name files or folders, numbers, others.
_PATHS = (
    *("MUNKEY_BUNDLES", "MUNKEY_DATA", "MUNKEY_DATA_FOLDERS", "MUNKEY_IMAGES", "MUNKEY_LESSONS"),
    "MUNKEY_SIGNING_KEY",
)
_NUMBERS = ("MUNKEY_JOBS", "MUNKEY_JOB_THREADS")
_LIMITS = tuple(limits.variable(one.name) for one in fields(limits.Limits))
SETTINGS = (*_PATHS, *_NUMBERS, *_LIMITS, "MUNKEY_BUNDLE", "MUNKEY_CACHE", limits.DEMO)

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """What a check found. check: its name. state: OK, NOTE (it works, but look) or FAILS. says: one
    line. facts: plain values for programs."""

    check: str
    state: str
    says: str
    facts: dict[str, Any]


Findings = Iterator[tuple[str, str, dict[str, Any]]]
"""Of one check, which names itself: state, says, facts."""


@dataclass
class Stage:
    """What is to be shown. bundle: a name or a folder. studio: with it, once it has opened."""

    bundle: str
    port: int
    studio: Studio | None = None


@command("munkey doctor", "munkey doctor my-bundle --port 8600")
def doctor(
    bundle: Annotated[str | None, Argument(help="default: the one the app opens first")] = None,
    port: Port = 8501,
    images: Images = None,
    as_json: Json = False,
) -> int:
    """Tell what is here, try the model, and say what would fail or be slow on stage."""
    name = bundle or os.environ.get("MUNKEY_BUNDLE", "").strip() or "fashion"
    found = examine(Stage(name, port))
    failing = list(dict.fromkeys(one.check for one in found if one.state == FAILS))
    document = {"ok": not failing, "bundle": name, "port": port, "checks": list(map(asdict, found))}
    end = f"would fail: {', '.join(failing)}" if failing else "nothing would fail"
    lines = [*table([(one.state, one.says) for one in found], left=2), end]
    return answer(as_json, document, lines, 1 if failing else 0)


def examine(stage: Stage) -> list[Finding]:
    """Everything that there is to find, in order."""
    found = _found(CHECKS, stage)
    return found + (_found(WITH_BUNDLE, stage.studio) if stage.studio else [])


def _found(checks: Sequence[Callable[[T], Findings]], about: T) -> list[Finding]:
    found = []
    for check in checks:
        try:
            for one in check(about):
                found.append(Finding(check.__name__, *one))
        except Exception as error:  # whatever it is: what else there is to say is of use, too
            kind = "" if isinstance(error, MunkeyError) else f"{type(error).__name__}: "
            found.append(Finding(check.__name__, FAILS, " ".join(f"{kind}{error}".split()), {}))
    return found


# -- what is here ------------------------------------------------------------------------------


def versions(stage: Stage) -> Findings:
    """This program, and what the app and the model need."""
    here = {"munkey": __version__, "Python": platform.python_version()}
    for name in ("torch", "torchvision", "streamlit"):
        try:
            here[name] = version(name)
        except PackageNotFoundError:
            yield FAILS, f"{name} is not installed: pip install {name}", {}
    yield OK, ", ".join(f"{name} {number}" for name, number in here.items()), here


def device(stage: Stage) -> Findings:
    """What --device auto takes."""
    import torch

    from munkey_core.training.joint import resolve_device

    chosen = resolve_device("auto")
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else platform.machine()
    facts = {"device": chosen.type, "name": name}
    yield OK, f"PyTorch computes on {chosen.type} ({name})", facts


def machine(stage: Stage) -> Findings:
    """Cores and memory."""
    several = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if several else os.cpu_count() or 1
    memory = free_memory()
    said = "unknown" if memory is None else readable_bytes(memory)
    yield OK, f"cores: {cores}, memory free: {said}", {"cores": cores, "free_memory": memory}
    if memory is not None and memory < _LITTLE:
        yield NOTE, "less than 2 GB of memory free: close other programs", {}


def cache(stage: Stage) -> Findings:
    """The folder where results are kept."""
    folder = cache_folder()
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # another process may just have removed it
            size += path.lstat().st_size
    disk = free_disk(folder)
    facts = {"folder": str(folder), "bytes": size, "free_disk": disk}
    yield OK, f"cache {folder}: {readable_bytes(size)}, disk free: {readable_bytes(disk)}", facts
    if disk < _LITTLE:
        yield NOTE, f"less than 2 GB free on the disk of {folder}", {}


def settings(stage: Stage) -> Findings:
    """$MUNKEY_… that are set: what people can't do then, and what looks like a slip."""
    here = {name: v.strip() for name, v in os.environ.items() if name.startswith("MUNKEY_")}
    here = {name: value for name, value in here.items() if value}
    yield OK, f"settings from the environment: {', '.join(f'${n}' for n in here) or 'none'}", here
    if limits.demo():
        yield NOTE, "demo mode: nothing can be erased, uploaded or trained", {}
    for name, value in here.items():
        if name not in SETTINGS:
            near = get_close_matches(name, SETTINGS, 1)
            yield NOTE, f"${name} is no setting" + (f": ${near[0]}?" if near else ""), {}
        if name in _NUMBERS and not (value.isdecimal() and int(value)):
            yield NOTE, f"${name} should be a whole number from 1 on, got {value}", {}
        for part in value.split(os.pathsep) if name in _PATHS else ():
            path = part.partition("=")[2] or part  # $MUNKEY_IMAGES may say NAME=path
            if path and not Path(path).expanduser().exists():
                yield NOTE, f"${name} names {path}, which is not there", {}
    limits.limits()


def bundles(stage: Stage) -> Findings:
    """Those that can be opened by name."""
    from munkey_core.bundle.manifest import FORMAT_VERSION
    from munkey_core.studio import list_bundles

    found = list_bundles()
    good = [info.name for info in found if not info.problem]
    said = f"bundles: {', '.join(good) or 'none'} (format {FORMAT_VERSION})"
    yield OK, said, {"names": good, "format": FORMAT_VERSION}
    for info in found:
        if info.problem:
            yield NOTE, f"{info.path}: {info.problem}", {"path": info.path}


def port(stage: Stage) -> Findings:
    """Whether a server could listen there."""
    facts = {"port": stage.port}
    with socket.socket() as one:
        if os.name == "posix":  # a server that has just ended is no obstacle
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", stage.port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is taken: another munkey app?" if taken else f"can't be used ({error.strerror}):"
            yield FAILS, f"port {stage.port} {why} use --port", facts
        else:
            yield OK, f"port {stage.port} is free", facts


def bundle(stage: Stage) -> Findings:
    """The one to be shown: every file, read and checked."""
    start = time.perf_counter()
    stage.studio = studio = session(stage.bundle)
    seconds = time.perf_counter() - start
    about, keys = studio.about, studio.memory.keys_total
    said = (
        f"bundle {about.name}: {counted(keys, 'key')}, {about.mode} mode; opened in {seconds:.1f} s"
    )
    yield OK, said, {"digest": about.digest, "modes": list(about.modes), "seconds": seconds}


CHECKS = (versions, device, machine, cache, settings, bundles, port, bundle)


# -- what is shown -----------------------------------------------------------------------------


def pictures(studio: Studio) -> Findings:
    """Those of the bundle."""
    status = studio.pictures.find()
    facts = {"state": status.state, "place": status.place}
    if status.ready:
        yield OK, f"pictures: {status.place or 'in the bundle'}", facts
    else:
        yield FAILS, f"the bundle carries no pictures: {status.problem}", facts


def prediction(studio: Studio) -> Findings:
    """One image, from its file to the answer."""
    if studio.pictures.status.ready:
        id_ = studio.memory.test_ids()[0]
        took = timed(lambda: studio.predict([id_]))
        slow = ": slow; is the machine busy?" if took > _SLOW_MS else ""
        said = f"{id_} predicted in {took:.1f} ms{slow}"
        yield NOTE if slow else OK, said, {"id": id_, "milliseconds": took}


def deletion(studio: Studio) -> Findings:
    """One key, and back."""
    id_ = studio.memory.private_ids()[0]
    there, back = timed(lambda: studio.forget([id_])), timed(studio.undo)
    facts = {"id": id_, "milliseconds": there, "undo_milliseconds": back}
    yield OK, f"{id_} forgotten in {there:.2f} ms, back in {back:.2f} ms", facts


def retraining(studio: Studio) -> Findings:
    """How long people wait for the model that never saw an image."""
    import torch

    from munkey_core.jobs.job import RETRAIN

    gpu, seconds = torch.cuda.is_available(), studio.jobs.seconds(RETRAIN)
    known = "models are retrained on the CPU; nobody knows how long that takes here"
    if seconds is not None:
        known = f"retraining a model takes about {duration(seconds)} here"
    if not gpu:
        yield NOTE, f"no GPU: {known}", {"seconds": seconds}
    elif seconds is not None:
        yield OK, known, {"seconds": seconds}


WITH_BUNDLE = (pictures, prediction, deletion, retraining)
