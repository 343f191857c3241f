"""What a model says about every image: the one thing that all comparisons are computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from munkey_core.errors import BadInputError
from munkey_core.results import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Verdicts:
    """What matters most of an answer. truth: (n,) float32 probability of the true class.
    correct: (n,) bool, whether the true class is the most probable one."""

    truth: FloatArray
    correct: BoolArray

    def __getitem__(self, rows: IntArray | BoolArray | slice) -> Verdicts:
        return Verdicts(self.truth[rows], self.correct[rows])


@dataclass(frozen=True)
class Outputs:
    """Class probabilities of one model for every private and every test image of a bundle.

    private: (N, C) float32 in bank order; test: (T, C) float32 in record order; rows sum to 1.
    image_private, image_test: verdicts of the image pathway alone (exemplar = ∅); None for a model
    that has no memory. seconds: wall time that training or forgetting took.
    Raises BadInputError for a value that is not finite.
    """

    private: FloatArray
    test: FloatArray
    seconds: float
    image_private: Verdicts | None = None
    image_test: Verdicts | None = None

    @property
    def both(self) -> FloatArray:
        """(N + T, C), private, then test."""
        return np.concatenate([self.private, self.test])

    def __post_init__(self) -> None:
        for name, values in (("private", self.private), ("test", self.test)):
            if values.ndim != 2 or not np.isfinite(values).all():
                raise BadInputError(
                    f"a model's {name} probabilities must be finite and of shape (n, C), "
                    f"got {values.shape}"
                )


def split_verdicts(
    outputs: Outputs, private_labels: IntArray, test_labels: IntArray, forget: BoolArray
) -> tuple[Verdicts, Verdicts, Verdicts]:
    """Verdicts on the forget, the retain and the test images. forget: (N,) bool in bank order."""
    private = verdicts(outputs.private, private_labels)
    return private[forget], private[~forget], verdicts(outputs.test, test_labels)


def verdicts(probabilities: FloatArray, labels: IntArray) -> Verdicts:
    """probabilities: (n, C); labels: (n,) int64."""
    truth = probabilities[np.arange(len(labels)), labels]
    return Verdicts(truth.astype(np.float32), probabilities.argmax(axis=1) == labels)
