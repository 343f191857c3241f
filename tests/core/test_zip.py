"""Archives of unknown origin: what is good comes out whole, what isn't leaves nothing behind."""

import contextlib
import io
import os
import stat
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from munkey_core.data.archives import safe_parts, unpack_zip
from munkey_core.data.zip_names import member_names
from munkey_core.errors import BadInputError, DataError
from munkey_core.files.limits import Limits, limits

LIMITS = Limits(zip_files=20, zip_bytes=10_000_000, zip_ratio=100)


def archive(*members, compression=zipfile.ZIP_DEFLATED):
    """A zip in memory of (name or ZipInfo, bytes)."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as opened:
        for name, content in members:
            opened.writestr(name, content)
    stream.seek(0)
    return stream


def unpack(stream, tmp_path, limits=LIMITS):
    return unpack_zip(stream, tmp_path / "out", limits, "mine.zip")


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def nothing_left(tmp_path):
    return [path.name for path in tmp_path.iterdir()] == []


def test_what_is_good_comes_out_and_what_systems_add_does_not(tmp_path):
    stream = archive(
        ("pets/cats/1.png", b"cat"),
        ("pets/dogs/ä b.png", b"dog"),
        ("pets/dogs/", b""),
        ("__MACOSX/pets/cats/._1.png", b"x"),
        ("pets/.DS_Store", b"x"),
        ("pets/cats/Thumbs.db", b"x"),
        ("pets/cats/thumbs.db", b"x"),
        ("pets/Desktop.ini", b"x"),
    )
    assert unpack(stream, tmp_path) == 2
    assert files_below(tmp_path / "out") == {"pets/cats/1.png", "pets/dogs/ä b.png"}
    assert (tmp_path / "out/pets/cats/1.png").read_bytes() == b"cat"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_backslashes_part_folders_as_windows_programs_write_them(tmp_path):
    info = zipfile.ZipInfo("x")
    info.filename = "pets\\cats\\1.png"
    assert unpack(archive((info, b"cat")), tmp_path) == 1
    assert files_below(tmp_path / "out") == {"pets/cats/1.png"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../out.png", "leads out of the archive"),
        ("a/../../out.png", "leads out of the archive"),
        ("a\\..\\..\\out.png", "leads out of the archive"),
        ("/etc/cron.d/x", "is an absolute path"),
        ("\\\\server\\share\\x", "is an absolute path"),
        ("C:\\Windows\\x.png", "is an absolute path"),
        ("c:x.png", "is an absolute path"),
        ("a/\x1b[2Jb.png", "has a control character"),
        ("a/" + "n" * 256, "is too long a name"),
        ("/".join("d" * 200 for _ in range(6)), "is too long a name"),
        ("/".join("abcdefghijklmnopqrstuvw"), "lies more than 20 folders deep"),
        ("./.", "is no file's name"),
        (".", "is no file's name"),
        ("/cats/1.png", "is an absolute path"),
    ],
)
def test_names_that_lead_elsewhere_are_refused_whole(tmp_path, name, reason):
    stream = archive(("good/1.png", b"good"), (name, b"bad"))
    with pytest.raises(DataError, match=reason) as caught:
        unpack(stream, tmp_path)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("root", ["./", "/", "././", ".//", "//", ".\\", "\\", "."])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_an_entry_for_the_packed_folder_itself_is_passed_over(tmp_path, root, prefix):
    info = zipfile.ZipInfo("x")
    info.filename = root
    stream = archive((info, b""), (f"{prefix}cats/1.png", b"cat"), (f"{prefix}dogs/", b""))
    assert unpack(stream, tmp_path) == 1
    assert files_below(tmp_path / "out") == {"cats/1.png"}


class Unsaid(zipfile.ZipInfo):
    """A member whose name is in an encoding that it doesn't tell, as zip programs of many countries
    write it."""

    def __init__(self, name, encoding):
        super().__init__(name)
        self.raw = name.encode(encoding)

    def _encodeFilenameFlags(self):  # noqa: N802
        return self.raw, 0


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("gbk", ["猫/1.png", "狗/1.png"]),
        ("gbk", ["照片/猫/图 1.png", "照片/朱镕基/2.png"]),
        ("gbk", ["cats猫狗/1.png", "dogs/1.png"]),
        ("gbk", ["乗/1.png", "猫/天.png"]),  # the first is of the encoding's later part
        ("cp932", ["ネコ/1.png", "犬/いぬ.png"]),
        ("cp932", ["日本/ソ.png"]),  # the second byte is a backslash
        ("cp866", ["кошка/1.png", "собака/фото 2.png"]),
        ("cp437", ["café/1.png", "niño/2.png"]),
        ("cp437", ["Größe/1.png", "Ñandú/É.png"]),
        ("utf-8", ["café/1.png", "кошка/2.png"]),
        ("utf-8", ["猫/1.png", "고양이/2.png"]),
        ("utf-8", ["Müller/ä1.png"]),
    ],
)
def test_names_in_an_encoding_that_is_not_told_come_out_as_they_were_written(
    tmp_path, encoding, names
):
    stream = archive(*((Unsaid(name, encoding), b"x") for name in names))
    assert unpack(stream, tmp_path) == len(names)
    assert files_below(tmp_path / "out") == set(names)


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=4))
def test_any_bytes_have_a_name(names):
    infos = [zipfile.ZipInfo(raw.decode("cp437")) for raw in names]
    found = member_names(infos)
    assert len(found) == len(names)
    for info, name in zip(infos, found, strict=True):
        assert not info.filename.isascii() or name == info.filename


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path, kind):
    info = zipfile.ZipInfo("cats/link.png")
    info.external_attr = (kind | 0o777) << 16
    with pytest.raises(DataError, match=r"'cats/link.png' is a link or device"):
        unpack(archive((info, b"/etc/passwd")), tmp_path)
    assert nothing_left(tmp_path)


def test_rights_in_the_archive_do_not_count(tmp_path):
    info = zipfile.ZipInfo("cats/run.sh")
    info.external_attr = (stat.S_IFREG | stat.S_ISUID | 0o777) << 16
    unpack(archive((info, b"#!/bin/sh")), tmp_path)
    mode = (tmp_path / "out/cats/run.sh").stat().st_mode
    assert not mode & (stat.S_ISUID | 0o111)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    zeros = archive(("a/zeros.png", bytes(9_000_000)))
    with pytest.raises(DataError, match=r"at most 1,000,000 bytes once unpacked.*got 9,000,000"):
        unpack(zeros, tmp_path, Limits(zip_bytes=1_000_000))
    zeros.seek(0)
    assert unpack(zeros, tmp_path) == 1  # flat, but too small to do harm


def test_what_packs_far_too_well_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("munkey_core.data.archives._RATIO_COUNTS_FROM", 1_000_000)
    with pytest.raises(DataError, match=r"at most 100 bytes unpacked for each packed byte"):
        unpack(archive(("a/zeros.png", bytes(9_000_000))), tmp_path)
    assert nothing_left(tmp_path)


def test_too_many_files_and_two_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"at most 20 files.*got 21"):
        unpack(archive(*((f"a/{i}.png", b"") for i in range(21))), tmp_path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = archive(("a/1.png", b"1"), ("a/1.png", b"2"))
    with pytest.raises(DataError, match=r"holds 'a/1.png' twice"):
        unpack(twice, tmp_path)
    # One letter, written in two ways: the file system would make one file of them.
    with pytest.raises(DataError, match="twice"):
        unpack(archive(("a/\u00e4.png", b"1"), ("a/a\u0308.png", b"2")), tmp_path)
    with pytest.raises(DataError, match="'a' is both a file and a folder"):
        unpack(archive(("a", b"1"), ("a/1.png", b"2")), tmp_path)
    assert nothing_left(tmp_path)


def test_encrypted_members_are_refused(tmp_path):
    raw = bytearray(archive(("a/1.png", b"secret")).getvalue())
    for marker, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(marker) + offset] |= 1
    with pytest.raises(DataError, match="is encrypted"):
        unpack(io.BytesIO(raw), tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_archive_says_so(tmp_path, content):
    with pytest.raises(DataError, match=r"can't be read as a .zip archive"):
        unpack(io.BytesIO(content), tmp_path)
    assert nothing_left(tmp_path)


@given(position=st.integers(0, 400), value=st.integers(0, 255))
def test_a_changed_byte_gives_the_files_or_an_error_and_never_half_of_them(
    tmp_path_factory, position, value
):
    members = [(f"a/{i}.png", bytes([i]) * 40) for i in range(3)]
    raw = bytearray(archive(*members, compression=zipfile.ZIP_STORED).getvalue())
    raw[position % len(raw)] = value
    home = tmp_path_factory.mktemp("fuzz")
    count = None
    with contextlib.suppress(DataError):
        count = unpack(io.BytesIO(raw), home)
    if count is None:
        assert nothing_left(home)
    else:
        assert [path.name for path in home.iterdir()] == ["out"]
        assert count == len(files_below(home / "out"))


@given(st.text(max_size=300))
def test_no_name_leads_out_of_its_folder(name):
    try:
        parts = safe_parts(name)
    except DataError:
        return
    place = Path(os.path.normpath(Path("/inside", *parts)))
    assert place != Path("/inside")
    assert place.is_relative_to("/inside")
    assert len(place.parts) == len(parts) + 2
    assert not PurePosixPath(*parts).is_absolute()


@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='/\\.:"'),
            min_size=1,
            max_size=8,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_ordinary_names_come_out_as_they_went_in(parts):
    import unicodedata

    wanted = tuple(unicodedata.normalize("NFC", part) for part in parts)
    assert safe_parts("/".join(parts)) == wanted
    assert safe_parts("\\".join(parts)) == wanted


def test_limits_come_from_the_environment(monkeypatch):
    assert limits() == Limits()
    monkeypatch.setenv("MUNKEY_ZIP_FILES", "7")
    monkeypatch.setenv("MUNKEY_ZIP_BYTES", "1000")
    monkeypatch.setenv("MUNKEY_ZIP_RATIO", "3")
    assert limits() == Limits(zip_files=7, zip_bytes=1000, zip_ratio=3)
    for wrong in ("0", "-1", "many", "1.5", "²"):
        monkeypatch.setenv("MUNKEY_ZIP_FILES", wrong)
        with pytest.raises(BadInputError, match="MUNKEY_ZIP_FILES must be a whole number"):
            limits()


def test_a_folder_that_is_there_is_not_written_into(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInputError, match="exists already"):
        unpack(archive(("a/1.png", b"1")), tmp_path)
    assert files_below(tmp_path / "out") == set()
