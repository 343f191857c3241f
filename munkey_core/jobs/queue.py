"""Background jobs of the app: trainings and maps, each in a process of its own, one after another.

A job is a command of `munkey`. Its result is not handed over: the command leaves it in the cache,
where it is found by what it was made from, so a reload or another server finds it too. The process
is started with MUNKEY_BACKGROUND=1 (see `cli`): it takes the lowest priority, prints progress as
JSON lines on stderr, and ends itself when its stdin closes, that is when this process is gone.
"""

import atexit
import os
import signal
import subprocess
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from munkey_core.errors import BadInputError, MunkeyError
from munkey_core.files.limits import limits, refuse_in_demo, variable
from munkey_core.jobs.job import Job, job_command
from munkey_core.jobs.process import progress_of, reason_of, remove_partial, send, start, write_ids
from munkey_core.jobs.time_left import STARTING, Clock, Stages, keep_stages
from munkey_core.progress import Progress


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


_TERM_SECONDS = 3.0
_REMEMBERED = 200  # finished jobs whose end is still told
_LINES = 20


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
        self, running: int = 1, command: Callable[[Job, Path], Sequence[str]] = job_command
    ) -> None:
        self._running = running
        self._command = command
        self._lock = threading.Lock()
        self._entries: OrderedDict[Job, _Entry] = OrderedDict()
        self._closed = False

    def submit(
        self, job: Job, asker: str, found: Callable[[], bool] = lambda: True, expected: Stages = ()
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

    def active(self) -> tuple[Job, ...]:
        """The jobs that wait or run."""
        with self._lock:
            return tuple(entry.job for entry in (*self._of("running"), *self._of("queued")))

    def left_alone(self, present: Callable[[str], bool]) -> tuple[Job, ...]:
        """The jobs that wait or run, and that nobody who is present wants."""
        with self._lock:
            return tuple(
                entry.job
                for entry in (*self._of("running"), *self._of("queued"))
                if not any(map(present, entry.askers))
            )

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
            send(entry.process, signal.SIGTERM)
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
                keep_stages(entry.job, entry.clock.stages(now))
            entry.ended.set()

    def _watch(self, entry: _Entry) -> str:
        """Run the job's process; why it failed, empty if it didn't."""
        ids = write_ids(entry.job.ids)
        process = None
        lines: list[str] = []
        try:
            with self._lock:
                if entry.state != "running":
                    return ""
                process = entry.process = start(self._command(entry.job, ids))
            for line in process.stderr or ():
                step = progress_of(line)
                if step is None:
                    lines = [*lines[1 - _LINES :], line.strip()] if line.strip() else lines
                    continue
                ids.unlink(missing_ok=True)  # whoever makes progress has read it
                with self._lock:
                    entry.progress = step
                    entry.clock.step(step, time.monotonic())
            return reason_of(process.wait(), lines)
        finally:
            ids.unlink(missing_ok=True)
            if process is not None:
                if process.poll() is None:  # this thread failed, not the job
                    _kill(entry, process)
                for stream in (process.stdin, process.stderr):
                    if stream is not None:
                        stream.close()
                remove_partial(entry.job, process.pid)


@cache
def machine_queue() -> JobQueue:
    """The one queue of this process; its jobs end with it. $MUNKEY_JOBS: how many run at once."""
    wanted = os.environ.get("MUNKEY_JOBS", "1")
    queue = JobQueue(running=int(wanted) if wanted.isdigit() and int(wanted) > 0 else 1)
    atexit.register(queue.close)
    return queue


def _kill(entry: _Entry, process: subprocess.Popen[str]) -> None:
    if not entry.ended.is_set():  # as long as anything of its group is left, it isn't
        send(process, getattr(signal, "SIGKILL", signal.SIGTERM))
