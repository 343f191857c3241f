"""Which memories made a prediction: exact Shapley values of the exemplars that answered it.

Shapley, "A value for n-person games", 1953. Ours: the game, written at `ExemplarAttribution`. With
the K of a memory model the sum over all coalitions is small enough to be exact: no sampling.
"""

from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from munkey_core.errors import BadInputError
from munkey_core.explain.coalitions import Candidates, answers, find_candidates, shares
from munkey_core.model.bank import BankView
from munkey_core.model.encoder import Encoded
from munkey_core.model.predictor import Predictor
from munkey_core.results import FloatArray


@dataclass(frozen=True)
class ExemplarAttribution:
    """Exact Shapley values of what answered one query: its K retrieved exemplars and the null
    anchor.

    The game: a coalition's value is the probability (0 to 1) of class `target` when only its
    members take part, their shares computed among themselves; the empty coalition is the image
    pathway alone, which is what the model says with an empty memory. Positive = speaks for
    `target`. sum(values) [+ anchor_value] = full − empty.

    ids: nearest first. values: (K,) float64. anchor_value: None without an anchor.
    weights: (K [+ 1]) share of each in the prediction, the anchor last.
    alone: (K [+ 1]) probability of `target` in the pass of each exemplar alone, the anchor last.
    """

    target: int
    ids: tuple[str, ...]
    values: npt.NDArray[np.float64]
    anchor_value: float | None
    weights: FloatArray
    alone: FloatArray
    full: float
    empty: float
    generation: int

    @property
    def residual(self) -> float:
        """How far the values' sum is from full − empty; 0 up to rounding (efficiency axiom)."""
        return float(self.values.sum() + (self.anchor_value or 0.0) - (self.full - self.empty))


MAX_EXEMPLARS = 12
# Numbers in the largest array of one block of queries: 8 MB in float64.
_BLOCK_CELLS = 1_000_000


def shapley(
    predictor: Predictor, queries: Encoded, view: BankView, target: int | None = None
) -> tuple[ExemplarAttribution, ...]:
    """Exact Shapley values of the exemplars of each query, one attribution a query.

    view: the keys that answer; with fewer than K of them there are fewer values, with none the
    null anchor is the only player, whether the model has one or not. target: a class index; None
    = each query's predicted class. Raises BadInputError for another class, or for more than 12
    exemplars.
    """
    classes = predictor.model.head.out_features
    if target is not None and not 0 <= target < classes:
        raise BadInputError(f"target must be a class index from 0 to {classes - 1}, got {target}")
    players = min(predictor.config.k, view.alive)
    if players > MAX_EXEMPLARS:
        raise BadInputError(
            f"exact Shapley values need 2^K coalitions: K must be at most {MAX_EXEMPLARS}, "
            f"got {players}"
        )
    dim = predictor.model.config.dim
    cells = 2 ** (players + 1) * max(players + 1, dim)
    block = max(1, _BLOCK_CELLS // cells)
    return tuple(
        attribution
        for first in range(0, len(queries), block)
        for attribution in _block(predictor, queries[first : first + block], view, target)
    )


def _block(
    predictor: Predictor, queries: Encoded, view: BankView, target: int | None
) -> list[ExemplarAttribution]:
    candidates = find_candidates(predictor, view, queries.keys, predictor.config.k)
    n = candidates.rows.shape[1]
    has_anchor = candidates.anchored or n == 0
    players = n + has_anchor
    coalitions = every_coalition(players)
    mixes = shares(candidates.similarity, _members(coalitions, candidates), predictor.config)
    worth = answers(predictor, queries.features, candidates, mixes)
    predicted = worth[:, -1].argmax(dim=1)
    targets = predicted if target is None else torch.full_like(predicted, target)
    worth = worth[torch.arange(len(queries)), :, targets]
    values = shapley_values(worth)
    alone = worth[:, 2 ** torch.arange(players)].float().numpy()
    weights = mixes[:, -1, :players].float().numpy()
    return [
        ExemplarAttribution(
            target=int(targets[q]),
            ids=tuple(view.bank.ids[row] for row in candidates.rows[q].tolist()),
            values=values[q, :n].numpy(),
            anchor_value=float(values[q, -1]) if has_anchor else None,
            weights=weights[q],
            alone=alone[q],
            full=float(worth[q, -1]),
            empty=float(worth[q, 0]),
            generation=view.generation,
        )
        for q in range(len(queries))
    ]


def every_coalition(players: int) -> Tensor:
    """(2^players, players) bool: row S has player i iff bit i of S is set."""
    return (torch.arange(2**players)[:, None] >> torch.arange(players) & 1).bool()


def shapley_values(worth: Tensor) -> Tensor:
    """(Q, n) Shapley values of games of n players. worth: (Q, 2^n) float64 value of each
    coalition, in the order of `every_coalition`."""
    n = worth.shape[1].bit_length() - 1
    coalitions = every_coalition(n)
    # Of all orders of arrival, the share in which player i comes just after these s others.
    share = torch.tensor([1 / (n * comb(n - 1, s)) for s in range(n)], dtype=torch.float64)
    size = coalitions.sum(dim=1, keepdim=True)
    joins, lacks = share[(size - 1).clamp(min=0)], share[size.clamp(max=n - 1)]
    return worth @ torch.where(coalitions, joins, -lacks)


def _members(coalitions: Tensor, candidates: Candidates) -> Tensor:
    """(1, M, n + 1) bool members among the candidates: a player is a column, ∅ the last one."""
    missing = candidates.similarity.shape[1] - coalitions.shape[1]
    return torch.cat([coalitions, coalitions.new_zeros(len(coalitions), missing)], dim=1)[None]
