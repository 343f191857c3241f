"""Jobs about a bundle."""

from collections.abc import Callable, Sequence

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.manifest import SPACES
from munkey_core.bundle.read import read_bundle
from munkey_core.erasure.measure_again import missing
from munkey_core.errors import MunkeyError
from munkey_core.explain.map import Maps
from munkey_core.jobs.job import COMPARE, MEASURE, PROJECT, RETRAIN, Job, make_job
from munkey_core.jobs.queue import JobStatus, machine_queue
from munkey_core.jobs.time_left import Stages, expected_stages, measuring_stages
from munkey_core.studio.audit import Audit
from munkey_core.studio.shared import SharedModel


class Jobs:
    """What processes in the background work out about this bundle.

    kind: "retrain" trains the MUNKEY without `ids`, "compare" every method; "project" fits the maps
    of the memory and "measure" makes again what erasing took along: these two take no ids. asker:
    who wants it, any name that is this person's own. present: whether an asker is still there.
    """

    def __init__(self, shared: SharedModel, audit: Audit, maps: Maps) -> None:
        self._shared = shared
        self._audit = audit
        self._maps = maps

    def done(self, kind: str, ids: Sequence[str]) -> bool:
        """Whether what a job of this kind would find out about `ids` is known already."""
        if kind == PROJECT:
            return all(self._maps.ready(space) for space in SPACES)
        if kind == MEASURE:
            return not self._shared.missing
        if kind == RETRAIN and self._shared.evidence.exact:
            return True  # deletion is retraining, by construction
        if kind == RETRAIN:
            return self._shared.evidence.retrained(ids) is not None
        report = self._audit.report(ids)
        return report is not None and any(f.family == "post-hoc" for f in report.models.values())

    def seconds(self, kind: str) -> float | None:
        """How long a job of this kind is expected to take here; None if nobody knows. Before the
        first comparison what its methods took when the bundle was measured is added up; without
        such figures it is twice a retraining, as two networks are trained anew."""
        stages = self._stages(kind)
        if stages:
            return sum(seconds for _, seconds in stages)
        retraining = self.seconds(RETRAIN) if kind == COMPARE else None
        if retraining is None:
            return None
        report = self._audit.main_report()
        measured = (
            sum(figures.unlearn_seconds or 0.0 for figures in report.models.values())
            if report is not None and report.device == "cpu"
            else 0.0
        )
        return measured or 2 * retraining

    def start(self, kind: str, ids: Sequence[str], asker: str) -> None:
        """Have something about `ids` worked out.

        Raises BundleError for a bundle without images, BadInputError for a set that leaves nothing
        to train on or when this person has too many jobs waiting, UnknownIdError, ReadOnlyError in
        a demonstration.
        """
        job = make_job(kind, self._about(kind), ids)

        def found() -> bool:
            if kind == MEASURE:  # it is in another version of the bundle by now
                return not missing(read_bundle(job.folder))
            return self.done(kind, job.ids)

        machine_queue().submit(job, asker, found, self._stages(kind))

    def cancel(
        self, kind: str, ids: Sequence[str], asker: str, present: Callable[[str], bool]
    ) -> None:
        """Take back the wish for a job; it stops if no other asker who is `present` wants it."""
        job = make_job(kind, self._about(kind), ids)
        machine_queue().cancel(job, asker, present)

    def status(
        self, kind: str, ids: Sequence[str], asker: str, present: Callable[[str], bool]
    ) -> JobStatus | None:
        """Where a job about exactly `ids` stands, whoever started it; None if there is none.

        A job that nobody who is present wants any more becomes this asker's, who has come back or
        followed a link. Raises what `start` raises.
        """
        job = make_job(kind, self._about(kind), ids)
        queue = machine_queue()
        queue.adopt(job, asker, present)
        return queue.status(job, asker, present)

    def left_alone(self, present: Callable[[str], bool]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Kind and ids of the jobs about this bundle that wait or run, and that nobody who is
        present wants any more."""
        alone = machine_queue().left_alone(present)
        return tuple((job.kind, job.ids) for job in alone if job == self._same(job))

    def _same(self, job: Job) -> Job | None:
        """This session's job of the same kind and ids; None if it can't have it."""
        try:
            return make_job(job.kind, self._about(job.kind), job.ids)
        except MunkeyError:
            return None

    def _stages(self, kind: str) -> Stages:
        if kind == MEASURE:
            return measuring_stages(self._shared.missing)
        return expected_stages(self._shared.bundle, kind)

    def _about(self, kind: str) -> Bundle:
        """Measuring again is about all modes at once, and one job whichever is on the screen."""
        return self._shared.whole if kind == MEASURE else self._shared.bundle
