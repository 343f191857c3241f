"""Answers by part of the memory: what the model says if only some of the retrieved take part.

A prediction is a mix of what the nearest entries and the null anchor say. Leaving members out and
sharing out the mix anew among those who stay needs no other search and, for the ensembles, no other
pass: Shapley values, leave-one-out influence and the pathways are all asked of this one room.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from munkey_core.config import EnsembleConfig
from munkey_core.model.bank import BankView
from munkey_core.model.predictor import Predictor, exemplar_weights


@dataclass(frozen=True)
class Candidates:
    """What may answer Q queries: their nearest entries, nearest first, and the empty slot ∅ last.

    rows: (Q, n) int64 bank rows. similarity: (Q, n + 1) float32 cosines, the last that of ∅.
    tokens: (Q, n + 1, dim) float32. anchored: whether ∅ takes part in a prediction, as the null
    anchor; it also answers wherever nobody else does.
    """

    rows: Tensor
    similarity: Tensor
    tokens: Tensor
    anchored: bool

    def with_null(self, entries: Tensor) -> Tensor:
        """(..., n) bool members among the entries → (..., n + 1), ∅ with them if it takes part."""
        null = entries.new_full((*entries.shape[:-1], 1), self.anchored)
        return torch.cat([entries, null], dim=-1)


def find_candidates(predictor: Predictor, view: BankView, keys: Tensor, n: int) -> Candidates:
    """The n nearest entries (fewer if the view holds fewer) of each key, and ∅. keys: (Q, d)."""
    rows, similarity = view.search(keys, n)
    anchor = predictor.config.anchor
    s_0 = similarity.new_full((len(keys), 1), 0.0 if anchor is None else anchor)
    null = predictor.model.null_memory.expand(len(keys), 1, -1)
    return Candidates(
        rows,
        torch.cat([similarity, s_0], dim=1),
        torch.cat([view.bank.tokens[rows], null], dim=1),
        anchored=anchor is not None,
    )


def shares(similarity: Tensor, members: Tensor, config: EnsembleConfig) -> Tensor:
    """(Q, M, P) float64 share of each candidate in M mixes, computed among the mix's members.

    similarity: (Q, P) as in Candidates. members: (Q or 1, M, P) bool. Rows sum to 1. A mix without
    any member is ∅ alone, which is what an empty memory answers.
    """
    members = members.expand(len(similarity), -1, -1).clone()
    members[..., -1] |= ~members.any(dim=-1)
    # float32 and -inf for whoever is left out: the very arithmetic of a prediction without them.
    among = similarity[:, None].masked_fill(~members, -torch.inf).flatten(0, 1)
    weights = exemplar_weights(among, config).view(members.shape).double() * members
    return weights / weights.sum(dim=-1, keepdim=True)


@torch.inference_mode()
def answers(
    predictor: Predictor,
    features: Tensor,
    candidates: Candidates,
    mixes: Tensor,
    drop_image: bool = False,
) -> Tensor:
    """(Q, M, C) float64 class probabilities of each mix.

    features: (Q, ...) as `Predictor.encode` gives them. mixes: (Q, M, P) shares. An ensemble runs
    its P passes once and mixes them M times; `single_pass` mixes tokens, so each mix is a pass.
    drop_image replaces the image by ∅.
    """
    if predictor.config.aggregation == "single_pass":
        return predictor.passes(features, mixes.float() @ candidates.tokens, drop_image).double()
    return mixes @ predictor.passes(features, candidates.tokens, drop_image).double()
