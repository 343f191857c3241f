"""The process of a job: started, listened to, ended, cleaned up after."""

import contextlib
import csv
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from munkey_core.errors import BadInputError
from munkey_core.files.typed import checked
from munkey_core.files.untrusted import parse_json
from munkey_core.jobs.job import TRAIN, Job
from munkey_core.progress import Progress

BACKGROUND = "MUNKEY_BACKGROUND"  # what tells a command that it is a job


def write_ids(ids: Sequence[str]) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", prefix="munkey-job-", suffix=".csv", delete=False, encoding="utf-8", newline=""
    ) as file:
        writer = csv.writer(file)
        writer.writerow(["id"])
        writer.writerows([id_] for id_ in ids)
    return Path(file.name)


def start(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # never written to: its end tells the job that we are gone
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment(os.environ),
        start_new_session=True,
    )


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The server's environment with all cores for the job: it only gets what pages leave over."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, own.get("PYTHONPATH", "")]))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        **own,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": own.get("MUNKEY_JOB_THREADS", str(cores)),
        # A thread that waits for another one must not spin: the core it spins on is a page's.
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUNBUFFERED": "1",
        BACKGROUND: "1",
    }


def send(process: subprocess.Popen[str], which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, which)
        else:
            process.terminate()


def progress_of(line: str) -> Progress | None:
    """A line of progress; None for any other line."""
    if not line.startswith('{"progress"'):
        return None
    try:
        values = parse_json(line.encode(), "progress")["progress"]
        return checked(Progress, {"elapsed_seconds": 0.0, **values}, "progress")
    except (TypeError, BadInputError):
        return None


def reason_of(code: int, lines: Sequence[str]) -> str:
    if code == 0:
        return ""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return lines[-1].removeprefix("munkey: ") if lines else f"it ended with exit code {code}"


def remove_partial(job: Job, pid: int) -> None:
    """What a process that was killed had begun to write into the cache, or of a bundle."""
    if job.kind == TRAIN:
        shutil.rmtree(job.results, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        for path in job.results.glob(f"*.{pid}.writing"):
            path.unlink(missing_ok=True)
