"""What one memory does: predictions with and without a single entry of the bank."""

from __future__ import annotations

import torch
from torch import Tensor

from munkey_core.bank import BankView, MemoryBank
from munkey_core.errors import BadInputError
from munkey_core.predictor import Predictor, candidate_similarity, exemplar_weights

_CHUNK = 256


@torch.inference_mode()
def leave_one_out(
    predictor: Predictor, bank: MemoryBank, features: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """True-class probability of every private image with and without its own entry.

    features: (N, ...) of the bank's images in bank order; labels: (N,) int64.
    Returns two (N,) float32 in [0, 1]. Exact: the second is what deleting that one key gives,
    because a deletion leaves all weights and other rows as they are. Their difference is the
    memorisation score (METHOD.md §3). Raises BadInputError for single-pass aggregation.
    """
    if predictor.config.aggregation == "single_pass":
        raise BadInputError("leave-one-out needs an ensemble of passes, got single_pass")
    kept, gone = [], []
    k = predictor.config.k
    view = BankView(bank)
    for first in range(0, len(bank), _CHUNK):
        own = torch.arange(first, min(first + _CHUNK, len(bank)))
        rows, similarity = view.search(bank.keys[own], k + 1)
        tokens = torch.cat(
            [bank.tokens[rows], predictor.model.null_memory.expand(len(own), 1, -1)], dim=1
        )
        passes = predictor.passes(features[own], tokens)
        truth = passes[torch.arange(len(own)), :, labels[own]]
        is_own = rows == own[:, None]
        # Without its own entry each image keeps its K nearest others; a stable sort moves the own
        # entry, wherever it stands, behind them.
        others = is_own.long().argsort(dim=1, stable=True)[:, : min(k, len(bank) - 1)]
        nearest = torch.arange(min(k, rows.shape[1])).expand(len(own), -1)
        kept.append(_mix(predictor, truth, similarity, nearest))
        gone.append(_mix(predictor, truth, similarity, others))
    return torch.cat(kept), torch.cat(gone)


def _mix(predictor: Predictor, truth: Tensor, similarity: Tensor, columns: Tensor) -> Tensor:
    """Ensemble of some of the passes; the last column of `truth` is the null anchor's."""
    candidates = candidate_similarity(similarity.gather(1, columns), predictor.config.anchor)
    values = truth.gather(1, columns)
    if candidates.shape[1] > columns.shape[1]:
        values = torch.cat([values, truth[:, -1:]], dim=1)
    return (exemplar_weights(candidates, predictor.config) * values).sum(dim=1)
