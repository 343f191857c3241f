"""The membership attacks, in one table (METHOD.md §3): a larger score means member."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from munkey_core.audit.membership.scores import lira_offline, lira_online, population, rmia
from munkey_core.audit.membership.signals import (
    SIGNALS,
    Labels,
    Probabilities,
    Signal,
    true_class_probability,
)
from munkey_core.errors import AttackError, BadInputError
from munkey_core.results import BoolArray
from munkey_core.training.answers import Outputs
from munkey_core.training.shipped import References

BEFORE, AFTER, RETRAINED = "before", "after", "retrained"
PLAIN_ORIGINAL, PLAIN_RETRAINED = "plain", "plain retrained"
LIRA_ONLINE = "LiRA online"


@dataclass(frozen=True)
class Target:
    """What an attack may look at. probabilities: (N + T, C) of one model, private images, then
    test images; labels: (N + T,). n_private: N. references: of the model's family, if any."""

    probabilities: Probabilities
    labels: Labels
    n_private: int
    references: References | None

    @property
    def truth(self) -> Signal:
        return true_class_probability(self.probabilities, self.labels)

    def required(self) -> References:
        """Its references. Raises AttackError if there are none."""
        if self.references is None:
            raise AttackError(
                "needs reference models of its kind, and none has been trained on this data yet"
            )
        return self.references


Attack = Callable[[Target], Signal]


def _signal(signal: Callable[[Probabilities, Labels], Signal]) -> Attack:
    return lambda target: signal(target.probabilities, target.labels)


def _lira(attack: Callable[[Signal, Signal, BoolArray], Signal]) -> Attack:
    def scores(target: Target) -> Signal:
        references = target.required()
        return attack(target.truth, references.truth, references.member)

    return scores


def _rmia(target: Target) -> Signal:
    """Population z: the test images, of which each reference was trained on a half."""
    references, n = target.required(), target.n_private
    truth = target.truth
    return rmia(
        truth,
        references.truth,
        truth[n:],
        references.truth[:, n:],
        references.member,
        member_population=references.member[:, n:],
    )


def _population(target: Target) -> Signal:
    truth = target.truth
    return population(truth, truth[target.n_private :])


# Larger score = member, for every one of them.
ATTACKS: dict[str, Attack] = {
    **{name: _signal(signal) for name, signal in SIGNALS.items()},
    LIRA_ONLINE: _lira(lira_online),
    "LiRA offline": _lira(lira_offline),
    "RMIA": _rmia,
    "population": _population,
}


# Attacks that order images alike, as each is monotone in the true class's probability (the last but
# for ties): one attack under several names.
SAME_ORDER = ("true-class probability", "loss", "population")


def attack_scores(name: str, target: Target) -> Signal:
    """(N + T,) one score an image; larger = member. Raises AttackError if it can't be computed."""
    if name not in ATTACKS:
        raise AttackError(f"no attack {name!r}; there are {', '.join(ATTACKS)}")
    try:
        scores = ATTACKS[name](target)
    except BadInputError as error:
        raise AttackError(str(error)) from error
    if not np.isfinite(scores).all():
        raise AttackError("gives scores that are not finite")
    return scores


def target_of(outputs: Outputs, labels: Labels, references: References | None) -> Target:
    return Target(outputs.both, labels, len(outputs.private), references)


def count_references(references: References | None) -> int:
    return 0 if references is None else len(references.truth)
