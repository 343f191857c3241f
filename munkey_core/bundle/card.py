"""CARD.md: what a bundle is, as a Hugging Face model card (YAML head, then Markdown)."""

from __future__ import annotations

import json
from statistics import stdev
from typing import Any

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.experiments import Experiments, RecipeTried
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST

HOW = (
    "In percent. TA, RA, FA: accuracy on test, retain and forget images. MIA: AUROC of the "
    "true-class probability, forget images against test images. Avg Gap: mean of the four "
    "absolute differences to the oracle of the same family and seed; *other seeds*: to the oracles "
    "of the other seeds. In brackets the bootstrap 95% interval over images, averaged over seeds; "
    "± is the standard deviation over seeds, where there is more than one. The oracle of a "
    "post-hoc method is *plain retrained*; that of *X after* is *X retrained*. All models also "
    "learned from the labels of the same public anchors. Key deletion leaves the shared weights "
    "as they are: this is not exact unlearning."
)

BEFORE = "before_erasure"  # the part of metrics.json that was measured before rows were erased


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
        f"Licence: {manifest.dataset['licence']}. {manifest.dataset['attribution']}"
        + _as_it_came(bundle),
        "",
        "| part | images | what for |",
        "|---|---|---|",
        f"| private | {counts[PRIVATE]:,} | the memory bank |",
        f"| test | {counts[TEST]:,} | held out |",
        *(
            [f"| public: encoder | {counts['encoder']:,} | trains the frozen encoder |"]
            if counts["encoder"]
            else []
        ),
        f"| public: anchors | {counts[ANCHOR]:,} | labelled steps with an empty memory slot |",
        f"| public: calibration | {counts[CALIBRATION]:,} | had an entry during training only; "
        "chooses τ, s₀, K |",
        f"| public: validation | {counts['validation']:,} | chooses τ, s₀, K |",
        "",
        "Owners are simulated: no real person is named."
        if manifest.owners_simulated
        else "Owners come from the data source."
        + _owned_outside(manifest.splits.get("owned_outside")),
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
        "paper's. The similarity weights, the null anchor, the public anchor steps, the choice of "
        "this encoder and that of τ, s₀ and K on public images are this project's.",
        "",
        "## What is guaranteed, and what is not",
        "",
        "- A deleted key is never retrieved again; the other entries and all weights keep their "
        "bytes.",
        *_promise(bundle),
        "- The encoder never saw a private image."
        if counts["encoder"]
        else "- The encoder was trained by its authors on ImageNet, not on this data set; "
        "only its means and principal components were taken from the public anchors.",
        "- θ also learned from the labels of the public anchors, here and in every model that is "
        "retrained for comparison.",
        *(_exact(manifest.exact, counts, metrics) if manifest.exact else []),
        *(["", *figures(metrics)] if metrics and _measured(metrics) else []),
        *(["", *figures_before(metrics[BEFORE])] if metrics and BEFORE in metrics else []),
        *(
            ["", "## Recipes tried", "", *recipe_figures(bundle.experiments)]
            if bundle.experiments
            else []
        ),
        "",
    ]
    return "\n".join(lines)


def _as_it_came(bundle: Bundle) -> str:
    """How its images differ from the published ones, and where they are if it carries none."""
    manifest = bundle.manifest
    differs = str(manifest.dataset.get("differs", ""))
    text = f". For this bundle {differs}." if differs else ""
    if bundle.thumbnails is None:
        text += (
            f"{'' if differs else '.'} The images are not in it: `munkey images {manifest.name}` "
            "tells how to get them."
        )
    return text


def _promise(bundle: Bundle) -> list[str]:
    """Whether deletion is exact unlearning."""
    if bundle.mode == "exact":
        return [
            "- This **is** exact unlearning: θ saw public images only, and each row was written "
            "alone, so what deletion leaves is what there would be had the image never been there.",
        ]
    where = " in the joint mode" if bundle.exact is not None or bundle.manifest.exact else ""
    return [
        f"- This is **not** exact unlearning{where}: θ was trained while the image's token was in "
        "the memory. What the shared weights keep is measured as the backbone leak.",
    ]


def _exact(
    table: dict[str, Any], counts: dict[str, int], metrics: dict[str, Any] | None
) -> list[str]:
    """What the exact mode is, what was verified of it, and what it costs."""
    training, write, ensemble = table["training"], table["write"], table["ensemble"]
    seconds = table["provenance"]["seconds"]
    took = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    lines = [
        "",
        "## The exact mode",
        "",
        "A second model with the same images, keys and encoder (this project's; the paper has "
        f"none). θ was trained on the {counts[ANCHOR]:,} public anchors only, which had tokens of "
        "their own and served as anchors too; τ, s₀ and K were chosen on public images. Then each "
        "private image was *written* into the memory with θ frozen: its token was optimised alone. "
        "Nothing but its own row depends on a private image, so after its deletion the memory is, "
        "byte for byte, the one that would be there had the image never been: retraining is "
        "writing the others. Nothing of it remains in the shared weights, by construction.",
        "",
        f"θ: {training['epochs']} epochs, seed {training['seed']}. Rows: {write['steps']} steps of "
        f"Adam, tokens in 4 bits with a scale a row. K = {ensemble['k']}, τ = {ensemble['tau']}, "
        f"null anchor s₀ = {ensemble['anchor']}. On {table['provenance']['device']}: {took}.",
        "",
        "What it costs: its accuracy is bounded by what the public images teach, and the public "
        "images can't be forgotten.",
    ]
    verified = table.get("verified", {})
    if verified:
        lines += [
            "",
            "Verified by `munkey verify --exact`: the rows of a forget set were deleted, all other "
            "images encoded and written from scratch in another order and other batches, and "
            "everything compared.",
            "",
            "| forget set | deleted | written again | token bytes that differ | answers compared "
            "(test and retained) | bits that differ |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {found['n_forget']:,} | {found['rows']:,} | "
            f"{found['token_bytes_differing']:,} of {found['token_bytes']:,} | "
            f"{found['answers']:,} | {found['bits_differing']:,} of {found['bits']:,} |"
            for name, found in verified.items()
        ]
    for report in ((metrics or {}).get("exact") or {}).get("reports", {}).values():
        lines += [
            "",
            f"### The exact mode on forget set {report['forget']}",
            "",
            "*MUNKEY retrained* is, by construction, *MUNKEY after*; its time is that of writing "
            "all rows.",
            "",
            *set_figures(report),
        ]
    return lines


def _owned_outside(counts: dict[str, int] | None) -> str:
    """What of the owners' images has no key; forgetting an owner doesn't reach it."""
    if not counts or not counts["public_images"] + counts["test_images"]:
        return " All their images have a key." if counts else ""
    return (
        f" {counts['public_images']:,} of their images, of {counts['public_owners']:,} owners, are "
        "public: the model learned from them for good, and forgetting an owner doesn't reach them. "
        f"{counts['divided_owners']:,} of these owners have private images as well "
        f"({counts['divided_images']:,} public images). {counts['test_images']:,} are test images, "
        "from which nothing was learned."
    )


def figures(metrics: dict[str, Any]) -> list[str]:
    """Lines of Markdown with all that metrics.json says, for the card."""
    lines = ["## Measured", "", HOW]
    for report in metrics.get("reports", {}).values():
        lines += ["", f"### Forget set {report['forget']}", "", *set_figures(report)]
    if "tuning" in metrics:
        lines += [
            "",
            "### Settings of the post-hoc methods",
            "",
            *tuning_figures(metrics["tuning"]),
        ]
    return lines


def _measured(metrics: dict[str, Any]) -> bool:
    """Whether metrics.json says anything of the bundle as it is."""
    return bool(set(metrics) - {BEFORE, "exact"})


def figures_before(before: dict[str, Any]) -> list[str]:
    """Lines of Markdown with what was measured before rows were erased (`metrics[BEFORE]`)."""
    lines = [
        "## Measured before an erasure",
        "",
        f"Images were erased from this bundle for good on {before['until']} and perhaps later; its "
        "ledger says how many. The figures below are of the version that was there before "
        f"(digest {before['digest'][:12]}), on the forget sets of that version. Nothing of this "
        "version is claimed by them.",
        "",
        HOW,
    ]
    for mode, reports in before["reports"].items():
        for name, report in reports.items():
            lines += ["", f"### Before: forget set {name}, {mode} mode", "", *set_figures(report)]
    return lines


def main_figures(metrics: dict[str, Any], forget: str) -> list[str]:
    """Lines of Markdown with the few figures of one forget set that a reader needs first, for the
    README: MUNKEY before and after deletion and retrained, the null band, the backbone leak."""
    report = metrics["reports"][forget]
    models = report["models"]
    terms = ("test_accuracy", "retain_accuracy", "forget_accuracy", "mia_auc")
    lines = [
        f"In percent, mean over seeds {', '.join(map(str, report['seeds']))}, in brackets the "
        "bootstrap 95% interval over images. MIA: AUROC of an attack that tells forgotten from "
        "test images by the probability of the true class; 50 is guessing.",
        "",
        "| | test accuracy | retained | forgotten | MIA |",
        "|---|---|---|---|---|",
    ]
    for name in ("MUNKEY before", "MUNKEY after", "MUNKEY retrained"):
        cells = [_figure(models[name], term, many=False) for term in terms]
        lines.append(f"| {' | '.join([name, *cells])} |")
    after, band = models["MUNKEY after"], report["null_bands"]["MUNKEY retrained"]
    low, high = after["ci95"]["avg_gap"]
    return [
        *lines,
        "",
        f"Deleting the {report['n_forget']:,} keys took {duration(after['unlearn_seconds'])}, "
        f"retraining {duration(models['MUNKEY retrained']['unlearn_seconds'])}. Avg Gap, the mean "
        f"of the four differences to the retrained model: {after['avg_gap']:.2f} points "
        f"[{low:.2f}, {high:.2f}]; to those of other seeds {after['avg_gap_cross_seeds']:.2f}, "
        f"where two retrained models are {band['low']:.2f} to {band['high']:.2f} apart "
        f"({band['pairs']} pairs). Key deletion leaves the shared weights as they are: this is not "
        "exact unlearning.",
    ]


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
            "" if took is None else duration(took),
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


def recipe_figures(experiments: Experiments) -> list[str]:
    """Lines of Markdown with what came of other recipes."""
    lines = [
        "Each recipe was trained on this bundle's images with "
        f"{_seeds(len(experiments.seeds))} {list(experiments.seeds)}; τ, s₀ and K were chosen on "
        "public images, those of the shipped recipe with the validation images too. In percent, "
        "means over seeds. Test: both pathways. Image alone: the same images with an empty memory "
        f"slot. Forget set {experiments.forget}, {experiments.n_forget:,} of "
        f"{experiments.n_private:,} images, before → after deletion of their keys. Backbone leak: "
        "accuracy of the image pathway alone on all private minus on all test images, in points, "
        "with its 95% interval over images (averaged over seeds): what no deletion reaches. The "
        "plain transformer learned from the same images and labels.",
        "",
        "| recipe | changes | test | image alone | retained | forget: accuracy | forget: MIA "
        "AUROC | backbone leak | training |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for recipe in experiments.recipes:
        changes = ", ".join(f"{n} = {v:g}" for n, v in {**recipe.train, **recipe.model}.items())
        name = _cell(recipe.name + (f": {recipe.why}" if recipe.why else ""))
        if recipe.trials:
            lines.append(f"| {name} | {_cell(changes)} | {' | '.join(_tried(recipe))} |")
        for seed, reason in recipe.failed.items():
            lines.append(
                f"| {name} | {_cell(changes)} | seed {seed}: {_cell(reason)} | | | | | | |"
            )
    return lines


def _tried(recipe: RecipeTried) -> list[str]:
    before, after, many = recipe.before, recipe.after, len(recipe.trials) > 1
    accuracies = [trial.before.test_accuracy for trial in recipe.trials]
    spread = f" ± {stdev(accuracies):.2f}" if many else ""
    forget, attack = f"{before.forget_accuracy:.2f}", f"{before.mia_auc:.2f}"
    retain = f"{before.retain_accuracy:.2f}"
    if after is not None:
        retain += f" → {after.retain_accuracy:.2f}"
        forget += f" → {after.forget_accuracy:.2f}"
        attack += f" → {after.mia_auc:.2f}"
    bounds = recipe.leak_ci95
    leak = f"{recipe.leak:+.2f}" + (f" [{bounds[0]:+.2f}, {bounds[1]:+.2f}]" if bounds else "")
    return [
        f"{before.test_accuracy:.2f}{spread}",
        f"{recipe.image_test:.2f}",
        retain,
        forget,
        attack,
        leak,
        duration(recipe.seconds),
    ]


def _seeds(n: int) -> str:
    return "seed" if n == 1 else f"{n} seeds"


def _cell(text: str) -> str:
    """A text that ends no cell of a table."""
    return text.replace("|", "/").replace("\n", " ")


def tuning_figures(tuning: dict[str, Any]) -> list[str]:
    """Lines of Markdown with the post-hoc methods' settings (`metrics["tuning"]`)."""
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


def duration(seconds: float) -> str:
    """A time in a unit that fits, to two digits."""
    if seconds < 0.1:
        return f"{seconds * 1000:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _interval(ci95: list[float] | None) -> str:
    return "" if ci95 is None else f", 95% interval [{ci95[0]:+.2f}, {ci95[1]:+.2f}]"


def _hub_licence(licence: str) -> str:
    known = {"MIT": "mit", "CC-BY-4.0": "cc-by-4.0", "Apache-2.0": "apache-2.0"}
    return known.get(licence, "other")
