"""What an erasure takes along beside the images: stored results, and what it takes to have them
again. Said before anything is erased, as trainings are most of what a bundle costs."""

import shlex
from collections.abc import Iterator

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.manifest import EXPERIMENTS, METRICS
from munkey_core.errors import MunkeyError
from munkey_core.training.shipped import Shipped

_MINUTE, _HOUR = 60, 3600


def measured_again(bundle: Bundle, name: str) -> Iterator[str]:
    """A sentence for each kind of result that goes, and the command that makes it anew. bundle: in
    its own mode, as it is before. name: how commands call it."""
    files, called = bundle.manifest.files, shlex.quote(name)
    models, seconds = _trained(bundle)
    if models:
        pictures = "" if bundle.thumbnails is not None else ", with the pictures at hand (--images)"
        yield (
            f"the answers of {models:,} retrained models go, as these models were compared with a "
            f"memory that held the images: `munkey oracles {called}` trains such models anew; "
            f"these took {_time(seconds)}{pictures}"
        )
    if METRICS in files:
        yield (
            "stored figures of audits and attacks go, or are marked as measured before: "
            f"`munkey compare {called} --forget canonical --save` measures them anew, and trains "
            "every method for it"
        )
    if EXPERIMENTS in files:
        yield (
            "the table of recipes that were tried goes: "
            f"`munkey experiments {called} --recipes RECIPES.toml --save` trains each of them anew"
        )
    if "influence" in bundle.scores:
        yield (
            "who influences whom goes, for all images: "
            f"`munkey influence {called} --save` computes it anew"
        )
    if bundle.manifest.exact.get("verified"):
        yield (
            "the notes on verified forget sets go: "
            f"`munkey verify {called} --without SET --save` writes the memory anew to check"
        )


def _trained(bundle: Bundle) -> tuple[int, float]:
    """How many models' answers a bundle carries, and the seconds of their trainings; none where
    that can't be read, as what is damaged must not keep anybody from erasing."""
    try:
        return Shipped(bundle).trained()
    except MunkeyError:
        return 0, 0.0


def _time(seconds: float) -> str:
    if seconds < 2 * _MINUTE:
        return f"about {max(1, round(seconds))} s"
    if seconds < 2 * _HOUR:
        return f"about {round(seconds / _MINUTE)} min"
    return f"about {seconds / _HOUR:.1f} h"
