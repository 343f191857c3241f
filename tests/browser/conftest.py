"""Servers that show the app, and a Chromium to look at them with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from app.words.theme import streamlit_options
from munkey_core.audit.audit import code_of
from munkey_core.audit.reports import keep_report
from munkey_core.bundle.forget_sets import forget_set, forget_set_digest
from munkey_core.bundle.read import read_bundle
from tests.app.audit_reports import full, munkey, report
from tests.servers import ROOT, Server, serving
from tests.waiting import PATIENCE

MAIN = ROOT / "app" / "main.py"


@contextmanager
def serve(env: Mapping[str, str] | None = None, script: Path = MAIN) -> Iterator[str]:
    """Run the app, or another Streamlit script in its theme, and yield the URL."""
    with running(env, script) as server:
        yield server.url


def running(
    env: Mapping[str, str] | None = None, script: Path = MAIN
) -> AbstractContextManager[Server]:
    """The same, as a server whose log can be read."""
    return serving(
        *("-m", "streamlit", "run", str(script)),
        *("--server.headless", "true", "--browser.gatherUsageStats", "false"),
        *("--server.address", "127.0.0.1", "--server.fileWatcherType", "none"),
        *("--client.toolbarMode", "viewer"),
        *(f"--{name}={value}" for name, value in streamlit_options().items()),
        port="--server.port",
        env=env,
    )


@pytest.fixture(scope="session", name="running")
def running_fixture() -> Callable[..., AbstractContextManager[Server]]:
    """Hand :func:`running` to tests, which cannot import from a conftest."""
    return running


@pytest.fixture(scope="session", name="serve")
def serve_fixture() -> Callable[..., AbstractContextManager[str]]:
    """Hand :func:`serve` to tests, which cannot import from a conftest."""
    return serve


@pytest.fixture(scope="session")
def fashion_url() -> Iterator[str]:
    """The app with the bundles that are shipped."""
    env = {"MUNKEY_BUNDLES": str(ROOT / "pretrained"), "MUNKEY_BUNDLE": "", "MUNKEY_LESSONS": ""}
    with serve(env) as url:
        yield url


@pytest.fixture(scope="session")
def digits_url(digits_folder: Path) -> Iterator[str]:
    """The app with the digits bundle alone."""
    with serve({"MUNKEY_BUNDLES": str(digits_folder.parent), "MUNKEY_BUNDLE": "digits"}) as url:
        yield url


@pytest.fixture(scope="session")
def reports_url(digits_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with the digits bundle, a full report on 10% at random and one of a single seed on
    one class."""
    bundles = tmp_path_factory.mktemp("bundles-with-reports")
    shutil.copytree(digits_folder, bundles / "digits")
    bundle = read_bundle(bundles / "digits")
    env = {
        "MUNKEY_BUNDLES": str(bundles),
        "MUNKEY_BUNDLE": "digits",
        "MUNKEY_CACHE": str(tmp_path_factory.mktemp("cache-with-reports")),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", env["MUNKEY_CACHE"])
        for name, made in (
            ("random-10pct", full()),
            ("one-class", report(munkey(seeds=1), seeds=[0])),
        ):
            digest = forget_set_digest(forget_set(name, bundle))
            code = code_of(made.models)
            keep_report(bundle, replace(made, forget=name, set_digest=digest, code=code))
    with serve(env) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one Playwright brings; skips where there is none. The one without
    a window of its own first: it takes a quarter less of the cores."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(
                executable_path=path,
                timeout=1000 * PATIENCE,
                # WebGL without a graphics card, for the memory map; the rest is drawn without,
                # which is quicker then.
                args=[
                    *("--no-sandbox", "--disable-dev-shm-usage"),
                    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
                    *("--disable-gpu-rasterization", "--disable-gpu-compositing"),
                ],
            )
        except Error as error:
            if path is not None:
                raise
            pytest.skip(f"no Chromium: {error.message.splitlines()[0]}")
        expect.set_options(timeout=1000 * PATIENCE)
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages, each in a browser context of its own, as if it were another person's; an
    uncaught JavaScript error in any of them fails the test."""
    contexts, errors = [], []

    def new(width: int = 1280, height: int = 720, **options: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(1000 * PATIENCE)
        # Nothing is read that no page may ask for: it would take each page a second of a core.
        context.add_init_script(
            "Object.defineProperty(navigator, 'connection', { value: { saveData: true } });"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield new
    for context in contexts:
        context.close()
    assert not errors, f"uncaught JavaScript errors: {errors}"


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page()


@pytest.fixture
def other(new_page: Callable[..., Page]) -> Page:
    """Another person's browser."""
    return new_page()
