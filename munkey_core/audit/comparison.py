"""Every method on one forget set: MUNKEY, the nine post-hoc methods, kNN, RAC and SPM.

Post-hoc methods repair the plain transformer and are held against the plain transformer retrained;
each by-design system is held against itself fitted without the forget set.
"""

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from munkey_core.audit.audit import PLAIN_ORACLE, AuditReport, ForgettingAudit
from munkey_core.audit.figures import Entry
from munkey_core.bundle.forget_sets import forget_set_digest
from munkey_core.errors import BadInputError
from munkey_core.model.encoder import concatenate
from munkey_core.model.predictor import Predictor
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Steps, staged
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST
from munkey_core.training.answers import Outputs
from munkey_core.training.retraining import PLAIN, Retraining, Run
from munkey_core.unlearning import METHODS, SYSTEMS, Labelled, System, SystemData, Task, make


class Comparison:
    """An audit with a row for each method.

    audit: what to forget, on which bundle, with which seeds. methods: keys of METHODS and SYSTEMS
    (default: all). settings: hyper-parameters by method, as tuned; others have their defaults.
    fitted: systems fitted on everything, which don't depend on the forget set: a dict to be shared
    by comparisons of one bundle.
    Raises BadInputError for a method that isn't known.
    """

    def __init__(
        self,
        audit: ForgettingAudit,
        methods: Sequence[str] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        fitted: dict[tuple[type[System], int], System] | None = None,
    ) -> None:
        self.audit = audit
        self._methods = known_methods(methods)
        self._settings = settings or {}
        self._fitted = {} if fitted is None else fitted

    def run(self) -> Steps[AuditReport]:
        """Yield progress; return the report. What was computed before is not computed again."""
        start = time.perf_counter()
        if any(key in METHODS for key in self._methods):  # which begin with these models
            for seed in self.audit.seeds:
                yield from self.audit.runs.trained(Run(PLAIN, (), seed))
        entries = yield from self.audit.entries()
        for key in self._methods:
            rows = self._post_hoc(key) if key in METHODS else self._system(key)
            entries += yield from rows
        return self.audit.report(entries, time.perf_counter() - start)

    def _post_hoc(self, key: str) -> Steps[list[Entry]]:
        method = make(key, self._settings.get(key))
        settings = asdict(method.settings)
        outputs = []
        for seed in self.audit.seeds:
            digest = forget_set_digest(self.audit.ids)
            what = ["post-hoc", key, method.source, settings, seed, digest]
            compute = partial(unlearn, self.audit, key, settings, seed)
            steps = self.audit.runs.remembered(what, compute)
            steps = staged(f"{method.name}, seed {seed}", steps)
            outputs.append((yield from steps))
        seconds = [o.seconds for o in outputs]
        return [Entry(method.name, "post-hoc", outputs, PLAIN_ORACLE, seconds, settings)]

    def _system(self, key: str) -> Steps[list[Entry]]:
        kind, runs, ids = SYSTEMS[key], self.audit.runs, self.audit.ids
        digest = forget_set_digest(ids)
        after, oracle = [], []
        for seed in self.audit.seeds:
            steps = runs.remembered(
                ["system", key, kind.source, seed, digest, "after"],
                partial(self._after_deletion, kind, seed),
            )
            after.append((yield from staged(f"{kind.name}, seed {seed}", steps)))
            steps = runs.remembered(
                ["system", key, kind.source, seed, digest, "retrained"],
                partial(self._retrained, kind, seed),
            )
            steps = staged(f"{kind.name} retrained, seed {seed}", steps)
            oracle.append((yield from steps))
        name, retrained = f"{kind.name} after", f"{kind.name} retrained"
        return [
            Entry(
                name, "by-design", after, retrained, [o.seconds for o in after], exact=kind.exact
            ),
            Entry(retrained, "oracle", oracle, None, [o.seconds for o in oracle]),
        ]

    def _after_deletion(self, kind: type[System], seed: int) -> Steps[Outputs]:
        retraining = self.audit.runs.retraining
        yield from retraining.encode()
        fitted = self._fitted.get((kind, seed))
        if fitted is None:
            fitted = yield from _fit(kind, retraining, seed, ())
            self._fitted[kind, seed] = fitted
        system = copy.copy(fitted)  # forgetting gives it another support and touches no weight
        rows = self.audit.bundle.bank.rows(self.audit.ids)
        start = time.perf_counter()
        system.forget(rows)
        seconds = time.perf_counter() - start
        return _system_outputs(system, retraining, seconds)

    def _retrained(self, kind: type[System], seed: int) -> Steps[Outputs]:
        retraining = self.audit.runs.retraining
        yield from retraining.encode()
        start = time.perf_counter()
        system = yield from _fit(kind, retraining, seed, self.audit.ids)
        return _system_outputs(system, retraining, time.perf_counter() - start)


def known_methods(methods: Sequence[str] | None) -> tuple[str, ...]:
    """Keys of all methods, or these, each once. Raises BadInputError for one that isn't known."""
    every = (*METHODS, *SYSTEMS)
    for key in methods or ():
        if key not in every:
            raise BadInputError(f"no method {key!r}; known: {', '.join(every)}")
    return tuple(dict.fromkeys(methods)) if methods is not None else every


def unlearning_task(audit: ForgettingAudit, model: ExemplarTransformer, seed: int) -> Task:
    """What a post-hoc method is given: everything that the plain transformer was trained on, as
    retain and forget set. The images must have been encoded."""
    retraining = audit.runs.retraining
    features, labels = retraining.encoded, retraining.labels
    forget = torch.zeros(len(labels[PRIVATE]), dtype=torch.bool)
    forget[audit.bundle.bank.rows(audit.ids)] = True
    private = Labelled(features[PRIVATE].features, labels[PRIVATE])
    retain = private[~forget]
    for split in (CALIBRATION, ANCHOR):
        if len(labels[split]):
            retain = retain.join(Labelled(features[split].features, labels[split]))
    batch = retraining.config.batch_size
    return Task(model, retain, private[forget], audit.runs.device, seed, batch)


def unlearn(
    audit: ForgettingAudit, key: str, settings: Mapping[str, Any], seed: int
) -> Steps[Outputs]:
    """Yield progress; return what the plain transformer of a seed says after a post-hoc method.
    `seconds` is the time of the method alone."""
    runs = audit.runs
    plain = yield from runs.trained(Run(PLAIN, (), seed))
    yield from runs.retraining.encode()
    task = unlearning_task(audit, plain.predictor.model, seed)
    start = time.perf_counter()
    model = yield from make(key, settings).unlearn(task)
    seconds = time.perf_counter() - start
    return plain_outputs(runs.retraining, model, seconds)


def plain_outputs(retraining: Retraining, model: ExemplarTransformer, seconds: float) -> Outputs:
    """What a plain transformer says about every image. The images must have been encoded."""
    bundle = retraining.bundle
    predictor = Predictor(bundle.encoder, model, bundle.manifest.ensemble)
    private, test = (
        predictor.image_only(retraining.encoded[split].features) for split in (PRIVATE, TEST)
    )
    return Outputs(private, test, seconds)


def _fit(
    kind: type[System], retraining: Retraining, seed: int, without: Sequence[str]
) -> Steps[System]:
    keep = torch.ones(len(retraining.ids[PRIVATE]), dtype=torch.bool)
    if without:
        keep[retraining.bundle.bank.rows(without)] = False
    encoded, labels = retraining.encoded, retraining.labels
    anchors = concatenate(encoded[ANCHOR], encoded[CALIBRATION])
    data = SystemData(
        encoded[PRIVATE][keep],
        labels[PRIVATE][keep],
        anchors,
        torch.cat([labels[ANCHOR], labels[CALIBRATION]]),
    )
    system = kind()
    yield from system.fit(data, len(retraining.bundle.manifest.classes), retraining.device, seed)
    return system


def _system_outputs(system: System, retraining: Retraining, seconds: float) -> Outputs:
    private, test = (system.probabilities(retraining.encoded[split]) for split in (PRIVATE, TEST))
    return Outputs(private, test, seconds)
