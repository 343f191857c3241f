"""A server of the tests' own: started on a free port, waited for, and ended."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Server:
    """url: where it answers. log: all that it has said."""

    url: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def said(self) -> str:
        return os.pread(self.log.fileno(), os.fstat(self.log.fileno()).st_size, 0).decode()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=PATIENCE) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def serving(
    *command: str, port: str = "--port", cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run `python COMMAND PORT NUMBER`, yield the server once it answers, and end it.

    port: the option that takes the number. env: beside the environment of the tests.
    """
    number = free_port()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, *command, port, str(number)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": path, **(env or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        server = Server(f"http://127.0.0.1:{number}", process, log)
        try:
            until(lambda: server.answers() or process.poll() is not None, every=0.1)
            assert process.poll() is None, f"{command} did not start:\n{server.said()[-4000:]}"
            yield server
        finally:
            process.terminate()
            process.wait(PATIENCE)


def free_port() -> int:
    """Where nobody listens; not one of those that the system deals out, which may be gone before
    the server has started."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
