"""Is the model after deletion what retraining would have given? (METHOD.md §1, §3)

For every seed: a MUNKEY trained on everything, the same after deletion, a MUNKEY retrained without
the forget set (the oracle), and a plain transformer on the same images for its accuracy.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from munkey_core.bank import BankView
from munkey_core.bundle import CARD, METRICS, Bundle, read_bundle, seal
from munkey_core.card import write_card
from munkey_core.encoder import Encoded
from munkey_core.errors import BadInputError
from munkey_core.forget_sets import select_ids
from munkey_core.membership.metrics import auroc, auroc_interval
from munkey_core.retraining import Retraining, TrainedModel
from munkey_core.training import resolve_device
from munkey_core.types import (
    PRIVATE,
    TEST,
    AuditReport,
    BackboneLeak,
    FloatArray,
    ModelFigures,
    NullBand,
    Progress,
)

GAP_TERMS = ("test_accuracy", "retain_accuracy", "forget_accuracy", "mia_auc")
BEFORE, AFTER, ORACLE, PLAIN = "MUNKEY before", "MUNKEY after", "MUNKEY retrained", "plain"
_FAMILY = {BEFORE: "original", AFTER: "by-design", ORACLE: "oracle", PLAIN: "original"}
_Correct = npt.NDArray[np.float64]


@dataclass
class _Measured:
    """One model of one seed: its figures, and per-image correctness of the image pathway."""

    figures: dict[str, float]
    interval: tuple[float, float]
    image_forget: _Correct
    image_test: _Correct


class ForgettingAudit:
    """Audits one forget set over several seeds, training what it needs.

    forget: as on the command line. seeds: how many trainings of each kind; the bundle's own model
    stands for its seed. Raises BadInputError for a bad forget set or number of seeds.
    """

    def __init__(self, bundle: Bundle, forget: str, seeds: int, device: str = "auto") -> None:
        if not 1 <= seeds <= 20:
            raise BadInputError(f"--seeds must be between 1 and 20, got {seeds}")
        self._bundle = bundle
        self._forget_name = forget
        self._ids = select_ids(forget, bundle.records_of(PRIVATE))
        bundle.bank.rows(self._ids)
        if len(self._ids) >= len(bundle.bank):
            raise BadInputError("the forget set must leave at least one image to retain")
        self._retraining = Retraining(bundle, resolve_device(device))
        first = self._retraining.config.seed
        self._seeds = tuple(range(first, first + seeds))
        self._measured: dict[str, list[_Measured]] = {name: [] for name in _FAMILY}
        self._forget_seconds: list[float] = []

    def run(self) -> Iterator[Progress | AuditReport]:
        """Yield progress, at last the report."""
        start = time.perf_counter()
        yield from self._retraining.encode()
        for seed in self._seeds:
            yield from self._run_seed(seed)
        yield self._report(time.perf_counter() - start)

    @property
    def _same_device(self) -> bool:
        """Whether the shipped model was trained on the kind of device that trains the others:
        a CPU and a GPU round differently, and the gap would count that as forgetting."""
        on_cpu = self._bundle.manifest.provenance.get("device") == "CPU"
        return on_cpu == (self._retraining.device.type == "cpu")

    # -- measuring ---------------------------------------------------------------------------

    def _run_seed(self, seed: int) -> Iterator[Progress]:
        original = self._retraining.shipped()
        if seed != original.seed or not self._same_device:
            original = yield from self._train(f"MUNKEY, seed {seed}", seed)
        self._measure(BEFORE, original, BankView(original.bank))
        view = BankView(original.bank)
        start = time.perf_counter()
        view.forget(self._ids)
        self._forget_seconds.append(time.perf_counter() - start)
        self._measure(AFTER, original, view)
        oracle = yield from self._train(f"oracle, seed {seed}", seed, without=self._ids)
        self._measure(ORACLE, oracle, BankView(oracle.bank))
        plain = yield from self._train(f"plain, seed {seed}", seed, plain=True)
        self._measure(PLAIN, plain, None)

    def _train(self, stage: str, seed: int, **options: Any) -> Any:
        model = None
        for step in self._retraining.train(seed, **options):
            if isinstance(step, Progress):
                yield Progress(
                    stage, step.done, step.total, step.elapsed_seconds, step.remaining_seconds
                )
            else:
                model = step
        return model

    def _measure(self, name: str, trained: TrainedModel, view: BankView | None) -> None:
        """view: the bank it answers with; None for the image pathway alone (the plain model)."""
        encoded, labels = self._retraining.encoded, self._retraining.labels
        predictor = trained.predictor

        def image_only(queries: Encoded) -> FloatArray:
            return predictor.image_only(queries.features)

        def with_memory(queries: Encoded) -> FloatArray:
            return predictor.predict(queries, view).probabilities if view else image_only(queries)

        forget_rows = self._bundle.bank.rows(self._ids)
        truth: dict[str, _Correct] = {}
        correct: dict[str, _Correct] = {}
        for split in (PRIVATE, TEST):
            truth[split], correct[split] = _judge(with_memory, encoded[split], labels[split])
        retain = np.ones(len(labels[PRIVATE]), dtype=np.bool_)
        retain[forget_rows.numpy()] = False
        low, high = auroc_interval(truth[PRIVATE][~retain], truth[TEST])
        forgotten = encoded[PRIVATE][forget_rows]
        _, image_forget = _judge(image_only, forgotten, labels[PRIVATE][forget_rows])
        _, image_test = _judge(image_only, encoded[TEST], labels[TEST])
        figures = {
            "test_accuracy": 100 * float(correct[TEST].mean()),
            "retain_accuracy": 100 * float(correct[PRIVATE][retain].mean()),
            "forget_accuracy": 100 * float(correct[PRIVATE][~retain].mean()),
            "mia_auc": 100 * auroc(truth[PRIVATE][~retain], truth[TEST]),
            "image_only_test": 100 * float(image_test.mean()),
            "image_only_forget": 100 * float(image_forget.mean()),
        }
        measured = _Measured(figures, (100 * low, 100 * high), image_forget, image_test)
        self._measured[name].append(measured)

    # -- reporting ---------------------------------------------------------------------------

    def _report(self, seconds: float) -> AuditReport:
        oracles = [m.figures for m in self._measured[ORACLE]]
        after = [m.figures for m in self._measured[AFTER]]
        seeds = range(len(self._seeds))
        between = [avg_gap(a, b) for a, b in itertools.combinations(oracles, 2)]
        across = [avg_gap(after[i], oracles[j]) for i in seeds for j in seeds if i != j]
        n = len(self._bundle.bank)
        return AuditReport(
            bundle=self._bundle.manifest.name,
            digest=self._bundle.digest,
            forget=self._forget_name,
            n_forget=len(self._ids),
            n_retain=n - len(self._ids),
            n_test=len(self._retraining.labels[TEST]),
            seeds=self._seeds,
            models={name: self._figures(name, oracles) for name in _FAMILY},
            null_band=NullBand(fmean(between), min(between), max(between), len(between))
            if between
            else None,
            avg_gap_cross_seeds=fmean(across) if across else None,
            backbone_leak=backbone_leak(
                [(m.image_forget, m.image_test) for m in self._measured[AFTER]],
                [(m.image_forget, m.image_test) for m in self._measured[ORACLE]],
            ),
            device=str(self._retraining.device),
            seconds=seconds,
        )

    def _figures(self, name: str, oracles: list[dict[str, float]]) -> ModelFigures:
        measured = self._measured[name]
        per_seed = [dict(m.figures) for m in measured]
        if name in (BEFORE, AFTER):
            for figures, oracle in zip(per_seed, oracles, strict=True):
                figures["avg_gap"] = avg_gap(figures, oracle)
        mean = {key: fmean(f[key] for f in per_seed) for key in per_seed[0]}
        spread = {
            key: stdev([f[key] for f in per_seed]) if len(per_seed) > 1 else 0.0 for key in mean
        }
        return ModelFigures(
            family=_FAMILY[name],
            **{term: mean[term] for term in GAP_TERMS},
            mia_auc_ci95=(
                fmean(m.interval[0] for m in measured),
                fmean(m.interval[1] for m in measured),
            ),
            avg_gap=mean.get("avg_gap"),
            unlearn_seconds=fmean(self._forget_seconds) if name == AFTER else None,
            spread=spread,
            per_seed=tuple(per_seed),
        )


def avg_gap(figures: dict[str, float], oracle: dict[str, float]) -> float:
    """Avg Gap = mean of |TA−TA*|, |RA−RA*|, |FA−FA*|, |MIA−MIA*| (METHOD.md §3), in points."""
    return fmean(abs(figures[term] - oracle[term]) for term in GAP_TERMS)


def backbone_leak(
    model: list[tuple[_Correct, _Correct]], oracle: list[tuple[_Correct, _Correct]]
) -> BackboneLeak:
    """The leak with its interval. Each list: per seed, correctness (0 or 1) of the image pathway
    alone on each forget image and each test image, in one order for all seeds.

    Images are the units: correctness is averaged over seeds first, then the normal interval of a
    difference of two means is taken over images.
    """
    forget, test = (np.mean([pair[i] for pair in model], axis=0) for i in (0, 1))
    forget_o, test_o = (np.mean([pair[i] for pair in oracle], axis=0) for i in (0, 1))
    points, ci95 = _difference(forget, test)
    oracle_points, _ = _difference(forget_o, test_o)
    excess, excess_ci95 = _difference(forget - forget_o, test - test_o)
    return BackboneLeak(points, ci95, oracle_points, excess, excess_ci95)


def _difference(a: _Correct, b: _Correct) -> tuple[float, tuple[float, float] | None]:
    """100 · (mean a − mean b) with its normal 95% interval.

    None instead of an interval where there is no spread to tell it from: a single image, or images
    that are all alike.
    """
    points = 100 * float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2 or a.var() + b.var() == 0:
        return points, None
    half = 196 * float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
    return points, (points - half, points + half)


def _judge(
    predict: Callable[[Encoded], FloatArray], queries: Encoded, labels: torch.Tensor
) -> tuple[_Correct, _Correct]:
    """True-class probability and correctness (0 or 1) of each query."""
    probabilities = predict(queries)
    truth = probabilities[np.arange(len(labels)), labels.numpy()].astype(np.float64)
    correct = (probabilities.argmax(axis=1) == labels.numpy()).astype(np.float64)
    return truth, correct


def report_lines(report: AuditReport) -> list[str]:
    """The report for a terminal."""
    lines = [
        f"{report.bundle}, forget set {report.forget}: {report.n_forget:,} forgotten, "
        f"{report.n_retain:,} retained, {report.n_test:,} test; seeds {list(report.seeds)}",
        f"{'model':18} {'TA':>6} {'RA':>6} {'FA':>6} {'MIA AUROC [95%]':>22} {'Avg Gap':>8}",
    ]
    for name, f in report.models.items():
        gap = "" if f.avg_gap is None else f"{f.avg_gap:8.2f}"
        mia = f"{f.mia_auc:.2f} [{f.mia_auc_ci95[0]:.2f}, {f.mia_auc_ci95[1]:.2f}]"
        lines.append(
            f"{name:18} {f.test_accuracy:6.2f} {f.retain_accuracy:6.2f} "
            f"{f.forget_accuracy:6.2f} {mia:>22} {gap}"
        )
    if report.null_band is not None:
        band = report.null_band
        lines.append(
            f"null band (oracles of different seeds): {band.mean:.2f} "
            f"[{band.low:.2f}, {band.high:.2f}], {band.pairs} pairs; "
            f"MUNKEY after against oracles of other seeds: {report.avg_gap_cross_seeds:.2f}"
        )
    leak = report.backbone_leak
    lines.append(
        f"backbone leak: {leak.points:+.2f} points {_interval(leak.ci95)}; "
        f"oracle {leak.oracle_points:+.2f}; excess {leak.excess_points:+.2f} "
        f"{_interval(leak.excess_ci95)}"
    )
    lines.append(
        "key deletion leaves the shared weights as they are: this is not exact unlearning; all "
        "models also learned from the labels of the same public anchors"
    )
    return lines


def _interval(ci95: tuple[float, float] | None) -> str:
    return "(no interval: too few images)" if ci95 is None else f"[{ci95[0]:+.2f}, {ci95[1]:+.2f}]"


def save_report(folder: Path, report: AuditReport) -> None:
    """Write metrics.json and the card's table into the bundle and seal it anew.

    Raises BadInputError if the bundle has changed since the audit read it.
    """
    bundle = read_bundle(folder)
    if bundle.digest != report.digest:
        raise BadInputError(f"bundle {folder.name} has changed since the audit began; run it again")
    metrics = report.to_dict()
    del metrics["digest"]  # saving the report changes the bundle's digest
    card = write_card(bundle, metrics)  # before a file of the sealed bundle changes
    (folder / METRICS).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    (folder / CARD).write_text(card, encoding="utf-8")
    seal(folder, bundle.manifest)
