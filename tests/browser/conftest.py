"""A Streamlit script on a free port, and a Chromium to look at it with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from app.words.theme import streamlit_options
from munkey_core.audit.reports import keep_report
from munkey_core.bundle.forget_sets import forget_set, forget_set_digest
from munkey_core.bundle.read import read_bundle
from tests.app.audit_reports import full, munkey, report

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


class Serve(Protocol):
    """The ``serve`` fixture: run a script, get its URL, stop it."""

    def __call__(
        self, script: Path, *args: str, env: Mapping[str, str] | None = None
    ) -> AbstractContextManager[str]: ...


@pytest.fixture(scope="session", name="serve")
def serve_fixture() -> Serve:
    """Hand :func:`serve` to tests, which cannot import from a conftest."""
    return serve


@contextmanager
def serve(script: Path, *args: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a Streamlit script in the app's theme and yield its URL once it answers.

    ``args`` follow the script's name: more Streamlit flags, or ``"--"`` and the script's own.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "streamlit", "run", str(script)),
        *("--server.headless", "true", "--browser.gatherUsageStats", "false"),
        *("--server.address", "127.0.0.1", "--server.port", str(port)),
        *("--server.fileWatcherType", "none", "--client.toolbarMode", "viewer"),
        *(f"--{name}={value}" for name, value in streamlit_options().items()),
        *args,
    ]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, **(env or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _healthy(url):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    pytest.fail(f"{script.name} did not start:\n{log.read()[-4000:]}")
                time.sleep(0.1)
            yield url
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def with_reports(digits_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a server that shows digits, with a full report on 10% at random and one of
    a single seed on one class."""
    bundles = tmp_path_factory.mktemp("bundles-with-reports")
    shutil.copytree(digits_folder, bundles / "digits")
    bundle = read_bundle(bundles / "digits")
    cache = tmp_path_factory.mktemp("cache-with-reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", str(cache))
        for name, made in (
            ("random-10pct", full()),
            ("one-class", report(munkey(seeds=1), seeds=[0])),
        ):
            digest = forget_set_digest(forget_set(name, bundle))
            keep_report(bundle, replace(made, forget=name, set_digest=digest))
    return {
        "MUNKEY_BUNDLES": str(bundles),
        "MUNKEY_BUNDLE": "digits",
        "MUNKEY_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one Playwright brings; skips where there is none."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(
                executable_path=path,
                # WebGL without a graphics card, for the memory map.
                args=[
                    *("--no-sandbox", "--disable-dev-shm-usage"),
                    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
                ],
            )
        except Error as error:
            if path is not None:
                raise
            pytest.skip(f"no Chromium: {error.message.splitlines()[0]}")
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a browser context of its own; an uncaught JavaScript error fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, f"uncaught JavaScript errors: {errors}"
