"""The IDX format of the MNIST family: a magic number, the dimensions, then plain bytes.

Layout: two zero bytes, 0x08 for uint8, the number of dimensions, one big-endian uint32 a
dimension, the values in C order.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from munkey_core.errors import DataError

# Well above Fashion-MNIST's 47 MB, and low enough that a false header can't take the memory.
_MAX_BYTES = 512 * 1024 * 1024


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Read an IDX file of uint8 values, gzipped if its name ends in `.gz`.

    Returns uint8 with so many dimensions. Raises DataError naming the file when it can't be read,
    is not IDX, has other dimensions, or is longer or shorter than its header says.
    """
    try:
        with _open(path) as stream:
            return _parse(stream, dimensions, path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: can't be read ({error})") from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _parse(stream: BinaryIO, dimensions: int, path: Path) -> npt.NDArray[np.uint8]:
    magic = stream.read(4)
    wanted = bytes((0, 0, 8, dimensions))
    if magic != wanted:
        raise DataError(f"{path}: IDX magic must be {wanted.hex()}, got {magic.hex() or 'nothing'}")
    header = stream.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(f"{path}: truncated inside the header")
    shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))
    return _values(stream, shape, path)


def _values(stream: BinaryIO, shape: tuple[int, ...], path: Path) -> npt.NDArray[np.uint8]:
    total = math.prod(shape)
    if not 0 < total <= _MAX_BYTES:
        raise DataError(f"{path}: wanted 1 to {_MAX_BYTES:,} values, the header says {total:,}")
    values = stream.read(total + 1)  # one more, to see whether the file goes on
    if len(values) != total:
        got = "more" if len(values) > total else f"{len(values):,} (truncated)"
        raise DataError(f"{path}: the header promises {total:,} values, got {got}")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)
