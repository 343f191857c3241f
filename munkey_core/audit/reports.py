"""Audit reports as text, as JSON, as part of a bundle and in the cache."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from munkey_core.audit import verdict
from munkey_core.audit.audit import AFTER, AuditReport, code_of
from munkey_core.audit.figures import GAP_TERMS, ModelFigures
from munkey_core.audit.leak import LeakSplit
from munkey_core.audit.privacy import PrivacyReport
from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.card import write_card
from munkey_core.bundle.forget_sets import forget_set_digest
from munkey_core.bundle.manifest import CARD, METRICS
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import rewriting
from munkey_core.bundle.write import seal
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.durable import write_whole
from munkey_core.files.typed import checked
from munkey_core.files.untrusted import parse_json, shown
from munkey_core.training.runs import runs_folder


def report_from_dict(values: dict[str, Any]) -> AuditReport:
    """What `AuditReport.to_dict` gave, as a report again; a model's other figures are passed over.
    Intervals that a former version gave to figures of a single image are none, and left out.
    Raises BadInputError for anything else."""
    report = checked(
        AuditReport, values, "this is no audit report", others=(ModelFigures,), most=1e15
    )
    sizes = report.n_test, report.n_retain, report.n_forget, min(report.n_forget, report.n_test)
    single = {term for term, n in zip(GAP_TERMS, sizes, strict=True) if n == 1}
    return _without_intervals(report, {*single, "avg_gap"}) if single else report


def _without_intervals(report: AuditReport, terms: Collection[str]) -> AuditReport:
    models = {
        name: replace(
            figures,
            ci95={term: pair for term, pair in figures.ci95.items() if term not in terms},
            mia_auc_ci95=None if "mia_auc" in terms else figures.mia_auc_ci95,
        )
        for name, figures in report.models.items()
    }
    leak = report.leak
    if leak is not None and "mia_auc" in terms:
        leak = replace(leak, image_mia_ci95=None)
    return replace(report, models=models, leak=leak)


def check_reports(bundle: Bundle) -> None:
    """Whether every report that the bundle ships is one. Raises BundleError naming the first that
    isn't: pages show them whenever somebody asks."""
    for name, values in (bundle.measured.get("reports") or {}).items():
        try:
            report_from_dict(values)
        except BadInputError as error:
            raise BundleError(f"{METRICS}: report {shown(name)}: {error}") from error


def find_report(bundle: Bundle, ids: Sequence[str]) -> AuditReport | None:
    """The report on exactly these ids with the most seeds, and of those with the most rows: one in
    the cache that was made with the methods and the PyTorch of now, or one shipped with the bundle
    that isn't known to be of others."""
    digest = forget_set_digest(ids)
    found = []
    path = _cached(bundle, digest)
    if path.is_file():
        try:
            kept = report_from_dict(parse_json(path.read_bytes(), path.name))
            if made_with_this_code(kept):
                found.append(kept)
        except (OSError, ValueError, BadInputError):
            path.unlink(missing_ok=True)
    for values in (bundle.measured.get("reports") or {}).values():
        if values.get("set_digest") == digest:
            shipped = report_from_dict(values)
            if not shipped.code or _same_methods(shipped):
                found.append(shipped)
    return max(found, key=lambda one: (len(one.seeds), len(one.models)), default=None)


def made_with_this_code(report: AuditReport) -> bool:
    """Whether a report's figures come from the methods and the PyTorch that are here now; False for
    one that doesn't say, or a method whose source can't be told."""
    return (
        bool(report.code)
        and "" not in report.code.values()
        and report.code == code_of(report.models)
    )


def _same_methods(report: AuditReport) -> bool:
    """Whether no method of a report is another one by now; of any PyTorch, which a bundle that
    ships can't choose."""
    now = code_of(report.models)
    return all(now.get(row) == source for row, source in report.code.items() if row != "PyTorch")


def best_measured(bundle: Bundle) -> AuditReport | None:
    """The shipped report with the most seeds, the first of equals: the bundle's main figures."""
    stored = (bundle.measured.get("reports") or {}).values()
    most = max(stored, key=lambda values: len(values["seeds"]), default=None)
    return None if most is None else report_from_dict(most)


def with_stored(report: AuditReport, stored: AuditReport | None) -> AuditReport:
    """The report with the rows that only the stored one has: methods that `munkey compare` ran.
    As it was, where the stored one isn't of the same models: other seeds, another device, other
    intervals or figures, methods that were edited since."""
    if stored is None or not _of_the_same_models(report, stored):
        return report
    others = {name: row for name, row in stored.models.items() if name not in report.models}
    bands = {name: b for name, b in stored.null_bands.items() if name not in report.null_bands}
    return replace(
        report,
        models={**report.models, **others},
        null_bands={**report.null_bands, **bands},
        differences=stored.differences,
        code=stored.code,
    )


def _of_the_same_models(report: AuditReport, stored: AuditReport) -> bool:
    same = ("bundle", "set_digest", "seeds", "device", "intervals")
    if any(getattr(report, one) != getattr(stored, one) for one in same):
        return False
    if not made_with_this_code(stored):
        return False
    # Saving a report changes the bundle's digest, not its models: what both have measured tells
    # whether those are the same.
    return all(
        stored.models[name].per_seed == figures.per_seed
        for name, figures in report.models.items()
        if name in stored.models
    )


def keep_report(bundle: Bundle, report: AuditReport) -> None:
    """Remember a report in the cache."""
    path = _cached(bundle, report.set_digest)
    write_whole(path, json.dumps(report.to_dict()).encode())
    bundle.settle(path)


def save_reports(
    folder: Path,
    reports: Sequence[AuditReport],
    tuning: Mapping[str, Any] | None = None,
    attacks: Mapping[str, PrivacyReport] | None = None,
    mode: str = "",
) -> None:
    """Write reports into metrics.json and the card of a bundle, beside those that are there, and
    seal it anew. tuning: how the methods' settings were chosen. attacks: by forget set.
    mode: that the reports are about, empty for the bundle's own; what is known of an exact mode
    beside a joint one stands in a table of its own.

    Raises BadInputError if the bundle has changed since the reports were made.
    """
    with rewriting(folder) as draft:
        whole = read_bundle(draft)
        bundle = whole.in_mode(mode or whole.mode)
        stored = dict(bundle.measured.get("reports") or {})
        attacks = attacks or {}
        digests = {*(one.digest for one in reports), *(one.digest for one in attacks.values())}
        if digests - {bundle.digest}:
            raise BadInputError(
                f"bundle {folder.name} has changed since the audit began; run it again"
            )
        # Saving changes the bundle's digest, so a report can't carry it.
        stored |= {report.forget: {**report.to_dict(), "digest": ""} for report in reports}
        metrics = {**(bundle.metrics or {}), "reports": stored}
        if attacks:
            found = {
                name: {**one.to_dict(charts=False), "digest": ""} for name, one in attacks.items()
            }
            metrics["attacks"] = {**metrics.get("attacks", {}), **found}
        if tuning:
            metrics["tuning"] = dict(tuning)
        if bundle is not whole:
            metrics = {**(whole.metrics or {}), bundle.mode: metrics}
        metrics = json.loads(json.dumps(metrics))  # as whoever reads them will find them
        card = write_card(whole, metrics)  # before a file of the sealed bundle changes
        (draft / METRICS).write_text(
            json.dumps(metrics, separators=(",", ":")) + "\n", encoding="utf-8"
        )
        (draft / CARD).write_text(card, encoding="utf-8")
        seal(draft, whole.manifest)


def report_lines(report: AuditReport) -> list[str]:
    """The report for a terminal."""
    lines = [
        f"{report.bundle}, forget set {report.forget}: {report.n_forget:,} forgotten, "
        f"{report.n_retain:,} retained, {report.n_test:,} test; seeds {list(report.seeds)}",
        f"{'model':20} {'TA':>6} {'RA':>6} {'FA':>6} {'MIA AUROC [95%]':>22} "
        f"{'Avg Gap [95%]':>22} {'seconds':>9}  of what",
    ]
    for name, f in report.models.items():
        gap = "" if f.avg_gap is None else f"{f.avg_gap:.2f} {_range(f.ci95.get('avg_gap'))}"
        if verdict.by_construction(f):
            gap = "by construction"
        took = "" if f.unlearn_seconds is None else f"{f.unlearn_seconds:.3g}"
        lines.append(
            f"{name:20} {f.test_accuracy:6.2f} {f.retain_accuracy:6.2f} {f.forget_accuracy:6.2f} "
            f"{f.mia_auc:6.2f} {_range(f.mia_auc_ci95):>15} {gap:>22} {took:>9}  "
            f"{verdict.operation(name, f) if took else ''}".rstrip()
        )
    lines += [
        f"{name}: {verdict.construction(f)}"
        for name, f in report.models.items()
        if verdict.by_construction(f)
    ]
    if any("avg_gap" not in f.ci95 for f in report.models.values() if f.avg_gap is not None):
        lines.append(f"{verdict.no_interval(report)}: it has no spread to tell one from")
    for name, band in report.null_bands.items():
        lines.append(
            f"null band ({name}, other seeds): {band.mean:.2f} "
            f"[{band.low:.2f}, {band.high:.2f}], {band.pairs} pairs"
        )
    for name, f in report.models.items():
        if f.avg_gap is None or f.family == "original" or verdict.by_construction(f):
            continue
        if f.avg_gap_cross_seeds is not None:
            beside = verdict.against_band(report, f)
            lines.append(f"{name} against oracles of other seeds: {beside}")
        if name == AFTER or len(f.per_seed) >= verdict.SEEDS_TO_TELL:
            lines.append(f"{name}: {verdict.trainings_say(report, f)}")
    if report.leak is not None:
        lines += _leak_lines(report.leak)
    own = report.models.get("MUNKEY after")
    lines.append(
        "exact mode: the shared weights saw public images only; MUNKEY retrained is MUNKEY after "
        "deletion, by construction (`munkey verify --exact` tries it)"
        if own is not None and own.exact
        else "key deletion leaves the shared weights as they are: this is not exact unlearning; "
        "all models also learned from the labels of the same public anchors"
    )
    return lines


def left_out(report: AuditReport, stored: AuditReport | None) -> list[str]:
    """Which rows of a stored report of the same set aren't shown beside this one's, and why."""
    rows = [name for name in stored.models if name not in report.models] if stored else []
    if stored is None or not rows:
        return []
    return [
        f"not shown beside these: {len(rows)} rows of a stored report, of seeds "
        f"{list(stored.seeds)} on {stored.device}, which aren't known to come from the same "
        "models, code and kind of interval; `munkey compare` makes them anew"
    ]


def _leak_lines(leak: LeakSplit) -> list[str]:
    lines = [
        f"memory: deletion takes away {leak.memory_accuracy:.2f} points of forget accuracy and "
        f"{leak.memory_mia:.2f} of MIA AUROC; MIA on the image pathway alone {leak.image_mia:.2f} "
        f"{_range(leak.image_mia_ci95)}"
    ]
    if leak.backbone is not None:
        backbone = leak.backbone
        lines.append(
            f"backbone leak: {backbone.points:+.2f} points {_signed(backbone.ci95)}; "
            f"oracle {backbone.oracle_points:+.2f}; excess {backbone.excess_points:+.2f} "
            f"{_signed(backbone.excess_ci95)}"
        )
    return lines


def _range(ci95: tuple[float, float] | None) -> str:
    return "(no interval)" if ci95 is None else f"[{ci95[0]:5.2f}, {ci95[1]:5.2f}]"


def _signed(ci95: tuple[float, float] | None) -> str:
    return "(no interval: too few images)" if ci95 is None else f"[{ci95[0]:+.2f}, {ci95[1]:+.2f}]"


def _cached(bundle: Bundle, set_digest: str) -> Path:
    return runs_folder(bundle) / f"report-{set_digest[:24]}.json"
