"""Which images are meant: canonical forget sets, and the command line's ways to name ids."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from munkey_core.data.seeding import permutation
from munkey_core.errors import BadInputError
from munkey_core.types import Record

RANDOM_SETS = ("random-1pct", "random-5pct", "random-10pct")
_RANDOM = re.compile(r"random-([1-9]\d?)pct")
# One seed for all bundles, so that a set's name means the same images everywhere it is quoted.
_SEED = 2603
_MAX_CSV_BYTES = 20_000_000


def random_forget_set(ids: Sequence[str], percent: int) -> tuple[str, ...]:
    """`percent` of the ids, drawn by a fixed seed from their sorted order; at least one."""
    ordered = sorted(ids)
    count = max(1, round(len(ordered) * percent / 100))
    order = permutation(len(ordered), _SEED, percent)
    return tuple(sorted(ordered[i] for i in order[:count]))


def select_ids(spec: str, private: Sequence[Record]) -> tuple[str, ...]:
    """The private ids that `spec` names, each once, in order of first mention.

    spec: ids separated by commas, `@file.csv` (a column `id`, or the first column),
    `owner:NAME`, or a canonical set such as `random-10pct`. Raises BadInputError naming what is
    wrong; ids are not checked against the bank.
    """
    spec = spec.strip()
    if spec.startswith("@"):
        ids = read_id_csv(Path(spec[1:]))
    elif spec.startswith("owner:"):
        owner = spec.removeprefix("owner:")
        ids = tuple(record.id for record in private if record.owner == owner)
        if not ids:
            raise BadInputError(f"no private image belongs to an owner {owner!r}")
    elif match := _RANDOM.fullmatch(spec):
        ids = random_forget_set([record.id for record in private], int(match.group(1)))
    else:
        ids = tuple(part.strip() for part in spec.split(",") if part.strip())
    if not ids:
        raise BadInputError(
            "name at least one image: ids separated by commas, @file.csv, owner:NAME or one of "
            + ", ".join(RANDOM_SETS)
        )
    return tuple(dict.fromkeys(ids))


def read_id_csv(path: Path) -> tuple[str, ...]:
    """Ids of a CSV file: its column `id`, or without such a header its first column."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_CSV_BYTES + 1)
    except (OSError, ValueError) as error:  # no such file, or no path at all
        raise BadInputError(f"{path} is not a readable UTF-8 CSV file of ids ({error})") from error
    return parse_id_csv(data, str(path))


def parse_id_csv(data: bytes, path: str) -> tuple[str, ...]:
    """The same of the bytes of a file. path: what to call it. Raises BadInputError."""
    if len(data) > _MAX_CSV_BYTES:
        raise BadInputError(f"{path} is larger than {_MAX_CSV_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig")
        rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    except (ValueError, csv.Error) as error:  # not UTF-8
        raise BadInputError(f"{path} is not a readable UTF-8 CSV file of ids ({error})") from error
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = header.index("id") if "id" in header else 0
    body = rows[1:] if "id" in header else rows
    if not body:
        raise BadInputError(f"{path} holds no ids")
    for line, row in enumerate(body, start=1 + ("id" in header)):
        if len(row) <= column or not row[column].strip():
            raise BadInputError(f"{path}: line {line} has no id in column {column + 1}")
    return tuple(row[column].strip() for row in body)
