"""`munkey compare`: every unlearning method on a forget set, or on all canonical ones."""

from typing import Annotated

from typer import Option

from munkey_core.cli.base import answer, command, watch
from munkey_core.cli.options import IDS_HELP, BundleName, Device, Images, Json, Mode, Save, Seeds


@command(
    "munkey compare fashion --forget random-10pct",
    "munkey compare my-bundle --forget canonical --tune --save",
)
def compare(
    bundle: BundleName,
    forget: Annotated[str, Option(metavar="IDS", help=IDS_HELP + "; or canonical: all of those")],
    mode: Mode = "",
    methods: Annotated[
        str | None, Option(help="such as scrub,salun,knn; a wrong one lists all (default: all)")
    ] = None,
    seeds: Seeds = None,
    device: Device = "auto",
    tune: Annotated[bool, Option("--tune", help="first, on another forget set")] = False,
    save: Save = False,
    images: Images = None,
    as_json: Json = False,
) -> int:
    """Audit every unlearning method on a forget set."""
    from munkey_core.audit.canonical import ALL, attack_sets, compare_sets
    from munkey_core.audit.comparison import known_methods
    from munkey_core.audit.reports import report_lines, save_reports
    from munkey_core.audit.tuning import find_tuning
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.forget_sets import CANONICAL
    from munkey_core.bundle.read import read_bundle

    folder = find_bundle(bundle)
    keys = known_methods(methods.split(",") if methods is not None else None)
    reports = watch(
        compare_sets(folder, forget, keys, seeds=seeds, device=device, tune=tune, mode=mode)
    )
    if save:
        named = forget in (ALL, *CANONICAL)
        attacks = watch(attack_sets(folder, forget, mode)) if named else {}
        save_reports(folder, reports, find_tuning(read_bundle(folder)), attacks, mode)
    lines = [line for report in reports for line in (*report_lines(report), "")]
    return answer(as_json, [report.to_dict() for report in reports], lines)
