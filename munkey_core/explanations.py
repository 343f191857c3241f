"""The door to explanations: what a session asks about one image, one memory, one forget set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from munkey_core.bank import BankView
from munkey_core.bundle import Bundle
from munkey_core.effects import NeighbourTable
from munkey_core.predictor import Predictor
from munkey_core.types import (
    ExemplarAttribution,
    ImageArray,
    Influence,
    InfluencedQuery,
    PathwayReport,
    PixelAttribution,
    Progress,
    SanityCheck,
)

Subject = str | ImageArray
"""An id of the bundle (private or test), or one uint8 image (1, H, W[, 3])."""


class Explanations:
    """What one session can ask. `without`: ids whose keys are taken as deleted; None means those
    that this session has forgotten. Results carry the session's generation."""

    def __init__(
        self, bundle: Bundle, predictor: Predictor, neighbours: NeighbourTable, view: BankView
    ) -> None:
        self._bundle = bundle
        self._predictor = predictor
        self._neighbours = neighbours
        self._view = view

    def exemplars(
        self, subject: Subject, target: int | None = None, without: Sequence[str] | None = None
    ) -> ExemplarAttribution:
        """Exact Shapley values of what answers. target: a class index; None = the predicted one.
        Raises BadInputError for another class, UnknownIdError."""
        raise NotImplementedError

    def influence(self) -> Influence | None:
        """The bundle's stored influence of each entry on all test images; None if it has none."""
        raise NotImplementedError

    def compute_influence(self) -> Iterator[Progress | Influence]:
        """Yield progress, then the influence of every entry on all test images, computed anew."""
        raise NotImplementedError

    def influenced(self, id_: str, split: str = "test") -> tuple[InfluencedQuery, ...]:
        """Images of a split ("test" or "private") whose answer would change if this entry alone
        were forgotten, the largest change first; the entry's own image is not among them."""
        raise NotImplementedError

    @property
    def pixel_methods(self) -> dict[str, str]:
        """Names of the pixel attributions → one sentence each on what it does."""
        raise NotImplementedError

    def pixels(
        self,
        subject: Subject,
        method: str,
        target: int | None = None,
        without: Sequence[str] | None = None,
    ) -> PixelAttribution:
        """How much each pixel speaks for a class (None = the predicted one)."""
        raise NotImplementedError

    def sanity_check(
        self, subject: Subject, method: str, target: int | None = None
    ) -> Iterator[Progress | SanityCheck]:
        """Yield progress, then the attribution's likeness under cascading randomisation."""
        raise NotImplementedError

    def pathways(
        self, ids: Sequence[str], limit: int = 2_000
    ) -> Iterator[Progress | PathwayReport]:
        """Yield progress, then the accuracy of each pathway before and after forgetting `ids`
        from the undiminished bank. limit: at most so many images a group, drawn by seed 0."""
        raise NotImplementedError
