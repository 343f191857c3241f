"""decode_image takes what people have, and answers everything else with one clear line."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from munkey_core.data import formats, images
from munkey_core.data.images import decode_image, encode_png, resize_images
from munkey_core.errors import BadInputError


def to_bytes(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def halves(left, right, mode="RGB", size=(40, 20)):
    """An image whose left half and right half have one colour each."""
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_an_image_of_the_right_size_comes_back_unchanged(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode_image(to_bytes(Image.fromarray(pixels), kind, **options), 16)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, pixels)


def test_paths_and_bytes_give_the_same(tmp_path):
    path = tmp_path / "a.jpg"
    halves("red", "blue").save(path, quality=95)
    assert np.array_equal(decode_image(path, 8), decode_image(path.read_bytes(), 8))


def test_the_central_square_is_kept():
    image = Image.new("RGB", (30, 10), "red")
    image.paste("lime", (10, 0, 20, 10))
    assert (decode_image(to_bytes(image), 10) == (0, 255, 0)).all()


def test_shrinking_averages_instead_of_picking_pixels():
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    decoded = decode_image(to_bytes(Image.fromarray(board)), 8)
    assert np.abs(decoded.astype(int) - 127).max() <= 12


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: what is stored left belongs on top
    decoded = decode_image(to_bytes(halves("white", "black"), "JPEG", exif=exif, quality=95), 20)
    assert decoded[:8].min() > 240
    assert decoded[12:].max() < 15


@pytest.mark.parametrize(("value", "wanted"), [(0, 0), (65_535, 255), (128 * 257, 128)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_cut(value, wanted, kind):
    image = Image.fromarray(np.full((6, 6), value, dtype=np.uint16))
    assert (decode_image(to_bytes(image, kind), 6) == wanted).all()


def test_float_images_are_refused():
    image = Image.fromarray(np.zeros((6, 6), dtype=np.float32))
    with pytest.raises(BadInputError, match="8 or 16 bits a channel, got mode F"):
        decode_image(to_bytes(image, "TIFF"), 6)


@pytest.mark.parametrize(
    ("image", "kind", "wanted"),
    [
        (Image.new("L", (5, 5), 90), "PNG", (90, 90, 90)),
        (Image.new("1", (5, 5), 1), "PNG", (255, 255, 255)),
        (Image.new("RGB", (5, 5), "red").convert("P"), "PNG", (255, 0, 0)),
        (Image.new("CMYK", (5, 5), (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (Image.new("RGBA", (5, 5), (255, 0, 0, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (5, 5), (255, 0, 0, 255)), "PNG", (255, 0, 0)),
        (Image.new("LA", (5, 5), (0, 0)), "PNG", (255, 255, 255)),
    ],
    ids=["grey", "bilevel", "palette", "cmyk", "clear", "opaque", "grey-alpha"],
)
def test_every_mode_becomes_rgb(image, kind, wanted):
    assert (decode_image(to_bytes(image, kind), 5) == wanted).all()


def test_a_palette_with_a_transparent_colour_is_laid_on_white():
    image = Image.new("P", (5, 5), 0)
    image.putpalette([255, 0, 0] * 256)
    assert (decode_image(to_bytes(image, transparency=0), 5) == 255).all()


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue")]
    animation = to_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode_image(animation, 5) == (255, 0, 0)).all()


def test_a_phones_multi_picture_jpeg_gives_its_first_picture():
    pictures = [Image.new("L", (8, 8), value) for value in (200, 10)]
    picture = to_bytes(pictures[0], "MPO", save_all=True, append_images=pictures[1:])
    assert (decode_image(picture, 8) == 200).all()


def test_grey_makes_the_channels_equal():
    decoded = decode_image(to_bytes(Image.new("RGB", (5, 5), "red")), 5, grey=True)
    assert decoded.shape == (5, 5, 3)
    assert (decoded == 76).all()  # ITU-R 601 luma of pure red


def test_bombs_are_refused_before_decoding():
    header = to_bytes(Image.new("1", (1, 1)))
    bomb = header[:16] + (50_000).to_bytes(4, "big") * 2 + header[24:]
    with pytest.raises(BadInputError, match="at most 40,000,000 pixels"):
        decode_image(fix_png_checksum(bomb), 8)
    with pytest.raises(BadInputError, match="at most 99 pixels, got 10 x 10"):
        decode_image(to_bytes(Image.new("L", (10, 10))), 8, max_pixels=99)


def fix_png_checksum(png):
    import zlib

    return png[:29] + zlib.crc32(png[12:29]).to_bytes(4, "big") + png[33:]


@pytest.mark.parametrize("content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_other_files_are_refused_with_what_is_wanted(content, tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"^notes.jpg: wanted a PNG, JPEG.*got something else$"):
        decode_image(path, 8)
    with pytest.raises(BadInputError, match=r"^image: wanted"):
        decode_image(content, 8)


def test_missing_files_and_folders_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none.png"):
        with pytest.raises(BadInputError, match="no regular file"):
            decode_image(path, 8)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(st.data())
def test_damaged_files_never_raise_anything_else(data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]))
    content = bytearray(to_bytes(halves("red", "blue", size=(12, 8)), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_image(bytes(content[: data.draw(st.integers(1, len(content)))]), 8)
    except BadInputError as error:
        message = str(error)
    else:
        message = ""
        assert decoded.shape == (8, 8, 3)
    assert "\n" not in message


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_png_round_trip(shape):
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(image)))), image)


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8)])
def test_png_refuses_other_arrays(image):
    with pytest.raises(BadInputError, match="image must be uint8 of shape"):
        encode_png(image)


def test_resizing_keeps_grey_grey_and_colour_colour():
    grey = np.full((3, 10, 20), 7, dtype=np.uint8)
    assert np.array_equal(resize_images(grey, 4), np.full((3, 4, 4), 7))
    assert resize_images(np.zeros((3, 10, 20, 3), np.uint8), 4).shape == (3, 4, 4, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bytes(128) + b"DICM" + bytes(90), "a DICOM file: export it as PNG"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "a HEIC picture, which can't be read here"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
    ],
)
@pytest.mark.parametrize("name", ["0.png", "0.dcm", "0"])
def test_what_is_often_taken_for_a_picture_is_called_by_its_name(content, words, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    for source in (tmp_path / name, content):
        with pytest.raises(BadInputError, match=words):
            decode_image(source, 8)


def test_avif_is_read_where_pillow_can(monkeypatch):
    pixels = Image.new("RGB", (16, 16), "red")
    if features.check("avif"):
        decoded = decode_image(to_bytes(pixels, "AVIF"), 8)
        assert np.abs(decoded.astype(int) - (255, 0, 0)).max() < 12
        monkeypatch.setattr(images, "readable_formats", lambda: ("PNG",))
        with pytest.raises(BadInputError, match="an AVIF picture, which can't be read here"):
            decode_image(to_bytes(pixels, "AVIF"), 8)


def test_heic_is_read_where_pillow_heif_is(monkeypatch):
    made = []
    heif = SimpleNamespace(register_heif_opener=lambda: made.append("HEIF"))
    monkeypatch.setattr(formats, "find_spec", lambda name: object())
    monkeypatch.setattr(formats, "import_module", lambda name: {"pillow_heif": heif}[name])
    readable = formats.readable_formats.__wrapped__()
    assert made == ["HEIF"]
    assert set(readable) >= {"PNG", "HEIF"}


@pytest.mark.parametrize("content", [b"<svg/>", b"<?xml version='1.0'?>\n<SVG width='9'></SVG>"])
def test_a_drawing_is_refused_with_words_and_never_drawn(content, tmp_path):
    path = tmp_path / "logo.png"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(BadInputError, match="an SVG drawing, which has no pixels"):
            decode_image(source, 8)
