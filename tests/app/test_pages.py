"""The pages run without a browser: pick, delete, undo, and whatever a link may say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from munkey_core.audit.leak import BackboneLeak
from munkey_core.studio.audit import Audit
from tests.app.audit_reports import munkey, report
from tests.app.screen import open_main, open_script, query, settled, text, watch
from tests.servers import ROOT
from tests.shipped import PRETRAINED, needs_fashion
from tests.waiting import PATIENCE

ID = "train-14265"

pytestmark = [needs_fashion, pytest.mark.usefixtures("on_fashion")]


def ids(n: int) -> list[str]:
    """Some ids that have a key, from the app's own first page."""
    from app.session import models
    from munkey_core.results import Browse

    return list(models.shared("fashion").studio.browse(Browse(sample=n)))


def button(app: AppTest, start: str):
    return next(b for b in app.button if b.label.startswith(start))


def test_the_first_screen_says_what_to_do():
    app = open_main()
    assert not app.exception
    assert app.title[0].value == "Watch a model forget"
    assert button(app, "Delete").disabled
    assert query(app) == {}
    button(app, "Pick the image").click().run()
    assert not app.exception
    assert button(app, "Delete 1 key").disabled is False
    assert "basket" in query(app)


def test_delete_shows_before_and_after_and_undo_takes_it_back():
    two = ids(2)
    app = open_main(basket=" ".join(two))
    assert "true class" in text(app)
    button(app, "Delete 2 keys").click().run()
    assert not app.exception
    settled(app, "get another answer now")
    shown = text(app)
    assert "2 keys deleted in" in shown
    assert "mk-after" in shown
    assert "of 9,998" in shown
    assert "What remains" in shown
    assert query(app)["forgotten"] == " ".join(two)
    assert "basket" not in query(app)
    app.button(key="undo-newest").click().run()
    assert not app.exception
    assert "mk-after" not in text(app)
    assert "Its key is back." in text(app)
    assert query(app)["basket"] == " ".join(two)
    assert "forgotten" not in query(app)


def test_a_link_repeats_the_deletions_one_by_one():
    a, b, c = ids(3)
    app = open_main(forgotten=f"{a} {b},{c}")
    assert "9,997 of 10,000 keys" in text(app)
    assert "1 key deleted in" in text(app)
    assert query(app)["forgotten"] == f"{a} {b},{c}"
    app.button(key="undo-0").click().run()
    assert query(app)["forgotten"] == c
    assert "1 key deleted in" in text(app)
    assert "9,999 of 10,000 keys" in text(app)


def test_a_long_basket_travels_by_digest():
    many = ids(300)
    app = open_main(basket=" ".join(many))
    digest = query(app)["basket"]
    assert digest.startswith("@")
    again = open_main(basket=digest)
    assert button(again, "Delete 300 keys")
    assert not again.warning


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("bundle", "../../etc/passwd", "bundle must be the name of a model"),
        ("bundle", str(PRETRAINED / "fashion"), "bundle must be the name of a model"),
        ("show", "wild", "show must be one of"),
        ("class", "99", "class must be class numbers from 0 to 9"),
        ("owner", "nobody", "owner must be an owner in this bundle"),
        ("n", "1e9", "n must be a whole number"),
        ("seed", "-1", "seed must be a whole number"),
        ("page", "zero", "page must be a whole number"),
        ("basket", "<script>alert(1)</script>", "1 of 1 ids name no image with a key"),
        ("basket", "![x](http://evil/x.png)", "1 of 1 ids name no image with a key"),
        ("basket", "test-00001", "1 of 1 ids name no image with a key"),
        ("forgotten", "nobody,'; DROP TABLE keys", "ids name no image with a key"),
        ("forgotten", "@0123456789", "no longer holds"),
        ("wat", "1", "unknown part"),
    ],
)
def test_a_bad_link_gets_one_message_and_the_default(name, value, said):
    app = open_main(**{name: value})
    assert not app.exception
    assert len(app.warning) == 1
    assert said in app.warning[0].value.replace("\\", "")
    assert "<script>" not in app.warning[0].value
    assert "![x](" not in app.warning[0].value
    assert app.title[0].value == "Watch a model forget"
    assert query(app) == {}
    button(app, "Pick the image").click().run()
    assert not app.warning


def test_a_page_beyond_the_last_shows_the_last():
    app = open_main(page="99999")
    assert not app.exception
    assert "Page 500 of 500" in text(app)


def test_no_bundle_at_all_is_said_in_words(monkeypatch):
    monkeypatch.setenv("MUNKEY_BUNDLE", "no-such-model")
    app = open_main()
    assert not app.exception
    assert app.title[0].value == "No model to show"


def test_two_sessions_do_not_see_each_other():
    one, two = open_main(basket=ID), open_main(basket=ID)
    button(one, "Delete 1 key").click().run()
    two.run()
    assert "9,999 of 10,000 keys" in text(one)
    assert "10,000 of 10,000 keys" in text(two)


def test_filters_change_the_gallery_and_the_url():
    app = open_main(page="3")
    app.selectbox(key="munkey-widget:show").select("random").run()
    assert query(app)["show"] == "random"
    assert "page" not in query(app)
    app.multiselect(key="munkey-widget:class").select(1).run()
    assert query(app)["class"] == "1"
    app.text_input(key="munkey-widget:find").input("no such id").run()
    assert not app.exception
    assert button(app, "Delete keys")


def test_checking_that_was_stopped_is_not_taken_for_running():
    from app.session import models
    from app.session.consequences import Consequences

    studio = models.shared("fashion").studio.session()
    studio.forget(ids(200))
    job = Consequences(studio, studio.memory.history)
    job.stop()
    job.wait(PATIENCE)
    assert job.finished
    assert job.stopped
    assert job.side_effects is None


def test_stopping_early_shows_what_is_known_by_then(monkeypatch):
    from app.session.consequences import Consequences

    def first_chunk_only(job):
        job.changes.extend(job._studio.changes(job._own, job.deletion.ids[:64]))
        job.stopped = True

    monkeypatch.setattr(Consequences, "_predict_deleted", first_chunk_only)
    app = open_main(forgotten=" ".join(ids(200)))
    watch(app, lambda: app.info)
    assert "64 of 200 deleted images were checked, and none of the others" in app.info[0].value
    assert "of 64 forgotten images" in text(app)


def test_the_best_known_of_many_picked_images_is_shown_first():
    from app.session import models
    from munkey_core.results import Browse

    app = open_main(**{"class": "6", "show": "random", "n": "12"})
    found = models.shared("fashion").studio.browse(Browse(classes=(6,), order="random", sample=12))
    button(app, "Pick all 12").click().run()
    assert query(app)["basket"].split() == list(found[::-1])


def test_everything_of_an_owner_goes_into_the_basket():
    app = open_main()
    choice = app.selectbox(key="munkey-add-owner")
    owner = choice.options[0].split(" ")[0]
    choice.select(owner).run()
    assert not app.exception
    assert "picked" in text(app)
    assert int(button(app, "Delete").label.split()[1].replace(",", "")) > 1


def test_about_shows_the_card_without_its_head():
    page = open_script(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from app.session import state\n"
        "from app.shared import entrance\n"
        "from app.screens.about import page as about\n"
        "entrance.enter('about')\n"
        "about.show()\n",
    )
    assert not page.exception
    shown = text(page)
    assert "library_name" not in shown
    assert "What is guaranteed, and what is not" in shown
    assert "400 simulated owners" in shown
    assert "Zalando" in shown


@pytest.mark.parametrize(
    ("interval", "wanted"),
    [
        ((-0.12, 1.34), "(95 % interval −0.1 to +1.3): none that"),
        ((0.21, 1.01), "(95 % interval +0.2 to +1.0)."),
        (None, "+0.6 percentage points."),
    ],
)
def test_the_measured_leak_stands_beside_the_result(monkeypatch, interval, wanted):
    backbone = BackboneLeak(0.91, (-0.12, 1.94), 0.3, 0.61, interval)
    measured = report(munkey())
    measured = replace(measured, leak=replace(measured.leak, backbone=backbone))
    monkeypatch.setattr(Audit, "main_report", lambda self: measured)
    shown = text(open_main(forgotten=ID))
    assert "deleting 1,000 images and retraining without them 3 times" in shown
    assert "the difference, +0.6 percentage points" in shown
    assert wanted in shown
    assert ("can tell from zero" in shown) == (interval is not None and interval[0] <= 0)


def test_the_server_may_be_started_with_a_bundle_that_lies_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("MUNKEY_BUNDLE", str(PRETRAINED / "fashion"))
    monkeypatch.setenv("MUNKEY_BUNDLES", str(tmp_path))
    app = open_main(basket=ID)
    assert not app.exception
    assert not app.warning
    assert query(app)["bundle"] == "fashion"
