"""The Privacy page without a browser, on the digits bundle: whose privacy, which attack, what if
there is nothing to hold it against."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.app import screen
from tests.app.screen import open_script, query, text
from tests.servers import ROOT
from tests.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("on_digits")
PAGE = (
    "import sys\n"
    f"sys.path.insert(0, {str(ROOT)!r})\n"
    "from app.session import page_url\n"
    "from app.shared import entrance\n"
    "from app.shared.basket import sidebar\n"
    "from app.screens.privacy import page as privacy\n"
    "session = entrance.enter('privacy')\n"
    "page_url.write(session.groups)\n"
    "sidebar(session)\n"
    "privacy.show()\n"
)


@pytest.fixture
def some(digits):
    return list(digits.memory.private_ids()[:40])


def open_page(**query) -> AppTest:
    return open_script(PAGE, **query)


def settled(app: AppTest, wanted: str = "All attacks") -> AppTest:
    return screen.settled(app, wanted)


def subject(app: AppTest) -> str:
    return app.selectbox(key="munkey-widget:of").value


def test_with_nothing_picked_a_canonical_set_is_offered():
    app = settled(open_page())
    assert subject(app) == "random-10pct"
    shown = text(app)
    assert "Shown one of the 30 images" in shown
    assert "times in 100" in shown
    assert "No retrained model yet" in shown
    assert app.button(key="job-start-retrain").label.startswith("Retrain now")
    assert "LiRA online, LiRA offline, RMIA (before deletion, after deletion): needs" in shown
    assert "reference models: none" in shown
    assert "In the memory:" in shown
    assert app.selectbox(key="munkey-widget:attack").value == "true-class probability"


def test_deleted_images_come_before_the_basket_and_the_basket_before_a_set(some):
    app = settled(open_page(basket=" ".join(some[:2])))
    assert subject(app) == "basket"
    assert "one of the 2 picked images" in text(app)
    assert "the intervals are rough" in text(app)
    app = settled(open_page(basket=some[0], forgotten=" ".join(some[1:])))
    assert subject(app) == "forgotten"
    assert "one of the 39 deleted images" in text(app)
    app = settled(open_page(forgotten=some[0]))
    assert "the deleted image and one image" in text(app)
    assert "no interval: a single image" in text(app)


def test_controls_live_in_the_link():
    app = settled(open_page())
    app.selectbox(key="munkey-widget:attack").select("entropy").run()
    app.selectbox(key="munkey-widget:of").select("one-class").run()
    settled(app)
    app.get("button_group")[0].set_value("tpr1").run()
    settled(app)
    assert query(app)["attack"] == "entropy"
    assert query(app)["of"] == "one-class"
    again = settled(open_page(attack="entropy", of="one-class", figure="tpr01"))
    assert subject(again) == "one-class"
    assert "at least 1,000 non-members" in text(again)


@pytest.mark.parametrize(
    ("name", "value"), [("attack", "magic"), ("of", "nobody"), ("figure", "wild")]
)
def test_a_bad_link_gets_the_default(name, value):
    app = settled(open_page(**{name: value}))
    assert name not in query(app)
    assert any(name in line for line in app.session_state["munkey-messages"])


def test_an_attack_that_cannot_be_computed_says_why_and_shows_no_number():
    app = settled(open_page(attack="RMIA"))
    assert "could not be computed: needs reference models" in app.error[0].value
    assert "times in 100</b>" not in text(app)


def test_everything_is_there_once_models_were_retrained(monkeypatch, some, digits_bundle):
    import numpy as np

    from munkey_core.audit.evidence import Evidence
    from munkey_core.training.retraining import in_reference
    from munkey_core.training.shipped import References

    def references(self, family, at_most=256):
        n = len(self.private_labels) + len(self.test_labels)
        member = np.stack([in_reference(k, n).numpy() for k in range(4)])
        rng = np.random.default_rng(0)
        return References(np.clip(0.6 + 0.2 * member + rng.normal(0, 0.05, (4, n)), 0, 1), member)

    monkeypatch.setattr(Evidence, "references", references)
    monkeypatch.setattr(Evidence, "retrained", lambda self, *_, **__: self.original())
    app = settled(open_page(forgotten=" ".join(some)))
    shown = text(app)
    assert app.selectbox(key="munkey-widget:attack").value == "LiRA online"
    assert "with a model that was never trained on them" in shown
    assert "No retrained model yet" not in shown
    assert "Null band:" in shown
    assert "K = 4 of MUNKEY" in shown
    assert "LiRA online" in shown


def test_a_failure_and_a_stop_are_shown_and_can_be_tried_again(monkeypatch, some):
    from munkey_core.errors import BundleError
    from munkey_core.studio.privacy import Privacy

    def fails(self, ids):
        raise BundleError("this bundle carries no images")

    real = Privacy.run
    monkeypatch.setattr(Privacy, "run", fails)
    app = settled(open_page(forgotten=some[0]), "could not be worked out")
    assert "carries no images" in app.error[0].value.replace("\\", "")
    monkeypatch.setattr(Privacy, "run", real)
    app.button(key="again-attacks").click().run()
    settled(app)


def test_a_job_that_crashes_or_is_stopped_says_so():
    import threading

    from app.session.background import Background
    from munkey_core.progress import Progress

    def crash():
        yield Progress("attacks", 0, 1, 0.0)
        raise ZeroDivisionError("by nobody")

    hook, threading.excepthook = threading.excepthook, lambda args: None
    try:
        job = Background(crash, "crash")
        job.wait(PATIENCE)
    finally:
        threading.excepthook = hook
    assert job.finished
    assert job.result is None
    assert job.error == "ZeroDivisionError: by nobody"

    go = threading.Event()

    def slow():
        yield Progress("attacks", 0, 2, 0.0)
        go.wait(PATIENCE)
        yield Progress("attacks", 1, 2, 0.0)
        raise AssertionError("it went on")

    job = Background(slow, "slow")
    job.stop()
    go.set()
    job.wait(PATIENCE)
    assert job.finished
    assert job.stopped
    assert not job.error
