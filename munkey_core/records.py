"""What is known of each image beside its key: label, owner and split.

Prediction reads none of it. `records.parquet` is written with pyarrow; a training machine without
pyarrow writes the same table as `records.csv`, and either is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from munkey_core.errors import BundleError
from munkey_core.types import ANCHOR, CALIBRATION, PRIVATE, TEST, Record

PARQUET = "records.parquet"
CSV = "records.csv"
THUMBNAILS = "thumbnails.safetensors"
_COLUMNS = ("id", "label", "owner", "split")
_SPLITS = (PRIVATE, TEST, ANCHOR, CALIBRATION)


def write_records(folder: Path, records: Sequence[Record]) -> str:
    """Write the table into `folder` and return its file name."""
    name, data = pack_records(records)
    (folder / name).write_bytes(data)
    return name


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

    Raises BundleError for a missing column, a bad label or split, or an id that occurs twice.
    """
    rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    records = []
    for line, row in enumerate(rows, start=1):
        try:
            record = Record(
                str(row["id"]), int(str(row["label"])), str(row["owner"]), str(row["split"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"{path.name}: row {line} must have {', '.join(_COLUMNS)}, got {row} ({error})"
            ) from error
        if record.split not in _SPLITS:
            raise BundleError(
                f"{path.name}: split must be one of {', '.join(_SPLITS)}, got {record.split!r}"
            )
        records.append(record)
    if len({record.id for record in records}) != len(records):
        raise BundleError(f"{path.name}: ids must be unique")
    return tuple(records)


def _read_parquet(path: Path) -> list[dict[str, object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not pq.read_table: that imports pandas and pyarrow's data sets, half a second.
        with pq.ParquetFile(path) as file:
            rows: list[dict[str, object]] = file.read().to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise BundleError(f"{path.name} is not a readable Parquet file ({error})") from error
    return rows


def _read_csv(path: Path) -> list[dict[str, object]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [dict(row) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BundleError(f"{path.name} is not a readable CSV file ({error})") from error
