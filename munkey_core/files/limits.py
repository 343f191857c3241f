"""What a person may ask of a server at most, and whether it is a read-only demonstration.

Every limit has one environment variable, so that whoever runs a server can move it, and every
refusal names both. They are read when they are needed: a test or a notebook may change them.
"""

import os
from dataclasses import dataclass, fields

from munkey_core.errors import BadInputError, ReadOnlyError

DEMO = "MUNKEY_DEMO"
_LARGEST = 10**15
_MB = 1 << 20
_NO = ("", "0", "no", "false", "off")


@dataclass(frozen=True)
class Limits:
    """Whole numbers, each 1 or more.

    picture_bytes: of one image file. picture_pixels: width times height of one image, looked at
    before it is decoded. csv_bytes, csv_rows: of a CSV file (ids, owners, records). ids: named in
    one request. upload_bytes: of an archive that is uploaded. kept_bytes: of all uploads together,
    unpacked. own_images: of a folder or archive that is trained on. jobs: of one person that wait.
    reference_seconds: that the reference models of such a training take, about; they may take two
    trainings, and two of each kind there always are. bundle_bytes: of one file of a bundle.
    bundle_rows: images in a bundle. zip_files, zip_bytes, zip_ratio: of an archive, number of
    files, bytes unpacked, and bytes unpacked for each packed byte, which counts from 100 MB on.
    """

    picture_bytes: int = 25_000_000
    picture_pixels: int = 40_000_000
    csv_bytes: int = 20_000_000
    csv_rows: int = 500_000
    ids: int = 100_000
    upload_bytes: int = 500_000_000
    kept_bytes: int = 20_000_000_000
    own_images: int = 200_000
    jobs: int = 4
    reference_seconds: int = 90
    bundle_bytes: int = 8_000_000_000
    bundle_rows: int = 2_000_000
    zip_files: int = 50_000
    zip_bytes: int = 4_000_000_000
    zip_ratio: int = 200


def limits() -> Limits:
    """The limits in force. Raises BadInputError naming the variable for anything but a whole
    number from 1 to 10^15."""
    usual = Limits()
    return Limits(**{f.name: _number(f.name, getattr(usual, f.name)) for f in fields(Limits)})


def variable(name: str) -> str:
    """The environment variable of a limit: "csv_rows" → MUNKEY_MAX_CSV_ROWS."""
    # Those of archives are older than the common prefix, and kept: people have them in scripts.
    return ("MUNKEY_" if name.startswith("zip_") else "MUNKEY_MAX_") + name.upper()


def at_most(name: str, what: str) -> str:
    """A limit in words, for a message: at_most("csv_rows", "rows") → "at most 500,000 rows
    ($MUNKEY_MAX_CSV_ROWS)"."""
    return f"at most {getattr(limits(), name):,} {what} (${variable(name)})"


def demo() -> bool:
    """Whether this is a read-only demonstration ($MUNKEY_DEMO, `munkey app --demo`).

    Anything but nothing, 0, no, false and off counts as yes: a slip must not open a public server.
    """
    return os.environ.get(DEMO, "").strip().lower() not in _NO


def refuse_in_demo(what: str) -> None:
    """Call it where something is written, taken in or trained. what: in the plural or as an -ing
    form, such as "uploads". Raises ReadOnlyError in a demonstration."""
    if demo():
        raise ReadOnlyError(
            f"this is a read-only demonstration: {what} can't be done here; "
            "`munkey app` on a machine of your own can"
        )


def megabytes(name: str) -> int:
    """A limit in bytes as whole MB, rounded up, at least 1: what an uploader says."""
    return -(-int(getattr(limits(), name)) // _MB)


def upload_megabytes() -> int:
    """The largest file that the server takes at all; 0 in a demonstration, which takes none."""
    names = ("picture_bytes", "csv_bytes", "upload_bytes")
    return 0 if demo() else max(megabytes(name) for name in names)


def _number(name: str, usual: int) -> int:
    text = os.environ.get(variable(name), "").strip()
    if not text:
        return usual
    # ASCII digits only: int() would also take those of other scripts, and underscores.
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and 1 <= int(text) <= _LARGEST):
        raise BadInputError(
            f"${variable(name)} must be a whole number from 1 to {_LARGEST:,}, got {text[:40]!r}"
        )
    return int(text)
