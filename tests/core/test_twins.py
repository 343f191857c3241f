"""Identical pictures are found whatever the threshold, and those without a key are named."""

import dataclasses
import json

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F

from munkey_core.bundle.forget_sets import CANONICAL
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.thumbnails import Thumbnails
from munkey_core.bundle.twins import Twin, counted_twins, twins_outside
from munkey_core.bundle.write import write_bundle
from munkey_core.cli import main
from munkey_core.model.bank import MemoryBank
from munkey_core.model.search import near_pairs
from munkey_core.progress import finish
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST
from munkey_core.studio import SharedModel, Studio

PUBLIC = ("public_twins", "test_twins")


def with_twins(*pairs, thumbnails=True, threshold=1.0, **scores):
    """A bundle in which each second image of a pair is a copy of the first, key and all."""
    made = tiny.random_bundle()
    ids = [record.id for record in made.records]
    images = made.thumbnails.array(ids).copy()
    for one, other in pairs:
        images[ids.index(other)] = images[ids.index(one)]
    keys = made.encoder.encode(images).keys
    n, t = len(made.bank), len(made.test_keys)
    return dataclasses.replace(
        made,
        manifest=dataclasses.replace(made.manifest, near_duplicate=threshold),
        bank=MemoryBank(made.bank.ids, keys[:n].clone(), made.bank.tokens),
        test_keys=keys[n : n + t].clone(),
        thumbnails=Thumbnails.from_images(ids, images) if thumbnails else None,
        scores={**made.scores, **{name: torch.tensor(v) for name, v in scores.items()}},
    )


def ids_of(split):
    return [record.id for record in tiny.random_bundle().records_of(split)]


@pytest.mark.parametrize("threshold", [0.5, 0.95, 0.99999, 1.0])
@pytest.mark.parametrize("noise", [0.0, 1e-7, 3e-7])
def test_identical_keys_are_near_whatever_the_threshold(threshold, noise):
    keys = tiny.random_bank(40).keys
    generator = torch.Generator().manual_seed(3)
    twins = F.normalize(keys + noise * torch.randn(keys.shape, generator=generator), dim=1)
    pairs = {(i, j) for i, j, _ in near_pairs(torch.cat([keys, twins]), threshold)}
    assert {(i, i + 40) for i in range(40)} | {(i + 40, i) for i in range(40)} <= pairs
    assert threshold < 0.99 or len(pairs) == 80


def test_every_twin_that_stays_is_found_though_the_threshold_is_1():
    bundle = with_twins(("img-00", "img-05"), ("img-00", "img-07"), ("img-02", "img-03"))
    studio = Studio(SharedModel(bundle))
    found = {(p.id, p.other) for p in studio.memory.near_duplicates(["img-00", "img-02"])}
    assert found == {("img-00", "img-05"), ("img-00", "img-07"), ("img-02", "img-03")}
    assert CANONICAL["near-duplicates"](bundle) == ("img-03", "img-05")


@pytest.mark.parametrize("split", [TEST, ANCHOR, CALIBRATION])
def test_a_twin_in_any_part_without_keys_is_named(split):
    other = ids_of(split)[1]
    bundle = with_twins(("img-04", other))
    wanted = (Twin("img-04", other, split),)
    assert twins_outside(bundle, ["img-01", "img-04"]) == wanted
    assert twins_outside(bundle, ["img-01"]) == twins_outside(bundle, []) == ()


def test_without_pictures_test_twins_are_known_by_their_keys():
    test, anchor = ids_of(TEST)[0], ids_of(ANCHOR)[0]
    bundle = with_twins(("img-04", test), ("img-05", anchor), thumbnails=False)
    assert twins_outside(bundle, ["img-04", "img-05"]) == (Twin("img-04", test, TEST),)


@pytest.mark.parametrize("thumbnails", [True, False])
def test_twins_that_the_bundle_has_no_record_of_are_counted_when_it_is_made(thumbnails):
    counts = [0.0] * 12
    counts[4] = 1.0
    bundle = with_twins(thumbnails=thumbnails, public_twins=counts, test_twins=counts)
    assert twins_outside(bundle, ["img-04", "img-05"]) == (
        Twin("img-04", "", "public"),
        Twin("img-04", "", TEST),
    )
    anchor = ids_of(ANCHOR)[0]
    known = with_twins(("img-04", anchor), public_twins=counts)
    assert twins_outside(known, ["img-04"]) == (Twin("img-04", anchor, ANCHOR),)


@pytest.mark.parametrize("colours", [(), (3,)])
def test_twins_are_counted_pixel_by_pixel(colours):
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 4, *colours)).astype(np.uint8)
    almost = images[2:3].copy()
    almost[0, 0, 0] ^= 1
    public = (np.concatenate([images[:1], images[:1]]), almost, images[3:4])
    found = counted_twins(images[:4], public, images[3:6])
    assert {name: values.tolist() for name, values in found.items()} == {
        "public_twins": [2, 0, 0, 1],
        "test_twins": [0, 0, 0, 1],
    }
    assert counted_twins(images[:4], iter([images[5:]]), images[4:5]) == {}


def test_forget_and_erase_say_what_they_do_not_reach(tmp_path, capsys):
    test, anchor = ids_of(TEST)[0], ids_of(ANCHOR)[0]
    counts = [0.0] * 12
    counts[6] = 1.0
    bundle = with_twins(
        ("img-00", "img-05"), ("img-00", test), ("img-00", anchor), public_twins=counts
    )
    write_bundle(bundle, tmp_path / "b")
    for command in ("forget", "erase"):
        assert main([command, str(tmp_path / "b"), "img-00,img-06"]) == 0
        said = capsys.readouterr().out
        assert "1 near-duplicate of them stays" in said
        assert f"img-00 = {anchor}, img-06 = one that is not in the bundle" in said
        assert "2 of these images have an identical twin among the public images" in said
        tested = "1 of these images has an identical twin among the test images, which stays: "
        assert f"{tested}img-00 = {test}" in said
    main(["erase", str(tmp_path / "b"), "img-01"])
    assert "twin" not in capsys.readouterr().out


def test_what_is_known_of_an_erased_image_s_twins_goes_with_it(tmp_path):
    counts = [float(i) for i in range(12)]
    write_bundle(with_twins(public_twins=counts, test_twins=counts), tmp_path / "b")
    finish(Studio.open(str(tmp_path / "b")).erasure.erase(["img-04"]))
    left = read_bundle(tmp_path / "b")
    for name in PUBLIC:
        assert left.scores[name].tolist() == [n for n in counts if n != 4]


def test_the_plan_names_owners_that_look_alike(tmp_path, capsys):
    names = {"owner-0": "Ann", "owner-1": "\u0410nn", "owner-2": "ann", "owner-3": "Bob"}
    made = tiny.random_bundle()
    records = tuple(dataclasses.replace(r, owner=names.get(r.owner, r.owner)) for r in made.records)
    write_bundle(dataclasses.replace(made, records=records), tmp_path / "b")
    plan = Studio.open(str(tmp_path / "b")).erasure.plan(["img-00"])
    assert plan.alike == (("Ann", "\u0410nn"), ("Ann", "ann"))
    main(["erase", str(tmp_path / "b"), "owner:Ann"])
    assert "CAREFUL: 'ann' looks like owner 'Ann' and is another name" in capsys.readouterr().out


def test_an_older_bundle_with_owners_as_they_were_typed_has_one_of_each(tmp_path, capsys):
    typed = ["Ann Lee", "Ann\u00a0Lee", "Ann  Lee\u200b", "Jose\u0301"]
    made = tiny.random_bundle()
    records = tuple(
        dataclasses.replace(r, owner=typed[i % 4] if r.split == PRIVATE else "")
        for i, r in enumerate(made.records)
    )
    write_bundle(dataclasses.replace(made, records=records), tmp_path / "b")
    before = (tmp_path / "b" / "records.parquet").read_bytes()
    studio = Studio.open(str(tmp_path / "b"))
    assert studio.memory.owners == {"Ann Lee": 9, "José": 3}
    assert main(["erase", str(tmp_path / "b"), "owner:Ann\u2003Lee", "--yes", "--json"]) == 0
    receipt = json.loads(capsys.readouterr().out)["receipt"]
    assert receipt["count"] == 9
    assert before != (tmp_path / "b" / "records.parquet").read_bytes()
    again = main(["erase", str(tmp_path / "b"), "owner:Ann\u00a0Lee", "--yes"])
    assert again == 2
    assert "are erased already" in capsys.readouterr().err
