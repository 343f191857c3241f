"""`munkey oracles` and `munkey retrain`: models that never saw some images."""

from dataclasses import asdict
from typing import Annotated, Literal

from typer import Option

from munkey_core.cli.base import answer, command, opened, table, watch
from munkey_core.cli.options import BundleName, Device, Ids, Images, Json
from munkey_core.files.in_words import counted


@command("munkey oracles my-bundle")
def oracles(
    bundle: BundleName,
    seeds: Annotated[int, Option(help="of the originals, and for random-10pct")] = 3,
    other_seeds: Annotated[int, Option(help="for each of the other canonical sets")] = 1,
    sets: Annotated[str | None, Option(help="canonical, with commas (default: all)")] = None,
    references: Annotated[int, Option(help="of each family, an even number")] = 8,
    device: Device = "auto",
    images: Images = None,
    as_json: Json = False,
) -> int:
    """Train the models that stand beside a bundle's own; their answers go into the bundle."""
    from munkey_core.audit.shipping import ship_oracles
    from munkey_core.bundle.find import find_bundle

    folder = find_bundle(bundle)
    only = sets.split(",") if sets is not None else None
    shipped = watch(
        ship_oracles(folder, seeds, references, device, only=only, other_seeds=other_seeds)
    )
    size = sum(path.stat().st_size for path in folder.glob("oracles/*"))
    return answer(
        as_json,
        {"bundle": str(folder), "sets": shipped, "bytes": size},
        [f"{folder} now carries the answers of retrained models: {size:,} bytes"],
    )


@command("munkey retrain fashion --without owner:customer-0001")
def retrain(
    bundle: BundleName,
    without: Ids,
    seeds: Annotated[int, Option(help="how many of each family")] = 1,
    seed: Annotated[int | None, Option(help="the first (default: the bundle's own)")] = None,
    family: Annotated[Literal["munkey", "plain", "both"], Option(help="of models")] = "both",
    device: Device = "auto",
    images: Images = None,
    as_json: Json = False,
) -> int:
    """Find or train models that never saw a forget set."""
    from munkey_core.audit.oracles import Oracles
    from munkey_core.training.retraining import MUNKEY, PLAIN

    _, whole = opened(bundle)
    families = {"munkey": [MUNKEY], "plain": [PLAIN], "both": [MUNKEY, PLAIN]}[family]
    oracles = Oracles(whole, without, families, seeds, seed, device)
    figures = watch(oracles.run())
    document = {
        "bundle": whole.manifest.name,
        "n_forget": len(oracles.ids),
        "device": str(oracles.runs.device),
        "oracles": [asdict(one) for one in figures],
    }
    rows = [("family", "seed", "TA", "RA", "FA", "seconds", "from")]
    rows += [
        (
            f.family,
            str(f.seed),
            f"{f.test_accuracy:.2f}",
            f"{f.retain_accuracy:.2f}",
            f"{f.forget_accuracy:.2f}",
            f"{f.seconds:.1f}",
            f.source,
        )
        for f in figures
    ]
    title = (
        f"retrained without {counted(len(oracles.ids), 'image')}; accuracy on test (TA), retain "
        "(RA) and forget (FA) images in percent"
    )
    return answer(as_json, document, [title, *table(rows)])
