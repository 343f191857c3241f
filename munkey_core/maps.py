"""The door to maps of the memory: what a session asks of projections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from munkey_core.bank import BankView
from munkey_core.bundle import Bundle
from munkey_core.types import FloatArray, Placement, Prediction, Progress, Projection

SPACES = ("keys", "tokens")
METHODS = ("umap", "pca")


class Maps:
    """Maps of one bundle's memory as one session sees it."""

    def __init__(self, bundle: Bundle, view: BankView) -> None:
        self._bundle = bundle
        self._view = view

    def ready(self, space: str, method: str = "umap") -> bool:
        """Whether `projection` would answer at once instead of raising ProjectionError."""
        raise NotImplementedError

    def projection(self, space: str = "keys", method: str = "umap") -> Projection:
        """All entries of the undiminished bank, forgotten ones too, as points. PCA is computed on
        the spot; UMAP comes from the bundle or from an earlier `fit`. Raises ProjectionError if
        nobody has fitted it, BadInputError for another space or method."""
        raise NotImplementedError

    def fit(self, space: str = "keys") -> Iterator[Progress | Projection]:
        """Yield progress, then the seeded UMAP, which is kept in the cache."""
        raise NotImplementedError

    def place(self, prediction: Prediction, ids: Sequence[str], on: Projection) -> Placement:
        """Where predicted images lie on a map. ids: their ids, "" for a person's own image.
        Raises StaleGenerationError if one of the two belongs to another state of the memory."""
        raise NotImplementedError

    def positions(self, ids: Sequence[str], on: Projection) -> FloatArray:
        """(n, 2) float32 positions of entries. Raises UnknownIdError."""
        raise NotImplementedError
