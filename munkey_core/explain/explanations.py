"""The door to explanations: what a session asks about one image, one memory, one forget set."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from munkey_core.bundle.bundle import Bundle
from munkey_core.errors import BadInputError, UnknownIdError
from munkey_core.explain.influence import (
    Influence,
    InfluencedQuery,
    influence_of,
    influenced,
    stored_influence,
)
from munkey_core.explain.pathways import PathwayReport, pathways
from munkey_core.explain.pixels import PixelAttribution
from munkey_core.explain.randomisation import SanityCheck
from munkey_core.explain.shapley import ExemplarAttribution, shapley
from munkey_core.model.bank import BankView
from munkey_core.model.encoder import Encoded
from munkey_core.model.predictor import Predictor
from munkey_core.model.side_effects import NeighbourTable
from munkey_core.progress import Steps
from munkey_core.results import PRIVATE, TEST, ImageArray, Record

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

    @cached_property
    def _records(self) -> tuple[Record, ...]:
        """In the order of the neighbour table."""
        return (*self._bundle.records_of(PRIVATE), *self._bundle.records_of(TEST))

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(record.id for record in self._records)

    def exemplars(
        self, subject: Subject, target: int | None = None, without: Sequence[str] | None = None
    ) -> ExemplarAttribution:
        """Exact Shapley values of what answers. target: a class index; None = the predicted one.
        Raises BadInputError for another class or a model with K above 12, UnknownIdError."""
        queries = self._queries(subject)
        [attribution] = shapley(self._predictor, queries, self._seen(without), target)
        return attribution

    def influence(self) -> Influence | None:
        """The bundle's stored influence of each entry on all test images; None if it has none."""
        return stored_influence(self._bundle)

    def compute_influence(self) -> Steps[Influence]:
        """Yield progress; return the influence of every entry on all test images, computed anew."""
        return influence_of(self._bundle, self._predictor)

    def influenced(self, id_: str, split: str = TEST) -> tuple[InfluencedQuery, ...]:
        """Images of a split ("test" or "private") whose answer would change if this entry alone
        were forgotten, the largest change first; the entry's own image is not among them.

        The change is that in the undiminished bank, whatever this session has forgotten; any of
        more than a millionth in a class's probability counts. Raises UnknownIdError for an id
        without a key, BadInputError for another split.
        """
        if split not in (TEST, PRIVATE):
            raise BadInputError(f"split must be {TEST} or {PRIVATE}, got {split!r}")
        bank = self._bundle.bank
        touched = self._neighbours.touched_by(bank.rows([id_])).tolist()
        records = [self._records[i] for i in touched if self._records[i].id != id_]
        records = [record for record in records if record.split == split]
        queries = self._bundle.encode([record.id for record in records])
        return influenced(self._predictor, bank, id_, records, queries)

    @property
    def pixel_methods(self) -> dict[str, str]:
        """Names of the pixel attributions → one sentence each on what it does."""
        from munkey_core.explain import pixels

        return dict(pixels.METHODS)

    def pixels(
        self,
        subject: Subject,
        method: str,
        target: int | None = None,
        without: Sequence[str] | None = None,
    ) -> PixelAttribution:
        """How much each pixel speaks for a class (None = the predicted one)."""
        from munkey_core.explain import pixels

        image = self._image(subject)
        return pixels.attribute(self._predictor, self._seen(without), image, method, target)

    def sanity_check(
        self, subject: Subject, method: str, target: int | None = None
    ) -> Steps[SanityCheck]:
        """Yield progress; return the attribution's likeness under cascading randomisation."""
        from munkey_core.explain import pixels

        image = self._image(subject)
        return pixels.sanity_check(self._predictor, self._seen(None), image, method, target)

    def pathways(self, ids: Sequence[str], limit: int = 2_000) -> Steps[PathwayReport]:
        """Yield progress; return the accuracy of each pathway before and after forgetting `ids`
        from the undiminished bank. limit: at most so many images a group, drawn by seed 0."""
        return pathways(
            self._predictor,
            self._bundle.bank,
            self._records,
            ids,
            self._bundle.encode,
            limit,
            self._view.generation,
        )

    def _seen(self, without: Sequence[str] | None) -> BankView:
        """A view of its own, so that what the session forgets meanwhile changes nothing here."""
        view = BankView(self._bundle.bank, self._view.deleted_ids if without is None else without)
        view.generation = self._view.generation
        return view

    def _image(self, subject: Subject) -> ImageArray:
        """uint8 (1, H, W[, 3])."""
        if isinstance(subject, str):
            if subject not in self._ids:
                raise UnknownIdError(f"no private or test image with id {subject!r}")
            return self._bundle.pictures.array([subject])
        single = len(subject) == 1 and (subject.ndim == 3 or subject.shape[3:] == (3,))
        if subject.dtype != np.uint8 or not single:
            raise BadInputError(
                "an image must be uint8 of shape (1, H, W) or (1, H, W, 3), "
                f"got {subject.dtype} of shape {subject.shape}"
            )
        return subject

    def _queries(self, subject: Subject) -> Encoded:
        image = self._image(subject)
        if isinstance(subject, str):
            return self._bundle.encode([subject])
        return self._predictor.encode(image)
