"""What a deletion changes for everybody else: found by neighbours, not by predicting everything.

An image's prediction depends on its own features and its K nearest keys, so an image that lost
none of its neighbours can't have changed. Only the others are predicted, before and after.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.encoder import Encoded
from munkey_core.model.predictor import Prediction, Predictor
from munkey_core.progress import Pace, Steps
from munkey_core.results import PRIVATE, FloatArray, Record


@dataclass(frozen=True)
class Change:
    """The prediction of one image in two states of the bank.

    before, after: (C,) float32 probabilities. neighbours_*: ids that answered, nearest first.
    weights_*: (K [+1]) share of each of them, the null anchor last if there is one.
    """

    id: str
    label: int
    before: FloatArray
    after: FloatArray
    neighbours_before: tuple[str, ...]
    neighbours_after: tuple[str, ...]
    weights_before: FloatArray
    weights_after: FloatArray

    @property
    def flipped(self) -> bool:
        """Whether the most probable class is another one."""
        return bool(self.before.argmax() != self.after.argmax())

    @property
    def shift(self) -> float:
        """Change of the true class's probability, in [-1, 1]; negative = surer before."""
        return float(self.after[self.label] - self.before[self.label])


@dataclass(frozen=True)
class SideEffects:
    """What a deletion changed for the images that were not deleted.

    retain_checked, test_checked: how many images the split holds (all are accounted for:
        an image none of whose K neighbours was deleted can't have changed).
    retain_touched, test_touched: how many of them lost a neighbour.
    retain, test: ids whose most probable class changed, with before and after class.
    """

    generation: int
    retain_checked: int
    test_checked: int
    retain_touched: int
    test_touched: int
    retain: tuple[tuple[str, int, int], ...]
    test: tuple[tuple[str, int, int], ...]
    seconds: float


_CHUNK = 128


class NeighbourTable:
    """The K nearest entries of every private and test image in the undiminished bank.

    Shared by all sessions and computed once, on first use. A query can lose a neighbour by a
    deletion only if one of the ids deleted so far stands in its row here: as long as none does,
    its K nearest are still these.
    """

    def __init__(self, bank: MemoryBank, test_keys: Tensor, k: int) -> None:
        self.query_keys = torch.cat([bank.keys, test_keys])
        self._bank = bank
        self._k = k
        self._rows: Tensor | None = None
        self._lock = Lock()

    def rows(self) -> Tensor:
        """(N + n_test, K) int64 bank rows, private images first."""
        with self._lock:
            if self._rows is None:
                self._rows, _ = BankView(self._bank).search(self.query_keys, self._k)
            return self._rows

    def touched_by(self, deleted_rows: Tensor) -> Tensor:
        """(m,) int64 positions of queries that have one of these bank rows among their K."""
        hit = torch.zeros(len(self._bank), dtype=torch.bool)
        hit[deleted_rows] = True
        return hit[self.rows()].any(dim=1).nonzero()[:, 0]


def side_effects(
    predictor: Predictor,
    table: NeighbourTable,
    records: Sequence[Record],
    encode: Callable[[Sequence[str]], Encoded],
    before: BankView,
    after: BankView,
) -> Steps[SideEffects]:
    """Yield progress; return what changed between two views of one bank.

    records: of the table's queries, private images first. encode: ids → encoded images.
    Images deleted in `after` are left out: they are the deletion's subject, not its side effect.
    """
    start = time.perf_counter()
    bank = after.bank
    gone = set(after.deleted_ids)
    subjects = gone | set(before.deleted_ids)
    candidates = table.touched_by(bank.rows(sorted(subjects)))
    candidates = torch.tensor(
        [i for i in candidates.tolist() if records[i].id not in gone], dtype=torch.int64
    )
    k = predictor.config.k
    keys = table.query_keys[candidates]
    old_rows, new_rows = before.search(keys, k)[0], after.search(keys, k)[0]
    if old_rows.shape == new_rows.shape:
        lost = (old_rows != new_rows).any(dim=1)
    else:  # fewer than K keys are left, so everybody has lost one
        lost = torch.ones(len(keys), dtype=torch.bool)
    touched = candidates[lost].tolist()
    changed: list[tuple[Record, int, int]] = []
    pace = Pace("side effects", len(touched))
    for first in range(0, len(touched), _CHUNK):
        part = [records[i] for i in touched[first : first + _CHUNK]]
        encoded = encode([record.id for record in part])
        old = predictor.predict(encoded, before).classes
        new = predictor.predict(encoded, after).classes
        for i in np.flatnonzero(old != new):
            changed.append((part[i], int(old[i]), int(new[i])))
        yield pace.at(first + len(part))
    retain = [record for record in records if record.split == PRIVATE and record.id not in gone]
    touched_retain = sum(records[i].split == PRIVATE for i in touched)
    return SideEffects(
        generation=after.generation,
        retain_checked=len(retain),
        test_checked=sum(record.split != PRIVATE for record in records),
        retain_touched=touched_retain,
        test_touched=len(touched) - touched_retain,
        retain=tuple((r.id, a, b) for r, a, b in changed if r.split == PRIVATE),
        test=tuple((r.id, a, b) for r, a, b in changed if r.split != PRIVATE),
        seconds=time.perf_counter() - start,
    )


def changes(records: Sequence[Record], before: Prediction, after: Prediction) -> tuple[Change, ...]:
    """Pair two predictions of the same images, one Change an image."""
    return tuple(
        Change(
            id=record.id,
            label=record.label,
            before=before.probabilities[i],
            after=after.probabilities[i],
            neighbours_before=before.retrieval.ids[i],
            neighbours_after=after.retrieval.ids[i],
            weights_before=before.exemplar_weights[i],
            weights_after=after.exemplar_weights[i],
        )
        for i, record in enumerate(records)
    )
