"""Nearest keys: exact top-k by cosine, behind a protocol so that another engine can take its place.

Keys have unit length, so a dot product is a cosine. Deletion is a list of rows to pass over:
nothing is rebuilt, and a deleted row can't be returned whatever its similarity.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from munkey_core.results import FloatArray


@dataclass(frozen=True)
class Retrieval:
    """The K nearest entries of each query, nearest first.

    ids: (Q, K) entry ids. similarity: (Q, K) float32 cosines in [-1, 1].
    K is smaller than asked for when the bank holds fewer entries.
    """

    ids: tuple[tuple[str, ...], ...]
    similarity: FloatArray
    generation: int


# One block of a search stays below about 64 MB (float32), whatever the bank's size.
_BLOCK_CELLS = 16_000_000
_NONE = torch.empty(0, dtype=torch.int64)
# The same picture twice is one key, up to the last bits of floats: so near, whatever is asked for.
IDENTICAL = 1 - 1e-5
_BLOCK = 1024  # queries compared at once by all others; its size decides the last bits of cosines


def cosines(
    queries: Tensor, keys: Tensor, own: Tensor | None = None, block: int = _BLOCK
) -> Iterator[tuple[int, Tensor]]:
    """Yield one block of queries after another: the first one's row, and (B, N) float32 cosines.

    queries: (Q, d), keys: (N, d), of unit length. own: (Q,) int64 row of each query among the keys
    themselves: there the cosine is −∞, so that nobody is near to themselves.
    """
    for first in range(0, max(1, len(queries)), block):
        part = queries[first : first + block]
        similarity = part @ keys.T
        if own is not None:
            similarity[torch.arange(len(part)), own[first : first + block]] = -torch.inf
        yield first, similarity


def nearest(
    queries: Tensor, keys: Tensor, k: int = 4, others: bool = False
) -> tuple[Tensor, Tensor]:
    """Rows and cosines, each (Q, k), of the keys nearest to each query, the nearest first; equals
    come in any order. k is smaller where there are fewer keys.

    others: the queries are the keys, and nobody is among their own neighbours.
    """
    own = torch.arange(len(keys)) if others else None
    k = min(k, len(keys) - others)
    found = [part.topk(k, dim=1) for _, part in cosines(queries, keys, own)]
    return torch.cat([one.indices for one in found]), torch.cat([one.values for one in found])


def near_pairs(
    keys: Tensor, threshold: float, among: Tensor | None = None
) -> Iterator[tuple[int, int, float]]:
    """Yield (i, j, cosine) of each two keys at least so near, or identical: i of these rows
    (default: all), j any other."""
    threshold = min(threshold, IDENTICAL)
    rows = torch.arange(len(keys)) if among is None else among
    for first, part in cosines(keys[rows], keys, rows):
        for i, j in (part >= threshold).nonzero().tolist():
            yield int(rows[first + i]), j, float(part[i, j])


class Retriever(Protocol):
    """Finds the nearest keys of each query."""

    def search(self, queries: Tensor, k: int, deleted: Tensor = _NONE) -> tuple[Tensor, Tensor]:
        """Return (rows, similarity), each (Q, min(k, alive)), nearest first.

        queries: (Q, d) float32 unit length. deleted: (D,) int64 rows that must not be returned.
        Among equal similarities the lower row comes first.
        """
        ...


class ExactRetriever:
    """Compares each query with every key. keys: (N, d) float32, unit length."""

    def __init__(self, keys: Tensor) -> None:
        self._keys = keys

    def search(self, queries: Tensor, k: int, deleted: Tensor = _NONE) -> tuple[Tensor, Tensor]:
        total = self._keys.shape[0]
        k = min(k, total - deleted.shape[0])
        if k <= 0:
            rows = torch.empty((queries.shape[0], 0), dtype=torch.int64)
            return rows, torch.empty((queries.shape[0], 0))
        block = max(1, _BLOCK_CELLS // total)
        parts = cosines(queries, self._keys, block=block)
        found = [self._pick(part, k, deleted) for _, part in parts]
        return torch.cat([rows for rows, _ in found]), torch.cat([s for _, s in found])

    def _pick(self, similarity: Tensor, k: int, deleted: Tensor) -> tuple[Tensor, Tensor]:
        similarity[:, deleted] = -torch.inf
        # One more than asked for shows whether a tie straddles the cut; topk's own order among
        # equals is unspecified, and identical images in a bank make such ties real.
        values, rows = similarity.topk(min(k + 1, similarity.shape[1]), dim=1)
        tied = (values[:, 1:] == values[:, :-1]).any(dim=1)
        for query in tied.nonzero()[:, 0].tolist():
            order = similarity[query].sort(descending=True, stable=True).indices
            rows[query] = order[: rows.shape[1]]
            values[query] = similarity[query, rows[query]]
        return rows[:, :k], values[:, :k].clamp(-1.0, 1.0)
