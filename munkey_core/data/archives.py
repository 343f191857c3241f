"""A .zip of a folder of images, unpacked where nothing in it can do harm.

Refused whole: names that lead out of the folder, links and devices, encrypted or damaged members,
two members of one name, and archives that are too large once unpacked. Passed over: hidden files,
what macOS and Windows add on their own, and an entry for the folder itself.
"""

import stat
import tempfile
import unicodedata
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path
from typing import BinaryIO

from munkey_core.data.zip_names import member_names
from munkey_core.errors import BadInputError, DataError
from munkey_core.files.limits import Limits
from munkey_core.files.machine import free_disk, readable_bytes
from munkey_core.files.system_files import added_by_system

_RATIO_COUNTS_FROM = 100_000_000  # bytes; flat drawings pack well, and less does no harm
_MAX_NAME_BYTES = 255  # of one folder or file, the limit of common file systems
_MAX_PATH_BYTES = 1000
_MAX_DEPTH = 20
_BLOCK = 1 << 20


def unpack_zip(archive: Path | BinaryIO, folder: Path, limits: Limits, name: str) -> int:
    """Unpack into a new folder, which appears whole or not at all; returns how many files.

    archive: a file, or a seekable stream. limits: of which those of archives count. name: of the
    archive, for messages. Files get the rights of new ones, whatever the archive says. Raises
    DataError naming the member and what is wrong with it, BadInputError if the folder exists.
    """
    if folder.exists():
        raise BadInputError(f"{folder} exists already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as temporary:
        inside = Path(temporary) / "files"
        inside.mkdir()
        try:
            with zipfile.ZipFile(archive) as opened:
                members = checked_members(opened, limits, name)
                _check_room(sum(info.file_size for info, _ in members), inside, name)
                for info, parts in members:
                    _write(opened, info, inside.joinpath(*parts), name)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
            raise DataError(f"{name}: can't be read as a .zip archive ({error})") from error
        inside.rename(folder)
    return len(members)


def checked_members(
    opened: zipfile.ZipFile, limits: Limits, name: str
) -> list[tuple[zipfile.ZipInfo, tuple[str, ...]]]:
    """The files that are to be unpacked, each with its path in parts; raises DataError."""
    infos = opened.infolist()
    if len(infos) > limits.zip_files:
        raise DataError(
            f"{name}: wanted at most {limits.zip_files:,} files ($MUNKEY_ZIP_FILES), "
            f"got {len(infos):,}"
        )
    total = sum(info.file_size for info in infos)
    if total > limits.zip_bytes:
        raise DataError(
            f"{name}: wanted at most {limits.zip_bytes:,} bytes once unpacked "
            f"($MUNKEY_ZIP_BYTES), got {total:,}"
        )
    packed = max(1, sum(info.compress_size for info in infos))
    if total > _RATIO_COUNTS_FROM and total > limits.zip_ratio * packed:
        raise DataError(
            f"{name}: wanted at most {limits.zip_ratio:,} bytes unpacked for each packed byte "
            f"($MUNKEY_ZIP_RATIO), got {total // packed:,}"
        )
    members: list[tuple[zipfile.ZipInfo, tuple[str, ...]]] = []
    seen: set[tuple[str, ...]] = set()
    for info, path in zip(infos, member_names(infos), strict=True):
        _check_kind(info, name)
        if _is_root(info):
            continue
        parts = safe_parts(path, name)
        hidden = any(part.startswith(".") for part in parts)
        if info.is_dir() or hidden or added_by_system(parts):
            continue
        if parts in seen:
            raise DataError(f"{name}: holds {'/'.join(parts)!r} twice")
        seen.add(parts)
        members.append((info, parts))
    for parts in seen:
        for depth in range(1, len(parts)):
            if parts[:depth] in seen:
                raise DataError(f"{name}: {'/'.join(parts[:depth])!r} is both a file and a folder")
    return members


def safe_parts(path: str, name: str = "archive") -> tuple[str, ...]:
    """A member's path in parts, in Unicode's composed form, none of which leads out of the folder
    that it is unpacked to.

    Archives made on Windows may part their folders with backslashes. Raises DataError for absolute
    paths, `..`, control characters, and what no file system can hold.
    """

    def refuse(reason: str) -> DataError:
        return DataError(f"{name}: {_shown(path)} {reason}")

    text = unicodedata.normalize("NFC", path.replace("\\", "/"))
    if text.startswith("/") or (len(text) > 1 and text[0].isalpha() and text[1] == ":"):
        raise refuse("is an absolute path, wanted one inside the archive")
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    if ".." in parts:
        raise refuse("leads out of the archive")
    if not parts:
        raise refuse("is no file's name")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise refuse("has a control character in its name")
    sizes = [len(part.encode()) for part in parts]
    if max(sizes) > _MAX_NAME_BYTES or sum(sizes) + len(sizes) > _MAX_PATH_BYTES:
        raise refuse("is too long a name")
    if len(parts) > _MAX_DEPTH:
        raise refuse(f"lies more than {_MAX_DEPTH} folders deep")
    return parts


def _is_root(info: zipfile.ZipInfo) -> bool:
    """Whether a member is the folder that was packed, which some programs write down: "./", "/"."""
    name = info.filename.replace("\\", "/")
    only_dots = bool(name) and set(name.split("/")) <= {"", "."}
    return only_dots and (name.endswith("/") or not info.file_size)


def _check_kind(info: zipfile.ZipInfo, name: str) -> None:
    """Refuse what is neither a file nor a folder, and what can't be read."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{name}: {_shown(info.filename)} is a link or device, wanted plain files")
    if info.flag_bits & 0x1:
        raise DataError(f"{name}: {_shown(info.filename)} is encrypted; pack it without a password")


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    left = info.file_size
    try:
        # "x": nothing that is there already can be written through.
        with opened.open(info) as source, path.open("xb") as target:
            while block := source.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    raise zipfile.BadZipFile("it is larger than it says")
                target.write(block)
    except (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, RuntimeError) as error:
        raise DataError(f"{name}: {_shown(info.filename)} is damaged ({error})") from error


def _check_room(wanted: int, folder: Path, name: str) -> None:
    free = free_disk(folder)
    if wanted > free:
        raise DataError(
            f"{name}: unpacked it takes {readable_bytes(wanted)} of disk, "
            f"{readable_bytes(free)} are free"
        )


def _shown(path: str) -> str:
    return repr(path if len(path) <= 100 else path[:100] + "…")
