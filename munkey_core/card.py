"""CARD.md: what a bundle is, as a Hugging Face model card (YAML head, then Markdown)."""

from __future__ import annotations

import json
from typing import Any

from munkey_core.bundle import Bundle
from munkey_core.types import ANCHOR, CALIBRATION, PRIVATE, TEST


def write_card(bundle: Bundle, metrics: dict[str, Any] | None = None) -> str:
    """The card's text; with `metrics` (metrics.json) the measured figures go in."""
    manifest = bundle.manifest
    counts = manifest.splits["counts"]
    ensemble = manifest.ensemble
    seconds = sum(manifest.provenance["seconds"].values())
    head = [
        "---",
        "library_name: munkey",
        # The bundle's own licence is the data's: keys and tokens derive from its images.
        f"license: {json.dumps(_hub_licence(manifest.dataset['licence']))}",
        "pipeline_tag: image-classification",
        "tags:",
        "- machine-unlearning",
        "- memory-augmented-transformer",
        f"datasets: {json.dumps([manifest.dataset['name']])}",
        "---",
    ]
    skipped = manifest.dataset.get("skipped", [])
    lines = [
        *head,
        f"# {manifest.dataset['title']}: a MUNKEY model that forgets by deleting keys",
        "",
        f"A memory-augmented transformer after Laguna et al. 2026 (arXiv:2603.15033), trained by "
        f"this project; no code or weights of the paper's authors are used. Each of the "
        f"{counts[PRIVATE]:,} private images has one fixed key and one learned exemplar token in "
        "the memory bank. Deleting the key removes the image's entry with no weight update.",
        "",
        "## Data",
        "",
        f"{manifest.dataset['title']}, {len(manifest.classes)} classes. "
        f"Licence: {manifest.dataset['licence']}. {manifest.dataset['attribution']}",
        "",
        "| part | images | what for |",
        "|---|---|---|",
        f"| private | {counts[PRIVATE]:,} | the memory bank |",
        f"| test | {counts[TEST]:,} | held out |",
        f"| public: encoder | {counts['encoder']:,} | trains the frozen encoder |",
        f"| public: anchors | {counts[ANCHOR]:,} | labelled steps with an empty memory slot |",
        f"| public: calibration | {counts[CALIBRATION]:,} | had an entry during training only; "
        "chooses τ, s₀, K |",
        f"| public: validation | {counts['validation']:,} | chooses τ, s₀, K |",
        "",
        "Owners are simulated: no real person is named."
        if manifest.owners_simulated
        else "Owners come from the data source.",
        *([f"Files of the source that were skipped: {len(skipped)}."] if skipped else []),
        "",
        "## Training",
        "",
        f"Encoder `{manifest.encoder.name}`, image tokens `{manifest.model.tokens}`, "
        f"{manifest.model.layers} layers of dimension {manifest.model.dim}, "
        f"{manifest.training['epochs']} epochs, seed {manifest.training['seed']}; "
        f"on {manifest.provenance['device']} in {seconds:.0f} s. "
        f"Inference: K = {ensemble.k}, {ensemble.aggregation} ensemble, τ = {ensemble.tau}, "
        f"null anchor s₀ = {ensemble.anchor}.",
        "",
        "The memory bank, the two pathways, joint training and the K-exemplar ensemble are the "
        "paper's. The similarity weights, the null anchor, the public anchor steps, the small "
        "encoder and the choice of τ, s₀ and K on public images are this project's.",
        "",
        "## What is guaranteed, and what is not",
        "",
        "- A deleted key is never retrieved again; the other entries and all weights keep their "
        "bytes.",
        "- This is **not** exact unlearning: θ was trained while the image's token was in the "
        "memory. What the shared weights keep is measured as the backbone leak.",
        "- The encoder never saw a private image.",
        "- θ also learned from the labels of the public anchors, here and in every model that is "
        "retrained for comparison.",
        *(["", *figures(metrics)] if metrics else []),
        "",
    ]
    return "\n".join(lines)


def figures(metrics: dict[str, Any]) -> list[str]:
    """Lines of Markdown with the figures of metrics.json, for the card and the README."""
    rows = [
        f"## Measured: forget set {metrics['forget']}",
        "",
        f"n_forget = {metrics['n_forget']:,}, n_retain = {metrics['n_retain']:,}, n_test = "
        f"{metrics['n_test']:,}; seeds {metrics['seeds']}; mean ± standard deviation over seeds, "
        "percent. MIA: AUROC of the true-class probability, forget against test images, with the "
        "mean bootstrap 95% interval.",
        "",
        "| model | TA | RA | FA | MIA AUROC | Avg Gap to its oracle |",
        "|---|---|---|---|---|---|",
    ]
    for name, model in metrics["models"].items():
        cells = [
            f"{model[key]:.2f} ± {model['spread'][key]:.2f}"
            for key in ("test_accuracy", "retain_accuracy", "forget_accuracy")
        ]
        low, high = model["mia_auc_ci95"]
        gap = model["avg_gap"]
        shown = "" if gap is None else f"{gap:.2f} ± {model['spread']['avg_gap']:.2f}"
        rows.append(
            f"| {name} | {' | '.join(cells)} | {model['mia_auc']:.2f} [{low:.2f}, {high:.2f}] "
            f"| {shown} |"
        )
    rows += [
        "",
        "*MUNKEY retrained* is the oracle: the same recipe and seed without the forget set. "
        "*plain* is the same network without a memory, trained on the same private and public "
        "images. All of them also learned from the labels of the same public anchors. Key deletion "
        "leaves the shared weights as they are: this is not exact unlearning.",
    ]
    band = metrics["null_band"]
    if band is not None:
        rows += [
            "",
            f"Null band (the same Avg Gap between two oracles of different seeds): "
            f"{band['mean']:.2f}, from {band['low']:.2f} to {band['high']:.2f} over "
            f"{band['pairs']} pairs. MUNKEY after deletion against the oracles of the other "
            f"seeds: {metrics['avg_gap_cross_seeds']:.2f}.",
        ]
    leak = metrics["backbone_leak"]
    return [
        *rows,
        "",
        f"Backbone leak (accuracy of the image pathway alone, forget minus test): "
        f"{leak['points']:+.2f} points{_interval(leak['ci95'])}; the same difference in the "
        f"oracles, which never saw the forget images: {leak['oracle_points']:+.2f} points; "
        f"excess over them, paired by image: {leak['excess_points']:+.2f} "
        f"points{_interval(leak['excess_ci95'])}.",
    ]


def _interval(ci95: list[float] | None) -> str:
    return "" if ci95 is None else f", 95% interval [{ci95[0]:+.2f}, {ci95[1]:+.2f}]"


def _hub_licence(licence: str) -> str:
    known = {"MIT": "mit", "CC-BY-4.0": "cc-by-4.0", "Apache-2.0": "apache-2.0"}
    return known.get(licence, "other")
