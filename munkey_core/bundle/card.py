"""CARD.md: what a bundle is, as a Hugging Face model card (YAML head, then Markdown)."""

from typing import Any

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.manifest import EXACT_MODE
from munkey_core.files.templates import fill

BEFORE = "before_erasure"  # the part of metrics.json that was measured before rows were erased

# What the Hugging Face Hub calls the licences that it knows.
_LICENCES = {"MIT": "mit", "CC-BY-4.0": "cc-by-4.0", "Apache-2.0": "apache-2.0"}


def write_card(bundle: Bundle, metrics: dict[str, Any] | None = None) -> str:
    """The card's text; with `metrics` (metrics.json) the measured figures go in. Raises LookupError
    if they lack something."""
    metrics = metrics or {}
    return fill(
        "bundle/templates/card.md.j2",
        bundle=bundle,
        manifest=bundle.manifest,
        licence=_LICENCES.get(bundle.manifest.dataset["licence"], "other"),
        metrics=metrics,
        measured=bool(metrics.keys() - {BEFORE, EXACT_MODE}),  # of the bundle as it is
        before=metrics.get(BEFORE),
    )
