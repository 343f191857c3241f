"""A job that somebody started is told of on every page, and its end with the way to the result."""

from __future__ import annotations

import dataclasses

import pytest
from streamlit.testing.v1 import AppTest

from app.shared import jobs_note
from munkey_core.jobs.queue import JobStatus
from munkey_core.studio import Studio
from munkey_core.studio.audit import Audit
from munkey_core.studio.jobs import Jobs
from tests.app.audit_reports import munkey, report
from tests.app.screen import open_script, text

pytestmark = pytest.mark.usefixtures("on_digits")

SCRIPT = """
import streamlit as st
from app.session import page_url, pages
from app.shared import entrance, jobs_note
from app.shared.basket import sidebar
from app.screens.about import page as about
from app.screens.compare import page as compare

def turn(page):
    st.session_state["turned"] = page

jobs_note.turn_to = turn
name = st.session_state.get("shown", "compare")
session = entrance.enter(name)
page_url.write(session.groups)
sidebar(session)
{"about": about, "compare": compare}[name].show()
"""


@pytest.fixture
def job(monkeypatch):
    """A job that does what a test wants. ids: what it was started for."""

    class Fake:
        status: JobStatus | None = None
        ids: tuple[str, ...] = ()
        done = False

        def start(self, kind, ids):
            self.ids = tuple(ids)
            self.status = JobStatus(kind, len(ids), "running", mine=True, fraction=0.4)

    fake = Fake()
    known = lambda ids: set(ids) == set(fake.ids)  # noqa: E731
    monkeypatch.setattr(
        Jobs, "status", lambda _, kind, ids, *args: fake.status if known(ids) else None
    )
    monkeypatch.setattr(Jobs, "done", lambda _, kind, ids: fake.done and known(ids))
    monkeypatch.setattr(Jobs, "start", lambda _, kind, ids, asker: fake.start(kind, ids))
    return fake


@pytest.fixture
def basket(digits_bundle):
    return digits_bundle.bank.ids[:2]


def started(basket) -> AppTest:
    """The Compare page on which somebody has started a comparison, who then went elsewhere."""
    app = open_script(SCRIPT, basket=" ".join(basket))
    button(app, "Compare now").click().run()
    app.session_state["shown"] = "about"
    return rerun(app)


def rerun(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def button(app: AppTest, start: str):
    return next(b for b in app.button if b.label.startswith(start))


def labels(app: AppTest) -> list[str]:
    return [b.label for b in app.button]


def test_how_far_it_is_stands_on_other_pages(job, basket):
    app = started(basket)
    assert set(job.ids) == set(basket)
    assert "Comparison without 2 images: starting" in text(app)
    assert "Go there" in labels(app)


def test_its_end_is_told_with_the_way_to_the_result(job, basket):
    app = started(basket)
    job.status, job.done = dataclasses.replace(job.status, state="done"), True
    assert "Comparison without 2 images: done." in text(rerun(app))
    app.session_state["munkey:basket"] = ()  # another basket by now
    button(app, "See the result").click().run()
    assert not app.exception
    assert app.session_state["turned"] == "compare"
    assert app.session_state["munkey:of"] == "basket"
    assert set(app.session_state["munkey:basket"]) == set(basket)
    assert "Comparison without" not in text(rerun(app))  # it was seen


def test_after_a_reload_it_is_told_of_again(job, basket, monkeypatch):
    started(basket)
    alone = [("compare", tuple(basket))]
    monkeypatch.setattr(Jobs, "left_alone", lambda *_: tuple(alone))
    reloaded = open_script(SCRIPT.replace('"shown", "compare"', '"shown", "about"'))
    assert "Comparison without 2 images: starting" in text(reloaded)
    alone.clear()  # it is this person's now
    assert "Comparison without 2 images: starting" in text(rerun(reloaded))


@pytest.mark.parametrize("done", [False, True])
def test_a_training_of_own_images_is_told_of_too(monkeypatch, done):
    status = JobStatus("train", 0, "running", mine=True, fraction=0.4)
    monkeypatch.setattr(jobs_note.trainings, "left_alone", lambda: ("my <b>",))
    monkeypatch.setattr(
        jobs_note.trainings,
        "status",
        lambda name: dataclasses.replace(status, state="done") if done else status,
    )
    monkeypatch.setattr(jobs_note.trainings, "ready", lambda name: done)
    app = open_script(SCRIPT)
    said = "Training of my \\<b\\>: " + ("done." if done else "starting")
    assert said in text(app)
    button(app, "See the result" if done else "Go there").click().run()
    assert app.session_state["turned"] == "own"
    assert app.session_state["munkey:training"] == "my <b>"


@pytest.mark.parametrize(
    ("state", "told"), [("failed", "failed.** no room on the disk"), ("cancelled", None)]
)
def test_a_failure_is_told_and_a_cancellation_is_not(job, basket, state, told):
    app = started(basket)
    job.status = dataclasses.replace(job.status, state=state, reason="no room on the disk")
    shown = text(rerun(app))
    assert told is None or told in shown
    assert told is not None or "Comparison without" not in shown


def test_whoever_started_nothing_is_told_nothing(job, basket):
    job.start("compare", basket)
    job.status = dataclasses.replace(job.status, mine=False, others=1)
    app = open_script(SCRIPT, basket=" ".join(basket))
    app.session_state["shown"] = "about"
    assert "Comparison without" not in text(rerun(app))


def test_the_time_is_named_before_the_first_comparison(digits_folder, monkeypatch):
    jobs = Studio.open(str(digits_folder)).jobs
    monkeypatch.setattr(Audit, "main_report", lambda self: None)
    retraining = jobs.seconds("retrain")
    assert jobs.seconds("compare") == (2 * retraining if retraining else None)
    measured = dataclasses.replace(report(munkey()), device="cpu")
    monkeypatch.setattr(Audit, "main_report", lambda self: measured)
    total = sum(figures.unlearn_seconds or 0 for figures in measured.models.values())
    assert total > 0
    assert jobs.seconds("compare") == pytest.approx(total)


def test_each_kind_of_job_has_a_name_and_a_page():
    assert jobs_note._NAMES.keys() == jobs_note._PAGES.keys()
