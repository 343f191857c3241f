"""The facts of a bundle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.experiments import Experiments
from munkey_core.config import EnsembleConfig


@dataclass(frozen=True)
class About:
    """What a bundle says of itself; fixed when it is opened.

    name: of its folder. title: of its data set. digest: SHA-256 of its manifest, which names every
    file's SHA-256. classes: names, by index. modes: what `Studio.session` can give. mode: "joint":
    θ and the tokens were trained together, and θ may keep a trace of what is deleted; "exact": θ
    was trained on public images only and each row was written alone, so what is deleted is gone
    without a trace. ensemble: settings of prediction. near_duplicate_threshold: key similarity
    (cosine) from which two images count as near-duplicates. manifest: as plain values: data set,
    licence, training, provenance. metrics: metrics.json, as measured when the bundle was made; None
    if it has none. experiments: what came of other recipes on its images; None if nobody has tried
    any. exact_verified: what `munkey verify --exact` found and noted in the bundle, by forget set:
    the counts of an ExactCheck; empty without an exact mode, or if nobody has verified it. card:
    CARD.md, Markdown with a YAML head.
    """

    name: str
    title: str
    digest: str
    classes: tuple[str, ...]
    modes: tuple[str, ...]
    mode: str
    ensemble: EnsembleConfig
    near_duplicate_threshold: float
    owners_simulated: bool
    manifest: dict[str, Any]
    metrics: dict[str, Any] | None
    experiments: Experiments | None
    exact_verified: dict[str, dict[str, int]]
    card: str

    @classmethod
    def of(cls, bundle: Bundle) -> About:
        manifest = bundle.manifest
        return cls(
            name=bundle.folder.resolve().name if bundle.folder else manifest.name,
            title=manifest.dataset["title"],
            digest=bundle.digest,
            classes=manifest.classes,
            modes=bundle.modes,
            mode=bundle.mode,
            ensemble=manifest.ensemble,
            near_duplicate_threshold=manifest.near_duplicate,
            owners_simulated=manifest.owners_simulated,
            manifest=json.loads(manifest.to_json()),
            metrics=bundle.metrics,
            experiments=bundle.experiments,
            exact_verified=manifest.exact_table().verified if manifest.exact else {},
            card=bundle.card,
        )
