"""Pictures from elsewhere: found by id, checked by key, refused when they are another's."""

import tarfile
from functools import partial

import numpy as np
import picture_trees as trees
import pytest
import torch
from PIL import Image

from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import write_bundle
from munkey_core.data import cifar10, fashion_mnist
from munkey_core.data import pictures as module
from munkey_core.data.images import decode_image
from munkey_core.data.pictures import HeldPictures, PictureFiles
from munkey_core.data.places import (
    PictureSource,
    Place,
    download,
    places,
    remember,
    remembered,
)
from munkey_core.errors import BadInputError, BundleError, DataError, UnknownIdError
from munkey_core.studio import Studio
from tests.waiting import together

CIFAR = PictureSource("mine", "cifar10", "CIFAR-10", 32, False)
FOLDER = PictureSource("pets", "image_folder", "pets", 32, False)


@pytest.fixture(autouse=True)
def nobody_has_pictures(tmp_path, cache, monkeypatch):
    """No test finds pictures that lie on this machine."""
    monkeypatch.setenv("MUNKEY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("MUNKEY_IMAGES", raising=False)


@pytest.fixture
def cifar(tmp_path):
    """A bundle without pictures, what it was made of, and the folder where that lies."""
    names, images = trees.cifar_bundle(tmp_path / "mine")
    return tmp_path / "mine", names, images, trees.write_tree(tmp_path / "tree", names, images)


def opened(folder, monkeypatch, place=None):
    if place is not None:
        monkeypatch.setenv("MUNKEY_IMAGES", str(place))
    return read_bundle(folder)


# -- looking up ----------------------------------------------------------------------------------


def test_a_tree_gives_every_image_by_id_and_decodes_what_is_asked_for(cifar, monkeypatch):
    folder, names, images, tree = cifar
    bundle = opened(folder, monkeypatch, tree)
    assert bundle.thumbnails is None
    assert bundle.picture_status.state == "unsearched"
    ids = [id_ for id_, _ in names]
    assert np.array_equal(bundle.pictures.array(ids[::-2]), images[::-2])
    assert bundle.picture_status.ready
    decoded = []
    monkeypatch.setattr(
        module, "decode_image", lambda *a, **k: decoded.append(a[0]) or decode_image(*a, **k)
    )
    bundle = opened(folder, monkeypatch, tree)
    bundle.elsewhere.search()
    assert len(decoded) == trees.PRIVATE  # the sample
    png = bundle.pictures.png(ids[20])
    assert decoded[trees.PRIVATE :] == [tree / names[20][1]]
    assert np.array_equal(decode_image(png, 32), images[20])


def test_an_archive_is_read_in_memory_and_never_unpacked(cifar, monkeypatch, tmp_path):
    folder, names, images, tree = cifar
    archive = tmp_path / "c.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        for part in ("train", "test"):
            tar.add(tree / part, part)
    before = set(tmp_path.rglob("*"))
    bundle = opened(folder, monkeypatch, archive)
    assert np.array_equal(bundle.pictures.array([names[3][0]])[0], images[3])
    assert {path for path in tmp_path.rglob("*") if "cache" not in path.parts} <= before


def test_a_folder_of_ones_own_and_a_grey_one_are_looked_up_by_their_paths(tmp_path, monkeypatch):
    images = trees.photographs(27)
    names = [(f"{'ab'[i % 2]}/no%20{i}.png", f"{'ab'[i % 2]}/no {i}.png") for i in range(27)]
    tree = trees.write_tree(tmp_path / "pets", names, images)
    ids = [id_ for id_, _ in names]
    write_bundle(trees.bundle_of(ids, images, "image_folder", "pets"), tmp_path / "colour")
    bundle = opened(tmp_path / "colour", monkeypatch, tree)
    assert np.array_equal(bundle.pictures.array(ids), images)
    greys = images[..., 0]
    tree = trees.write_tree(tmp_path / "greys", names, greys)
    write_bundle(trees.bundle_of(ids, greys, "image_folder", "pets", grey=True), tmp_path / "grey")
    bundle = opened(tmp_path / "grey", monkeypatch, tree)
    assert np.array_equal(bundle.pictures.array(ids), greys)


def test_data_that_comes_all_at_once_is_held_for_the_bundles_ids_only():
    from munkey_core.data import load_dataset

    dataset = load_dataset("digits")
    held = HeldPictures(dataset, [dataset.ids[5], "nobody", dataset.ids[2]])
    assert "nobody" not in held
    assert held._images.nbytes == 2 * 64
    assert np.array_equal(held.array([dataset.ids[2]]), dataset.images[[2]])
    with pytest.raises(UnknownIdError, match="no picture of 'nobody'"):
        held.png("nobody")


def test_a_digits_bundle_without_pictures_finds_them_in_scikit_learn(digits_bundle, tmp_path):
    import dataclasses

    write_bundle(dataclasses.replace(digits_bundle, thumbnails=None), tmp_path / "bare")
    bundle = read_bundle(tmp_path / "bare")
    ids = [record.id for record in bundle.records]
    assert np.array_equal(bundle.pictures.array(ids), digits_bundle.thumbnails.array(ids))
    assert bundle.picture_status.match.same


def test_memory_is_bounded_and_threads_agree(tmp_path, monkeypatch):
    images = trees.photographs(12)
    files = {f"i{i}": trees.encoded_file(image) for i, image in enumerate(images)}
    monkeypatch.setattr(module, "_KEPT_BYTES", 4 * 32 * 32 * 3)
    kept = PictureFiles(files, 32, grey=False)
    found = []

    def ask(seed):
        order = np.random.default_rng(seed).permutation(12)
        found.append(np.array_equal(kept.array([f"i{i}" for i in order]), images[order]))

    together(partial(ask, seed) for seed in range(6))
    assert found == [True] * 6
    assert len(kept._kept) == 4
    assert kept.array([]).shape == (0, 32, 32, 3)
    with pytest.raises(BadInputError, match="wanted a PNG"):
        PictureFiles({"x": b"no image"}, 32, grey=False).png("x")


def test_an_id_from_a_foreign_bundle_never_leads_out_of_the_folder(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(trees.encoded_file(trees.photographs(1)[0]))
    for kind in "ab":
        (tmp_path / "pets" / kind).mkdir(parents=True)
        (tmp_path / "pets" / kind / "1.png").write_bytes(secret.read_bytes())
    (tmp_path / "pets" / "a" / "link.png").symlink_to(secret)
    from munkey_core.data import image_folder

    assert sorted(image_folder.files(tmp_path / "pets")) == ["a/1.png", "b/1.png"]
    tree = tmp_path / "cifar" / "train" / "cat"
    tree.mkdir(parents=True)
    (tree / "0001.jpg").symlink_to(secret)
    (tree / "0002.jpg").write_bytes(secret.read_bytes())
    (tree / "notes.txt").write_text("no image")
    assert cifar10.files(tmp_path / "cifar") == {"train-cat-0002": tree / "0002.jpg"}


# -- checking ------------------------------------------------------------------------------------


def test_the_same_copy_matches_exactly_and_a_lossy_one_with_its_distance(
    cifar, monkeypatch, tmp_path
):
    folder, names, images, tree = cifar
    match = opened(folder, monkeypatch, tree).elsewhere.search().match
    assert (match.checked, match.matched, match.same) == (trees.PRIVATE, trees.PRIVATE, True)
    lossy = trees.write_tree(tmp_path / "lossy", names, images, "JPEG")
    status = opened(folder, monkeypatch, lossy).elsewhere.search()
    assert status.ready
    assert status.match.matched == trees.PRIVATE
    assert not status.match.same
    assert 0.9 < status.match.median < 0.9999


@pytest.mark.parametrize("wrong", ["shuffled", "others"])
def test_other_pictures_are_refused_with_one_clear_message(cifar, monkeypatch, tmp_path, wrong):
    folder, names, images, _ = cifar
    instead = np.roll(images, 1, axis=0) if wrong == "shuffled" else trees.photographs(27, seed=9)
    place = trees.write_tree(tmp_path / "wrong", names, instead)
    bundle = opened(folder, monkeypatch, place)
    message = f"^{place} does not hold the pictures of bundle mine: .* of 12 sampled pictures"
    with pytest.raises(BundleError, match=message):
        bundle.pictures.png(names[0][0])
    assert bundle.picture_status.state == "refused"
    with pytest.raises(BundleError, match=r"retraining needs the images: .*does not hold"):
        bundle.require_pictures("retraining needs the images")


def test_a_third_of_wrong_pictures_is_too_many(cifar, monkeypatch, tmp_path):
    folder, names, images, _ = cifar
    mixed = images.copy()
    mixed[[1, 4, 7, 10]] = trees.photographs(4, seed=5)
    place = trees.write_tree(tmp_path / "mixed", names, mixed)
    assert opened(folder, monkeypatch, place).elsewhere.search().state == "refused"


def test_files_that_are_gone_are_counted_and_most_gone_is_a_refusal(cifar, monkeypatch):
    folder, names, _, tree = cifar
    (tree / names[0][1]).unlink()
    bundle = opened(folder, monkeypatch, tree)
    status = bundle.elsewhere.search()
    assert (status.state, status.lacking) == ("found", 1)
    with pytest.raises(UnknownIdError, match=f"no picture of '{names[0][0]}'"):
        bundle.pictures.array([names[0][0]])
    for _, path in names[1:8]:
        (tree / path).unlink()
    status = opened(folder, monkeypatch, tree).elsewhere.search()
    assert "4 of its 12 private ids are there" in status.problem


def test_another_kind_of_data_is_refused(cifar, monkeypatch, tmp_path):
    folder = cifar[0]
    for place in (tmp_path, tmp_path / "nowhere"):
        status = opened(folder, monkeypatch, place).elsewhere.search()
        assert status.state == "refused"


def test_what_is_put_there_meanwhile_is_found_without_opening_the_bundle_again(
    cifar, monkeypatch, tmp_path
):
    folder, names, images, tree = cifar
    bundle = opened(folder, monkeypatch)
    assert bundle.elsewhere.search().state == "missing"
    tree.rename(tmp_path / "data-elsewhere")
    (tmp_path / "data").mkdir()
    (tmp_path / "data-elsewhere").rename(tmp_path / "data" / "cifar10")
    assert bundle.elsewhere.search().state == "missing"  # not at every question
    monkeypatch.setattr(bundle.elsewhere, "_next_search", 0.0)
    assert bundle.elsewhere.search().state == "found"
    assert np.array_equal(bundle.pictures.array([names[0][0]])[0], images[0])


def test_private_and_test_images_keep_their_stored_keys(cifar, monkeypatch, tmp_path):
    folder, names, images, _ = cifar
    lossy = trees.write_tree(tmp_path / "lossy", names, images, "JPEG")
    bundle = opened(folder, monkeypatch, lossy)
    ids = [id_ for id_, _ in names]
    encoded = bundle.encode(ids)
    assert torch.equal(encoded.keys[:12], bundle.bank.keys)
    assert torch.equal(encoded.keys[12:18], bundle.test_keys)
    lossy_images = bundle.pictures.array(ids)
    fresh = bundle.encoder.encode(lossy_images)
    assert torch.equal(encoded.keys[18:], fresh.keys[18:])
    assert torch.equal(encoded.features, fresh.features)


# -- where it is looked --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "wanted"),
    [
        ("/a", "/a"),
        ("mine=/a:/b", "/a"),
        ("/b:mine=/a", "/a"),
        ("cifar10=/c:/b", "/c"),
        ("other=/c:/b", "/b"),
        ("other=/c:/b=1", "/b=1"),
        ("other=/c", None),
        ("", None),
    ],
)
def test_the_variable_names_a_place_for_all_or_for_one(monkeypatch, named, wanted):
    monkeypatch.setenv("MUNKEY_IMAGES", named)
    found = places(CIFAR)
    assert [str(place) for place in found] == ([wanted] if wanted else [])


def test_a_remembered_place_comes_before_the_default_one_and_is_dropped_when_gone(tmp_path):
    (tmp_path / "data" / "cifar10" / "train").mkdir(parents=True)
    mine = tmp_path / "mine"
    mine.mkdir()
    assert [p.path for p in places(CIFAR)] == [tmp_path / "data" / "cifar10"]
    remember(CIFAR, mine)
    remember(FOLDER, tmp_path)
    assert [p.path for p in places(CIFAR)] == [mine, tmp_path / "data" / "cifar10"]
    assert remembered(FOLDER) == tmp_path
    mine.rmdir()
    assert remembered(CIFAR) is None
    (tmp_path / "cache" / "images.json").write_text("{damaged")
    assert remembered(FOLDER) is None


def test_nothing_is_downloaded_by_looking_and_only_published_data_can_be(monkeypatch):
    def no(*_):
        raise AssertionError("a download that nobody asked for")

    monkeypatch.setattr(cifar10, "download", no)
    monkeypatch.setattr(fashion_mnist, "download", no)
    assert places(CIFAR) == []
    assert places(FOLDER) == []
    assert CIFAR.downloadable
    assert not FOLDER.downloadable
    with pytest.raises(DataError, match="pets can't be downloaded"):
        download(FOLDER)
    assert str(Place(None)) == "the installed scikit-learn"


# -- what is known without -----------------------------------------------------------------------


def test_who_answers_is_known_without_pictures_as_it_is_with_them(cifar, monkeypatch):
    folder, names, _, tree = cifar
    ids = [id_ for id_, _ in names][3:16]
    blind = Studio.open(str(folder))
    gone = names[4][0]
    blind.forget([gone])
    with pytest.raises(BundleError, match="munkey images mine"):
        blind.predict(ids)
    monkeypatch.setenv("MUNKEY_IMAGES", str(tree))
    seeing = Studio.open(str(folder))
    seeing.forget([gone])
    predicted = seeing.predict(ids)
    for i, found in enumerate(blind.memory.recall(ids)):
        assert found.neighbours == predicted.retrieval.ids[i]
        np.testing.assert_allclose(found.weights, predicted.exemplar_weights[i], atol=1e-6)
        assert found.probabilities is None
        assert gone not in found.neighbours
    assert blind.memory.recall([gone], whole=True)[0].neighbours[0] == gone
    with pytest.raises(UnknownIdError, match="no private or test image"):
        blind.memory.recall([names[-1][0]])


def test_stored_answers_are_recalled_for_what_they_are_about(digits_shared):
    studio = Studio(digits_shared)
    ids = studio.memory.private_ids()[:8]
    stored = {
        name: [studio.memory.score(name, id_) for id_ in ids]
        for name in ("truth_with", "truth_without")
    }
    before = studio.predict(ids)
    labels = [studio.memory.record(id_).label for id_ in ids]
    for i, found in enumerate(studio.memory.recall(ids)):
        assert found.truth == pytest.approx(before.probabilities[i][labels[i]], abs=1e-3)
    studio.forget(ids[:1])
    [alone] = studio.memory.recall(ids[:1])
    if alone.probabilities is None:  # else a test before has computed the answers of this model
        assert alone.truth == pytest.approx(stored["truth_without"][0])
    now = studio.predict(ids[:1]).probabilities[0]
    assert stored["truth_without"][0] == pytest.approx(now[labels[0]], abs=1e-3)


def test_a_picture_as_png_has_the_bundles_size(cifar, monkeypatch, tmp_path):
    folder, names, images, _ = cifar
    big = np.kron(images, np.ones((1, 3, 3, 1), np.uint8))
    place = trees.write_tree(tmp_path / "big", names, big)
    bundle = opened(folder, monkeypatch, place)
    import io

    assert Image.open(io.BytesIO(bundle.pictures.png(names[0][0]))).size == (32, 32)
