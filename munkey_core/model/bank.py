"""The memory bank: one fixed key and one exemplar token a training image (METHOD.md §2, paper).

`MemoryBank` is immutable and shared by everybody; `BankView` is one session's view of it, in
which keys can be forgotten and restored without touching the bank. The bank holds neither images
nor labels.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from munkey_core.errors import BadInputError, UnknownIdError
from munkey_core.model.search import ExactRetriever, Retriever


@dataclass(frozen=True)
class Deletion:
    """One change of a session's view of the bank: keys hidden from it, or put back.

    milliseconds: wall time of the change itself, without any prediction.
    remaining: keys that still answer afterwards.
    """

    ids: tuple[str, ...]
    generation_before: int
    generation: int
    milliseconds: float
    remaining: int


_UNIT_TOLERANCE = 1e-3


class MemoryBank:
    """M = {(k_i, v_i)}.

    ids: N unique strings. keys: (N, d) float32 of unit length, fixed. tokens: (N, 128) float32,
    learned. Raises BadInputError for other shapes, dtypes, values that are not finite, keys that
    are not of unit length, or an id that occurs twice.
    """

    def __init__(
        self, ids: Sequence[str], keys: Tensor, tokens: Tensor, generation: int = 0
    ) -> None:
        self.ids = tuple(ids)
        self.keys = keys
        self.tokens = tokens
        self.generation = generation
        self._rows = {id_: row for row, id_ in enumerate(self.ids)}
        self._check()
        self.retriever: Retriever = ExactRetriever(keys)

    def _check(self) -> None:
        n = len(self.ids)
        if len(self._rows) != n:
            twice = next(id_ for row, id_ in enumerate(self.ids) if self._rows[id_] != row)
            raise BadInputError(f"bank ids must be unique, {twice!r} occurs more than once")
        for name, tensor in (("keys", self.keys), ("tokens", self.tokens)):
            if tensor.ndim != 2 or tensor.shape[0] != n or tensor.dtype != torch.float32:
                raise BadInputError(
                    f"bank {name} must be float32 of shape ({n}, d), "
                    f"got {tensor.dtype} {tuple(tensor.shape)}"
                )
            if not bool(torch.isfinite(tensor).all()):
                raise BadInputError(f"bank {name} hold values that are not finite")
        lengths = self.keys.norm(dim=1)
        if n and float((lengths - 1).abs().max()) > _UNIT_TOLERANCE:
            raise BadInputError("bank keys must have unit length")

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._rows

    def row(self, id_: str) -> int:
        """Row of an id. Raises UnknownIdError naming it."""
        try:
            return self._rows[id_]
        except KeyError:
            raise UnknownIdError(f"no key with id {id_!r} in this memory bank") from None

    def rows(self, ids: Iterable[str]) -> Tensor:
        """(n,) int64 rows of ids, in their order. Raises UnknownIdError."""
        return torch.tensor([self.row(id_) for id_ in ids], dtype=torch.int64)

    def row_digest(self, row: int) -> str:
        """SHA-256 (hex) of one entry: id, key bytes, token bytes."""
        digest = hashlib.sha256(self.ids[row].encode())
        digest.update(self.keys[row].contiguous().numpy().tobytes())
        digest.update(self.tokens[row].contiguous().numpy().tobytes())
        return digest.hexdigest()

    def digest(self) -> str:
        """SHA-256 (hex) over all entries in id order: the order of rows doesn't matter."""
        order = sorted(range(len(self.ids)), key=self.ids.__getitem__)
        digest = hashlib.sha256()
        for row in order:
            digest.update(bytes.fromhex(self.row_digest(row)))
        return digest.hexdigest()

    def without(self, ids: Iterable[str]) -> MemoryBank:
        """M_u = M \\ {(k_i, v_i) : i ∈ ids}: a new bank that physically lacks those rows.

        The other rows keep their order and bytes; the generation rises by one.
        Raises UnknownIdError for an id that isn't there.
        """
        keep = torch.ones(len(self.ids), dtype=torch.bool)
        keep[self.rows(ids)] = False
        kept = keep.nonzero()[:, 0].tolist()
        return MemoryBank(
            [self.ids[row] for row in kept],
            self.keys[keep].clone(),
            self.tokens[keep].clone(),
            self.generation + 1,
        )


class BankView:
    """One session's view of a shared bank: forget and restore, in time O(number of ids).

    generation: rises with every change, so that a result can be told from an outdated one.
    """

    def __init__(self, bank: MemoryBank, deleted: Iterable[str] = ()) -> None:
        self.bank = bank
        self.generation = bank.generation
        self._deleted = {bank.row(id_): None for id_ in deleted}  # an ordered set

    @property
    def deleted_ids(self) -> tuple[str, ...]:
        """Ids forgotten in this view, in the order of their deletion."""
        return tuple(self.bank.ids[row] for row in self._deleted)

    @property
    def alive(self) -> int:
        """Number of keys that still answer."""
        return len(self.bank) - len(self._deleted)

    def __contains__(self, id_: object) -> bool:
        return id_ in self.bank and self.bank.row(str(id_)) not in self._deleted

    def forget(self, ids: Iterable[str]) -> Deletion:
        """Hide the keys of `ids`: from now on they are never retrieved.

        All or nothing: raises UnknownIdError for an unknown or already forgotten id,
        BadInputError for an empty or repeating list, and then changes nothing.
        """
        start = time.perf_counter()
        rows = self._checked_rows(ids)
        for row in rows:
            if row in self._deleted:
                raise UnknownIdError(f"{self.bank.ids[row]!r} is already forgotten")
        for row in rows:
            self._deleted[row] = None
        return self._changed(rows, start)

    def restore(self, ids: Iterable[str]) -> Deletion:
        """Undo `forget` for `ids`; the same bytes answer again.

        All or nothing: raises UnknownIdError for an id that is not forgotten.
        """
        start = time.perf_counter()
        rows = self._checked_rows(ids)
        for row in rows:
            if row not in self._deleted:
                raise UnknownIdError(f"{self.bank.ids[row]!r} is not forgotten, nothing to restore")
        for row in rows:
            del self._deleted[row]
        return self._changed(rows, start)

    def search(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Rows and cosines, each (Q, min(k, alive)), of the nearest keys still there."""
        deleted = torch.tensor(list(self._deleted), dtype=torch.int64)
        return self.bank.retriever.search(queries, k, deleted)

    def _checked_rows(self, ids: Iterable[str]) -> list[int]:
        rows = [self.bank.row(id_) for id_ in ids]
        if not rows:
            raise BadInputError("name at least one id")
        if len(set(rows)) != len(rows):
            raise BadInputError("each id may be named once only")
        return rows

    def _changed(self, rows: list[int], start: float) -> Deletion:
        before = self.generation
        self.generation += 1
        milliseconds = (time.perf_counter() - start) * 1000
        ids = tuple(self.bank.ids[row] for row in rows)
        return Deletion(ids, before, self.generation, milliseconds, self.alive)
