"""Audit reports made by hand: what a page shows must follow from their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from munkey_core.audit.audit import AuditReport
from munkey_core.audit.figures import ModelFigures, NullBand, OracleDistance
from munkey_core.audit.leak import BackboneLeak, LeakSplit
from munkey_core.audit.membership.forgetting_quality import ForgettingQuality

TERMS = {
    "test_accuracy": 91.8,
    "retain_accuracy": 100.0,
    "forget_accuracy": 92.3,
    "mia_auc": 50.0,
}
HALF = {"test_accuracy": 0.5, "retain_accuracy": 0.0, "forget_accuracy": 1.6, "mia_auc": 1.8}
BANDS = {
    "MUNKEY retrained": NullBand(0.20, 0.08, 0.29, 3),
    "plain retrained": NullBand(0.21, 0.12, 0.31, 3),
}


def row(
    family: str,
    oracle: str | None,
    gap: float | None = None,
    cross: float | None = None,
    seconds: float | None = None,
    ci: tuple[float, float] | None = None,
    seeds: int = 3,
    exact: bool = False,
    settings: Mapping[str, float] | None = None,
    fqs: ForgettingQuality | None = None,
    **terms: float,
) -> ModelFigures:
    """One model's figures; the accuracies are alike unless said."""
    values = TERMS | terms
    ci95 = {term: (value - HALF[term], value + HALF[term]) for term, value in values.items()}
    if gap is not None:
        values = values | {"avg_gap": gap}
        ci95["avg_gap"] = ci or (0.5 * gap, gap + 0.2)
    return ModelFigures(
        family=family,
        oracle=oracle,
        test_accuracy=values["test_accuracy"],
        retain_accuracy=values["retain_accuracy"],
        forget_accuracy=values["forget_accuracy"],
        mia_auc=values["mia_auc"],
        mia_auc_ci95=ci95["mia_auc"],
        avg_gap=gap,
        avg_gap_cross_seeds=cross if seeds > 1 else None,
        unlearn_seconds=seconds,
        ci95=ci95,
        spread=dict.fromkeys(values, 0.1 if seeds > 1 else 0.0),
        per_seed=tuple(dict(values) for _ in range(seeds)),
        to_oracle_forget=OracleDistance(98.1, 0.0126, 1.8) if oracle else None,
        to_oracle_test=OracleDistance(97.7, 0.0131, 1.7) if oracle else None,
        forgetting_quality=fqs,
        settings=dict(settings or {}),
        exact=exact,
    )


def munkey(seeds: int = 3, **after: object) -> dict[str, ModelFigures]:
    """MUNKEY and the plain transformer with their oracles, as `munkey audit` gives them."""
    own: dict[str, object] = {"gap": 0.13, "cross": 0.18, "seconds": 0.0004} | after
    return {
        "MUNKEY before": row("original", "MUNKEY retrained", 4.46, 4.5, seeds=seeds),
        "MUNKEY after": row("by-design", "MUNKEY retrained", seeds=seeds, **own),  # type: ignore[arg-type]
        "MUNKEY retrained": row("oracle", None, seconds=81.0, seeds=seeds),
        "plain": row("original", "plain retrained", 0.41, 0.43, seeds=seeds),
        "plain retrained": row("oracle", None, seconds=80.0, seeds=seeds),
    }


def post_hoc(gap: float, cross: float, seconds: float = 8.0, **more: object) -> ModelFigures:
    return row("post-hoc", "plain retrained", gap, cross, seconds, **more)  # type: ignore[arg-type]


def report(
    models: Mapping[str, ModelFigures],
    seeds: Sequence[int] = (0, 1, 2),
    bands: Mapping[str, NullBand] | None = None,
    n_forget: int = 1000,
    set_digest: str = "d" * 64,
    forget: str = "random-10pct",
) -> AuditReport:
    return AuditReport(
        bundle="fashion",
        digest="",
        forget=forget,
        set_digest=set_digest,
        n_forget=n_forget,
        n_retain=9000,
        n_test=10000,
        seeds=tuple(seeds),
        models=dict(models),
        null_bands=dict((BANDS if bands is None else bands) if len(seeds) > 1 else {}),
        leak=LeakSplit(
            7.9, 10.3, 50.0, (48.2, 51.8), 49.9, BackboneLeak(0.2, (-1.6, 1.9), 0.0, 0.1, None)
        ),
        device="cpu",
        seconds=109.5,
    )


def full() -> AuditReport:
    """All kinds of rows: repairs, by-design systems, oracles, originals."""
    settings = {"learning_rate": 0.0001, "epochs": 2.0}
    fqs = ForgettingQuality(0.94, 0.98, 0.97, 1000)
    return report(
        munkey(fqs=fqs)
        | {
            "SalUn": post_hoc(0.48, 0.50, settings=settings),
            "Fine-tuning": post_hoc(0.55, 0.61, 4.0, settings=settings),
            "kNN after": row(
                "by-design", "kNN retrained", 0.0, 0.0, 0.0002, exact=True, test_accuracy=88.1
            ),
            "kNN retrained": row("oracle", None, seconds=0.01, test_accuracy=88.1),
        }
    )
