"""Answers of other models that a bundle carries: originals, oracles, references.

`oracles/originals.safetensors`: models trained on everything. `oracles/NAME.safetensors`: models of
one forget set, with its digest. `oracles/references.safetensors`: the reference models' true-class
probabilities. See `packing` for what is kept of an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
import torch
from cachetools import LRUCache
from safetensors.torch import save
from torch import Tensor

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.forget_sets import forget_set_digest
from munkey_core.bundle.manifest import ORACLES
from munkey_core.errors import BundleError
from munkey_core.files.durable import write_whole
from munkey_core.files.tensors import read_tensors
from munkey_core.results import PRIVATE, TEST, BoolArray, IntArray
from munkey_core.training.answers import Outputs
from munkey_core.training.packing import pack, pack_truth, unpack, unpack_truth
from munkey_core.training.retraining import MUNKEY, PLAIN, Family, Run, in_reference

ORIGINALS = "originals"
REFERENCES = "references"
_DIGEST = "forget_digest"
_KEPT = 24


@dataclass(frozen=True)
class References:
    """K reference models on all images, private then test.

    truth: (K, N + T) float64 true-class probabilities. member: (K, N + T) bool, whether the model
    was trained on the image.
    """

    truth: npt.NDArray[np.float64]
    member: BoolArray


class Shipped:
    """Reads the answers that a bundle carries. Files were checked when the bundle was opened;
    each is read when it is first asked for."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._kept: LRUCache[tuple[Path, str], Outputs] = LRUCache(_KEPT)
        self._lock = Lock()

    def outputs(self, run: Run) -> Outputs | None:
        """Answers of an original or an oracle; None if the bundle doesn't carry them."""
        if run.reference is not None:
            return None
        path = self._files.get(forget_set_digest(run.without) if run.without else ORIGINALS)
        return self._read(path, f"{run.family}.{run.seed}.") if path else None

    def after(self, seed: int, ids: Sequence[str]) -> Outputs | None:
        """Answers of a MUNKEY original after deletion; None if the bundle doesn't carry them."""
        path = self._files.get(forget_set_digest(ids))
        return self._read(path, f"after.{seed}.") if path else None

    def references(self, family: Family) -> References | None:
        """The reference models of a family; None if the bundle carries none."""
        path = self._files.get(REFERENCES)
        tensors = self._tensors(path, f"{family}.") if path else {}
        if not tensors:
            return None
        count = tensors.get(f"{family}.k")
        whole = count is not None and not count.ndim and count.dtype == torch.int64
        if count is None or not whole or not 1 <= int(count) <= 1024:
            raise BundleError(f"{REFERENCES}: k must be a whole number from 1 to 1,024")
        k, n = int(count), len(self._labels)
        blob = tensors.get(f"{family}.truth")
        if blob is None:
            raise BundleError(f"{REFERENCES} has no tensor '{family}.truth'")
        truth = unpack_truth(blob, k, n)
        return References(truth, np.stack([in_reference(i, n).numpy() for i in range(k)]))

    def trained(self) -> tuple[int, float]:
        """How many models these are the answers of, and how many seconds their trainings took:
        reference models, which nobody timed, as long as the others of their family."""
        times: dict[str, list[float]] = {}
        known = [name for name in self._files if name != REFERENCES]
        for path in map(self._files.__getitem__, known):
            for name, tensor in self._tensors(path, "").items():
                family, _, rest = name.partition(".")
                if rest.endswith(".seconds") and family in (MUNKEY, PLAIN):
                    times.setdefault(family, []).append(float(tensor))
        count = sum(map(len, times.values()))
        seconds = sum(map(sum, times.values()))
        if REFERENCES in self._files:
            for family, taken in times.items():
                more = self._tensors(self._files[REFERENCES], f"{family}.k").values()
                for k in more:
                    count += int(k)
                    seconds += int(k) * sum(taken) / len(taken)
        return count, seconds

    @cached_property
    def _labels(self) -> IntArray:
        return all_labels(self._bundle)

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Files by the digest of their forget set; `originals` and `references` by name."""
        folder, found = self._bundle.folder, {}
        for name in self._bundle.manifest.files:
            if folder is None or not name.startswith(ORACLES + "/"):
                continue
            path = folder / name
            if path.stem in (ORIGINALS, REFERENCES):
                found[path.stem] = path
                continue
            digest = self._tensors(path, _DIGEST).get(_DIGEST)
            if digest is None or digest.dtype != torch.uint8 or digest.shape != (32,):
                raise BundleError(f"{name}: {_DIGEST} must be 32 bytes")
            found[bytes(digest.numpy()).hex()] = path
        return found

    def _tensors(self, path: Path, prefix: str) -> dict[str, Tensor]:
        """`read_tensors` of a file that is still this bundle's. Raises BundleChangedError if
        another version of the bundle has taken its place."""
        name = f"{ORACLES}/{path.name}"
        try:
            tensors = read_tensors(path, prefix)
        except BundleError:
            self._bundle.require_same(name)
            raise
        self._bundle.require_same(name)
        return tensors

    def _read(self, path: Path, prefix: str) -> Outputs | None:
        key = (path, prefix)
        with self._lock:
            known = self._kept.get(key)
        if known is not None:
            return known
        tensors = self._tensors(path, prefix)
        if not tensors:
            return None
        outputs = unpack(
            {name.removeprefix(prefix): tensor for name, tensor in tensors.items()},
            self._labels,
            len(self._bundle.bank),
            len(self._bundle.manifest.classes),
        )
        with self._lock:
            self._kept[key] = outputs
        return outputs


def all_labels(bundle: Bundle) -> IntArray:
    """(N + T,) int64 labels of private, then test images."""
    records = [*bundle.records_of(PRIVATE), *bundle.records_of(TEST)]
    return np.array([record.label for record in records], dtype=np.int64)


def write_answers(
    bundle: Bundle, path: Path, answers: Mapping[str, Outputs], ids: Sequence[str] = ()
) -> None:
    """Write one file of answers. answers: by `family.seed` or `after.seed`. ids: the forget set,
    empty for the originals."""
    tensors: dict[str, Tensor] = {}
    for name, outputs in answers.items():
        packed = pack(outputs, all_labels(bundle))
        tensors |= {f"{name}.{key}": tensor for key, tensor in packed.items()}
    if ids:
        digest = bytes.fromhex(forget_set_digest(ids))
        tensors[_DIGEST] = torch.frombuffer(bytearray(digest), dtype=torch.uint8)
    write_whole(path, save(tensors))


def write_references(path: Path, references: Mapping[Family, References]) -> None:
    """Write the reference models of the families."""
    tensors: dict[str, Tensor] = {}
    for family, models in references.items():
        tensors[f"{family}.truth"] = pack_truth(models.truth)
        tensors[f"{family}.k"] = torch.tensor(len(models.truth))
    write_whole(path, save(tensors))
