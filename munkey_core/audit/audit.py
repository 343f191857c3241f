"""Is the model after deletion what retraining would have given? (METHOD.md §1, §3)

MUNKEY before and after deletion beside the oracles: MUNKEY and the plain transformer retrained
without the forget set, for every seed.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from munkey_core.audit.evidence import Evidence
from munkey_core.audit.figures import Entry, ModelFigures, NullBand, Table
from munkey_core.audit.leak import LeakSplit, leak_split
from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.forget_sets import (
    CANONICAL,
    canonical_name,
    forget_set,
    forget_set_digest,
    size_name,
)
from munkey_core.errors import BadInputError
from munkey_core.files.typed import Name
from munkey_core.progress import Steps, staged
from munkey_core.training.answers import Outputs
from munkey_core.training.joint import resolve_device
from munkey_core.training.retraining import MUNKEY, PLAIN, Run
from munkey_core.training.runs import Runs
from munkey_core.unlearning import METHODS, SYSTEMS

# How the interval of an Avg Gap was made. FOLDED: percentiles of absolute differences over images,
# averaged over seeds; as no difference is below 0 they lean upwards, and a small gap may lie below
# its own interval. SEEDS_AND_IMAGES: of signed differences, seeds resampled too; holds its gap.
FOLDED, SEEDS_AND_IMAGES = "images, folded", "seeds and images, signed"


@dataclass(frozen=True)
class AuditReport:
    """A forget set's audit. forget: its name. set_digest: SHA-256 of its ids. models: by name, in
    the order of a table. null_bands: by oracle's name. device: of the trainings.

    intervals: how those of Avg Gap were made: FOLDED or SEEDS_AND_IMAGES. differences: by two rows,
    the 95% interval of the second's Avg Gap minus the first's (`Table.differences`); empty in a
    report that was stored before it was known, and with one seed. code: what the figures were made
    with: PyTorch's version, and by row the SHA-256 of a method's source, "" where that can't be
    told; empty in a report that was stored before it was noted.
    """

    bundle: Name
    digest: Name
    forget: Name
    set_digest: Name
    n_forget: int
    n_retain: int
    n_test: int
    seeds: tuple[int, ...]
    models: dict[Name, ModelFigures]
    null_bands: dict[Name, NullBand]
    leak: LeakSplit | None
    device: Name
    seconds: float
    intervals: Name = FOLDED
    differences: dict[Name, dict[Name, tuple[float, float]]] = field(default_factory=dict)
    code: dict[Name, Name] = field(default_factory=dict)

    def band_of(self, figures: ModelFigures) -> NullBand | None:
        """The null band that a model's gap is held against."""
        return self.null_bands.get(figures.oracle or "")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


BEFORE, AFTER, ORACLE = "MUNKEY before", "MUNKEY after", "MUNKEY retrained"
PLAIN_BEFORE, PLAIN_ORACLE = "plain", "plain retrained"


class ForgettingAudit:
    """Audits one forget set over several seeds; trains only what nobody has trained yet.

    forget: as on the command line, or the ids themselves. seeds: how many trainings of each kind,
    None for as many as the bundle or the cache has, at least one; the bundle's own model stands for
    its seed. evidence: shared by audits of one bundle, so that images are encoded once; `device` is
    then its own.
    Raises BadInputError for a bad forget set or number of seeds.
    """

    def __init__(
        self,
        bundle: Bundle,
        forget: str | Sequence[str],
        seeds: int | None = None,
        device: str = "auto",
        evidence: Evidence | None = None,
    ) -> None:
        if seeds is not None and not 1 <= seeds <= 20:
            raise BadInputError(f"--seeds must be between 1 and 20, got {seeds}")
        self.bundle = bundle
        ids = forget_set(forget, bundle) if isinstance(forget, str) else forget
        self.ids = tuple(sorted(set(ids)))
        bundle.bank.rows(self.ids)  # raises for one that has no key
        self.name = forget.strip() if isinstance(forget, str) else ",".join(self.ids)
        if self.name not in CANONICAL:
            named = canonical_name(self.ids, bundle)
            self.name = named or _plain_name(self.name, len(self.ids))
        self.evidence = evidence or Evidence(Runs(bundle, resolve_device(device)))
        self.runs = self.evidence.runs
        self.table = Table(self.evidence, self.ids)
        self.measured: list[Entry] = []
        first = self.runs.seed
        self.seeds = tuple(range(first, first + (seeds or self._known_seeds())))

    def run(self) -> Steps[AuditReport]:
        """Yield progress; return the report."""
        start = time.perf_counter()
        self.measured = yield from self.entries()
        return self.report(self.measured, time.perf_counter() - start)

    def entries(self) -> Steps[list[Entry]]:
        """Yield progress; return the rows of MUNKEY, the plain transformer and their oracles."""
        found: dict[str, list[Outputs]] = {
            name: [] for name in (BEFORE, AFTER, ORACLE, PLAIN_BEFORE, PLAIN_ORACLE)
        }
        for seed in self.seeds:
            for name, run in (
                (BEFORE, Run(MUNKEY, (), seed)),
                (ORACLE, Run(MUNKEY, self.ids, seed)),
                (PLAIN_BEFORE, Run(PLAIN, (), seed)),
                (PLAIN_ORACLE, Run(PLAIN, self.ids, seed)),
            ):
                steps = staged(f"{name}, seed {seed}", self.runs.outputs(run))
                found[name].append((yield from steps))
            own = Run(MUNKEY, (), seed)
            deleted = (
                self.evidence.after(self.ids)  # kept for whoever asks next, e.g. the attacks
                if own == self.runs.original(MUNKEY)
                else self.runs.after(own, self.ids)
            )
            steps = staged(f"{AFTER}, seed {seed}", deleted)
            found[AFTER].append((yield from steps))
        seconds = {name: [outputs.seconds for outputs in found[name]] for name in found}
        return [
            Entry(BEFORE, "original", found[BEFORE], ORACLE),
            Entry(
                AFTER, "by-design", found[AFTER], ORACLE, seconds[AFTER], exact=self.evidence.exact
            ),
            Entry(ORACLE, "oracle", found[ORACLE], None, seconds[ORACLE]),
            Entry(PLAIN_BEFORE, "original", found[PLAIN_BEFORE], PLAIN_ORACLE),
            Entry(PLAIN_ORACLE, "oracle", found[PLAIN_ORACLE], None, seconds[PLAIN_ORACLE]),
        ]

    def report(self, entries: Sequence[Entry], seconds: float) -> AuditReport:
        """The report of these rows."""
        by_name = {entry.name: entry for entry in entries}
        return AuditReport(
            bundle=self.bundle.manifest.name,
            digest=self.bundle.digest,
            forget=self.name,
            set_digest=forget_set_digest(self.ids),
            n_forget=len(self.ids),
            n_retain=len(self.bundle.bank) - len(self.ids),
            n_test=len(self.table.test_labels),
            seeds=self.seeds,
            models=self.table.figures(entries),
            null_bands=self.table.null_bands(entries),
            leak=leak_split(
                self.table, by_name[BEFORE].outputs, by_name[AFTER].outputs, by_name[ORACLE].outputs
            ),
            device=str(self.runs.device),
            seconds=seconds,
            intervals=SEEDS_AND_IMAGES,
            differences=self.table.differences(entries),
            code=code_of(by_name),
        )

    def _known_seeds(self) -> int:
        count = 0
        while self.runs.known_outputs(Run(MUNKEY, self.ids, self.runs.seed + count)) is not None:
            count += 1
        return max(1, count)


def code_of(rows: Iterable[str]) -> dict[str, str]:
    """`AuditReport.code` of a report with these rows, as the code is now."""
    made = {method.name: method.source for method in METHODS.values()}
    made |= {f"{system.name} after": system.source for system in SYSTEMS.values()}
    found = {row: made[row] or "" for row in rows if row in made}
    return {"PyTorch": torch.__version__, **found}


def _plain_name(forget: str, n: int) -> str:
    """A short name for a set that has none: neither a thousand ids nor somebody's path."""
    if forget.startswith("@") or "," in forget:
        return size_name(n)
    return forget
