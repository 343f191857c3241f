"""Pictures of more than 8 bits a channel: what is white in them is told from what there is."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from munkey_core.data import image_folder
from munkey_core.data.images import decode_image, read_image
from munkey_core.errors import BadInputError

GREY = np.arange(0, 256, dtype=np.float64).reshape(16, 16)  # 0 to 255, each once
COLOUR = np.stack([GREY, GREY[::-1], GREY.T], axis=-1)


def of_bits(picture, bits):
    """The picture with values from 0 to 2^bits - 1, as uint16."""
    return np.rint(picture / 255 * ((1 << bits) - 1)).astype(np.uint16)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values, extra=b""):
    """A PNG of 16 bits a channel, uint16 (H, W) or (H, W, C); Pillow writes none in colour."""
    values = values[..., None] if values.ndim == 2 else values
    height, width, channels = values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + data + chunk(b"IEND", b"")


def tiff(values, order="<", packed=False, largest=0):
    """A TIFF of 16 bits a channel, uint16 (H, W, C)."""
    height, width, channels = values.shape
    data = values.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if packed else data
    tags = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, None),
        (259, 3, 1, 8 if packed else 1), (262, 3, 1, 2 if channels == 3 else 1), (273, 4, 1, None),
        (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(data)),
        *([(281, 3, 1, largest)] if largest else []),
    ]  # fmt: skip
    after = 8 + 2 + 12 * len(tags) + 4
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    known = {258: after if channels > 1 else 16, 273: after + len(bits)}
    entries = b""
    for tag, kind, count, value in tags:
        value = known.get(tag, value)
        single = struct.pack(f"{order}HH", value, 0) if kind == 3 and count == 1 else None
        entries += struct.pack(f"{order}HHI", tag, kind, count)
        entries += single or struct.pack(f"{order}I", value)
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return start + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + bits + data


def saved(values, kind):
    out = io.BytesIO()
    Image.fromarray(values).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "32-bit TIFF"])
def test_grey_of_any_depth_comes_out_as_it_looks(bits, form):
    values = of_bits(GREY, bits)
    content = saved(values.astype(np.int32) if form[0] == "3" else values, form.split()[-1])
    decoded = read_image(content, 16)
    assert decoded.white == (1 << bits) - 1
    assert np.abs(decoded.image[..., 0] - GREY).max() <= (0 if bits in (8, 16) else 1)


FORMS = {
    "PNG": png,
    "PNG with opacity": lambda v: png(np.dstack([v, np.full(v.shape[:2], 65_535, np.uint16)])),
    "TIFF, Intel": tiff,
    "TIFF, Motorola": lambda v: tiff(v, ">"),
    "TIFF, packed": lambda v: tiff(v, "<", True),
    "TIFF, Motorola, packed": lambda v: tiff(v, ">", True),
}


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", FORMS)
def test_colour_of_any_depth_comes_out_as_it_looks(bits, form):
    decoded = read_image(FORMS[form](of_bits(COLOUR, bits)), 16)
    assert decoded.white == (1 << bits) - 1
    assert np.abs(decoded.image - COLOUR).max() <= 1


def test_what_the_file_says_is_white_counts():
    dark = of_bits(COLOUR, 12) // 8  # its largest value would do with 10 bits
    said = chunk(b"sBIT", bytes([12, 12, 12]))
    assert read_image(png(dark), 16).white == 1023
    assert read_image(png(dark, said), 16).white == 4095
    assert read_image(png(dark[..., 0], chunk(b"sBIT", bytes([12]))), 16).white == 4095
    assert read_image(tiff(dark, largest=4095), 16).white == 4095
    assert read_image(tiff(dark[..., :1], largest=4095), 16).white == 4095
    # Values above what is said: they were moved up to 16 bits, as the PNG standard wants.
    assert read_image(png(of_bits(COLOUR, 16), said), 16).white == 65_535


def test_a_netpbm_file_says_what_is_white():
    values = (of_bits(GREY, 12) // 8).astype(">u2")
    decoded = read_image(b"P5 16 16 4095\n" + values.tobytes(), 16)
    assert np.abs(decoded.image[..., 0] - GREY // 8).max() <= 1


def test_opacity_is_never_stretched():
    values = np.dstack([of_bits(COLOUR, 12), np.full((16, 16), 65_535, np.uint16)])
    values[:8, :, 3] = 0
    decoded = decode_image(png(values), 16)
    assert (decoded[:8] == 255).all()
    assert np.abs(decoded[8:] - COLOUR[8:]).max() <= 1


def test_lower_bits_that_cannot_be_read_are_not_black_in_silence():
    values = np.dstack([of_bits(GREY, 12), np.full((16, 16), 65_535, np.uint16)])
    with pytest.raises(BadInputError, match="whose lower bits can't be read"):
        decode_image(png(values), 16)
    values[..., 0] = of_bits(GREY, 16)
    assert np.abs(decode_image(png(values), 16)[..., 0] - GREY).max() <= 1


@pytest.mark.parametrize("value", [-1, 65_536, 2**31 - 1])
def test_values_that_are_no_picture_are_refused(value):
    values = np.zeros((16, 16), np.int32)
    values[3, 3] = value
    with pytest.raises(BadInputError, match="wanted 8 or 16 bits a channel"):
        decode_image(saved(values, "TIFF"), 16)


def test_a_folder_says_how_its_pictures_were_scaled(tmp_path):
    for kind, depths in (("a", (8, 12, 12)), ("b", (8, 10, 16))):
        (tmp_path / kind).mkdir()
        for i, bits in enumerate(depths):
            (tmp_path / kind / f"{i}.png").write_bytes(png(of_bits(COLOUR, bits)))
    data = image_folder.load(tmp_path, 16)
    assert np.abs(data.images - COLOUR).max() <= 1
    (said,) = data.remarks
    assert said.startswith(
        "3 pictures have 16 bits a channel and use a part of them: 1 up to 1,023 and 2 up to 4,095"
    )
    assert "can't be compared" in said
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(png(of_bits(COLOUR, 12)))
    (said,) = image_folder.load(tmp_path, 16).remarks
    assert said.endswith("6 up to 4,095, which was taken for white.")
