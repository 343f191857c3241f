"""`munkey project` and `munkey influence`: what is computed once for pages to show."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from munkey_core.cli.base import answer, command, opened, session, table, watch
from munkey_core.cli.options import BundleName, Images, Json, Mode, Save
from munkey_core.errors import BadInputError
from munkey_core.files.in_words import counted

if TYPE_CHECKING:
    from munkey_core.bundle.bundle import FittedMap


@command("munkey project my-bundle --save")
def project(
    bundle: BundleName,
    mode: Mode = "",
    space: Annotated[Literal["keys", "tokens", "both"], Option(help="of which maps")] = "both",
    seed: Annotated[int, Option(help="of UMAP")] = 0,
    save: Save = False,
    as_json: Json = False,
) -> int:
    """Fit the maps of the memory, which the app shows."""
    from munkey_core.bundle.manifest import SPACES
    from munkey_core.explain.map import maps_of, save_projections

    folder, whole = opened(bundle, mode)
    maps = maps_of(whole.bank)
    fitted: dict[str, FittedMap] = {}
    found: dict[str, dict[str, Any]] = {}
    for name in SPACES if space == "both" else (space,):
        start, known = time.perf_counter(), maps.cached(name, seed)
        one = known or watch(maps.fit(name, seed))
        whole.settle(maps.path(name, seed))
        fitted[name] = one
        found[name] = {
            "seed": one.seed,
            "digest": one.digest,
            "source": "cache" if known else "fitted",
            "seconds": round(time.perf_counter() - start, 2),
            "file": str(maps.path(name, seed)),
        }
    if save:
        save_projections(folder, fitted)
    n = len(whole.bank)
    document = {"bundle": whole.manifest.name, "entries": n, "maps": found, "saved": save}
    lines = [
        f"{name}: {n:,} points, {facts['seconds']:.1f} s ({facts['source']})"
        for name, facts in found.items()
    ]
    return answer(as_json, document, [*lines, f"saved in {folder}"] if save else lines)


@command("munkey influence fashion --top 5")
def influence(
    bundle: BundleName,
    top: Annotated[int, Option(help="list so many, largest first")] = 10,
    save: Annotated[bool, Option("--save", help="compute anew, into the bundle")] = False,
    images: Images = None,
    as_json: Json = False,
) -> int:
    """Tell what forgetting each image alone changes for others."""
    from munkey_core.bundle.find import find_bundle
    from munkey_core.explain.influence import save_influence

    if top < 0:
        raise BadInputError(f"--top must be 0 or more, got {top}")
    studio = session(bundle)
    stored = None if save else studio.explain.influence()
    found = stored or watch(studio.explain.compute_influence())
    if save:
        save_influence(find_bundle(bundle), found)
    entries = [
        {
            "id": found.ids[row],
            "label": studio.about.classes[studio.memory.record(found.ids[row]).label],
            "total": round(float(found.total[row]), 6),
            "shift": round(float(found.shift[row]), 6),
            "flips": int(found.flips[row]),
            "touched": int(found.touched[row]),
        }
        for row in (-found.total).argsort(kind="stable")[:top].tolist()
    ]
    document = {
        "bundle": studio.about.name,
        "n_test": found.n_test,
        "n_entries": len(found.ids),
        "source": "bundle" if stored else "computed",
        "saved": save,
        "entries": entries,
    }
    lines = [
        f"forgetting one image alone, each of {len(found.ids):,}: what it changes for "
        f"{counted(found.n_test, 'test image')}",
        "total, shift: sum of |change| and of change of the true class's probability; flips: "
        "answers that change; touched: images it is a neighbour of",
    ]
    forms = {"total": ".4f", "shift": "+.4f"}
    rows = [["id", "label", "total", "shift", "flips", "touched"]]
    rows += [[format(value, forms.get(name, "")) for name, value in e.items()] for e in entries]
    return answer(as_json, document, [*lines, *table(rows, left=2)])
