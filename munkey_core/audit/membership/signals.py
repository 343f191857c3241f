"""Membership signals: one number an image, from one model's class probabilities.

In every signal a larger score means member (METHOD.md §3).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from munkey_core.errors import BadInputError

Probabilities = npt.NDArray[np.floating]
Labels = npt.NDArray[np.integer]
Signal = npt.NDArray[np.float64]

# Softmax rounds to 0 and 1; a probability is kept this far inside, so that logarithms are finite.
EPSILON = 1e-12


def true_class_probability(probabilities: Probabilities, labels: Labels) -> Signal:
    """p_y in [0, 1]."""
    p = _checked(probabilities, labels)
    picked: Signal = p[np.arange(len(labels)), labels]
    return picked


def loss(probabilities: Probabilities, labels: Labels) -> Signal:
    """Negated cross-entropy, ln p_y: a member's loss is smaller, so its score is larger."""
    return np.log(np.clip(true_class_probability(probabilities, labels), EPSILON, 1))


def entropy(probabilities: Probabilities, labels: Labels) -> Signal:
    """Negated entropy, Σ_k p_k ln p_k, in [−ln C, 0]. The label isn't used."""
    p = np.clip(_checked(probabilities, labels), EPSILON, 1)
    total: Signal = (p * np.log(p)).sum(axis=1)
    return total


def modified_entropy(probabilities: Probabilities, labels: Labels) -> Signal:
    """Negated modified entropy, (1 − p_y) ln p_y + Σ_{k≠y} p_k ln(1 − p_k) (Song and Mittal 2021).

    Unlike the entropy it is small for a model that is sure of a wrong class.
    """
    p = np.clip(_checked(probabilities, labels), EPSILON, 1 - EPSILON)
    rows = np.arange(len(labels))
    others = p * np.log1p(-p)
    others[rows, labels] = 0
    truth = p[rows, labels]
    total: Signal = (1 - truth) * np.log(truth) + others.sum(axis=1)
    return total


def logit(probability: npt.NDArray[np.floating]) -> Signal:
    """φ = ln(p / (1 − p)), the scale on which LiRA's scores are close to normal."""
    p = np.clip(np.asarray(probability, dtype=np.float64), EPSILON, 1 - EPSILON)
    return np.log(p) - np.log1p(-p)


SIGNALS: dict[str, Callable[[Probabilities, Labels], Signal]] = {
    "true-class probability": true_class_probability,
    "loss": loss,
    "entropy": entropy,
    "modified entropy": modified_entropy,
}


def _checked(probabilities: Probabilities, labels: Labels) -> Signal:
    """float64 (n, C) probabilities. Raises BadInputError unless rows are finite and sum to 1."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or labels.shape != (len(p),):
        raise BadInputError(
            f"probabilities must be (n, C) and labels (n,), got {p.shape} and {labels.shape}"
        )
    if not np.isfinite(p).all() or (p < 0).any() or not np.allclose(p.sum(axis=1), 1, atol=1e-3):
        raise BadInputError("probabilities must be finite, 0 or more, and sum to 1 in each row")
    if len(labels) and not 0 <= labels.min() <= labels.max() < p.shape[1]:
        raise BadInputError(f"labels must be in 0..{p.shape[1] - 1}")
    return p
