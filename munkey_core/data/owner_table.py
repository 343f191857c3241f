"""owners.csv, at the top of a folder of images: whose each of them is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from munkey_core.data.naming import file_of, spellings
from munkey_core.errors import BadInputError, DataError
from munkey_core.files.names import compared, tidied
from munkey_core.files.untrusted import is_name, plain_cell, read_csv, shown

OWNERS = "owners.csv"
_COLUMNS = ("file", "owner")
_UNREAD = (
    f"a table of owners that is not read: wanted {OWNERS} at the top of the folder. Without it "
    "nobody is known as the owner of these images"
)


def is_owner_table(name: str) -> bool:
    """Whether a file is the folder's table. name: its path inside the folder."""
    return name.casefold() == OWNERS


def unread_tables_first(skipped: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same list of (name, reason) with every other file that seems to be a table of owners at
    its front, and the reason that matters."""
    unread = [name for name, _ in skipped if _seems_a_table(name)]
    others = [entry for entry in skipped if not _seems_a_table(entry[0])]
    return [*((name, _UNREAD) for name in unread), *others]


def _seems_a_table(name: str) -> bool:
    stem, _, ending = name.rpartition("/")[2].casefold().partition(".")
    words = {"owner", "owners"}
    return bool(words & {stem, *stem.replace("-", "_").replace(" ", "_").split("_")}) and (
        ending in ("", "csv", "tsv", "txt", "xls", "xlsx", "ods", "json", "csv.txt", "numbers")
    )


def owners_of(
    path: Path | None, names: Sequence[str], known: Mapping[str, str]
) -> tuple[str, ...] | None:
    """The owner of each file ("" where the table names nobody), or None without a table.

    names: paths of the files inside the folder (NFC). known: what the table may call a file → its
    path, files that can't be read among them. Raises DataError with the line: no such file, no
    owner, two owners, or no table at all.
    """
    if path is None:
        return None
    owners: dict[str, str] = {}
    for line, cell, owner in rows_of(path):
        name = _file(cell, known)
        if name is None:
            raise DataError(f"{OWNERS} line {line}: the folder has no file {shown(cell)}")
        if not owner:
            raise DataError(f"{OWNERS} line {line}: wanted an owner for {name!r}, got nothing")
        if not is_name(owner):
            raise DataError(
                f"{OWNERS} line {line}: wanted an owner's name of one line and at most 200 "
                f"characters, got {shown(owner)}"
            )
        if compared(owners.setdefault(name, owner)) != compared(owner):
            raise DataError(f"{OWNERS} line {line}: {name!r} has two owners")
    return tuple(owners.get(name, "") for name in names)


def rows_of(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, file as it is written and owner (tidied) of each row. Raises DataError."""
    try:
        rows = read_csv(path, OWNERS, _COLUMNS)
    except BadInputError as error:
        raise DataError(str(error)) from error
    cells = rows[0][1] if rows else []
    columns = [compared(cell).casefold() for cell in cells]
    if not set(_COLUMNS) <= set(columns):
        raise DataError(f"{OWNERS} line 1: wanted columns file and owner, got {shown(cells)}")
    file, owner = (columns.index(name) for name in _COLUMNS)
    for line, row in rows[1:]:
        padded = [*row, *[""] * len(columns)]
        name = padded[owner]
        yield line, padded[file], name if "\n" in name else tidied(plain_cell(name))


def find_table(folders: Iterable[Path]) -> Path | None:
    """The table of the first folder that has one. Raises DataError if a folder has two."""
    return next((table for folder in folders if (table := _table(folder)) is not None), None)


def _table(folder: Path) -> Path | None:
    found = sorted(p for p in folder.iterdir() if is_owner_table(p.name) and p.is_file())
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DataError(f"{folder}: wanted one table of owners, got {names}")
    return found[0] if found else None


def _file(cell: str, known: Mapping[str, str]) -> str | None:
    """The file that a cell names: by its path, or as an id."""
    forms = (name for form in spellings(cell) for name in (form, file_of(form)))
    return next((known[name] for name in forms if name in known), None)
