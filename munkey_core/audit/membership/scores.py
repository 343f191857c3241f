"""Attacks that use reference models or a population. A larger score means member.

References are models trained on random halves of the data. Shapes: n images, K references.
"""

import numpy as np
import numpy.typing as npt

from munkey_core.audit.membership.signals import EPSILON, Signal, logit
from munkey_core.errors import BadInputError

Mask = npt.NDArray[np.bool_]

# Below so many references inside and outside, a variance of one image's own is mostly noise.
_OWN_VARIANCE_FROM = 32
_MIN_STD = 1e-6


def lira_online(target: Signal, references: Signal, member: Mask) -> Signal:
    """Likelihood-ratio attack, online (Carlini et al. 2022):
    Λ = ln N(φ; μ_in, σ_in) − ln N(φ; μ_out, σ_out), a normal per image.

    target: (n,) true-class probability under the attacked model. references: (K, n) the same under
    each reference. member: (K, n) whether the reference was trained on the image. σ is pooled over
    images while there are fewer than 32 references on either side.
    Raises BadInputError if an image is in all references or in none.
    """
    phi, reference_phi = _check(target, references, member)
    _need(member, "inside the training set of at least one reference model")
    _need(~member, "outside the training set of at least one reference model")
    mu_in, sigma_in = _normal(reference_phi, member)
    mu_out, sigma_out = _normal(reference_phi, ~member)
    return _log_normal(phi, mu_in, sigma_in) - _log_normal(phi, mu_out, sigma_out)


def lira_offline(target: Signal, references: Signal, member: Mask) -> Signal:
    """LiRA, offline: (φ − μ_out) / σ_out, whose normal CDF is the attack's probability; the CDF is
    monotone and left out, because far in the tail it rounds to 1.

    Arguments as `lira_online`; only the references without the image are used.
    """
    phi, reference_phi = _check(target, references, member)
    _need(~member, "outside the training set of at least one reference model")
    mu, sigma = _normal(reference_phi, ~member)
    return (phi - mu) / sigma


def rmia(
    target: Signal,
    references: Signal,
    target_population: Signal,
    references_population: Signal,
    member: Mask | None = None,
    gamma: float = 1.0,
    a: float = 1.0,
    member_population: Mask | None = None,
) -> Signal:
    """Robust membership inference (Zarifzadeh et al. 2024), offline form: the share of population
    images z with (p_x / P(x)) / (p_z / P(z)) > γ, in [0, 1].

    target: (n,), references: (K, n) true-class probabilities of the images; *_population: (m,) and
    (K, m) of images that the target was not trained on. P is the mean over the references without
    the image, then (1 + a)/2 · P + (1 − a)/2; member: (K, n) and member_population: (K, m) say
    which references were trained on it, None that no reference saw any.
    Raises BadInputError for a γ that is not above 0, an a outside [0, 1], an empty population, or
    an image of either kind that all references were trained on.
    """
    if not gamma > 0 or not 0 <= a <= 1:
        raise BadInputError(f"gamma must be above 0 and a in [0, 1], got {gamma} and {a}")
    if member is None:
        member = np.zeros(references.shape, dtype=np.bool_)
    if member_population is None:
        member_population = np.zeros(references_population.shape, dtype=np.bool_)
    _check(target, references, member)
    _check(target_population, references_population, member_population)
    if not len(target_population):
        raise BadInputError("the population must hold at least one image")
    _need(~member, "outside the training set of at least one reference model")
    _need(~member_population, "outside the training set of at least one reference model")
    ratio_x = target / _prior(references, ~member, a)
    ratio_z = np.sort(target_population / _prior(references_population, ~member_population, a))
    # r_x / r_z > γ ⇔ r_z < r_x / γ, all ratios being positive.
    below = np.searchsorted(ratio_z, ratio_x / gamma, side="left")
    share: Signal = below / len(ratio_z)
    return share


def population(target: Signal, population_scores: Signal) -> Signal:
    """Population attack (Ye et al. 2022): the share of population images that score less, in
    [0, 1]. Calling a member whoever exceeds 1 − α has a false-positive rate of about α.

    Both: a signal in which larger means member. Raises BadInputError for an empty population.
    """
    if not len(population_scores):
        raise BadInputError("the population must hold at least one image")
    if not np.isfinite(target).all() or not np.isfinite(population_scores).all():
        raise BadInputError("scores must be finite")
    ordered = np.sort(population_scores)
    share: Signal = np.searchsorted(ordered, target, side="left") / len(ordered)
    return share


def _prior(references: Signal, use: Mask, a: float) -> Signal:
    """(n,) P: mean probability over the references in `use` (K, n), interpolated by `a`."""
    mean = np.where(use, references, 0).sum(axis=0) / use.sum(axis=0)
    prior: Signal = np.maximum((1 + a) / 2 * mean + (1 - a) / 2, EPSILON)
    return prior


def _normal(phi: Signal, use: Mask) -> tuple[Signal, Signal]:
    """(n,) mean and standard deviation of phi (K, n) over the references in `use` (K, n)."""
    count = use.sum(axis=0)
    mean = np.where(use, phi, 0).sum(axis=0) / count
    squares = np.where(use, (phi - mean) ** 2, 0).sum(axis=0)
    if count.min() >= _OWN_VARIANCE_FROM:
        variance = squares / count
    else:
        # Each image's mean costs one degree of freedom.
        freedom = max(1, int(count.sum()) - len(count))
        variance = np.full(len(count), squares.sum() / freedom)
    return mean, np.maximum(np.sqrt(variance), _MIN_STD)


def _log_normal(x: Signal, mean: Signal, std: Signal) -> Signal:
    density: Signal = -0.5 * ((x - mean) / std) ** 2 - np.log(std)
    return density


def _check(target: Signal, references: Signal, member: Mask) -> tuple[Signal, Signal]:
    """φ of both. Raises BadInputError for shapes that don't fit or values outside [0, 1]."""
    if target.ndim != 1 or references.ndim != 2 or references.shape[1:] != target.shape:
        raise BadInputError(
            f"target must be (n,) and references (K, n), got {target.shape}, {references.shape}"
        )
    if member.shape != references.shape or not len(references):
        raise BadInputError(
            f"member must be (K, n) with K of at least 1, got {member.shape} for {references.shape}"
        )
    for name, values in (("target", target), ("references", references)):
        if not np.isfinite(values).all() or (values < 0).any() or (values > 1).any():
            raise BadInputError(f"{name} must hold true-class probabilities in [0, 1]")
    return logit(target), logit(references)


def _need(use: Mask, where: str) -> None:
    """Raise BadInputError unless every image (column) has a reference (row) in `use`."""
    missing = int((~use.any(axis=0)).sum())
    if missing:
        raise BadInputError(f"every image must be {where}; {missing:,} are not")
