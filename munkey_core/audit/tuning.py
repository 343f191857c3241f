"""Hyper-parameters of the post-hoc methods, chosen on a forget set that is not reported on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from munkey_core.audit.audit import ForgettingAudit
from munkey_core.audit.comparison import plain_outputs, unlearning_task
from munkey_core.audit.evidence import Evidence
from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.forget_sets import forget_set_digest, random_forget_set
from munkey_core.bundle.metrics import TunedMethods
from munkey_core.data.seeding import permutation
from munkey_core.errors import BadInputError
from munkey_core.files.durable import write_whole
from munkey_core.files.typed import checked
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Steps, staged
from munkey_core.training.retraining import PLAIN, Run
from munkey_core.training.runs import runs_folder
from munkey_core.unlearning import METHODS, tune

_FILE = "tuning.json"
_SEED = 811
_PERCENT = 10


def validation_set(bundle: Bundle) -> tuple[str, ...]:
    """10% of the private images, drawn by a fixed seed from those that random-10pct leaves."""
    taken = set(random_forget_set(bundle.bank.ids, _PERCENT))
    rest = sorted(set(bundle.bank.ids) - taken)
    count = max(1, round(len(bundle.bank) * _PERCENT / 100))
    return tuple(sorted(rest[i] for i in permutation(len(rest), _SEED)[:count]))


def tune_methods(evidence: Evidence, methods: Sequence[str]) -> Steps[dict[str, Any]]:
    """Yield progress; return what was chosen and everything that was tried, as JSON values.

    methods: keys of METHODS; others are passed over. The score is the Avg Gap on the validation
    set to the plain transformer retrained without it, one seed, the bundle's own.
    """
    ids = validation_set(evidence.bundle)
    audit = ForgettingAudit(evidence.bundle, ",".join(ids), 1, evidence=evidence)
    runs, seed = audit.runs, audit.runs.seed
    plain = yield from staged("tuning, plain", runs.trained(Run(PLAIN, (), seed)))
    retrained = runs.outputs(Run(PLAIN, audit.ids, seed))
    oracle = yield from staged("tuning, plain retrained", retrained)
    yield from runs.retraining.encode()
    task = unlearning_task(audit, plain.predictor.model, seed)

    def score(model: ExemplarTransformer) -> float:
        return audit.table.gap(plain_outputs(runs.retraining, model, 0.0), oracle)

    chosen: dict[str, Any] = {}
    for key in methods:
        if key not in METHODS:
            continue
        tuning = yield from staged(key, tune(METHODS[key], task, score))
        chosen[key] = {
            "source": METHODS[key].source or "",
            "settings": tuning.settings,
            "avg_gap": tuning.score,
            "search": [asdict(trial) for trial in tuning.search],
        }
    return {
        "n_forget": len(ids),
        "set_digest": forget_set_digest(ids),
        "seed": seed,
        "methods": chosen,
    }


def find_tuning(bundle: Bundle) -> TunedMethods:
    """What `tune_methods` gave, newest first: from the cache, else from the bundle; else empty.

    Methods that were edited since are left out; a bundle's own that don't say of which source they
    are count, as they came with the bundle.
    """
    path = runs_folder(bundle) / _FILE
    try:
        found, strict = checked(TunedMethods, path.read_bytes(), _FILE), True
    except (OSError, BadInputError):
        found, strict = bundle.measured.get("tuning") or {}, False
    kept = {
        key: tuned
        for key, tuned in found.get("methods", {}).items()
        if _is_of_now(key, tuned.get("source"), strict)
    }
    return {**found, "methods": kept} if found else found


def _is_of_now(key: str, source: str | None, strict: bool) -> bool:
    """strict: whether settings that don't say their method's source are out of date."""
    if source is None:
        return not strict
    return bool(source) and key in METHODS and METHODS[key].source == source


def keep_tuning(bundle: Bundle, tuning: Mapping[str, Any]) -> None:
    """Remember in the cache; methods that were not tuned this time keep what they had."""
    before = find_tuning(bundle)
    merged = {**before, **tuning}
    merged["methods"] = {**before.get("methods", {}), **tuning["methods"]}
    path = runs_folder(bundle) / _FILE
    write_whole(path, json.dumps(merged).encode())
    bundle.settle(path)


def tuned_settings(bundle: Bundle) -> dict[str, dict[str, int | float]]:
    """Chosen hyper-parameters by method; empty if nobody has tuned."""
    return {key: dict(t["settings"]) for key, t in find_tuning(bundle).get("methods", {}).items()}
