"""Which images are meant: canonical forget sets, and the command line's ways to name ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from munkey_core.data.seeding import permutation
from munkey_core.errors import BadInputError
from munkey_core.files.limits import at_most, limits
from munkey_core.files.untrusted import parse_csv, read_csv, shown
from munkey_core.results import Record

RANDOM_SETS = ("random-1pct", "random-5pct", "random-10pct")
_RANDOM = re.compile(r"random-([1-9]\d?)pct")
# One seed for all bundles, so that a set's name means the same images everywhere it is quoted.
_SEED = 2603
_LONGEST_NAME = 200  # characters of a path in a message


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
            raise BadInputError(f"no private image belongs to an owner {shown(owner)}")
    elif match := _RANDOM.fullmatch(spec):
        ids = random_forget_set([record.id for record in private], int(match.group(1)))
    else:
        ids = tuple(part.strip() for part in spec.split(",") if part.strip())
    if not ids:
        raise BadInputError(
            "name at least one image: ids separated by commas, @file.csv, owner:NAME or one of "
            + ", ".join(RANDOM_SETS)
        )
    if not spec.startswith(("owner:", "random-")):  # of what people list, not of what there is
        check_count(ids)
    return tuple(dict.fromkeys(ids))


def read_id_csv(path: Path) -> tuple[str, ...]:
    """Ids of a CSV file: its column `id`, or without such a header its first column."""
    name = str(path)
    name = name if len(name) <= _LONGEST_NAME else shown(name)
    return _ids_of(read_csv(path, name), name)


def parse_id_csv(data: bytes, name: str) -> tuple[str, ...]:
    """The same of a file's bytes, such as an upload. name: for messages. Raises BadInputError."""
    return _ids_of(parse_csv(data, name), name)


def check_count(ids: Sequence[str]) -> None:
    """Raises BadInputError for more ids than one request may name."""
    if len(ids) > limits().ids:
        raise BadInputError(f"wanted {at_most('ids', 'ids')} in one request, got {len(ids):,}")


def _ids_of(rows: Sequence[tuple[int, list[str]]], name: str) -> tuple[str, ...]:
    header = [cell.lower() for cell in rows[0][1]] if rows else []
    column = header.index("id") if "id" in header else 0
    body = rows[1:] if "id" in header else rows
    if not body:
        raise BadInputError(f"{name} holds no ids")
    for line, row in body:
        if len(row) <= column or not row[column]:
            raise BadInputError(f"{name}: line {line} has no id in column {column + 1}")
    ids = tuple(row[column] for _, row in body)
    check_count(ids)
    return ids
