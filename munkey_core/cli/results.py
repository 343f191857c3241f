"""`munkey results`, `munkey attacks`, `munkey experiments`: what was measured, and more of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from munkey_core.cli.base import IDS_HELP, MODE_HELP, answer, bundle_argument, command, watch
from munkey_core.errors import BadInputError


def add(commands: Any) -> None:
    """Add the commands of this file."""
    results = command(
        commands,
        "results",
        _results,
        "write all figures that bundles carry into one page",
        ["munkey results --check"],
    )
    results.add_argument(
        "bundles", nargs="*", metavar="BUNDLE", help="names or folders (default: those that ship)"
    )
    results.add_argument(
        "--check", action="store_true", help="write nothing; fail if the page is another one"
    )
    results.add_argument(
        "--out", type=Path, metavar="FILE", help="default: RESULTS.md beside the bundles that ship"
    )

    attacks = command(
        commands,
        "attacks",
        _attacks,
        "try every membership attack on all canonical forget sets",
        ["munkey attacks fashion"],
    )
    bundle_argument(attacks)
    attacks.add_argument("--mode", default="", help=MODE_HELP)
    attacks.add_argument("--save", action="store_true", help="into the bundle: metrics.json")

    experiments = command(
        commands,
        "experiments",
        _experiments,
        "train other recipes on a bundle's images: accuracy against trace",
        ["munkey experiments fashion --recipes recipes.toml --forget random-10pct"],
    )
    bundle_argument(experiments)
    experiments.add_argument(
        "--recipes",
        required=True,
        type=Path,
        metavar="FILE",
        help="TOML: [[variant]] tables with name, why, and tables train and model of settings "
        "that differ from the bundle's own",
    )
    experiments.add_argument(
        "--seeds", type=int, metavar="N", default=1, help="trainings of each recipe"
    )
    experiments.add_argument(
        "--forget", default="random-10pct", metavar="IDS", help="deleted and measured: " + IDS_HELP
    )
    experiments.add_argument("--device", default="auto", help="auto, cpu or cuda")
    experiments.add_argument(
        "--save",
        action="store_true",
        help="into the bundle: experiments.json, experiments.toml, CARD.md",
    )


def _results(arguments: argparse.Namespace) -> int:
    from munkey_core.audit.results_page import results_page, shipped_bundles
    from munkey_core.bundle.find import find_bundle

    shipped, folder = shipped_bundles()
    folders = [find_bundle(name) for name in arguments.bundles] or shipped
    if not folders:
        raise BadInputError(f"no bundle ships in {folder}; name some")
    path = arguments.out or folder / "RESULTS.md"
    page = results_page(folders)
    names = [one.resolve().name for one in folders]
    document = {"bundles": names, "file": str(path), "same": True}
    if not arguments.check:
        path.write_text(page, encoding="utf-8")
        return answer(arguments, document, [f"wrote {path}: {', '.join(names)}"])
    if path.is_file() and path.read_text(encoding="utf-8") == page:
        return answer(arguments, document, [f"{path} is what the bundles say"])
    answer(
        arguments,
        {**document, "same": False},
        [f"{path} is not what the bundles say; `munkey results` writes it anew"],
    )
    return 1


def _attacks(arguments: argparse.Namespace) -> int:
    from munkey_core.audit.privacy import attack_lines
    from munkey_core.audit.reports import save_reports
    from munkey_core.bundle.find import find_bundle
    from munkey_core.cli.canonical import attack_sets

    folder = find_bundle(arguments.bundle)
    found = watch(attack_sets(folder, mode=arguments.mode))
    if arguments.save:
        save_reports(folder, (), attacks=found, mode=arguments.mode)
    lines = []
    for name, report in found.items():
        lines += [f"forget set {name}", *attack_lines(report), ""]
    document = {name: report.to_dict(charts=False) for name, report in found.items()}
    return answer(arguments, document, lines)


def _experiments(arguments: argparse.Namespace) -> int:
    from munkey_core.audit.recipes_tried import Frontier, load_variants, save_experiments
    from munkey_core.bundle.experiments import experiment_lines
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.read import read_bundle
    from munkey_core.training.runs import source_digest

    folder = find_bundle(arguments.bundle)
    bundle = read_bundle(folder)
    variants, recipes = load_variants(arguments.recipes), arguments.recipes.read_text("utf-8")
    frontier = Frontier(bundle, variants, arguments.seeds, arguments.forget, arguments.device)
    found = watch(frontier.run())
    if arguments.save:
        save_experiments(folder, found, source_digest(bundle), recipes)
    answer(arguments, found.to_dict(), experiment_lines(found))
    return 1 if any(recipe.failed for recipe in found.recipes) else 0
