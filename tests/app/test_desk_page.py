"""The Request desk without a browser, on a copy of a bundle that was never trained: what a request
comes to, what confirms it, what is handed out, and what others see."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.session import erasing
from app.session.background import Background
from munkey_core.bundle.ledger import LedgerEntry, Receipt
from munkey_core.bundle.write import write_bundle
from munkey_core.erasure.request_page import RequestEvidence
from munkey_core.files.cache import cache_folder
from munkey_core.progress import finish
from munkey_core.studio import Studio
from munkey_core.studio.erasure import Erasure
from tests import waiting
from tests.app import screen
from tests.app.screen import open_main, open_script, query, watch
from tests.core import tiny
from tests.servers import ROOT
from tests.waiting import PATIENCE, together

NAME = "tiny-desk"
OWNER = "owner-1"
OWNS = ("img-01", "img-05", "img-09")
PAGE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import streamlit as st
from app.session import link_messages, page_url
from app.shared import entrance
from app.shared.basket import sidebar
from app.shared.changed import bundle_changed
from app.screens.desk import page as desk
from munkey_core.errors import BundleChangedError
try:
    session = entrance.enter('desk')
except BundleChangedError:
    bundle_changed()
else:
    page_url.write(session.groups)
    for line in link_messages.said():
        st.warning(f'{{link_messages.about()}} {{line}}')
    sidebar(session)
    desk.show()
"""


@pytest.fixture
def folder(show, tmp_path, monkeypatch):
    """A bundle of one's own, of which two images count as near-copies: one of the owner's, one of
    somebody else's."""
    made = tiny.random_bundle()
    bank = made.bank
    keys = bank.keys.clone()
    keys[2] = keys[1]
    bank = type(bank)(bank.ids, keys, bank.tokens)
    where = tmp_path / "bundles" / NAME
    write_bundle(replace(made, bank=bank, manifest=replace(made.manifest, name=NAME)), where)
    show(where)
    monkeypatch.delenv("MUNKEY_DEMO", raising=False)
    return where


def open_page(**query) -> AppTest:
    return open_script(PAGE, **query)


def text(app: AppTest) -> str:
    return screen.text(app).replace("\\", "")


def until(app: AppTest, wanted: str) -> AppTest:
    watch(app, lambda: wanted in text(app))
    return app


def has(app: AppTest, key: str) -> bool:
    return any(one.key == key for one in app.button)


def erase(app: AppTest, typed: str, reference: str = "") -> AppTest:
    until(app, "These figures go into the report")
    app.text_input(key="munkey-desk-count").input(typed)
    app.text_input(key="munkey-desk-reference").input(reference)
    app.button(key="desk-erase-button").click().run()
    return app


def erase_elsewhere(folder: Path, ids) -> Receipt:
    receipt = finish(Studio.open(str(folder)).erasure.erase(ids))
    assert isinstance(receipt, Receipt)
    return receipt


def upload(app: AppTest, key: str, name: str, data: bytes) -> AppTest:
    app.file_uploader(key=key).set_value((name, data, "text/plain")).run()
    assert not app.exception
    return app


def test_nothing_is_asked_yet(folder):
    app = open_page()
    shown = text(app)
    assert "Somebody asks to be forgotten" in shown
    assert "How it goes" in shown
    assert "Nothing has been erased from this model yet" in shown
    assert not has(app, "desk-erase-button")
    assert query(app) == {}


def test_an_owner_is_looked_into_and_a_near_copy_is_added_by_one_click(folder):
    app = open_page()
    app.selectbox(key="munkey-desk-owner").select(OWNER).run()
    shown = text(app)
    assert "3 images found" in shown
    assert f"They are all images of {OWNER} (simulated)" in shown
    assert "1 near-copy stays" in shown
    assert "12 keys → 9" in [one.label for one in app.expander][1]
    assert "no undo" in shown
    assert app.session_state["munkey:asks"] == OWNER
    assert OWNER not in str(query(app))
    app.button(key="desk-add-near").click().run()
    assert not app.exception
    assert "4 images found" in text(app)
    assert app.session_state["munkey:request"] == (*OWNS, "img-02")
    assert "img" not in str(query(app))
    assert "4 images found" in text(app.run())


def test_a_link_that_says_whom_it_is_about_is_followed_and_says_it_no_more(folder):
    for asked in ({"who": "owner", "asks": OWNER}, {"who": "ids", "request": " ".join(OWNS)}):
        app = open_page(**asked)
        assert "3 images found" in text(app)
        assert not {"asks", "request"} & set(query(app))
        assert not any(name in str(query(app)) for name in (OWNER, *OWNS))


def test_unknown_and_public_ids_are_told_and_can_be_left_out(folder):
    app = open_page(who="ids", request="img-00 img-12 img-20 nobody <b>x</b>")
    shown = text(app)
    assert "1 image found" in shown
    assert "2 ids unknown" in shown
    assert "2 images without a key" in shown
    assert "Test images were never learned from" in shown
    assert "only a new training" in shown
    assert "<b>x</b>" in next(e.value for e in app.get("text"))
    assert "Not as it stands" in shown
    assert not has(app, "desk-erase-button")
    app.button(key="desk-leave-out").click().run()
    assert "1 image found" in text(app)
    assert has(app, "desk-erase-button")


def test_ids_are_typed_in_any_manner_and_too_many_are_refused(folder, monkeypatch):
    app = open_page(who="ids")
    app.text_area(key="munkey-desk-ids").input("img-00, img-01;img-03\nimg-00").run()
    assert "3 images found" in text(app)
    monkeypatch.setenv("MUNKEY_MAX_IDS", "2")
    app.text_area(key="munkey-desk-ids").input("img-05 img-06 img-07").run()
    assert "Wanted at most 2 ids" in text(app)
    assert app.session_state["munkey:request"] == ("img-00", "img-01", "img-03")
    assert "img" not in str(query(app))


def test_a_csv_file_is_taken_and_a_wrong_one_changes_nothing(folder):
    app = open_page(who="csv")
    upload(app, "munkey-desk-csv", "asked.csv", b"id,name\nimg-04,a\nimg-06,b\n")
    assert "2 images found" in text(app)
    upload(app, "munkey-desk-csv", "bad.csv", b"\x00\x01")
    assert "Nothing was taken from this file" in text(app)
    assert app.session_state["munkey:request"] == ("img-04", "img-06")
    assert "img" not in str(query(app))


def test_a_path_is_never_read_from_the_servers_disk(folder, tmp_path):
    (tmp_path / "secret.csv").write_text("id\nimg-03\n")
    app = open_page(who="ids")
    app.text_area(key="munkey-desk-ids").input(f"@{tmp_path}/secret.csv").run()
    assert "1 id unknown" in text(app)
    assert "No image found" in text(app)


def test_a_wrong_count_erases_nothing(folder):
    before = (folder / "manifest.json").read_bytes()
    app = erase(open_page(who="owner", asks=OWNER), "4")
    assert "Nothing was erased: wanted the number **3**" in text(app)
    assert (folder / "manifest.json").read_bytes() == before
    erase(app, "")
    assert "nothing was typed" in text(app)
    assert (folder / "manifest.json").read_bytes() == before


def test_an_owner_is_erased_and_the_session_goes_on_without(folder):
    app = open_page(
        who="owner", asks=OWNER, basket="img-00 img-05", forgotten="img-01 img-03,img-09"
    )
    erase(app, "3", reference="Case <7>")
    until(app, "Receipt no. 1")
    shown = text(app)
    assert "3 images of one owner erased for good" in shown
    assert "3 images erased" in shown  # in the ledger
    assert "How it goes" in shown
    state = query(app)
    assert state["receipt"] == "1"
    assert state["basket"] == "img-00"
    assert state["forgotten"] == "img-03"
    assert "asks" not in state
    assert "8 of 9 " in shown
    studio = Studio.open(str(folder))
    assert not set(OWNS) & set(studio.memory.private_ids())

    labels = [one.label for one in app.get("download_button")]
    assert labels == ["Download the receipt", "Download the report"]
    [done] = app.session_state["munkey-erasing"].done.values()
    assert "Case &lt;7&gt;" in done.report
    assert "all 3 images of one owner" in done.report
    assert "times in 100" in done.report
    for id_ in (*OWNS, OWNER):
        assert id_ not in done.report + Erasure.receipt_text(done.receipt)
    again = open_page(receipt="1")
    assert "figures that were measured before" in text(again)
    kept = Erasure.filed_report(done.receipt)
    assert kept == done.report.replace("<dt>Reference</dt><dd>Case &lt;7&gt;</dd>\n", "")
    shutil.rmtree(cache_folder() / "reports")
    assert "without figures" in text(open_page(receipt="1"))


def test_the_report_is_kept_though_nobody_waits_for_it(folder):
    """Whoever has closed the browser finds it with what was known: nobody can measure it again."""
    facts = RequestEvidence("Tiny", "Case 7", 3, 0, 1, True, False, 5, "joint")
    receipt = finish(erasing.erased(Studio.open(str(folder)), OWNS, None, facts))
    kept = Erasure.filed_report(receipt)
    assert kept == Erasure.report(receipt, replace(facts, reference=""))
    assert "5 near-copies" in kept
    assert "Case 7" not in kept


def test_what_was_asked_for_may_be_gone_already(folder):
    erase_elsewhere(folder, ["img-04"])
    app = open_page(who="ids", request="img-04 img-05", query="img-04", basket="img-04 img-06")
    shown = text(app)
    assert "1 image is gone already** (receipt no. 1)" in shown
    assert "1 image found" in shown
    assert "basket: 1 of 2 images was erased for good (receipt no. 1)" in shown
    assert "this one was erased for good: receipt no. 1" in shown
    only = open_page(who="ids", request="img-04")
    assert "erased already: nothing is left to do" in text(only)
    assert not has(only, "desk-erase-button")


def test_others_are_asked_to_reload_and_keep_what_is_still_there(folder):
    app = open_main(basket="img-01 img-04", forgotten="img-05 img-06")
    assert app.title[0].value == "Watch a model forget"
    erase_elsewhere(folder, OWNS)
    app.run()
    assert not app.exception
    assert app.title[0].value == "This bundle has changed"
    assert "img-" not in text(app)
    app.button(key="reload-bundle").click().run()
    assert not app.exception
    shown = text(app)
    assert "This model was opened again: it had changed." in shown
    assert "basket: 1 of 2 images was erased for good (receipt no. 1)" in shown
    assert query(app)["basket"] == "img-04"
    assert query(app)["forgotten"] == "img-06"
    assert "8 of 9 " in shown


def test_an_erasure_that_fails_says_so_and_leaves_everything(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("MUNKEY_SIGNING_KEY", str(tmp_path / "no-such-key"))
    before = (folder / "manifest.json").read_bytes()
    app = erase(open_page(who="owner", asks=OWNER), "3")
    until(app, "The erasure did not come to its end")
    assert "The server's signing key is no private Ed25519 key" in text(app)
    assert str(tmp_path) not in text(app)
    assert (folder / "manifest.json").read_bytes() == before
    assert "3 images found" in text(app)
    assert Studio.open(str(folder)).erasure.ledger() == ()


def test_two_clicks_at_once_are_one_erasure(folder, monkeypatch):
    """Streamlit gives a second click a thread of its own while the first one is still at work."""
    from app.session import erasing

    class Door:
        """A lock that knows how many have come to it."""

        def __init__(self):
            self.lock, self.came = threading.Lock(), 0

        def __enter__(self):
            self.came += 1
            self.lock.acquire()

        def __exit__(self, *error):
            self.lock.release()

    door = Door()
    desk = erasing._Desk(lock=door)
    monkeypatch.setattr(erasing, "_desk", lambda: desk)
    made: list[object] = []

    class Slow(Background):
        def __init__(self, work, name):
            made.append(work)
            waiting.until(lambda: door.came == 2 or len(made) == 2)
            super().__init__(work, name)

    monkeypatch.setattr(erasing, "Background", Slow)
    studio = Studio.open(str(folder))
    known = RequestEvidence("", "", 1, 0, 0, False, False, 0, "joint")

    def click():
        erasing.start(studio, NAME, ("img-04",), known)

    together([click, click])
    assert len(made) == 1
    assert desk.erasing is not None
    desk.erasing.job.wait(PATIENCE)
    erasing.close()
    erasing.start(studio, NAME, ("img-05",), known)  # of a version that is not there any more
    assert len(made) == 1
    assert [entry.number for entry in studio.erasure.ledger()] == [1]


def test_a_receipt_is_verified_by_upload(folder):
    good = Erasure.receipt_text(erase_elsewhere(folder, ["img-04"])).encode()
    app = upload(open_page(), "desk-verify-file", "r.json", good)
    until(app, "Verified: receipt no. 1")
    assert text(app).count("✓ Right") == 8
    assert "– Note" in text(app)

    values = json.loads(good)
    values["count"] = 2
    upload(app, "desk-verify-file", "r.json", json.dumps(values).encode())
    assert "This receipt proves nothing" in text(app)
    assert "this receipt was changed" in text(app).lower()

    upload(app, "desk-verify-file", "r.json", b"[]")
    assert "no receipt of an erasure" in text(app)


def test_a_receipt_of_another_model_does_not_hold_here(folder, tmp_path):
    other = tmp_path / "other"
    write_bundle(tiny.random_bundle(), other)
    foreign = Erasure.receipt_text(erase_elsewhere(other, ["img-04"])).encode()
    erase_elsewhere(folder, ["img-03"])
    app = upload(open_page(), "desk-verify-file", "r.json", foreign)
    until(app, "Not verified")
    shown = text(app)
    assert "not in this model’s ledger. It speaks of a model called “other”" in shown
    assert "Whether anything of the erased images is in it can’t be said" in shown


def test_a_demonstration_shows_and_takes_nothing(folder, monkeypatch):
    erase_elsewhere(folder, ["img-04"])
    monkeypatch.setenv("MUNKEY_DEMO", "1")
    app = open_page(who="csv", asks=OWNER)
    shown = text(app)
    assert "Erasing is switched off" in shown
    assert "Uploading a receipt is switched off" in shown
    assert "3 images found" in shown
    assert "1 image erased" in shown
    assert not has(app, "desk-erase-button")
    assert not app.get("file_uploader")


@pytest.mark.parametrize("hide", ["erase", "delete"])
def test_a_link_can_leave_the_page_out(folder, hide):
    app = open_page(hide=hide, asks=OWNER)
    assert "leaves this page out" in text(app)
    assert not has(app, "desk-erase-button")
    assert not app.get("file_uploader")


def test_a_long_ledger_is_paged_the_newest_first(folder, monkeypatch):
    entries = tuple(
        LedgerEntry(n, "changed", f"time {n}", "figures saved", *(["ab" * 32] * 4))
        for n in range(1, 24)
    )
    monkeypatch.setattr(Erasure, "ledger", lambda self: entries)
    app = open_page()
    assert "Page 1 of 3 · 23 entries" in text(app)
    assert "time 23" in text(app)
    assert "time 13" not in text(app)
    next(one for one in app.button if one.key == "desk-ledger-pager1").click().run()
    assert "time 13" in text(app)
    assert "time 23" not in text(app)


def test_a_ledger_that_cannot_be_read_is_said_in_words(folder):
    erase_elsewhere(folder, ["img-04"])
    app = open_page(who="ids", request="img-05")
    (folder / "ledger.sqlite").write_bytes(b"no ledger")
    app = open_page(who="ids", request="img-05")
    assert "The ledger can’t be read" in text(app)
    assert "can’t be looked into" in text(app)
