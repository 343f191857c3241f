"""Outputs in few bytes, so that the answers of many models fit into a bundle.

Kept exactly enough that every figure of an audit stays what it was: the most probable class of each
image is stored as it is, the true class's probability as its log-odds φ = ln(p / (1 − p)) in half
precision (ranks, hence AUROC, survive). The other classes' probabilities are rounded: their φ is
stored in steps of 1/8 between −8 and 8, which moves a probability by at most 0.016; each row is
scaled to sum to 1 again, which moves the true class's by at most 0.002.
"""

import lzma
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from munkey_core.errors import BundleError
from munkey_core.results import BoolArray, FloatArray, IntArray
from munkey_core.training.answers import Outputs, Verdicts

_STEP = 0.125
_LIMIT = 8.0
_SMALLEST = 1e-7
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME}]
_UNPACKING_MEMORY = 16 * 2**20  # bytes; that preset needs 9 MiB, a hostile header may ask for 4 GiB
_Values = npt.NDArray[np.float64]


def pack(outputs: Outputs, labels: IntArray) -> dict[str, Tensor]:
    """Outputs → named uint8 tensors (and `seconds`). labels: (N + T,) of private, then test."""
    both = outputs.both.astype(np.float64)
    rows = np.arange(len(labels))
    tensors = {
        "codes": _squeeze(_codes(both).T),
        "classes": _squeeze(both.argmax(axis=1).astype(np.uint16)),
        "truth": _squeeze(_half(both[rows, labels])),
        "seconds": torch.tensor(outputs.seconds, dtype=torch.float64),
    }
    if outputs.image_private is not None and outputs.image_test is not None:
        image = [outputs.image_private, outputs.image_test]
        tensors["image_truth"] = _squeeze(_half(np.concatenate([v.truth for v in image])))
        tensors["image_correct"] = _squeeze(np.packbits(np.concatenate([v.correct for v in image])))
    return tensors


def unpack(tensors: dict[str, Tensor], labels: IntArray, n_private: int, n_classes: int) -> Outputs:
    """What `pack` was given, up to rounding. Raises BundleError for anything else."""
    n = len(labels)
    codes = _stretch(tensors, "codes", np.int8, (n_classes, n)).T
    classes = _stretch(tensors, "classes", np.uint16, (n,)).astype(np.int64)
    truth = _unhalf(_stretch(tensors, "truth", np.float16, (n,)))
    if len(classes) and classes.max() >= n_classes:
        raise BundleError(f"stored classes must be below {n_classes}, got {classes.max()}")
    both = _probabilities(codes, classes, truth, labels)
    image: list[Verdicts | None] = [None, None]
    if "image_truth" in tensors:
        image_truth = _unhalf(_stretch(tensors, "image_truth", np.float16, (n,)))
        bits = _stretch(tensors, "image_correct", np.uint8, ((n + 7) // 8,))
        correct: BoolArray = np.unpackbits(bits, count=n).astype(np.bool_)
        verdicts = Verdicts(image_truth.astype(np.float32), correct)
        image = [verdicts[:n_private], verdicts[n_private:]]
    seconds = tensors.get("seconds")
    if seconds is None or seconds.ndim != 0 or not bool(torch.isfinite(seconds)):
        raise BundleError("stored outputs must have their seconds, a finite number")
    return Outputs(both[:n_private], both[n_private:], float(seconds), *image)


def pack_truth(truth: _Values) -> Tensor:
    """(K, n) true-class probabilities of K reference models → uint8, exact as in `pack`."""
    return _squeeze(_half(truth))


def unpack_truth(blob: Tensor, k: int, n: int) -> _Values:
    """(K, n) float64. Raises BundleError for anything `pack_truth` would not have given."""
    return _unhalf(_stretch({"truth": blob}, "truth", np.float16, (k, n)))


def _codes(p: _Values) -> npt.NDArray[np.int8]:
    phi = np.log(np.maximum(p, _SMALLEST)) - np.log(np.maximum(1 - p, _SMALLEST))
    codes: npt.NDArray[np.int8] = (np.clip(phi, -_LIMIT, _LIMIT) / _STEP).round().astype(np.int8)
    return codes


def _probabilities(
    codes: npt.NDArray[Any], classes: IntArray, truth: _Values, labels: IntArray
) -> FloatArray:
    """(n, C) rows that sum to 1, hold the stored truth, and have the stored most probable class.

    The other classes share what the truth leaves, in proportion to their codes; where rounding
    would make another class the most probable one, that class gives way.
    """
    rows = np.arange(len(labels))
    p = 1 / (1 + np.exp(-codes.astype(np.float64) * _STEP))
    p[rows, labels] = 0
    right = classes == labels
    # A wrong answer's class is more probable than any other: let it win its ties.
    winners = rows[~right]
    p[winners, classes[~right]] = np.maximum(
        p[winners, classes[~right]], p[winners].max(axis=1, initial=0) * (1 + 1e-6)
    )
    p *= ((1 - truth) / p.sum(axis=1))[:, None]
    p[rows, labels] = truth
    # Nobody may be above a right answer, nor the truth above a wrong one.
    limit = truth[right] * (1 - 1e-6)
    others = p[right]
    others[np.arange(len(others)), labels[right]] = 0
    p[right] = np.minimum(others, limit[:, None])
    p[rows[right], labels[right]] = truth[right]
    top = p[winners, classes[~right]]
    p[winners, classes[~right]] = np.maximum(top, truth[~right] * (1 + 1e-6))
    p /= p.sum(axis=1, keepdims=True)
    probabilities: FloatArray = p.astype(np.float32)
    return probabilities


def _half(p: npt.NDArray[np.floating]) -> npt.NDArray[np.float16]:
    """φ in half precision. ln(1 − p) is kept finite: float32 probabilities reach 1."""
    p = np.asarray(p, dtype=np.float64)
    phi = np.log(np.maximum(p, _SMALLEST)) - np.log(np.maximum(1 - p, _SMALLEST))
    half: npt.NDArray[np.float16] = phi.astype(np.float16)
    return half


def _unhalf(phi: npt.NDArray[Any]) -> _Values:
    if not np.isfinite(phi).all():
        raise BundleError("stored log-odds must be finite")
    probability: _Values = 1 / (1 + np.exp(-phi.astype(np.float64)))
    return probability


def _squeeze(values: npt.NDArray[np.generic]) -> Tensor:
    # Bytes of one significance lie together: the high bytes of neighbours are much alike.
    raw = np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.dtype.itemsize)
    packed = lzma.compress(raw.T.tobytes(), lzma.FORMAT_XZ, filters=_FILTERS)
    return torch.frombuffer(bytearray(packed), dtype=torch.uint8)


def _stretch(
    tensors: dict[str, Tensor], name: str, dtype: type[np.generic], shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    blob = tensors.get(name)
    if blob is None or blob.dtype != torch.uint8 or blob.ndim != 1:
        raise BundleError(f"stored outputs must have {name!r}, a vector of bytes")
    size = np.dtype(dtype).itemsize
    wanted = int(np.prod(shape)) * size
    try:
        # One byte more than there should be: a bomb is noticed without being unpacked.
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_UNPACKING_MEMORY)
        raw = unpacker.decompress(blob.numpy().tobytes(), wanted + 1)
    except lzma.LZMAError as error:
        raise BundleError(f"stored {name} can't be unpacked ({error})") from error
    if len(raw) != wanted:
        raise BundleError(f"stored {name} must hold {wanted:,} bytes for {shape} {dtype.__name__}")
    planes = np.frombuffer(raw, np.uint8).reshape(size, -1)
    return np.ascontiguousarray(planes.T).view(dtype).reshape(shape)
