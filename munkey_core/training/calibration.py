"""τ, s_0 and K, chosen on public images that are reported on nowhere (METHOD.md §2; ours).

Two groups of public images decide. The *calibration* images had an entry while the model was
trained, like a private image: with their keys they show whether the memory answers for its own.
The *validation* images never had one; with the calibration images, once their keys are deleted,
they show how well the model treats what it does not know.
"""

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from munkey_core.config import EnsembleConfig
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.encoder import Encoded, FrozenEncoder, concatenate
from munkey_core.model.predictor import Predictor, candidate_similarity, exemplar_weights
from munkey_core.training.joint import JointTraining

K_GRID = (4, 8)
TAU_GRID = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
# Where among the similarities of unknown images to their nearest key s_0 is tried.
ANCHOR_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
RECALL_WANTED = 0.99


@dataclass(frozen=True)
class Labelled:
    """Encoded images of one split, with their ids and (n,) int64 labels."""

    ids: tuple[str, ...]
    images: Encoded
    labels: Tensor


@dataclass(frozen=True)
class Candidate:
    """One setting and what it does, as shares in [0, 1].

    recall: accuracy on calibration images while their keys are there. accuracy: on validation
    images and calibration images whose keys are deleted. firmness: mean true-class probability of
    the former.
    """

    config: EnsembleConfig
    recall: float
    accuracy: float
    firmness: float


def choose_ensemble(
    predictor: Predictor,
    bank: MemoryBank,
    calibration: Labelled,
    validation: Labelled | None = None,
) -> tuple[EnsembleConfig, dict[str, Any]]:
    """The chosen setting and the table it was chosen from, by the rule of `best_candidate`.

    bank: private and calibration entries. validation: None where there are no such images.
    """
    if validation is None:
        validation = Labelled((), calibration.images[:0], calibration.labels[:0])
    members = _passes(predictor, BankView(bank), calibration.images)
    without = BankView(bank, calibration.ids)
    unknown_labels = torch.cat([calibration.labels, validation.labels])
    strangers = _passes(predictor, without, concatenate(calibration.images, validation.images))

    nearest = strangers[1][:, 0]
    anchors = [None, *(round(float(nearest.quantile(q)), 3) for q in ANCHOR_QUANTILES)]
    table = []
    for k, tau, anchor in itertools.product(K_GRID, TAU_GRID, dict.fromkeys(anchors)):
        config = EnsembleConfig(k=k, tau=tau, anchor=anchor)
        known_truth, known_right = _judge(*members, calibration.labels, config)
        _, right = _judge(*strangers, unknown_labels, config)
        table.append(Candidate(config, known_right, right, known_truth))
    best = best_candidate(table, len(unknown_labels))
    record = {
        "images": {"calibration": len(calibration.ids), "validation": len(validation.ids)},
        "rule": (
            f"recall >= {RECALL_WANTED}; accuracy within one standard error of the best; "
            "the smallest k; the highest firmness"
        ),
        "chosen": _flat(best),
        "table": [_flat(candidate) for candidate in table],
    }
    return best.config, record


def calibrated(
    encoder: FrozenEncoder,
    training: JointTraining,
    private: Labelled,
    calibration: Labelled,
    validation: Labelled | None = None,
) -> tuple[Predictor, MemoryBank, dict[str, Any]]:
    """How what was trained jointly answers: its predictor, with τ, s_0 and K as `choose_ensemble`
    finds them, its bank, from then on without the calibration entries, and the table."""
    model, tokens = training.model.cpu().float(), training.tokens
    ids, keys = (*private.ids, *calibration.ids), [private.images.keys, calibration.images.keys]
    ensemble, table = choose_ensemble(
        Predictor(encoder, model, EnsembleConfig()),
        MemoryBank(ids, torch.cat(keys), tokens),
        calibration,
        validation,
    )
    bank = MemoryBank(private.ids, keys[0].clone(), tokens[: len(private.ids)].clone())
    return Predictor(encoder, model, ensemble), bank, table


def best_candidate(table: list[Candidate], images: int) -> Candidate:
    """Among the settings with recall ≥ 0.99 (or the highest reached) and an accuracy within one
    standard error of the best: the smallest K, then the firmest.

    images: how many the accuracies are measured on. Differences below a standard error are noise;
    fewer passes and a memory that speaks up are not.
    """
    wanted = min(RECALL_WANTED, max(candidate.recall for candidate in table))
    fit = [candidate for candidate in table if candidate.recall >= wanted]
    best = max(candidate.accuracy for candidate in fit)
    error = (best * (1 - best) / max(images, 1)) ** 0.5
    good = [candidate for candidate in fit if candidate.accuracy >= best - error]
    return min(good, key=lambda c: (c.config.k, -c.firmness))


@torch.inference_mode()
def _passes(predictor: Predictor, view: BankView, queries: Encoded) -> tuple[Tensor, Tensor]:
    """Passes (Q, K_max + 1, C), the null anchor's last, and cosines (Q, K_max)."""
    rows, similarity = view.search(queries.keys, max(K_GRID))
    null = predictor.model.null_memory.expand(len(queries), 1, -1)
    tokens = torch.cat([view.bank.tokens[rows], null], dim=1)
    return predictor.passes(queries.features, tokens), similarity


def _judge(
    passes: Tensor, similarity: Tensor, labels: Tensor, config: EnsembleConfig
) -> tuple[float, float]:
    """Mean true-class probability and accuracy of the ensemble under one setting."""
    if not len(labels):
        return 1.0, 1.0
    k = min(config.k, similarity.shape[1])
    candidates = candidate_similarity(similarity[:, :k], config.anchor)
    values = passes[:, :k]
    if candidates.shape[1] > k:
        values = torch.cat([values, passes[:, -1:]], dim=1)
    mixed = (exemplar_weights(candidates, config)[..., None] * values).sum(dim=1)
    truth = mixed[torch.arange(len(labels)), labels]
    return float(truth.mean()), float((mixed.argmax(dim=1) == labels).float().mean())


def _flat(candidate: Candidate) -> dict[str, Any]:
    values = asdict(candidate.config)
    del values["aggregation"]
    return {
        **values,
        "recall": round(candidate.recall, 4),
        "accuracy": round(candidate.accuracy, 4),
        "firmness": round(candidate.firmness, 4),
    }
