"""What is known of each image beside its key: label, owner and split.

Prediction reads none of it. `records.parquet` is written with pyarrow; a training machine without
pyarrow writes the same table as `records.csv`, and either is read.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from munkey_core.data.base import ID_WANTED, MAX_ID, is_id
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.limits import at_most, limits
from munkey_core.files.names import spelled_once
from munkey_core.files.untrusted import is_name, read_csv, shown
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST, Record

PARQUET = "records.parquet"
CSV = "records.csv"
THUMBNAILS = "thumbnails.safetensors"
_COLUMNS = ("id", "label", "owner", "split")
_SPLITS = (PRIVATE, TEST, ANCHOR, CALIBRATION)
_WHOLE = re.compile(r"-?[0-9]{1,9}")
_is_owner = lru_cache(4096)(is_name)  # few owners have many images, and few labels all of them
_is_whole = lru_cache(4096)(_WHOLE.fullmatch)
_MAX_PARQUET = 500_000_000  # bytes of the file, and of what it says that it unpacks to
_MAX_UNPACKED = 1_000_000_000
_BATCH = 4096


def pack_records(records: Sequence[Record]) -> tuple[str, bytes]:
    """The table's file name and bytes."""
    columns = {name: [getattr(record, name) for record in records] for name in _COLUMNS}
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        writer.writerows(zip(*columns.values(), strict=True))
        return CSV, text.getvalue().encode("utf-8")
    table = io.BytesIO()
    pq.write_table(pa.table(columns), table)
    return PARQUET, table.getvalue()


def read_records(path: Path) -> tuple[Record, ...]:
    """Read the table, Parquet or CSV by its name.

    Raises BundleError for a missing column, a bad label or split, an owner that is no text of one
    line, an id that could not stand in a link or table, or one that occurs twice.
    """
    rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    records = [_record(path.name, line, *row) for line, row in enumerate(rows, start=1)]
    if len({record.id for record in records}) != len(records):
        raise BundleError(f"{path.name}: ids must be unique")
    return _owned_by_one(records)


def _owned_by_one(records: Sequence[Record]) -> tuple[Record, ...]:
    """The records with one spelling for each owner: older bundles hold names as they were typed."""
    names = spelled_once(record.owner for record in records)
    return tuple(
        record if name == record.owner or not is_name(name) else replace(record, owner=name)
        for record, name in zip(records, names, strict=True)
    )


def _record(
    file: str, line: int, id_: object, label: object, owner: object, split: object
) -> Record:
    if not isinstance(id_, str) or not is_id(id_):
        raise BundleError(f"{file}: row {line}: an id must be {ID_WANTED}, got {shown(id_)}")
    if not isinstance(owner, str) or not _is_owner(owner):
        raise BundleError(
            f"{file}: row {line}: an owner must be a text of one line, got {shown(owner)}"
        )
    if split not in _SPLITS:
        raise BundleError(f"{file}: split must be one of {', '.join(_SPLITS)}, got {shown(split)}")
    if not isinstance(label, (int, str)) or not _is_whole(str(label)):
        raise BundleError(f"{file}: row {line}: a label must be a whole number, got {shown(label)}")
    return Record(id_, int(label), owner, str(split))


def _read_parquet(path: Path) -> Iterator[tuple[object, ...]]:
    """Rows, a batch at a time. Texts stay packed until it is known that none of them is long: one
    long text, named once a row, would fill any memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    most = limits().bundle_rows
    try:
        if path.stat().st_size > _MAX_PARQUET:
            raise BundleError(f"{path.name}: wanted at most {_MAX_PARQUET:,} bytes, got more")
        # Not pq.read_table: that imports pandas and pyarrow's data sets, half a second.
        with pq.ParquetFile(
            path,
            read_dictionary=["id", "owner", "split"],
            thrift_string_size_limit=_MAX_PARQUET,
            thrift_container_size_limit=1_000_000,
        ) as file:
            schema = file.schema_arrow
            missing = [name for name in _COLUMNS if name not in schema.names]
            if missing:
                raise BundleError(f"{path.name} must have the columns {', '.join(_COLUMNS)}")
            _check_size(file.metadata, most, path.name)
            for batch in file.iter_batches(_BATCH, columns=list(_COLUMNS), use_threads=False):
                yield from zip(*(_values(batch.column(name)) for name in _COLUMNS), strict=True)
    except (OSError, pa.ArrowException, ValueError, OverflowError) as error:
        raise BundleError(f"{path.name} is not a readable Parquet file ({error})") from error


def _check_size(metadata: Any, most: int, name: str) -> None:
    if metadata.num_rows > most:
        raise BundleError(
            f"{name}: wanted {at_most('bundle_rows', 'rows')}, got {metadata.num_rows:,}"
        )
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    total = sum(group.total_byte_size for group in groups)
    if total > _MAX_UNPACKED:
        raise BundleError(
            f"{name}: wanted at most {_MAX_UNPACKED:,} bytes once unpacked, got {total:,}"
        )


def _values(column: Any) -> list[object]:
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray):
        longest = max((len(str(text)) for text in column.dictionary.to_pylist()), default=0)
        if longest > MAX_ID:
            raise ValueError(f"wanted texts of at most {MAX_ID:,} characters")
    elif not pa.types.is_integer(column.type) and not pa.types.is_string(column.type):
        raise ValueError(f"wanted texts and whole numbers, got {column.type}")
    found: list[object] = column.to_pylist()
    return found


def _read_csv(path: Path) -> Iterator[tuple[object, ...]]:
    try:
        rows = read_csv(path, path.name)
    except BadInputError as error:
        raise BundleError(str(error)) from error
    head = rows[0][1] if rows else []
    if not set(_COLUMNS) <= set(head):
        raise BundleError(f"{path.name} must have the columns {', '.join(_COLUMNS)}")
    places = [head.index(name) for name in _COLUMNS]
    for line, row in rows[1:]:
        if len(row) != len(head):
            raise BundleError(f"{path.name}: line {line} must have {len(head)} cells")
        yield tuple(row[place] for place in places)
