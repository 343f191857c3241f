"""What all sessions of one bundle share, read-only once loaded."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from operator import itemgetter

import torch

from munkey_core.audit.evidence import Evidence
from munkey_core.audit.exposure import Exposure, exposure
from munkey_core.audit.reports import check_reports
from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.forget_sets import canonical_sets
from munkey_core.bundle.image_names import ImageNames
from munkey_core.erasure.measure_again import Missing, missing
from munkey_core.errors import BundleError, UnknownIdError
from munkey_core.model.encoder import Encoded
from munkey_core.model.predictor import Predictor
from munkey_core.model.search import near_pairs
from munkey_core.results import PRIVATE, TEST, NearDuplicate, Record
from munkey_core.studio.about import About
from munkey_core.training.retraining import MUNKEY
from munkey_core.training.runs import Runs


class SharedModel:
    """A bundle, its predictor and what has been worked out from them."""

    def __init__(self, bundle: Bundle, whole: Bundle | None = None) -> None:
        """whole: the bundle in its own mode, if `bundle` is in another."""
        check_reports(bundle)
        self.bundle = bundle
        self.whole = whole or bundle
        self.predictor = Predictor(bundle.encoder, bundle.model, bundle.manifest.ensemble)
        self.private = bundle.records_of(PRIVATE)
        self.test = bundle.records_of(TEST)
        self.by_id = {record.id: record for record in bundle.records}
        # Answers of other models; nothing is trained in the process of the pages.
        self.evidence = Evidence(Runs(bundle, torch.device("cpu")))
        self.neighbours = self.evidence.runs.neighbours
        self._exposure: Exposure | None = None

    @cached_property
    def about(self) -> About:
        return About.of(self.bundle)

    @cached_property
    def canonical_sets(self) -> dict[str, tuple[str, ...]]:
        return canonical_sets(self.bundle)

    @cached_property
    def missing(self) -> tuple[Missing, ...]:
        """What erasing took along and can be measured again; nothing where the ledger, which would
        tell, can't be read: whoever reads it says so."""
        try:
            return missing(self.whole)
        except BundleError:
            return ()

    @cached_property
    def names(self) -> ImageNames:
        """What the images may be called."""
        return ImageNames(self.by_id)

    def record(self, id_: str) -> Record:
        """Label, owner and split of an image. Raises UnknownIdError."""
        try:
            return self.by_id[id_]
        except KeyError:
            raise UnknownIdError(f"no image with id {id_!r} in bundle {self.about.name}") from None

    def require_keys(self, ids: Iterable[str]) -> None:
        """Raises UnknownIdError unless all are private images: no other was ever in the memory."""
        for id_ in ids:
            split = self.record(id_).split
            if split != PRIVATE:
                raise UnknownIdError(
                    f"{id_!r} is a {split} image: it was never in the memory, so there is no key "
                    "to delete"
                )

    def encode(self, ids: Sequence[str]) -> Encoded:
        """Images as the networks read them. Raises UnknownIdError, BundleError without pictures."""
        for id_ in ids:
            self.record(id_)
        return self.bundle.encode(ids)

    def near_duplicates(self, ids: Sequence[str]) -> Iterator[NearDuplicate]:
        """Pairs (id, other) of near-copies in the undiminished bank, nearest first for each id."""
        bank = self.bundle.bank
        pairs = near_pairs(bank.keys, self.bundle.manifest.near_duplicate, bank.rows(ids))
        for i, near in groupby(pairs, key=itemgetter(0)):
            for _, j, cosine in sorted(near, key=lambda pair: -pair[2]):
                yield NearDuplicate(bank.ids[i], bank.ids[j], min(1.0, cosine))

    @cached_property
    def copies(self) -> dict[str, list[str]]:
        """Private id → its near-copies; an empty list for most."""
        found: dict[str, list[str]] = {id_: [] for id_ in self.bundle.bank.ids}
        for pair in self.near_duplicates(self.bundle.bank.ids):
            found[pair.id].append(pair.other)
        return found

    def exposure(self) -> Exposure | None:
        """Computed at the first need, and anew when something better is known since."""
        known = self._exposure
        if known is None or (known.k == 0 and self.evidence.references(MUNKEY) is not None):
            self._exposure = exposure(self.evidence)
        return self._exposure
