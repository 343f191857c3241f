"""How exposed each private image is before any deletion."""

from dataclasses import dataclass

from munkey_core.audit.attacks import LIRA_ONLINE, attack_scores, count_references, target_of
from munkey_core.audit.evidence import Evidence
from munkey_core.audit.membership.signals import logit
from munkey_core.audit.privacy import LOG_ODDS
from munkey_core.errors import AttackError
from munkey_core.training.retraining import MUNKEY


@dataclass(frozen=True)
class Exposure:
    """How exposed each private image is to an attack on the bundle's own model, before any
    deletion; larger = more exposed. scores: by id. attack: its name. k: reference models it had."""

    attack: str
    k: int
    scores: dict[str, float]


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
