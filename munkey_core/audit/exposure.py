"""How exposed each private image is before any deletion, and a check of the attacks themselves."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from munkey_core.audit.attacks import (
    ATTACKS,
    LIRA_ONLINE,
    attack_scores,
    count_references,
    target_of,
)
from munkey_core.audit.evidence import Evidence
from munkey_core.audit.membership.signals import logit
from munkey_core.audit.privacy import HALF_SEED, LOG_ODDS, AttackFigures, Judge
from munkey_core.data.seeding import permutation
from munkey_core.errors import AttackError
from munkey_core.training.retraining import MUNKEY, PLAIN, Family


@dataclass(frozen=True)
class AttackCheck:
    """Do the attacks work? Every attack on a family's original: all private images (members)
    against all test images. k: reference models it had. errors: reason by attack."""

    family: str
    k: int
    figures: dict[str, AttackFigures]
    errors: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without ROC points."""
        values = asdict(self)
        for figures in values["figures"].values():
            del figures["roc"]
        return values


@dataclass(frozen=True)
class Exposure:
    """How exposed each private image is to an attack on the bundle's own model, before any
    deletion; larger = more exposed. scores: by id. attack: its name. k: reference models it had."""

    attack: str
    k: int
    scores: dict[str, float]


def attack_check(evidence: Evidence, family: Family = PLAIN) -> AttackCheck:
    """Every attack on a family's original, all private images as members.

    Raises AttackError if that model has not been trained yet.
    """
    outputs = evidence.original(family)
    if outputs is None:
        raise AttackError(f"the {family} model trained on everything is not known yet")
    references = evidence.references(family)
    n = len(evidence.private_labels)
    labels = evidence.labels
    target = target_of(outputs, labels, references)
    everybody = np.ones(n, dtype=np.bool_)
    chosen_on = np.zeros(n, dtype=np.bool_)
    chosen_on[permutation(n, HALF_SEED)[: n // 2]] = True
    # Rates over all images; the balanced accuracy on the half that its threshold never saw.
    whole = Judge(everybody, ~everybody, len(evidence.test_labels))
    half = Judge(~chosen_on, chosen_on, len(evidence.test_labels))
    figures: dict[str, AttackFigures] = {}
    errors: dict[str, str] = {}
    for name in ATTACKS:
        try:
            scores = attack_scores(name, target)
            split = half.figures(scores)
            figures[name] = replace(
                whole.figures(scores),
                balanced_accuracy=split.balanced_accuracy,
                balanced_accuracy_ci95=split.balanced_accuracy_ci95,
                errors={k: v for k, v in split.errors.items() if k == "balanced_accuracy"},
            )
        except AttackError as error:
            errors[name] = str(error)
    return AttackCheck(family, count_references(references), figures, errors)


def exposure(evidence: Evidence) -> Exposure | None:
    """How exposed each private image is in the bundle's own model, by LiRA online if there are
    references inside and outside for every image, else by the true class's log-odds.

    None if nobody has computed what the model says about every image yet.
    """
    outputs = evidence.original(MUNKEY)
    if outputs is None:
        return None
    labels = evidence.labels
    references = evidence.references(MUNKEY)
    target = target_of(outputs, labels, references)
    name, k = LIRA_ONLINE, count_references(references)
    try:
        scores = attack_scores(name, target)
    except AttackError:
        name, k, scores = LOG_ODDS, 0, logit(target.truth)
    ids = evidence.bundle.bank.ids
    return Exposure(name, k, dict(zip(ids, scores[: len(ids)].tolist(), strict=True)))
