"""Oracles: models retrained without a forget set, and how often they are right (METHOD.md §1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from munkey_core.audit.evidence import Evidence
from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.forget_sets import forget_set
from munkey_core.errors import BadInputError
from munkey_core.progress import Steps
from munkey_core.training.answers import Outputs, split_verdicts
from munkey_core.training.joint import resolve_device
from munkey_core.training.retraining import Family, Run
from munkey_core.training.runs import Runs


@dataclass(frozen=True)
class OracleFigures:
    """How often a model retrained without a forget set is right, in percent.

    family: "munkey" or "plain". seconds: its training took. source: "trained" (now), "cache" or
    "bundle".
    """

    family: str
    seed: int
    test_accuracy: float
    retain_accuracy: float
    forget_accuracy: float
    seconds: float
    source: str


MAX_SEEDS = 20


class Oracles:
    """Finds or trains the oracles of one forget set.

    without: as on the command line. seeds: how many of each family; the first has the bundle's own
    seed unless `first_seed` names another. Raises BadInputError for a bad forget set, one that
    leaves nothing to train on, or a bad number of seeds.
    """

    def __init__(
        self,
        bundle: Bundle,
        without: str,
        families: Sequence[Family],
        seeds: int = 1,
        first_seed: int | None = None,
        device: str = "auto",
    ) -> None:
        if not 1 <= seeds <= MAX_SEEDS:
            raise BadInputError(f"--seeds must be between 1 and {MAX_SEEDS}, got {seeds}")
        self.ids = tuple(sorted(forget_set(without, bundle)))
        bundle.bank.rows(self.ids)  # raises for one that has no key
        if len(self.ids) == len(bundle.bank):
            raise BadInputError("at least one image must be left to retrain on")
        self.runs = Runs(bundle, resolve_device(device))
        self.evidence = Evidence(self.runs)
        first = self.runs.seed if first_seed is None else first_seed
        self._todo = [Run(family, self.ids, first + i) for family in families for i in range(seeds)]

    def run(self) -> Steps[tuple[OracleFigures, ...]]:
        """Yield progress; return the figures of every oracle."""
        found = []
        for run in self._todo:
            source = self._source(run)
            outputs = yield from self.runs.outputs(run)
            found.append(self._figures(run, outputs, source))
        return tuple(found)

    def _source(self, run: Run) -> str:
        if self.runs.path(run).is_file():
            return "cache"
        return "trained" if self.runs.known_outputs(run) is None else "bundle"

    def _figures(self, run: Run, outputs: Outputs, source: str) -> OracleFigures:
        forget = np.zeros(len(outputs.private), dtype=np.bool_)
        forget[self.evidence.rows(self.ids)] = True
        parts = split_verdicts(
            outputs, self.evidence.private_labels, self.evidence.test_labels, forget
        )
        forgotten, retained, test = (100 * float(part.correct.mean()) for part in parts)
        return OracleFigures(
            family=run.family,
            seed=run.seed,
            test_accuracy=test,
            retain_accuracy=retained,
            forget_accuracy=forgotten,
            seconds=outputs.seconds,
            source=source,
        )
