"""Encoded images: the same from pictures and from what is kept, and nothing kept that isn't."""

import dataclasses

import pytest
import torch
from tiny import random_bundle

from munkey_core.bundle.features import KeptFeatures
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import write_bundle
from munkey_core.errors import BundleError
from munkey_core.files.durable import wipe

SPLITS = ("private", "test", "anchor", "calibration")


@pytest.fixture
def bundle(tmp_path):
    write_bundle(random_bundle(), tmp_path / "tiny")
    return read_bundle(tmp_path / "tiny")


@pytest.fixture
def kept(bundle, tmp_path):
    ids = {split: ids_of(bundle, split) for split in SPLITS}
    return KeptFeatures(tmp_path / "kept", ids, bundle.encoder)


def equal(one, other):
    torch.testing.assert_close(one.keys, other.keys, atol=1e-6, rtol=0)
    torch.testing.assert_close(one.features, other.features, atol=1e-5, rtol=0)


def ids_of(bundle, *splits):
    return [record.id for split in splits for record in bundle.records_of(split)]


def test_nothing_is_kept_before_it_is_prepared(bundle, kept):
    assert list(kept.missing) == list(SPLITS)
    assert kept.of(ids_of(bundle, "test")) is None
    assert not kept.folder.exists()


def test_prepared_features_are_those_of_the_pictures_in_any_order(bundle, kept):
    steps = list(kept.prepare(bundle.encode))
    assert steps[-1].done == steps[-1].total == len(bundle.records)
    assert kept.missing == {}
    assert list(kept.prepare(bundle.encode)) == []
    for ids in (
        ids_of(bundle, "test", "anchor", "private")[::-3],
        ids_of(bundle, "private")[::-2],
        [ids_of(bundle, "test")[1]] * 3,
    ):
        equal(kept.of(ids), bundle.encode(ids))


@pytest.mark.parametrize("ids", [[], ["nobody"], ["img-00", "nobody"]])
def test_what_is_not_kept_is_none(bundle, kept, ids):
    list(kept.prepare(bundle.encode))
    assert kept.of(ids) is None


@pytest.mark.parametrize("damage", [b"", b"no tensors", None])
def test_a_damaged_or_foreign_file_counts_as_none(bundle, kept, damage):
    list(kept.prepare(bundle.encode))
    again = KeptFeatures(kept.folder, {s: ids_of(bundle, s) for s in SPLITS}, bundle.encoder)
    path = kept.folder / "private.safetensors"
    path.write_bytes((kept.folder / "test.safetensors").read_bytes() if damage is None else damage)
    assert list(again.missing) == ["private"]
    assert again.of(ids_of(bundle, "private")) is None
    list(again.prepare(bundle.encode))
    equal(again.of(ids_of(bundle, "private")), bundle.encode(ids_of(bundle, "private")))


def test_a_split_is_kept_whole_or_not_at_all(bundle, kept):
    steps = kept.prepare(bundle.encode)
    next(steps)
    steps.close()
    assert list(kept.missing) == list(SPLITS)


def test_clearing_leaves_nothing(bundle, kept):
    list(kept.prepare(bundle.encode))
    assert wipe(kept.folder, overwrite=False) == len(SPLITS)  # as an erasure does
    again = KeptFeatures(kept.folder, {s: ids_of(bundle, s) for s in SPLITS}, bundle.encoder)
    assert list(again.missing) == list(SPLITS)
    assert again.of(ids_of(bundle, "test")) is None


def test_a_bundle_keeps_only_what_a_slow_encoder_made(bundle):
    assert bundle.kept_features is None
    slow = dataclasses.replace(
        bundle.manifest, encoder=dataclasses.replace(bundle.manifest.encoder, name="resnet18")
    )
    assert dataclasses.replace(bundle, manifest=slow).kept_features is not None


def test_a_bundle_answers_from_what_is_kept_without_pictures(bundle, kept, monkeypatch, tmp_path):
    list(kept.prepare(bundle.encode))
    blind = dataclasses.replace(bundle, thumbnails=None)
    with pytest.raises(BundleError):
        blind.encode(ids_of(bundle, "test"))
    object.__setattr__(blind, "kept_features", kept)
    equal(blind.encode(ids_of(bundle, "test")), bundle.encode(ids_of(bundle, "test")))
