"""Thumbnails: every pixel comes back, damage is refused, and what is taken out is gone."""

import io
import lzma
import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from munkey_core.bundle import thumbnails as module
from munkey_core.bundle.records import THUMBNAILS
from munkey_core.bundle.thumbnails import Thumbnails
from munkey_core.data.images import encode_png
from munkey_core.errors import BadInputError, BundleError, UnknownIdError
from tests.waiting import together


def ids_of(n):
    return [f"img-{i:04d}" for i in range(n)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def smooth(n, side=16, channels=()):
    """Slopes of every direction, with a little noise: what a photograph is like, from afar."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    slopes = rng.uniform(-4, 4, (n, 2, 1, 1))
    light = 128 + slopes[:, 0] * (y - side / 2) + slopes[:, 1] * (x - side / 2)
    light = light.reshape(*light.shape, *(1 for _ in channels)) + np.zeros(channels)
    return (light + rng.uniform(-3, 3, (n, side, side, *(1 for _ in channels)))).astype(np.uint8)


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def write(thumbnails, folder):
    (folder / THUMBNAILS).write_bytes(thumbnails.pack())


def written(folder, images, **changes):
    """Write images, then replace tensors of the file; None takes one out."""
    write(Thumbnails.from_images(ids_of(len(images)), images), folder)
    path = folder / THUMBNAILS
    tensors = {k: v for k, v in {**load_file(path), **changes}.items() if v is not None}
    path.unlink()
    save_file(tensors, path)
    return folder


def packed(blob):
    return torch.frombuffer(bytearray(blob), dtype=torch.uint8)


# -- the way there and back --------------------------------------------------------------------


@settings(max_examples=60)
@given(st.data())
def test_every_pixel_comes_back(tmp_path_factory, data):
    n = data.draw(st.integers(0, 40) | st.sampled_from([255, 256, 257, 600]))
    colour = data.draw(st.sampled_from([(), (3,)]))
    shape = (n, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), *colour)
    kind = data.draw(st.sampled_from(["noise", "constant", "few"]))
    images = noise(*shape, seed=n)
    if kind != "noise":
        images = images % 3 if kind == "few" else np.full(shape, 250, np.uint8)
    folder, ids = tmp_path_factory.mktemp("thumbnails"), ids_of(n)
    write(Thumbnails.from_images(ids, images), folder)
    got = Thumbnails.read(folder, ids)
    assert got.array(ids).tobytes() == images.tobytes()
    rows = data.draw(st.lists(st.integers(0, n - 1), max_size=9)) if n else []
    some = got.array([ids[row] for row in rows])
    assert some.dtype == np.uint8
    assert np.array_equal(some, images[np.array(rows, dtype=int)])
    for row in rows[:2]:
        assert np.array_equal(decoded(got.png(ids[row])), images[row])


@pytest.mark.parametrize("transform", ["none", "differences"])
@pytest.mark.parametrize("shape", [(5, 1, 1), (5, 3, 4), (5, 1, 1, 3), (5, 6, 4, 3)])
def test_every_transform_can_be_undone(transform, shape, monkeypatch):
    monkeypatch.setattr(module, "_best_transform", lambda _: transform)
    images = noise(*shape)
    kept = Thumbnails.from_images(ids_of(5), images)
    assert kept._transform == transform
    assert np.array_equal(kept.array(ids_of(5)), images)


def test_differences_are_what_they_say():
    images = noise(2, 3, 4, 3)
    planes = images.astype(int)
    planes[..., 0] -= planes[..., 1]
    planes[..., 2] -= planes[..., 1]
    wanted = np.zeros((3, 2, 3, 4), int)
    for c, i, y, x in np.ndindex(wanted.shape):
        left = planes[i, y, x - 1, c] if x else 0
        above = planes[i, y - 1, x, c] if y else 0
        corner = planes[i, y - 1, x - 1, c] if x and y else 0
        wanted[c, i, y, x] = planes[i, y, x, c] - left - above + corner
    assert np.array_equal(module._differences(images), (wanted % 256).astype(np.uint8))


def test_the_transform_is_chosen_by_what_the_images_are_like():
    for channels in ((), (3,)):
        photographs = smooth(60, channels=channels)
        assert Thumbnails.from_images(ids_of(60), photographs)._transform == "differences"
    shapes = np.repeat(noise(60, 16) // 128 * 255, 16, axis=1).reshape(60, 16, 16)
    assert Thumbnails.from_images(ids_of(60), shapes)._transform == "none"


def test_photographs_are_smaller_than_as_png(tmp_path):
    images = smooth(300, channels=(3,))
    write(Thumbnails.from_images(ids_of(300), images), tmp_path)
    as_png = sum(len(encode_png(image)) for image in images)
    assert (tmp_path / THUMBNAILS).stat().st_size < as_png


def test_one_image_never_costs_the_unpacking_of_many_large_ones():
    images = noise(5, 512, 1, 3).repeat(300, axis=2)  # 460,800 bytes each
    kept = Thumbnails.from_images(ids_of(5), images)
    assert kept._counts.tolist() == [2, 2, 1]
    assert np.array_equal(kept.array(["img-0003"])[0], images[3])


def test_an_image_larger_than_a_block_is_a_block_of_its_own():
    images = noise(2, 1, 1, 3) + np.zeros((2, 1200, 1000, 3), np.uint8)
    kept = Thumbnails.from_images(ids_of(2), images)
    assert kept._counts.tolist() == [1, 1]
    assert np.array_equal(kept.array(ids_of(2)), images)


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (np.zeros((2, 4, 4)), "float64 of shape"),
        (np.zeros((2, 4, 4, 2), np.uint8), r"\(2, 4, 4, 2\)"),
        (np.zeros((2, 4), np.uint8), r"\(2, 4\)"),
        (np.zeros((3, 4, 4), np.uint8), r"for n = 2 ids.*\(3, 4, 4\)"),
        (np.zeros((2, 0, 4), np.uint8), r"\(2, 0, 4\)"),
        (np.zeros((2, 1, 4097), np.uint8), r"1 to 4096.*\(2, 1, 4097\)"),
    ],
)
def test_other_arrays_are_refused(images, got):
    with pytest.raises(BadInputError, match=f"images must be uint8 of shape .*{got}"):
        Thumbnails.from_images(["a", "b"], images)


def test_an_unknown_id_is_refused():
    kept = Thumbnails.from_images(["a", "b"], noise(2, 4, 4))
    assert "a" in kept
    assert "c" not in kept
    for ask in (kept.png, lambda id_: kept.array(["a", id_]), lambda id_: kept.without([id_])):
        with pytest.raises(UnknownIdError, match="no image with id 'c' in this bundle"):
            ask("c")


def test_what_is_given_out_can_be_changed_without_changing_the_store():
    images = noise(3, 4, 4)
    kept = Thumbnails.from_images(ids_of(3), images)
    kept.array(ids_of(3))[:] = 0
    assert np.array_equal(kept.array(ids_of(3)), images)


# -- blocks are unpacked when needed, and shared -----------------------------------------------


def counted(monkeypatch):
    """The numbers of the blocks unpacked from now on."""
    numbers, unpack = [], Thumbnails._unpack
    monkeypatch.setattr(Thumbnails, "_unpack", lambda self, i: numbers.append(i) or unpack(self, i))
    return numbers


def test_a_block_is_unpacked_once_and_only_when_asked_for(tmp_path, monkeypatch):
    numbers, ids = counted(monkeypatch), ids_of(600)
    written(tmp_path, noise(600, 4, 4))
    kept = Thumbnails.read(tmp_path, ids)
    assert numbers == []
    kept.png(ids[300])
    kept.array(ids[256:512])
    assert numbers == [1]
    kept.array(ids)
    assert sorted(numbers) == [0, 1, 2]


def test_what_is_kept_in_memory_is_bounded(monkeypatch):
    numbers, ids = counted(monkeypatch), ids_of(1024)
    monkeypatch.setattr(module, "_KEPT_BYTES", 2 * 256 * 16)
    images = noise(1024, 4, 4)
    kept = Thumbnails.from_images(ids, images)
    assert np.array_equal(kept.array(ids), images)
    assert list(kept._unpacked) == [2, 3]
    kept.png(ids[512])  # block 2 is now the last one used
    kept.png(ids[0])
    assert list(kept._unpacked) == [2, 0]
    assert numbers == [0, 1, 2, 3, 0]


def test_many_threads_see_the_same_images(monkeypatch):
    monkeypatch.setattr(module, "_KEPT_BYTES", 3 * 256 * 16)
    images, ids = noise(1500, 4, 4), ids_of(1500)
    kept = Thumbnails.from_images(ids, images)
    wrong = []

    def look(seed):
        rows = np.random.default_rng(seed).permutation(1500)[:200]
        for row in rows[:60]:
            if not np.array_equal(decoded(kept.png(ids[row])), images[row]):
                wrong.append(row)
        if not np.array_equal(kept.array([ids[row] for row in rows]), images[rows]):
            wrong.append(seed)

    together(partial(look, seed) for seed in range(8))
    assert wrong == []
    assert sum(block.nbytes for block in kept._unpacked.values()) <= 3 * 256 * 16


# -- taking images out -------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(1, 600), st.floats(0, 1), st.integers(0, 99), st.sampled_from([(), (3,)]))
def test_without_some_images_the_others_stay(tmp_path_factory, n, share, seed, colour):
    images, ids = noise(n, 3, 2, *colour, seed=seed), ids_of(n)
    gone = np.random.default_rng(seed).random(n) < share
    less = Thumbnails.from_images(ids, images).without([ids[i] for i in np.flatnonzero(gone)])
    left = [ids[i] for i in np.flatnonzero(~gone)]
    folder = tmp_path_factory.mktemp("less")
    write(less, folder)
    for kept in (less, Thumbnails.read(folder, left)):
        assert np.array_equal(kept.array(left), images[~gone])
        assert not any(ids[i] in kept for i in np.flatnonzero(gone))


@pytest.mark.parametrize("transform", ["none", "differences"])
def test_the_pixels_of_an_image_taken_out_are_in_no_block(transform, monkeypatch):
    monkeypatch.setattr(module, "_best_transform", lambda _: transform)
    images, ids = noise(700, 4, 4), ids_of(700)
    whole = Thumbnails.from_images(ids, images)
    less = whole.without([ids[5], ids[5], ids[699]])
    raw = b"".join(lzma.decompress(less._packed(number)) for number in range(len(less._counts)))
    assert len(raw) == 698 * 16
    do, _ = module._TRANSFORMS[transform]
    for row, there in ((5, False), (6, True), (698, True), (699, False)):
        assert (do(images[row : row + 1]).tobytes() in raw) == there
    assert whole._packed(1) == less._packed(1)  # a block that held none stays as it was
    assert np.array_equal(whole.array([ids[5]])[0], images[5])


def test_without_anybody_or_without_everybody():
    images, ids = noise(300, 3, 2, 3), ids_of(300)
    whole = Thumbnails.from_images(ids, images)
    assert whole.without([])._blob.tobytes() == whole._blob.tobytes()
    nobody = whole.without(ids)
    assert len(nobody._blob) == 0
    assert nobody.array([]).shape == (0, 3, 2, 3)


def test_images_can_be_taken_out_again_and_again():
    images, ids = noise(600, 2, 2), ids_of(600)
    kept = Thumbnails.from_images(ids, images)
    for first in range(0, 600, 150):
        kept = kept.without(ids[first : first + 149])
    assert np.array_equal(kept.array(ids[149::150]), images[149::150])
    assert kept._counts.tolist() == [1, 2, 1]  # none of the three blocks is left empty


# -- damage ------------------------------------------------------------------------------------


def long(*values):
    return torch.tensor(values, dtype=torch.int64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blob": None}, "blob must be a vector of uint8, got none"),
        ({"blob": torch.ones(3)}, "blob must be a vector of uint8, got float32"),
        ({"blob": torch.ones(3, 3).byte()}, r"blob must be a vector of uint8, .*\(3, 3\)"),
        ({"blob": torch.ones(3).bfloat16()}, "not readable"),
        ({"blob": torch.ones(3).byte()}, "offsets must rise from 0 to 3 in 2 steps"),
        ({"offsets": None}, "offsets must be a vector of int64"),
        ({"offsets": torch.ones(3).int()}, "offsets must be a vector of int64, got int32"),
        ({"offsets": long(0, 5)}, "offsets must rise from 0"),
        ({"offsets": long()}, "offsets must rise from 0"),
        ({"offsets": long(0, 0, 0)}, "offsets must rise from 0"),
        ({"offsets": long(0, 2**63 - 1, -(2**63))}, "offsets must rise from 0"),
        ({"counts": None}, "counts must be a vector of int64"),
        ({"counts": long(256, 43)}, "counts must be between 1 and 256 .* sum to 300"),
        ({"counts": long(299, 1)}, "counts must be between 1 and 256"),
        ({"counts": long(0, 300)}, "counts must be between 1 and 256"),
        ({"counts": long(2**62, 2**62)}, "counts must be between 1 and 256"),
        ({"counts": long(100, 100, 100)}, "offsets must rise from 0 to .* in 3 steps"),
        ({"counts": long()}, "counts must be between 1"),
        ({"shape": None}, "shape must be a vector of int64"),
        ({"shape": long()}, r"one image for each of 300 records.*shape is \(\)"),
        ({"shape": long(299, 6, 5)}, "one image for each of 300 records"),
        ({"shape": long(300, 30)}, "one image for each of 300 records"),
        ({"shape": long(300, 0, 5)}, "one image for each of 300 records, of sides 1 to 4096"),
        ({"shape": long(300, -6, -5)}, "one image for each of 300 records"),
        ({"shape": long(300, 6, 5, 2)}, "grey or in 3 channels"),
        ({"shape": long(300, 6, 5, 3, 1)}, "one image for each of 300 records"),
        ({"shape": long(300, 2**40, 2**40)}, "sides 1 to 4096"),
        ({"transform": None}, "transform must be a vector of uint8"),
        ({"transform": packed(b"rot13")}, "transform must be one of none, differences, got 'rot"),
        ({"transform": packed(b"\xff\xfe")}, "transform must be one of none, differences"),
        ({"png": torch.ones(3).byte()}, "got single PNG files.*make it again with `munkey train`"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_what_was_wanted(tmp_path, changes, message):
    written(tmp_path, noise(300, 6, 5), **changes)
    with pytest.raises(BundleError, match=f"{THUMBNAILS}.*{message}"):
        Thumbnails.read(tmp_path, ids_of(300))


@pytest.mark.parametrize("content", [b"", b"\x89PNG", None])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / THUMBNAILS).write_bytes(content)
    with pytest.raises(BundleError, match=f"{THUMBNAILS} is (not a safetensors file|missing)"):
        Thumbnails.read(tmp_path, [])


def xz(raw, filters=module._FILTERS):
    return lzma.compress(raw, lzma.FORMAT_XZ, filters=filters)


PIXELS = noise(10, 6, 5).tobytes()
WIDE = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 30}]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (b"\x89PNG and no more", "block 0 can't be unpacked"),
        (xz(PIXELS)[:-9], "block 0 must be one xz stream of 300 bytes, 10 images of"),
        (xz(PIXELS)[:40], "block 0 must be one xz stream of 300 bytes"),
        (xz(PIXELS[:-1]), "block 0 must be one xz stream of 300 bytes"),
        (xz(PIXELS + b"\0"), "block 0 must be one xz stream of 300 bytes"),
        (xz(b""), "block 0 must be one xz stream of 300 bytes"),
        (xz(PIXELS) + b"hidden", "block 0 must be one xz stream of 300 bytes"),
        (xz(PIXELS) + xz(PIXELS), "block 0 must be one xz stream of 300 bytes"),
        (lzma.compress(PIXELS, lzma.FORMAT_ALONE), "block 0 can't be unpacked"),
    ],
)
def test_a_block_that_is_wrong_is_refused(tmp_path, block, message):
    offsets = long(0, len(block))
    written(tmp_path, noise(10, 6, 5), blob=packed(block), offsets=offsets)
    kept = Thumbnails.read(tmp_path, ids_of(10))
    for ask in (lambda: kept.png("img-0000"), lambda: kept.array(["img-0009"])):
        with pytest.raises(BundleError, match=f"{THUMBNAILS}: {message}"):
            ask()


@settings(max_examples=40)
@given(st.data())
def test_a_flipped_bit_in_a_block_is_refused_or_harmless(tmp_path_factory, data):
    images = noise(10, 6, 5)
    folder = written(tmp_path_factory.mktemp("flip"), images)
    blob = bytearray(load_file(folder / THUMBNAILS)["blob"].numpy().tobytes())
    position = data.draw(st.integers(0, len(blob) - 1))
    blob[position] ^= 1 << data.draw(st.integers(0, 7))
    kept = Thumbnails.read(written(folder, images, blob=packed(blob)), ids_of(10))
    try:
        got = kept.array(ids_of(10))
    except BundleError:
        return
    assert np.array_equal(got, images)


@pytest.mark.parametrize(
    "bomb",
    [xz(bytes(50_000_000)), xz(PIXELS, filters=WIDE)],
    ids=["many bytes", "a dictionary of 1 GiB"],
)
def test_a_bomb_is_refused_without_being_unpacked(tmp_path, bomb):
    written(tmp_path, noise(10, 6, 5), blob=packed(bomb), offsets=long(0, len(bomb)))
    kept = Thumbnails.read(tmp_path, ids_of(10))
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="block 0"):
            kept.png("img-0000")
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()
