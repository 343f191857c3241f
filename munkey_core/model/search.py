"""Nearest keys: exact top-k by cosine, behind a protocol so that another engine can take its place.

Keys have unit length, so a dot product is a cosine. Deletion is a list of rows to pass over:
nothing is rebuilt, and a deleted row can't be returned whatever its similarity.
"""

from __future__ import annotations

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


# One block of similarities stays below about 64 MB (float32), whatever the bank's size.
_BLOCK_CELLS = 16_000_000


class Retriever(Protocol):
    """Finds the nearest keys of each query."""

    def search(self, queries: Tensor, k: int, deleted: Tensor) -> tuple[Tensor, Tensor]:
        """Return (rows, similarity), each (Q, min(k, alive)), nearest first.

        queries: (Q, d) float32 unit length. deleted: (D,) int64 rows that must not be returned.
        Among equal similarities the lower row comes first.
        """
        ...


class ExactRetriever:
    """Compares each query with every key. keys: (N, d) float32, unit length."""

    def __init__(self, keys: Tensor) -> None:
        self._keys = keys

    def search(self, queries: Tensor, k: int, deleted: Tensor) -> tuple[Tensor, Tensor]:
        total = self._keys.shape[0]
        k = min(k, total - deleted.shape[0])
        if k <= 0:
            rows = torch.empty((queries.shape[0], 0), dtype=torch.int64)
            return rows, torch.empty((queries.shape[0], 0))
        block = max(1, _BLOCK_CELLS // total)
        found = [self._search_block(part, k, deleted) for part in queries.split(block)]
        return torch.cat([rows for rows, _ in found]), torch.cat([s for _, s in found])

    def _search_block(self, queries: Tensor, k: int, deleted: Tensor) -> tuple[Tensor, Tensor]:
        similarity = queries @ self._keys.T
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


def other_neighbours(keys: Tensor, k: int = 4) -> Tensor:
    """(n, k) int64 rows of each key's nearest other keys."""
    return nearest_rows(keys, keys, k, others=True)


def nearest_rows(queries: Tensor, keys: Tensor, k: int = 4, others: bool = False) -> Tensor:
    """(n, k) int64 rows of the keys nearest to each query.

    queries: (n, d), keys: (N, d), both of unit length. others: the queries are the keys, and
    nobody is among its own neighbours.
    """
    found = []
    for first, block in zip(range(0, len(queries), 1024), queries.split(1024), strict=True):
        similarity = block @ keys.T
        if others:
            own = torch.arange(len(block))
            similarity[own, first + own] = -torch.inf
        found.append(similarity.topk(min(k, len(keys) - others), dim=1).indices)
    return torch.cat(found)
