"""One forget set, or all canonical ones, with every method: what `munkey compare` does."""

from collections.abc import Sequence
from pathlib import Path

from munkey_core.audit.audit import AuditReport, ForgettingAudit
from munkey_core.audit.comparison import Comparison
from munkey_core.audit.evidence import Evidence
from munkey_core.audit.privacy import PrivacyReport, privacy
from munkey_core.audit.reports import keep_report
from munkey_core.audit.tuning import keep_tuning, tune_methods, tuned_settings
from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.forget_sets import canonical_sets, forget_set
from munkey_core.bundle.read import read_bundle
from munkey_core.progress import Steps, staged
from munkey_core.training.joint import resolve_device
from munkey_core.training.runs import Runs
from munkey_core.unlearning import System

ALL = "canonical"


def compare_sets(
    folder: Path,
    forget: str | Sequence[str],
    methods: Sequence[str],
    seeds: int | None = None,
    device: str = "auto",
    tune: bool = False,
    mode: str = "",
) -> Steps[tuple[AuditReport, ...]]:
    """Yield progress; return a report for each set; each is also kept in the cache.

    forget: as on the command line, `canonical` for all canonical sets that this bundle has, or
    several of them.
    methods: keys. tune: first choose the post-hoc methods' settings on the validation forget set.
    mode: of the bundle, empty for its own. Raises BundleError for one that it has not.
    """
    whole = read_bundle(folder)
    bundle = whole.in_mode(mode or whole.mode)
    sets = _named(forget, bundle)
    evidence = Evidence(Runs(bundle, resolve_device(device)))
    # Everything that can be refused is refused before the long work begins.
    audits = [ForgettingAudit(bundle, name, seeds, evidence=evidence) for name in sets]
    if tune:
        tuning = yield from tune_methods(evidence, methods)
        keep_tuning(whole, tuning)
    settings = tuned_settings(whole)  # of the plain transformer, which both modes share
    fitted: dict[tuple[type[System], int], System] = {}
    reports = []
    while audits:
        audit = audits.pop(0)  # what it has measured with goes when its report is there
        steps = Comparison(audit, methods, settings, fitted).run()
        report = yield from staged(audit.name, steps)
        keep_report(bundle, report)
        reports.append(report)
    return tuple(reports)


def attack_sets(
    folder: Path, forget: str | Sequence[str] = ALL, mode: str = ""
) -> Steps[dict[str, PrivacyReport]]:
    """Yield progress; return every attack on a canonical set, or on each, by the set's name.
    Nothing is trained. forget, mode: as for `compare_sets`."""
    whole = read_bundle(folder)
    bundle = whole.in_mode(mode or whole.mode)
    sets = {name: forget_set(name, bundle) for name in _named(forget, bundle)}
    evidence = Evidence(Runs(bundle, resolve_device("cpu")))
    found = {}
    for name, ids in sets.items():
        found[name] = yield from staged(name, privacy(evidence, ids))
    return found


def _named(forget: str | Sequence[str], bundle: Bundle) -> list[str]:
    if forget == ALL:
        return list(canonical_sets(bundle))
    return [forget] if isinstance(forget, str) else list(forget)
