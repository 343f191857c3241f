"""Text of unknown origin (classes, owners, titles, cards) is shown as it is, on every page:
no tag, no picture and no link is made of it."""

from __future__ import annotations

import dataclasses
import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))

import tiny

from munkey_core.bundle.manifest import CARD, METRICS, read_manifest
from munkey_core.bundle.write import seal, write_bundle
from tests.app.screen import open_script

TAG = "<img src=x onerror=evil()>"
LINK = "[evil](javascript:evil()) ![evil](http://evil.invalid/x.png)"
HOSTILE = f'"{TAG}{LINK}\'"'
PAGES = ("forget", "map", "explain", "privacy", "compare", "about")


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory):
    """A bundle that opens, in which every free text is hostile."""
    whole = tiny.random_bundle()
    dataset = {
        **whole.manifest.dataset,
        "title": HOSTILE,
        "licence": HOSTILE,
        "attribution": HOSTILE,
        "classes": [f"{name}{HOSTILE}" for name in tiny.CLASSES],
    }
    provenance = {**whole.manifest.provenance, "device": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    manifest = dataclasses.replace(whole.manifest, dataset=dataset, provenance=provenance)
    records = tuple(
        dataclasses.replace(record, owner=f"{record.owner}{HOSTILE}" if record.owner else "")
        for record in whole.records
    )
    bundle = dataclasses.replace(whole, manifest=manifest, records=records)
    folder = tmp_path_factory.mktemp("hostile") / "hostile"
    write_bundle(bundle, folder, {CARD: f"# {HOSTILE}\n\n{HOSTILE}\n"})
    tuning = {"n_forget": 3, "methods": {HOSTILE: {"settings": {}, "search": []}}}
    (folder / METRICS).write_text(json.dumps({"tuning": tuning}))
    seal(folder, read_manifest(folder)[0])
    return folder


class Tags(HTMLParser):
    """Collects tags that only hostile text could have made."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            elsewhere = name in ("src", "href") and "evil" in (value or "")
            if name.startswith("on") or elsewhere:
                self.found.append(f"{tag} {name}={value}")


SCRIPT = """
from app.session import link_messages, page_url
from app.shared import entrance
from app.shared.basket import sidebar
session = entrance.enter("{page}")
page_url.write(session.groups)
for message in link_messages.said():
    import streamlit as st
    st.warning(message)
sidebar(session)
from app.screens.{page}.page import show
show()
"""


@pytest.mark.parametrize("page", PAGES)
def test_no_page_makes_anything_of_hostile_text(page, hostile_folder, show):
    show(hostile_folder)
    script = SCRIPT.format(page=page)
    link = {
        "basket": "img-00 img-01",
        "forgotten": "img-02",
        "owner": f"owner-1{HOSTILE}"[:100],
        "query": "img-03",
        TAG: LINK,
    }
    app = open_script(script, **link)
    shown = 0
    for element in app.get("html"):
        tags = Tags()
        tags.feed(element.proto.body)
        assert tags.found == [], element.proto.body
        shown += "evil" in element.proto.body
    for block in [*app.markdown, *app.caption, *app.warning, *app.info, *app.error, *app.title]:
        text = str(block.value)
        assert not block.proto.allow_html if hasattr(block.proto, "allow_html") else True
        assert "![" not in text.replace("\\!", "").replace("\\[", ""), text
        shown += "evil" in text
        if page != "about":  # a card may hold links, which Markdown makes harmless
            assert "[evil](" not in text, text
    assert shown, "the hostile text is on this page, as text"
