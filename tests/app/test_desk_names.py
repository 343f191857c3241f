"""The Request desk and links, for images and owners as people name them."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
import torch

from app.session import link_messages, properties
from munkey_core.bundle.thumbnails import Thumbnails
from munkey_core.bundle.write import write_bundle
from munkey_core.data.naming import id_of
from munkey_core.results import PRIVATE
from tests.app.screen import open_main, query
from tests.app.test_desk_page import open_page, text, upload
from tests.core import tiny

PERSIAN, FAMILY = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\U0001f469\u200d\U0001f467"
OWNERS = (PERSIAN, "Ann\u00a0Lee", "ann lee", "x" * 200, FAMILY)
FILE = "患者 & Co/" + "影" * 40 + " {:02d}, (1).png"


@pytest.fixture
def folder(show, tmp_path, monkeypatch):
    """A bundle of files and owners with names from everywhere, made before owners had one form. One
    image has an identical twin among the test images, one in a public part."""
    made = tiny.random_bundle()
    ids = {record.id: id_of(FILE.format(i)) for i, record in enumerate(made.records)}
    images = made.thumbnails.array(list(ids)).copy()
    images[12] = images[0]
    bank = made.bank
    where = tmp_path / "bundles" / "odd"
    twins = torch.zeros(len(bank))
    twins[1] = 1
    write_bundle(
        replace(
            made,
            manifest=replace(made.manifest, name="odd"),
            bank=type(bank)([ids[i] for i in bank.ids], bank.keys, bank.tokens),
            records=tuple(
                replace(r, id=ids[r.id], owner=OWNERS[i % 5] if r.split == PRIVATE else "")
                for i, r in enumerate(made.records)
            ),
            thumbnails=Thumbnails.from_images(list(ids.values()), images),
            scores={**made.scores, "public_twins": twins},
        ),
        where,
    )
    show(where)
    monkeypatch.delenv("MUNKEY_DEMO", raising=False)
    return where


def test_file_names_are_typed_as_they_are_on_disk(folder):
    app = open_page(who="ids")
    typed = f"{FILE.format(0)}, {FILE.format(1)}\n{FILE.format(2)} {id_of(FILE.format(3))} no one"
    app.text_area(key="munkey-desk-ids").input(typed).run()
    shown = text(app)
    assert "4 images found" in shown
    assert "2 ids unknown" in shown
    again = open_page(who="ids", request=" ".join(app.session_state["munkey:request"]))
    assert "4 images found" in text(again)


def test_a_table_of_file_names_is_taken_and_its_unknown_ones_stay_whole(folder):
    app = open_page(who="csv")
    rows = [FILE.format(0), FILE.format(5).replace("/", "\\"), "no such file, at all.png"]
    table = "file\n" + "".join(f'"{row}"\n' for row in rows)
    upload(app, "munkey-desk-csv", "asked.csv", table.encode())
    shown = text(app)
    assert "2 images found" in shown
    assert "1 id unknown" in shown
    request = properties.dump("request", app.session_state["munkey:request"])
    assert "1 id unknown" in text(open_page(who="csv", request=request))


def test_twins_and_what_goes_along_are_told_before_erasing(folder):
    app = open_page(who="ids", request=" ".join(id_of(FILE.format(i)) for i in range(2)))
    shown = text(app)
    assert "1 image has an identical twin among the test images." in shown
    assert "1 image has an identical twin among the public images." in shown
    told = "\n".join(block.value for block in app.get("text"))
    assert f"{id_of(FILE.format(0))} = {id_of(FILE.format(12))}" in told
    assert "one that is not in the bundle" in told
    other = text(open_page(who="ids", request=id_of(FILE.format(5))))
    assert "twin" not in other


def test_an_owner_who_looks_like_another_is_told(folder):
    shown = text(open_page(asks="Ann Lee"))
    assert "images found" in shown
    assert "**ann lee** looks like Ann Lee and is another name" in shown


@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize("name", ["owner", "asks"])
def test_a_link_names_any_owner_in_any_spelling(folder, owner, name):
    for spelled in (owner, f"\ufeff {owner}", owner.replace("\u00a0", "  ")):
        app = open_page(**{name: spelled})
        assert not app.warning or "not followed" not in text(app)
        known = " ".join(owner.split())
        assert app.session_state[f"munkey:{name}"] == known
        assert query(app).get(name) == (known if name == "owner" else None)


def test_a_link_names_any_image(folder):
    one = id_of(FILE.format(3))
    assert len(one) > 300
    for named in (one, FILE.format(3)):
        app = open_main(query=named)
        assert link_messages.about() not in text(app)
        assert query(app)["query"] == one
    refused = text(open_main(query=quote("nobody.png")))
    assert "the id of a training or test image" in refused
