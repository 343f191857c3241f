"""Background jobs of the app: trainings and maps, each in a process of its own, one after another.

A job is a command of `munkey`. Its result is not handed over: the command leaves it in the cache,
where it is found by what it was made from, so a reload or another server finds it too. The process
is started with MUNKEY_BACKGROUND=1 (see cli.py): it takes the lowest priority, prints progress as
JSON lines on stderr, and ends itself when its stdin closes, that is when this process is gone.
"""

from __future__ import annotations

import atexit
import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.manifest import SPACES
from munkey_core.errors import BadInputError, BundleError, MunkeyError
from munkey_core.explain.map import maps_of
from munkey_core.explain.projection import SEED
from munkey_core.explain.projection import stages as map_stages
from munkey_core.files.cache import cache_folder
from munkey_core.files.limits import limits, refuse_in_demo, variable
from munkey_core.files.typed import checked
from munkey_core.files.untrusted import parse_json
from munkey_core.progress import Progress
from munkey_core.training.retraining import MUNKEY
from munkey_core.training.runs import runs_folder


@dataclass(frozen=True)
class JobStatus:
    """A background job as a page shows it.

    kind: "retrain", "compare", "project" or "train". n_forget: images left out. state: "queued",
    "running", "done", "failed" or "cancelled". progress: the stage and how far it is, with the
    seconds so far and still to come of the whole job (None while they can't be estimated).
    fraction: of the whole job, in [0, 1], 0 while unknown. ahead: jobs that come before a queued
    one. mine: whether the one who asks wanted this job; others: how many others want it and are
    still there. reason: why it failed.
    """

    kind: str
    n_forget: int
    state: str
    progress: Progress | None = None
    fraction: float = 0.0
    ahead: int = 0
    mine: bool = False
    others: int = 0
    seconds: float = 0.0
    reason: str = ""

    @property
    def active(self) -> bool:
        return self.state in ("queued", "running")


Kind = Literal["retrain", "compare", "project", "train"]
RETRAIN: Kind = "retrain"
COMPARE: Kind = "compare"
PROJECT: Kind = "project"
TRAIN: Kind = "train"
KINDS: tuple[Kind, ...] = (RETRAIN, COMPARE, PROJECT)  # those about a bundle that is there

BACKGROUND = "MUNKEY_BACKGROUND"  # what tells a command that it is a job
STARTING = "starting"

_TERM_SECONDS = 3.0
_REMEMBERED = 200  # finished jobs whose end is still told
START_SECONDS = 8.0
# What a map takes on two cores, until this machine has fitted one: to compare a pair of entries, to
# import UMAP, to lay out an entry.
_PAIR_SECONDS = 1e-8
_IMPORT_SECONDS = 10.0
_ENTRY_SECONDS = 1e-3
_LINES = 20

Stages = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Job:
    """What is to be done; equal jobs are one, whoever asks.

    folder: of the bundle. results: the folder of the cache that its result will lie in, named by
    what the result depends on; where the bundle is made, for a job that makes it. ids: sorted; none
    for a job that is about the whole memory. source: of the images that a bundle is made of; a
    bundle's folder alone says which job makes it. mode: of the bundle, "joint" or "exact".
    """

    kind: Kind
    folder: Path
    results: Path
    ids: tuple[str, ...]
    seed: int
    source: str = field(default="", compare=False)
    mode: str = ""


def training_job(source: str, folder: Path) -> Job:
    """The job that makes the bundle `folder` of a person's own images."""
    return Job(TRAIN, folder, making_folder(folder), (), 0, source)


def making_folder(folder: Path) -> Path:
    """Where a bundle is made before it appears as a whole: beside its place, found by no list."""
    return folder.with_name(folder.name + ".making")


def make_job(kind: str, bundle: Bundle, ids: Sequence[str]) -> Job:
    """Raises BundleError if this bundle doesn't have what the job needs, BadInputError for another
    kind or a set that it can't be done with, UnknownIdError."""
    if kind not in KINDS:
        raise BadInputError(f"a job must be one of {', '.join(KINDS)}, got {kind!r}")
    if bundle.folder is None:
        raise BundleError(f"a {kind} job needs a bundle on disk, and this one is only in memory")
    folder = bundle.folder.resolve()
    if kind == PROJECT:
        if ids:
            raise BadInputError(f"a map is fitted to the whole memory, got {len(ids):,} ids")
        return Job(kind, folder, maps_of(bundle.bank).folder(), (), SEED, mode=bundle.mode)
    seed = bundle.manifest.training["seed"]
    left_out = _left_out(bundle, ids)
    return Job(kind, folder, runs_folder(bundle), left_out, seed, mode=bundle.mode)


def _left_out(bundle: Bundle, ids: Sequence[str]) -> tuple[str, ...]:
    """Checked ids for a job that retrains without them."""
    bundle.require_pictures("retraining needs the images")
    bundle.bank.rows(ids)
    wanted = tuple(sorted(set(ids)))
    if not 0 < len(wanted) < len(bundle.bank):
        raise BadInputError(
            "retraining needs at least one image to leave out and one to keep, got "
            f"{len(wanted):,} of {len(bundle.bank):,} to leave out"
        )
    return wanted


def job_command(job: Job, ids: Path) -> list[str]:
    """The command that does a job. ids: a CSV file of its ids."""
    munkey = [sys.executable, "-P", "-m", "munkey_core.cli"]
    if job.kind == TRAIN:
        return [*munkey, "train", "--data", job.source, "--out", str(job.folder), "--json"]
    if job.kind == PROJECT:
        named = ["--seed", str(job.seed), "--mode", job.mode, "--json"]
        return [*munkey, "project", str(job.folder), *named]
    if job.kind == COMPARE:
        named = ["--forget", f"@{ids}", "--mode", job.mode, "--json"]
        return [*munkey, "compare", str(job.folder), *named]
    which = ["--family", MUNKEY, "--seed", str(job.seed)]
    return [*munkey, "retrain", str(job.folder), "--without", f"@{ids}", *which, "--json"]


# -- how long it takes -------------------------------------------------------------------------


def expected_stages(bundle: Bundle, kind: str) -> Stages:
    """Stages of a job and how many seconds each takes here, as far as is known: from the last job
    of this kind, else from how long it took when the bundle was made. Empty if nobody knows."""
    results = maps_of(bundle.bank).folder() if kind == PROJECT else runs_folder(bundle)
    with contextlib.suppress(OSError, MunkeyError):
        path = _stages_file(results, kind)
        return checked(Stages, path.read_bytes(), path.name)
    if kind == PROJECT:
        return ((STARTING, START_SECONDS), *guessed_maps(len(bundle.bank)))
    provenance = bundle.manifest.provenance
    seconds = provenance["seconds"]
    if kind != RETRAIN or "training" not in seconds or provenance.get("device") != "CPU":
        return ()
    return (
        (STARTING, START_SECONDS),
        ("encoding", seconds.get("encoding", 0.0)),
        ("training", seconds["training"]),
        ("predicting", seconds.get("encoding", 0.0)),
    )


def guessed_maps(n: int) -> Stages:
    """Stages of fitting the maps of n entries."""
    guessed: list[tuple[str, float]] = []
    for space, loading in zip(SPACES, (_IMPORT_SECONDS, 0.0), strict=True):
        seconds = _PAIR_SECONDS * n * n, loading + 1, _ENTRY_SECONDS * n
        guessed += zip(map_stages(space), seconds, strict=True)
    return tuple(guessed)


def _stages_file(results: Path, kind: str) -> Path:
    return cache_folder() / "jobs" / f"{kind}-{results.name}.json"


def _keep_stages(job: Job, stages: Stages) -> None:
    if job.kind == TRAIN:  # the next one is of other images, and is timed before it starts
        return
    with contextlib.suppress(OSError, MunkeyError):  # an estimate is not worth an error
        path = _stages_file(job.results, job.kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(stages), encoding="utf-8")


class Clock:
    """How long a job still takes, from the stages it is expected to go through.

    A stage that is not expected leaves the estimate to the stages after the last expected one.
    """

    def __init__(self, expected: Stages, now: float) -> None:
        self._expected = expected
        self._start = now
        self._stages: list[tuple[str, float]] = [(STARTING, now)]  # stage → when it began
        # Seconds left in this stage, in those after it, and when that was estimated.
        self._left: tuple[float, float, float] | None = None
        self._place = 0
        self._fraction = 0.0
        if expected:
            self._left = expected[0][1], sum(seconds for _, seconds in expected[1:]), now

    def step(self, progress: Progress, now: float) -> None:
        """Take in what the job says."""
        if progress.stage != self._stages[-1][0]:
            self._stages.append((progress.stage, now))
        names = [stage for stage, _ in self._expected]
        if progress.stage not in names[self._place :]:
            if not self._expected:
                self._left = None
            return
        self._place = names.index(progress.stage, self._place)
        share = min(1.0, progress.done / max(1, progress.total))
        before = sum(seconds for _, seconds in self._expected[: self._place])
        this = self._expected[self._place][1]
        after = sum(seconds for _, seconds in self._expected[self._place + 1 :])
        planned = before + share * this
        # How much slower than expected it went so far; the start alone says little.
        slower = (now - self._start + this) / (planned + this) if planned + this > 0 else 1.0
        left = slower * (1 - share) * this
        if progress.remaining_seconds is not None:
            left = progress.remaining_seconds
        self._left = left, slower * after, now

    def left(self, now: float) -> float | None:
        """Seconds left of the whole job; None if nobody knows."""
        if self._left is None:
            return None
        this, after, told = self._left
        return max(1.0, this - (now - told)) + after

    def fraction(self, now: float) -> float:
        """Share of the whole job's time that is over; it never falls."""
        left, elapsed = self.left(now), now - self._start
        if left is not None:
            self._fraction = max(self._fraction, elapsed / (elapsed + left))
        return self._fraction

    def elapsed(self, now: float) -> float:
        return now - self._start

    def stages(self, now: float) -> Stages:
        """The stages as they went, each with its seconds."""
        ends = [*(began for _, began in self._stages[1:]), now]
        return tuple(
            (stage, round(end - began, 2))
            for (stage, began), end in zip(self._stages, ends, strict=True)
        )


# -- one job -----------------------------------------------------------------------------------


@dataclass
class _Entry:
    """A job in the queue, and after its end what became of it. Guarded by the queue's lock."""

    job: Job
    expected: Stages
    found: Callable[[], bool]
    askers: set[str]
    clock: Clock
    state: str = "queued"
    progress: Progress | None = None
    process: subprocess.Popen[str] | None = None
    seconds: float = 0.0
    reason: str = ""
    ended: threading.Event = field(default_factory=threading.Event)


class JobQueue:
    """Runs jobs first in, first out, `running` at a time, and for one asker never two at once.

    askers: names of those who want a job; an equal job that is there already is shared, and
    stopped only when the last one who wanted it cancels. command: what to run for a job.
    """

    def __init__(
        self,
        running: int = 1,
        command: Callable[[Job, Path], Sequence[str]] = job_command,
    ) -> None:
        self._running = running
        self._command = command
        self._lock = threading.Lock()
        self._entries: OrderedDict[Job, _Entry] = OrderedDict()
        self._closed = False

    def submit(
        self,
        job: Job,
        asker: str,
        found: Callable[[], bool] = lambda: True,
        expected: Stages = (),
    ) -> None:
        """Ask for a job. One that failed or was cancelled starts anew.

        found: whether the job's result is there, asked when it says that it is done.
        expected: its stages, for the time left. Raises BadInputError if this asker has too many
        jobs waiting, ReadOnlyError in a demonstration.
        """
        refuse_in_demo("training")
        most = limits().jobs
        with self._lock:
            if self._closed:
                raise BadInputError("this server is shutting down: no new job can start")
            entry = self._entries.get(job)
            if entry is not None and entry.state in ("queued", "running"):
                entry.askers.add(asker)
                return
            waiting = [e for e in self._of("queued") if asker in e.askers]
            if len(waiting) >= most:
                raise BadInputError(
                    f"{len(waiting)} of your jobs are waiting already (${variable('jobs')}): "
                    "cancel one, or come back when one is done"
                )
            self._entries.pop(job, None)
            self._entries[job] = _Entry(job, expected, found, {asker}, Clock(expected, 0.0))
            self._forget_old()
            self._start_next()

    def cancel(
        self, job: Job, asker: str, present: Callable[[str], bool] = lambda asker: True
    ) -> None:
        """Take back one's wish for a job. It is stopped if nobody else who is present wants it.

        Returns at once; what the job had begun is removed when its process has ended.
        """
        with self._lock:
            entry = self._entries.get(job)
            if entry is None or entry.state not in ("queued", "running"):
                return
            others = {other for other in entry.askers - {asker} if present(other)}
            entry.askers = others or {asker}  # the last one is told that it was cancelled
            if not others:
                self._stop(entry)
                self._start_next()

    def adopt(self, job: Job, asker: str, present: Callable[[str], bool]) -> None:
        """Make an unfinished job this asker's if nobody who wanted it is there any more: whoever
        reloads a page comes back under another name."""
        with self._lock:
            entry = self._entries.get(job)
            active = entry is not None and entry.state in ("queued", "running")
            if entry is not None and active and not any(map(present, entry.askers)):
                entry.askers = {asker}

    def status(
        self, job: Job, asker: str = "", present: Callable[[str], bool] = lambda asker: True
    ) -> JobStatus | None:
        """Where a job stands; None if nobody has asked for it lately."""
        now = time.monotonic()
        with self._lock:
            entry = self._entries.get(job)
            if entry is None:
                return None
            progress, fraction = None, 0.0
            if entry.state == "running":
                step = entry.progress or Progress(STARTING, 0, 1, 0.0)
                progress = Progress(
                    step.stage,
                    step.done,
                    step.total,
                    entry.clock.elapsed(now),
                    entry.clock.left(now),
                )
                fraction = entry.clock.fraction(now)
            waiting = self._of("queued")
            ahead = 0
            if entry.state == "queued":
                ahead = waiting.index(entry) + len(self._of("running"))
            return JobStatus(
                kind=job.kind,
                n_forget=len(job.ids),
                state=entry.state,
                progress=progress,
                fraction=1.0 if entry.state == "done" else fraction,
                ahead=ahead,
                mine=asker in entry.askers,
                others=sum(1 for other in entry.askers if other != asker and present(other)),
                seconds=entry.seconds,
                reason=entry.reason,
            )

    def asked(self, job: Job) -> Job | None:
        """The equal job that waits or runs, as it was asked for; None if there is none."""
        with self._lock:
            entry = self._entries.get(job)
            active = entry is not None and entry.state in ("queued", "running")
            return entry.job if entry is not None and active else None

    def wait(self, job: Job, seconds: float) -> bool:
        """Wait until a job has ended and all of it is cleaned up; False if that took longer."""
        with self._lock:
            entry = self._entries.get(job)
        return entry is None or entry.ended.wait(seconds)

    def close(self) -> None:
        """Stop everything and take no more jobs; returns when the processes are gone."""
        with self._lock:
            self._closed = True
            stopped = [*self._of("queued"), *self._of("running")]
            for entry in stopped:
                self._stop(entry)
        for entry in stopped:
            entry.ended.wait(2 * _TERM_SECONDS)

    # -- with the lock held ----------------------------------------------------------------------

    def _of(self, state: str) -> list[_Entry]:
        return [entry for entry in self._entries.values() if entry.state == state]

    def _start_next(self) -> None:
        for entry in self._of("queued"):
            busy = self._of("running")
            if len(busy) >= self._running:
                return
            if entry.askers & {asker for other in busy for asker in other.askers}:
                continue
            entry.state = "running"
            entry.clock = Clock(entry.expected, time.monotonic())
            name = f"job-{entry.job.kind}"
            threading.Thread(target=self._run, args=(entry,), name=name, daemon=True).start()

    def _stop(self, entry: _Entry) -> None:
        was, entry.state = entry.state, "cancelled"
        if was == "queued":
            entry.ended.set()
        elif entry.process is not None:  # else its thread is about to start it, and won't
            _signal(entry.process, signal.SIGTERM)
            timer = threading.Timer(_TERM_SECONDS, _kill, (entry, entry.process))
            timer.daemon = True
            timer.start()

    def _forget_old(self) -> None:
        ended = [job for job, e in self._entries.items() if e.state not in ("queued", "running")]
        for job in ended[: max(0, len(self._entries) - _REMEMBERED)]:
            del self._entries[job]

    # -- in the job's own thread -----------------------------------------------------------------

    def _run(self, entry: _Entry) -> None:
        """Run the job's process from start to end, and the next one's after it."""
        reason = "the thread that watched the job broke"
        try:
            reason = self._watch(entry)
            if not reason and not entry.found():
                reason = (
                    "the job ended, but its result isn't there: the bundle on disk may have "
                    "changed since this server opened it"
                )
        except (OSError, ValueError, MunkeyError) as error:
            reason = f"the job could not be run: {error}"
        finally:
            now = time.monotonic()
            with self._lock:
                entry.process = None
                entry.seconds = entry.clock.elapsed(now)
                if entry.state == "running":
                    entry.state = "failed" if reason else "done"
                    entry.reason = reason
                done = entry.state == "done"
                self._start_next()
            if done:
                _keep_stages(entry.job, entry.clock.stages(now))
            entry.ended.set()

    def _watch(self, entry: _Entry) -> str:
        """Run the job's process; why it failed, empty if it didn't."""
        ids = _write_ids(entry.job.ids)
        process = None
        lines: list[str] = []
        try:
            with self._lock:
                if entry.state != "running":
                    return ""
                process = entry.process = _start(self._command(entry.job, ids))
            for line in process.stderr or ():
                step = _progress(line)
                if step is None:
                    lines = [*lines[1 - _LINES :], line.strip()] if line.strip() else lines
                    continue
                ids.unlink(missing_ok=True)  # whoever makes progress has read it
                with self._lock:
                    entry.progress = step
                    entry.clock.step(step, time.monotonic())
            return _reason(process.wait(), lines)
        finally:
            ids.unlink(missing_ok=True)
            if process is not None:
                if process.poll() is None:  # this thread failed, not the job
                    _kill(entry, process)
                for stream in (process.stdin, process.stderr):
                    if stream is not None:
                        stream.close()
                _remove_partial(entry.job, process.pid)


@cache
def machine_queue() -> JobQueue:
    """The one queue of this process; its jobs end with it. $MUNKEY_JOBS: how many run at once."""
    wanted = os.environ.get("MUNKEY_JOBS", "1")
    queue = JobQueue(running=int(wanted) if wanted.isdigit() and int(wanted) > 0 else 1)
    atexit.register(queue.close)
    return queue


def _write_ids(ids: Sequence[str]) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", prefix="munkey-job-", suffix=".csv", delete=False, encoding="utf-8", newline=""
    ) as file:
        writer = csv.writer(file)
        writer.writerow(["id"])
        writer.writerows([id_] for id_ in ids)
    return Path(file.name)


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # never written to: its end tells the job that we are gone
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=_environment(os.environ),
        start_new_session=True,
    )


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """The server's environment with all cores for the job: it only gets what pages leave over."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, own.get("PYTHONPATH", "")]))
    cores = str(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    return {
        **own,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": own.get("MUNKEY_JOB_THREADS", str(cores)),
        # A thread that waits for another one must not spin: the core it spins on is a page's.
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUNBUFFERED": "1",
        BACKGROUND: "1",
    }


def _signal(process: subprocess.Popen[str], which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, which)
        else:
            process.terminate()


def _kill(entry: _Entry, process: subprocess.Popen[str]) -> None:
    if not entry.ended.is_set():  # as long as anything of its group is left, it isn't
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def _progress(line: str) -> Progress | None:
    """A line of progress; None for any other line."""
    if not line.startswith('{"progress"'):
        return None
    try:
        values = parse_json(line.encode(), "progress")["progress"]
        return checked(Progress, {"elapsed_seconds": 0.0, **values}, "progress")
    except (TypeError, BadInputError):
        return None


def _reason(code: int, lines: Sequence[str]) -> str:
    if code == 0:
        return ""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return lines[-1].removeprefix("munkey: ") if lines else f"it ended with exit code {code}"


def _remove_partial(job: Job, pid: int) -> None:
    """What a process that was killed had begun to write into the cache, or of a bundle."""
    if job.kind == TRAIN:
        shutil.rmtree(job.results, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        for path in job.results.glob(f"*.{pid}.writing"):
            path.unlink(missing_ok=True)
