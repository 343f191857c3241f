"""`munkey experiments`: other recipes on a bundle's images."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Option

from munkey_core.cli.base import answer, command, opened, watch
from munkey_core.cli.options import BundleName, Device, Ids, Json, Save


@command("munkey experiments fashion --recipes recipes.toml --forget random-10pct")
def experiments(
    bundle: BundleName,
    recipes: Annotated[
        Path, Option(help="TOML: [[variant]] tables of name, why, and what differs: train, model")
    ],
    seeds: Annotated[int, Option(help="trainings of each recipe")] = 1,
    forget: Ids = "random-10pct",
    device: Device = "auto",
    save: Save = False,
    as_json: Json = False,
) -> int:
    """Train other recipes on a bundle's images: accuracy against trace."""
    from munkey_core.audit.recipes_tried import Frontier, load_variants, save_experiments
    from munkey_core.bundle.experiments import experiment_lines
    from munkey_core.training.runs import source_digest

    folder, whole = opened(bundle)
    variants, text = load_variants(recipes), recipes.read_text("utf-8")
    found = watch(Frontier(whole, variants, seeds, forget, device).run())
    if save:
        save_experiments(folder, found, source_digest(whole), text)
    failed = any(recipe.failed for recipe in found.recipes)
    return answer(as_json, asdict(found), experiment_lines(found), 1 if failed else 0)
