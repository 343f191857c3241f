"""Deletion held against models that were retrained without the images."""

from collections.abc import Iterator, Mapping, Sequence

from munkey_core.audit.audit import AuditReport, ForgettingAudit
from munkey_core.audit.reports import best_measured, find_report
from munkey_core.model.bank import BankView
from munkey_core.progress import Steps
from munkey_core.results import FloatArray
from munkey_core.studio.shared import SharedModel


class Audit:
    """Whether deleting `ids`, and nothing else, gave what retraining without them gives; whatever
    this session has forgotten."""

    def __init__(self, shared: SharedModel) -> None:
        self._shared = shared

    def report(self, ids: Sequence[str]) -> AuditReport | None:
        """The audit of exactly these ids beside retrained models, if there is one: shipped with
        the bundle, or made by a job since."""
        return find_report(self._shared.bundle, ids)

    def main_report(self) -> AuditReport | None:
        """The bundle's main measurement: of the shipped audits the one with the most seeds."""
        return best_measured(self._shared.bundle)

    def run(
        self, ids: Sequence[str], methods: Sequence[str] = (), seeds: int | None = None
    ) -> Steps[AuditReport]:
        """Yield progress; return the audit of exactly these ids. Retrained models are taken from
        the bundle or the cache; what is in neither is trained here and now, which takes minutes for
        thousands of images.

        methods: keys of the other unlearning methods that get a row. seeds: trainings of each kind,
        None for as many as are known, at least one. Raises BadInputError for a method that isn't
        known, a set that leaves nothing to train on or a bad number of seeds, UnknownIdError, and
        BundleError if the bundle carries no images to train on.
        """
        from munkey_core.audit.comparison import Comparison

        self._shared.require_keys(ids)
        shared = self._shared
        audit = ForgettingAudit(shared.bundle, tuple(ids), seeds, evidence=shared.evidence)
        return Comparison(audit, methods).run()

    def retrained(self, ids: Sequence[str]) -> Mapping[str, FloatArray] | None:
        """Id → (C,) class probabilities of every private image, by the model retrained without
        exactly `ids`; None if there is none yet. Raises UnknownIdError."""
        self._shared.require_keys(ids)
        if self._shared.evidence.exact:
            return _AfterDeletion(self._shared, ids)
        outputs = self._shared.evidence.retrained(ids)
        if outputs is None:
            return None
        return dict(zip(self._shared.bundle.bank.ids, outputs.private, strict=True))


class _AfterDeletion(Mapping[str, FloatArray]):
    """What the exact mode retrained without `ids` says: by construction what it says once their
    keys are deleted, so each image is asked when somebody wants to know."""

    def __init__(self, shared: SharedModel, ids: Sequence[str]) -> None:
        self._shared = shared
        self._view = BankView(shared.bundle.bank)
        self._view.forget(ids)

    def __getitem__(self, id_: str) -> FloatArray:
        predicted = self._shared.predictor.predict(self._shared.encode([id_]), self._view)
        found: FloatArray = predicted.probabilities[0]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._view.bank.ids)

    def __len__(self) -> int:
        return len(self._view.bank)
