"""What is known about a forget set without training anything: before, after, retrained.

Outputs come from the bundle or the cache (`runs`), or are computed by predicting.
"""

from collections.abc import Sequence
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt
from cachetools import FIFOCache

from munkey_core.bundle.forget_sets import forget_set_digest
from munkey_core.bundle.manifest import EXACT_MODE
from munkey_core.progress import Steps
from munkey_core.results import BoolArray, IntArray
from munkey_core.training.answers import Outputs
from munkey_core.training.retraining import MUNKEY, Family, Run, in_reference, reference_run
from munkey_core.training.runs import Runs
from munkey_core.training.shipped import References, all_labels

_KEPT = 8


class Evidence:
    """All that is known of one bundle's models; shared by sessions, read-only to them."""

    def __init__(self, runs: Runs) -> None:
        self.bundle = runs.bundle
        self.runs = runs
        self._after: FIFOCache[str, Outputs] = FIFOCache(_KEPT)
        self._lock = Lock()

    @cached_property
    def labels(self) -> IntArray:
        """(N + T,) int64 of private, then test images."""
        return all_labels(self.bundle)

    @property
    def private_labels(self) -> IntArray:
        """(N,) int64 in bank order."""
        return self.labels[: len(self.bundle.bank)]

    @property
    def test_labels(self) -> IntArray:
        """(T,) int64 in record order."""
        return self.labels[len(self.bundle.bank) :]

    @property
    def exact(self) -> bool:
        """Whether this is an exact mode, in which deletion is retraining, by construction."""
        return self.bundle.mode == EXACT_MODE

    def rows(self, ids: Sequence[str]) -> IntArray:
        """(n,) int64 bank rows of ids. Raises UnknownIdError."""
        rows: IntArray = self.bundle.bank.rows(ids).numpy()
        return rows

    def original(self, family: Family = MUNKEY) -> Outputs | None:
        """Outputs of the model trained on everything; None if nobody has computed them yet."""
        return self.runs.known_outputs(Run(family, (), self.runs.seed))

    def retrained(
        self, ids: Sequence[str], family: Family = MUNKEY, seed: int | None = None
    ) -> Outputs | None:
        """Outputs of the model retrained without `ids`; None if it has not been trained yet.

        An exact mode's oracle is the model after deletion (see `Runs`); None until `after` was
        asked.
        """
        seed = self.runs.seed if seed is None else seed
        if self.exact and family == MUNKEY:
            same = self._after.get(forget_set_digest(ids))
            return same if seed == self.runs.seed else None
        return self.runs.known_outputs(Run(family, tuple(sorted(ids)), seed))

    def references(self, family: Family, at_most: int = 256) -> References | None:
        """The reference models of a family: the bundle's, else all consecutive ones from k = 0 in
        the cache; None if there is none."""
        if self.exact and family == MUNKEY:
            return None  # the joint mode's are models of another kind
        if self.runs.shipped is not None:
            stored = self.runs.shipped.references(family)
            if stored is not None:
                return stored
        labels = self.labels
        truth: list[npt.NDArray[np.float64]] = []
        member: list[BoolArray] = []
        while len(truth) < at_most:
            known = self.runs.known_outputs(reference_run(family, len(truth)))
            if known is None:
                break
            both = known.both.astype(np.float64)
            truth.append(both[np.arange(len(labels)), labels])
            member.append(in_reference(len(member), len(labels)).numpy())
        return References(np.stack(truth), np.stack(member)) if truth else None

    def before(self) -> Steps[Outputs]:
        """Yield progress; return the outputs of the bundle's own model with its whole memory."""
        return self.runs.outputs(self.runs.original(MUNKEY))

    def after(self, ids: Sequence[str]) -> Steps[Outputs]:
        """Yield progress; return the same with the keys of `ids` deleted. `seconds` is the time of
        deleting the keys. The newest few are kept."""
        digest = forget_set_digest(ids)
        found = self._after.get(digest)
        if found is None:
            found = yield from self.runs.after(self.runs.original(MUNKEY), ids)
            with self._lock:
                self._after[digest] = found
        return found
