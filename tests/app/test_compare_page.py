"""The Compare page without a browser: report there, partly there, not there, unreadable."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from munkey_core.audit.audit import AuditReport
from munkey_core.errors import BadInputError
from munkey_core.studio.audit import Audit
from tests.app.audit_reports import full, munkey, post_hoc, report
from tests.app.screen import open_script, query, text
from tests.servers import ROOT

pytestmark = pytest.mark.usefixtures("on_digits")


def open_page(monkeypatch, known: AuditReport | None, **query: str) -> AppTest:
    """The page on its own, with this report for whatever is asked."""
    monkeypatch.setattr(Audit, "report", lambda self, ids: known)
    return open_script(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from app.session import link_messages, page_url\n"
        "from app.shared import entrance\n"
        "from app.screens.compare import page as compare\n"
        "session = entrance.enter('compare')\n"
        "page_url.write(session.groups)\n"
        "for line in link_messages.said():\n"
        "    import streamlit as st\n"
        "    st.warning(line)\n"
        "compare.show()\n",
        **query,
    )


def chooser(app: AppTest):
    return app.selectbox(key="munkey-widget:of")


def test_a_canonical_set_is_chosen_at_first_and_told_in_words(monkeypatch):
    app = open_page(monkeypatch, full())
    assert not app.exception
    assert chooser(app).value == "random-10pct"
    assert "10% at random · 30 images" in chooser(app).options
    shown = text(app)
    assert "not enough trainings to tell it from a retrained model" in shown
    assert "**SalUn**" in shown
    assert "not exact unlearning" in shown
    assert "same public anchors" in shown
    assert len(app.get("plotly_chart")) == 2
    assert [b.label for b in app.get("download_button")] == ["Table as CSV", "Report as JSON"]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (report(munkey(seeds=1), seeds=[0]), "With 1 seed nobody knows"),
        (report(munkey(gap=None)), "Nobody has retrained MUNKEY"),
        (report(munkey(gap=0.9, cross=0.95)), "between two retrained models: outside"),
        (report({"SalUn": post_hoc(0.2, 0.3)}), "no figures of MUNKEY"),
        (report({}), "no figures of MUNKEY"),
    ],
)
def test_a_report_that_lacks_something_is_shown_without_it(monkeypatch, known, said):
    app = open_page(monkeypatch, known)
    assert not app.exception
    assert said in text(app)


def test_a_report_without_repair_methods_offers_to_run_them(monkeypatch):
    app = open_page(monkeypatch, report(munkey()))
    assert not app.exception
    assert "No repair method" in text(app)
    assert any(b.label.startswith("Compare now") for b in app.button)


def test_no_report_is_a_state_of_its_own(monkeypatch):
    app = open_page(monkeypatch, None)
    assert not app.exception
    assert "Nothing is known about this set yet" in text(app)
    assert any(b.label.startswith("Compare now") for b in app.button)
    assert not app.get("plotly_chart")


def test_an_unreadable_report_is_said(monkeypatch):
    def broken(self, ids):
        raise BadInputError("this is no audit report")

    app = open_page(monkeypatch, None)
    monkeypatch.setattr(Audit, "report", broken)
    app.run()
    assert not app.exception
    assert "can't be read" in app.error[0].value


def test_into_the_basket_and_the_page_stays_with_the_set(monkeypatch):
    app = open_page(monkeypatch, full(), of="random-5pct")
    app.button(key="into-basket").click().run()
    assert not app.exception
    assert len(query(app)["basket"].split()) == 15
    assert query(app)["of"] == "random-5pct"
    assert chooser(app).value == "random-5pct"
    assert app.button(key="into-basket").disabled


def test_what_was_deleted_comes_first(monkeypatch):
    from app.session import models

    two = models.shared("digits").studio.memory.private_ids()[:2]
    app = open_page(monkeypatch, None, forgotten=" ".join(two))
    assert chooser(app).value == "forgotten"
    assert "Deleted in this session · 2 images" in chooser(app).options
    chooser(app).select("one-class").run()
    assert not app.exception
    assert query(app)["of"] == "one-class"


def test_the_filter_is_in_the_link(monkeypatch):
    app = open_page(monkeypatch, full(), family="post-hoc oracle", sort="-test")
    assert not app.exception
    assert not app.warning
    assert query(app)["family"] == "post-hoc oracle"
    assert query(app)["sort"] == "-test"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sort", "price", "sort must be one of"),
        ("family", "post-hoc wild", "family must be some of"),
        ("of", "everything", "of must be one of"),
    ],
)
def test_a_bad_link_gets_a_message_and_the_default(monkeypatch, name, value, said):
    app = open_page(monkeypatch, full(), **{name: value})
    assert not app.exception
    assert said in app.warning[0].value
    assert name not in query(app)
