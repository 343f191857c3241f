"""Training the models that stand beside a bundle's own, and putting their answers into it."""

from collections.abc import Sequence
from pathlib import Path

from munkey_core.audit.evidence import Evidence
from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.forget_sets import CANONICAL, MAIN_SET, canonical_sets
from munkey_core.bundle.manifest import EXACT_MODE, ORACLES, read_manifest
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import rewriting
from munkey_core.bundle.write import seal
from munkey_core.errors import BadInputError
from munkey_core.progress import Steps, staged
from munkey_core.training.answers import Outputs
from munkey_core.training.joint import resolve_device
from munkey_core.training.retraining import MUNKEY, PLAIN, Family, Run, reference_run
from munkey_core.training.runs import Runs
from munkey_core.training.shipped import ORIGINALS, REFERENCES, write_answers, write_references

# How many models a bundle carries the answers of, unless somebody asks for others: originals and
# oracles of random-10pct, oracles of each other set, references, of each family.
SEEDS, OTHER_SEEDS, REFERENCE_MODELS = 3, 1, 8


def planned_models(bundle: Bundle) -> int:
    """How many models `ship_oracles` asks by default; the bundle's own is one of them."""
    families = len(_families(bundle))
    sets = canonical_sets(bundle)
    oracles = sum(SEEDS if name == MAIN_SET else OTHER_SEEDS for name in sets)
    return families * (SEEDS + oracles + REFERENCE_MODELS)


def _families(bundle: Bundle) -> tuple[Family, ...]:
    """An exact mode's MUNKEY is asked when it is needed: retraining it is deleting keys."""
    return (PLAIN,) if bundle.mode == EXACT_MODE else (MUNKEY, PLAIN)


def ship_oracles(
    folder: Path,
    seeds: int = SEEDS,
    references: int = REFERENCE_MODELS,
    device: str = "auto",
    only: Sequence[str] | None = None,
    other_seeds: int = OTHER_SEEDS,
) -> Steps[tuple[str, ...]]:
    """Yield progress; return the names of the canonical sets whose oracles the bundle now carries.

    seeds: of originals, and of the oracles of `random-10pct`. other_seeds: of the oracles of the
    other sets, at most as many. references: of each family. only: names of the canonical sets;
    None for all. Trains only what the cache lacks, so a run that was killed goes on. A set that
    this bundle doesn't have (nobody owns an image, no near-duplicates) is left out.
    Raises BadInputError for numbers out of range, or a name that is no canonical set's.
    """
    unknown = sorted(set(only or ()) - set(CANONICAL))
    if unknown:
        raise BadInputError(f"no canonical set {unknown[0]!r}; known: {', '.join(CANONICAL)}")
    if not 1 <= seeds <= 20:
        raise BadInputError(f"--seeds must be between 1 and 20, got {seeds}")
    if not 1 <= other_seeds <= seeds:
        raise BadInputError(f"--other-seeds must be between 1 and {seeds}, got {other_seeds}")
    if not 0 <= references <= 256 or references % 2:
        raise BadInputError(f"--references must be an even number up to 256, got {references}")
    bundle = read_bundle(folder)
    runs = Runs(bundle, resolve_device(device), use_shipped=False)
    sets = {
        name: tuple(sorted(ids))
        for name, ids in canonical_sets(bundle).items()
        if only is None or name in only
    }
    every = range(runs.seed, runs.seed + seeds)
    families = _families(bundle)
    originals: dict[str, Outputs] = {}
    for run in (Run(family, (), seed) for family in families for seed in every):
        name = f"{run.family}.{run.seed}"
        steps = staged(f"original {name}", runs.outputs(run))
        originals[name] = yield from steps
    answers: dict[str, dict[str, Outputs]] = {}
    for set_name, ids in sets.items():
        answers[set_name] = {}
        for seed in every if set_name == MAIN_SET else every[:other_seeds]:
            for family in families:
                steps = staged(f"{set_name} {family}.{seed}", runs.outputs(Run(family, ids, seed)))
                answers[set_name][f"{family}.{seed}"] = yield from steps
            if seed != runs.seed and MUNKEY in families:  # the own model is asked when needed
                steps = staged(f"{set_name} after.{seed}", runs.after(Run(MUNKEY, (), seed), ids))
                answers[set_name][f"after.{seed}"] = yield from steps
    for run in (reference_run(f, k) for f in families[::-1] for k in range(references)):
        steps = staged(f"reference {run.family}.{run.reference}", runs.outputs(run))
        yield from steps
    with rewriting(folder) as draft:
        bundle.require_rows()
        write_answers(bundle, draft / ORACLES / f"{ORIGINALS}.safetensors", originals)
        for set_name, ids in sets.items():
            path = draft / ORACLES / f"{set_name}.safetensors"
            write_answers(bundle, path, answers[set_name], ids)
        if references:
            evidence = Evidence(runs)
            found = {family: evidence.references(family, references) for family in families}
            write_references(
                draft / ORACLES / f"{REFERENCES}.safetensors",
                {family: models for family, models in found.items() if models is not None},
            )
        seal(draft, read_manifest(draft)[0])
    return tuple(sets)
