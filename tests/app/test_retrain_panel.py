"""The job's part of the Forget page in each of its states, and the bars when it is done."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from munkey_core.errors import BadInputError, BundleError
from munkey_core.jobs.queue import JobStatus
from munkey_core.progress import Progress
from munkey_core.studio.audit import Audit
from munkey_core.studio.jobs import Jobs
from tests.app import screen
from tests.app.screen import open_main, text

pytestmark = pytest.mark.usefixtures("on_digits")


@pytest.fixture
def two(digits_bundle):
    return digits_bundle.bank.ids[:2]


@pytest.fixture
def jobs(monkeypatch):
    """Makes Studio say what a test wants; remembers what it was asked for."""

    class Asked:
        status = None
        started: tuple = ()
        cancelled: tuple = ()
        seconds: float | None = 130.0

        def start(self, studio, kind, ids, asker):
            self.started = (kind, tuple(ids))
            self.status = JobStatus(kind, len(ids), "running", mine=True)

        def cancel(self, studio, kind, ids, asker, present):
            self.cancelled = (kind, tuple(ids))
            self.status = JobStatus(kind, len(ids), "cancelled", mine=True)

    fake = Asked()
    monkeypatch.setattr(Jobs, "status", lambda studio, *args: fake.status)
    monkeypatch.setattr(Jobs, "seconds", lambda studio, kind: fake.seconds)
    monkeypatch.setattr(Jobs, "start", lambda *args: fake.start(*args))
    monkeypatch.setattr(Jobs, "cancel", lambda *args: fake.cancel(*args))
    return fake


def open_page(*forgotten) -> AppTest:
    return open_main(forgotten=",".join(" ".join(group) for group in forgotten))


def buttons(app: AppTest) -> list[str]:
    return [b.label for b in app.button]


def settled(app: AppTest) -> AppTest:
    """Run again until the deletion's own consequences are known."""
    return screen.settled(app, "get another answer now")


def test_before_any_job_the_page_says_what_is_missing_and_offers_it(jobs, two):
    app = open_page(two)
    assert "**retrained** without these 2 images" in text(app)
    assert "Retrain now (about 2 min)" in buttons(app)
    assert "mk-retrained" not in text(app)
    jobs.seconds = None
    assert "Retrain now" in buttons(open_page(two[:1]))
    assert "**retrained** without this image" in text(open_page(two[:1]))


def test_nothing_is_offered_before_something_is_deleted(jobs):
    app = open_main()
    assert not any("Retrain" in label for label in buttons(app))


def test_it_starts_shows_where_it_is_and_can_be_cancelled(jobs, two):
    app = open_page(two[:1], two[1:])
    app.button(key="job-start-retrain").click().run()
    assert jobs.started == ("retrain", two)
    assert "Starting" in text(app)
    step = Progress("training", 30, 100, 40.0, 62.0)
    jobs.status = JobStatus("retrain", 2, "running", step, 0.4, mine=True)
    app.run()
    assert "Training, about 1 min left" in text(app)
    assert app.get("progress")[0].proto.value == 40
    assert "Goes on while you are elsewhere" in text(app)
    app.button(key="job-cancel-retrain").click().run()
    assert jobs.cancelled == ("retrain", two)
    assert "The retraining was cancelled." in text(app)
    assert "Retrain now (about 2 min)" in buttons(app)


def test_waiting_says_for_how_many(jobs, two):
    jobs.status = JobStatus("retrain", 2, "queued", ahead=2, mine=True)
    app = open_page(two)
    assert "Waiting for 2 other jobs to end" in text(app)
    assert "Cancel" in buttons(app)


def test_somebody_elses_job_is_shown_but_not_ended(jobs, two):
    step = Progress("encoding", 1, 4, 3.0)
    jobs.status = JobStatus("retrain", 2, "running", step, mine=False, others=1)
    app = open_page(two)
    assert "Encoding all images, for 5 s so far" in text(app)
    assert "Somebody else on this server asked for it" in text(app)
    assert "Cancel" not in buttons(app)


def test_a_crash_is_shown_with_its_reason_and_can_be_tried_again(jobs, two):
    reason = "killed by SIGKILL (out of memory?) ![x](http://evil)"
    jobs.status = JobStatus("retrain", 2, "failed", reason=reason, mine=True)
    app = open_page(two)
    said = app.error[0].value
    assert "The retraining failed" in said
    assert "SIGKILL" in said
    assert "![x]" not in said
    assert "Try again (about 2 min)" in buttons(app)
    app.button(key="job-start-retrain").click().run()
    assert jobs.started == ("retrain", two)
    assert not app.error


def test_a_wish_that_is_refused_says_why(jobs, two, monkeypatch):
    def refuse(*args):
        raise BadInputError("4 of your jobs are waiting already")

    monkeypatch.setattr(Jobs, "start", refuse)
    app = open_page(two)
    app.button(key="job-start-retrain").click().run()
    assert "4 of your jobs are waiting already" in app.error[0].value


def test_a_model_without_images_says_so_without_a_button(jobs, two, monkeypatch):
    def no_images(*args):
        raise BundleError("retraining needs the images, and this bundle carries none")

    monkeypatch.setattr(Jobs, "status", no_images)
    app = open_page(two)
    assert "this bundle carries none" in text(app)
    assert not any("Retrain" in label for label in buttons(app))


def known(monkeypatch, ids, answers):
    """Let there be a model retrained without exactly these images."""
    wanted = set(ids)
    monkeypatch.setattr(Jobs, "done", lambda studio, kind, ids: set(ids) == wanted)
    monkeypatch.setattr(Audit, "retrained", lambda studio, ids: answers)


def test_a_known_retrained_model_is_the_third_bar_and_one_sentence(jobs, two, monkeypatch, digits):
    digits.forget(two)
    after = digits.predict(two).probabilities
    # On the first image the same answer; on the second another one, 20 points off on average.
    other = np.roll(after[1], 1)
    answers = dict(zip(two, (after[0], other), strict=True))
    labels = [digits.memory.record(id_).label for id_ in two]
    gap = abs(after[1][labels[1]] - other[labels[1]]) / 2
    known(monkeypatch, two, answers)
    app = settled(open_page(two))
    shown = text(app)
    assert "mk-bar mk-retrained" in shown
    assert "retrained without it" in shown
    assert "gives the same answer on **1 of 2**" in shown
    assert f"differs by {round(100 * gap)} percentage point" in shown
    assert not any("Retrain" in label for label in buttons(app))
    app.button(key="undo-newest").click().run()
    assert "mk-bar mk-retrained" not in text(app)


def test_the_retrained_model_is_the_one_without_all_that_is_deleted(jobs, two, monkeypatch):
    """Not the one without the newest deletion only."""
    even = np.full(10, 0.1, dtype=np.float32)
    known(monkeypatch, two, dict.fromkeys(two, even))
    shown = text(settled(open_page(two[:1], two[1:])))
    assert "retrained without all 2 deleted images" in shown
    assert "mk-bar mk-retrained" in shown
    assert "mk-bar mk-retrained" not in text(settled(open_page(two[1:])))
