"""What lies beside the bank for people to see: labels, owners and thumbnails.

Prediction reads none of it. `records.parquet` is written with pyarrow; a training machine without
pyarrow writes the same table as `records.csv`, and either is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from munkey_core.errors import BundleError, UnknownIdError
from munkey_core.types import ANCHOR, CALIBRATION, PRIVATE, TEST, ImageArray, Record

PARQUET = "records.parquet"
CSV = "records.csv"
THUMBNAILS = "thumbnails.safetensors"
_COLUMNS = ("id", "label", "owner", "split")
_SPLITS = (PRIVATE, TEST, ANCHOR, CALIBRATION)


def write_records(folder: Path, records: Sequence[Record]) -> str:
    """Write the table into `folder` and return its file name."""
    columns = {name: [getattr(record, name) for record in records] for name in _COLUMNS}
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        with (folder / CSV).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows(zip(*columns.values(), strict=True))
        return CSV
    pq.write_table(pa.table(columns), folder / PARQUET)
    return PARQUET


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


class Thumbnails:
    """The images themselves, as PNG files one after another. Made by `from_images` or `read`.

    png: concatenated files. offsets: (n + 1,) int64, file i is png[offsets[i] : offsets[i + 1]].
    """

    def __init__(self, ids: Sequence[str], png: ImageArray, offsets: np.ndarray) -> None:
        self._ids = tuple(ids)
        self._positions = {id_: i for i, id_ in enumerate(self._ids)}
        self._png = png
        self._offsets = offsets

    @classmethod
    def from_images(cls, ids: Sequence[str], images: ImageArray) -> Thumbnails:
        """images: uint8 (n, H, W) or (n, H, W, 3), stored without loss."""
        from munkey_core.data.images import encode_png

        files = [encode_png(image) for image in images]
        offsets = np.concatenate([[0], np.cumsum([len(file) for file in files])]).astype(np.int64)
        return cls(ids, np.frombuffer(b"".join(files), np.uint8), offsets)

    @classmethod
    def read(cls, folder: Path, ids: Sequence[str]) -> Thumbnails:
        """Raises BundleError unless the file holds one image an id."""
        try:
            tensors = load_file(folder / THUMBNAILS)
            png, offsets = tensors["png"].numpy(), tensors["offsets"].numpy()
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise BundleError(f"{THUMBNAILS} is not readable ({error})") from error
        good = (
            png.dtype == np.uint8
            and offsets.dtype == np.int64
            and offsets.shape == (len(ids) + 1,)
            and offsets[0] == 0
            and offsets[-1] == len(png)
            and bool((np.diff(offsets) > 0).all())
        )
        if not good:
            raise BundleError(f"{THUMBNAILS} must hold one PNG for each of {len(ids)} records")
        return cls(ids, png, offsets)

    def write(self, folder: Path) -> None:
        tensors = {
            "png": torch.from_numpy(self._png.copy()),
            "offsets": torch.from_numpy(self._offsets),
        }
        save_file(tensors, folder / THUMBNAILS)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._positions

    def png(self, id_: str) -> bytes:
        """One image as a PNG file. Raises UnknownIdError."""
        position = self._positions.get(id_)
        if position is None:
            raise UnknownIdError(f"no image with id {id_!r} in this bundle")
        return self._png[self._offsets[position] : self._offsets[position + 1]].tobytes()

    def array(self, ids: Iterable[str]) -> ImageArray:
        """uint8 (n, H, W) or (n, H, W, 3) of the images `ids`. Raises UnknownIdError."""
        from PIL import Image

        arrays = []
        for id_ in ids:
            with Image.open(io.BytesIO(self.png(id_)), formats=("PNG",)) as image:
                arrays.append(np.asarray(image))
        return np.stack(arrays) if arrays else np.empty((0, 1, 1), np.uint8)
