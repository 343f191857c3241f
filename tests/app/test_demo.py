"""A read-only demonstration: what is not done there is not drawn, and a calm line says why."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.session import state
from munkey_core.files import limits
from tests.app.screen import open_main

pytestmark = pytest.mark.usefixtures("on_digits")


def open_app(page: str = "", **query: str) -> AppTest:
    app = open_main(**query)
    return app.switch_page(page).run() if page else app


def labels(app: AppTest) -> str:
    return "\n".join([*(b.label for b in app.button), *(e.label for e in app.expander)])


def said(app: AppTest) -> str:
    return "\n".join(str(block.value) for block in [*app.caption, *app.markdown])


@pytest.mark.parametrize("demo", [False, True])
def test_retraining_and_uploads_are_only_drawn_elsewhere(demo, monkeypatch):
    if demo:
        monkeypatch.setenv(limits.DEMO, "1")
    from app.session import models

    id_ = models.shared("digits").studio.memory.private_ids()[0]
    app = open_app(forgotten=id_)
    assert not app.exception
    assert ("Retrain now" in labels(app)) is not demo
    assert ("Try a picture of your own" in labels(app)) is not demo
    assert ("read-only demonstration" in said(app)) is demo
    assert ("Retraining is switched off" in said(app)) is demo
    assert any(b.label.startswith("Undo") for b in app.button)  # what it is for


def test_a_link_cannot_bring_hidden_controls_back(monkeypatch):
    monkeypatch.setenv(limits.DEMO, "1")
    app = open_app(hide="filters")
    assert "Try a picture of your own" not in labels(app)
    assert state.hidden("own")
    assert state.hidden("jobs")
