"""`munkey audit` and `munkey attacks`: what is left of images that were forgotten."""

from pathlib import Path
from typing import Annotated

from typer import Option

from munkey_core.cli.base import answer, command, opened, watch
from munkey_core.cli.options import BundleName, Device, Ids, Images, Json, Mode, Save, Seeds


@command(
    "munkey audit fashion --forget random-10pct",
    "munkey audit fashion --forget @ids.csv --csv images.csv",
)
def audit(
    bundle: BundleName,
    forget: Ids,
    mode: Mode = "",
    seeds: Seeds = None,
    device: Device = "auto",
    csv: Annotated[Path | None, Option(help="write one row an image")] = None,
    images: Images = None,
    as_json: Json = False,
) -> int:
    """Retrain without a forget set and compare (takes minutes)."""
    from munkey_core.audit.audit import ForgettingAudit
    from munkey_core.audit.image_table import image_table
    from munkey_core.audit.privacy import attack_lines, privacy
    from munkey_core.audit.reports import find_report, left_out, report_lines, with_stored

    _, whole = opened(bundle, mode)
    audit = ForgettingAudit(whole, forget, seeds, device)
    report = watch(audit.run())
    stored = find_report(whole, audit.ids)
    report = with_stored(report, stored)
    found = watch(privacy(audit.evidence, audit.ids))
    if csv:
        csv.write_text(image_table(audit, audit.measured), encoding="utf-8")
    document = {**report.to_dict(), "attacks": found.to_dict(charts=False)}
    lines = [*report_lines(report), *left_out(report, stored), *attack_lines(found)]
    return answer(as_json, document, lines)


@command("munkey attacks fashion")
def attacks(bundle: BundleName, mode: Mode = "", save: Save = False, as_json: Json = False) -> int:
    """Try every membership attack on all canonical forget sets."""
    from munkey_core.audit.canonical import attack_sets
    from munkey_core.audit.privacy import attack_lines
    from munkey_core.audit.reports import save_reports
    from munkey_core.bundle.find import find_bundle

    folder = find_bundle(bundle)
    found = watch(attack_sets(folder, mode=mode))
    if save:
        save_reports(folder, (), attacks=found, mode=mode)
    lines = []
    for name, report in found.items():
        lines += [f"forget set {name}", *attack_lines(report), ""]
    document = {name: report.to_dict(charts=False) for name, report in found.items()}
    return answer(as_json, document, lines)
