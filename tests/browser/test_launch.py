"""`munkey app`, as a person starts and ends it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as reply:
            return reply.status == 200
    except OSError:
        return False


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_it_opens_the_default_bundle_from_any_folder_and_ends_when_it_is_told_to(
    page, port, tmp_path
):
    # A stranger's `app` in the current folder must not be taken for ours.
    (tmp_path / "app.py").write_text("raise SystemExit('not this one')")
    environment = {**os.environ, "MUNKEY_BUNDLES": "", "MUNKEY_BUNDLE": ""}
    server = subprocess.Popen(
        [sys.executable, "-m", "munkey_core.cli", "app", "--headless", "--port", str(port)],
        cwd=tmp_path,
        env=environment,
    )
    try:
        assert wait_until(lambda: answers(port))
        page.goto(f"http://127.0.0.1:{port}")
        page.get_by_role("option").nth(10).wait_for()
        assert page.get_by_text("10,000 of 10,000 keys in memory").is_visible()
        assert page.get_by_text("Deploy").count() == 0
    finally:
        server.terminate()
        server.wait(20)
    assert wait_until(lambda: not answers(port), seconds=5)
