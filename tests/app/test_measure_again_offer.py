"""After an erasure the desk and Compare offer to measure again, and tell how far that is."""

from __future__ import annotations

import dataclasses
import re
import shutil

import pytest
from streamlit.testing.v1 import AppTest

from munkey_core.jobs.queue import JobStatus
from munkey_core.progress import Progress, finish
from munkey_core.studio import Studio
from munkey_core.studio.jobs import Jobs
from tests.app.screen import open_script, text
from tests.servers import ROOT

WENT = "what had been measured with them in the memory went too"
PAGE = """
from app.session import page_url
from app.shared import entrance
from app.shared.basket import sidebar
from app.screens.{name} import page
session = entrance.enter({name!r})
page_url.write(session.groups)
sidebar(session)
page.show()
"""


@pytest.fixture(scope="module")
def erased(tmp_path_factory):
    """A bundle with everything, after an erasure."""
    folder = tmp_path_factory.mktemp("measure-again") / "small"
    shutil.copytree(ROOT / "tests" / "data" / "small", folder)
    studio = Studio.open(str(folder))
    finish(studio.erasure.erase(studio.memory.private_ids()[:3]))
    return folder


@pytest.fixture
def job(monkeypatch):
    """Measuring again that does what a test wants."""

    class Fake:
        status: JobStatus | None = None
        started: list[tuple[str, tuple[str, ...]]]

        def start(self, kind, ids):
            self.started.append((kind, tuple(ids)))
            progress = Progress("the answers of 40 retrained models", 3, 40, 60.0, 740.0)
            self.status = JobStatus(kind, 0, "running", progress, 0.1, mine=True)

    fake = Fake()
    fake.started = []
    real = Jobs.status
    monkeypatch.setattr(Jobs, "start", lambda _, kind, ids, asker: fake.start(kind, ids))
    monkeypatch.setattr(
        Jobs,
        "status",
        lambda jobs, kind, *rest: fake.status if kind == "measure" else real(jobs, kind, *rest),
    )
    return fake


def page(name: str, **query: str) -> AppTest:
    return open_script(PAGE.format(name=name), **query)


def start(app: AppTest):
    return next(b for b in app.button if b.label.startswith("Measure again"))


@pytest.mark.parametrize("name", ["desk", "compare"])
def test_it_is_offered_told_of_and_gone_when_it_is_done(name, show, erased, job, monkeypatch):
    show(erased)
    app = page(name)
    said = text(app)
    assert WENT in said
    assert re.search(r"the answers of \d+ retrained models, who influences whom", said)
    assert start(app).label.startswith("Measure again (about ")
    start(app).click().run()
    assert job.started == [("measure", ())]
    assert "The answers of 40 retrained models, about 12 min left" in text(app)

    monkeypatch.setattr(Jobs, "left_alone", lambda *_: (("measure", ()),))
    away = page("about")
    assert "Measuring again: the answers of 40 retrained models" in text(away)

    monkeypatch.setattr(Jobs, "done", lambda *_: True)
    job.status = dataclasses.replace(job.status, state="done")
    assert "Measuring again: done." in text(away.run())
    assert WENT not in text(page(name))


def test_nothing_is_offered_where_nothing_was_erased(show, job):
    show(ROOT / "tests" / "data" / "small")
    for name in ("desk", "compare"):
        assert WENT not in text(page(name))


def test_a_failure_says_why_and_can_be_tried_again(show, erased, job):
    show(erased)
    job.status = JobStatus("measure", 0, "failed", mine=True, reason="the <disk> is full")
    app = page("desk")
    assert "The measuring failed: the \\<disk\\> is full" in text(app)
    assert next(b for b in app.button if b.label.startswith("Try again"))
