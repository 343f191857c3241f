"""CARD.md: what a bundle is, as a Hugging Face model card (YAML head, then Markdown)."""

from __future__ import annotations

import json
from typing import Any

from munkey_core.bundle import Bundle
from munkey_core.types import ANCHOR, CALIBRATION, PRIVATE, TEST

_HOW = (
    "In percent. TA, RA, FA: accuracy on test, retain and forget images. MIA: AUROC of the "
    "true-class probability, forget images against test images. Avg Gap: mean of the four "
    "absolute differences to the oracle of the same family and seed; *other seeds*: to the oracles "
    "of the other seeds. In brackets the bootstrap 95% interval over images, averaged over seeds; "
    "± is the standard deviation over seeds, where there is more than one. The oracle of a "
    "post-hoc method is *plain retrained*; that of *X after* is *X retrained*. All models also "
    "learned from the labels of the same public anchors. Key deletion leaves the shared weights "
    "as they are: this is not exact unlearning."
)


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
    """Lines of Markdown with all that metrics.json says, for the card."""
    lines = ["## Measured", "", _HOW]
    for report in metrics.get("reports", {}).values():
        lines += ["", f"### Forget set {report['forget']}", "", *set_figures(report)]
    if "tuning" in metrics:
        lines += ["", "### Settings of the post-hoc methods", "", *_tuning(metrics["tuning"])]
    return lines


def main_figures(metrics: dict[str, Any], forget: str) -> list[str]:
    """Lines of Markdown with one forget set's figures and how to read them, for the README."""
    return [_HOW, "", *set_figures(metrics["reports"][forget])]


def set_figures(report: dict[str, Any]) -> list[str]:
    """Lines of Markdown with the figures of one forget set (`AuditReport.to_dict`)."""
    many = len(report["seeds"]) > 1
    lines = [
        f"n_forget = {report['n_forget']:,}, n_retain = {report['n_retain']:,}, n_test = "
        f"{report['n_test']:,}; seeds {report['seeds']}.",
        "",
        "| model | TA | RA | FA | MIA AUROC | Avg Gap | other seeds | time to forget |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, model in report["models"].items():
        accuracies = [
            _figure(model, key, many)
            for key in ("test_accuracy", "retain_accuracy", "forget_accuracy", "mia_auc")
        ]
        gap = "" if model["avg_gap"] is None else _figure(model, "avg_gap", many)
        cross = model["avg_gap_cross_seeds"]
        took = model["unlearn_seconds"]
        cells = [
            name + (" (exact)" if model["exact"] else ""),
            *accuracies,
            gap,
            "" if cross is None else f"{cross:.2f}",
            "" if took is None else _duration(took),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for name, band in report["null_bands"].items():
        lines += [
            "",
            f"Null band of {name} (the same Avg Gap between two of them with different seeds): "
            f"{band['mean']:.2f}, from {band['low']:.2f} to {band['high']:.2f} over "
            f"{band['pairs']} pairs; hold *other seeds* against it.",
        ]
    return [*lines, *_leak(report["leak"])]


def _figure(model: dict[str, Any], key: str, many: bool) -> str:
    low, high = model["ci95"][key]
    spread = f" ± {model['spread'][key]:.2f}" if many else ""
    return f"{model[key]:.2f}{spread} [{low:.2f}, {high:.2f}]"


def _leak(leak: dict[str, Any] | None) -> list[str]:
    if leak is None:
        return []
    low, high = leak["image_mia_ci95"]
    lines = [
        "",
        f"Memory: deleting the keys takes away {leak['memory_accuracy']:.2f} points of forget "
        f"accuracy and {leak['memory_mia']:.2f} points of MIA AUROC. The attack on the image "
        f"pathway alone: {leak['image_mia']:.2f} [{low:.2f}, {high:.2f}]"
        + (
            "."
            if leak["image_mia_oracle"] is None
            else f", {leak['image_mia_oracle']:.2f} in the oracles."
        ),
    ]
    backbone = leak["backbone"]
    if backbone is not None:
        lines += [
            "",
            f"Backbone leak (accuracy of the image pathway alone, forget minus test): "
            f"{backbone['points']:+.2f} points{_interval(backbone['ci95'])}; the same difference "
            f"in the oracles, which never saw the forget images: {backbone['oracle_points']:+.2f} "
            f"points; excess over them, paired by image: {backbone['excess_points']:+.2f} "
            f"points{_interval(backbone['excess_ci95'])}.",
        ]
    return lines


def _tuning(tuning: dict[str, Any]) -> list[str]:
    lines = [
        f"Chosen by `munkey compare --tune` on {tuning['n_forget']:,} other images drawn at "
        f"random, seed {tuning['seed']}: the lowest Avg Gap to the plain transformer retrained "
        "without them. They are the same for every forget set.",
        "",
        "| method | settings | Avg Gap there | tried |",
        "|---|---|---|---|",
    ]
    for key, chosen in tuning["methods"].items():
        settings = ", ".join(f"{name} = {value:g}" for name, value in chosen["settings"].items())
        lines.append(f"| {key} | {settings} | {chosen['avg_gap']:.2f} | {len(chosen['search'])} |")
    return lines


def _duration(seconds: float) -> str:
    if seconds < 0.1:
        return f"{seconds * 1000:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _interval(ci95: list[float] | None) -> str:
    return "" if ci95 is None else f", 95% interval [{ci95[0]:+.2f}, {ci95[1]:+.2f}]"


def _hub_licence(licence: str) -> str:
    known = {"MIT": "mit", "CC-BY-4.0": "cc-by-4.0", "Apache-2.0": "apache-2.0"}
    return known.get(licence, "other")
