"""What a membership attack found, and where things lie, in words that need no term of the field.

The Privacy page, the Request desk and the report of a request say the same thing in the same words.
"""

from collections.abc import Callable

from munkey_core.audit.leak import BackboneLeak
from munkey_core.audit.privacy import PrivacyReport
from munkey_core.files.in_words import counted

FEW = 30  # images below which an interval says more about them than about deletion


def in_hundred(value: float, ci95: tuple[float, float] | None) -> str:
    """A percentage, rounded to what its interval supports."""
    if ci95 is None or ci95[1] - ci95[0] >= 1:
        return f"{value:.0f}"
    return f"{value:.1f}"


def interval(ci95: tuple[float, float] | None) -> str:
    """ "48–52", to the digit that its width supports; says so where there is none."""
    if ci95 is None:
        return "no interval: a single image"
    decimals = 0 if ci95[1] - ci95[0] >= 2 else 1
    return f"{ci95[0]:.{decimals}f}–{ci95[1]:.{decimals}f}"


def attacker(report: PrivacyReport, attack: str, who: str, mark: Callable[[str], str] = str) -> str:
    """What an attacker can tell of images before and after their deletion, as one sentence.

    who: "one of the 2 deleted images". mark: what is done with each figure, e.g. to print it bold.
    """
    found = report.figures[attack]

    def times(model: str) -> str:
        figures = found[model]
        return mark(f"{in_hundred(figures.auroc, figures.auroc_ci95)} times in 100")

    text = (
        f"Shown {who} and one image that the model never saw, the attacker picks the right one "
        f"{times('before')} before deletion and {times('after')} after it"
    )
    if "retrained" in found:
        text += f"; with a model that was never trained on them, {times('retrained')}"
    return text + "."


GUESSING = "Guessing is right 50 times in 100."


def verdict(report: PrivacyReport, attack: str, mark: Callable[[str], str] = str) -> str:
    """Whether what is left after deletion is more than it would be without these images; empty
    where nobody can tell. mark: what is done with the words that matter."""
    after, retrained = (report.figures[attack].get(name) for name in ("after", "retrained"))
    if after is None or after.auroc_ci95 is None:
        return ""
    low, high = after.auroc_ci95
    if report.n_forget < FEW:
        these = counted(report.n_forget, "image")
        return (
            f"With {these} this says something about these images, not about how well deletion "
            "works: the intervals are rough."
        )
    if low <= 50 <= high:
        return "After deletion this attack can't be told from guessing."
    if retrained is not None and retrained.auroc_ci95 is not None:
        other_low, other_high = retrained.auroc_ci95
        if low <= other_high and other_low <= high:
            return (
                "That is not 50, and yet no trace: a model that never saw these images gives the "
                "same within the intervals. They are other than the average test image."
            )
        return (
            "After deletion the attacker does otherwise than with a model that never saw these "
            f"images: {mark('a trace remains.')}"
        )
    side = "better" if low > 50 else "worse"
    return (
        f"After deletion the attacker still does {side} than guessing. Without a retrained model "
        "nobody can say whether that is a trace of training or the kind of these images."
    )


def backbone(leak: BackboneLeak) -> str:
    """What the network alone keeps of images, against a model that never saw them; a sentence
    without its full stop."""
    text = (
        f"The network alone is right on them {leak.excess_points:+.1f} percentage points more "
        "often than that model is"
    )
    bounds = leak.excess_ci95
    if bounds:
        text += f" (95 % interval {bounds[0]:+.1f} to {bounds[1]:+.1f})"
        if bounds[0] <= 0 <= bounds[1]:
            text += ": none that this measurement can tell from zero"
    return text.replace(" -", " −")


_PLACES = {
    "bank.safetensors": "the memory",
    "records.parquet": "the table of images",
    "records.csv": "the table of images",
    "scores.safetensors": "scores",
    "thumbnails.safetensors": "the pictures",
    "exact.safetensors": "the exact memory",
    "projections.safetensors": "the maps",
    "oracles/": "stored answers",
    "metrics.json": "stored figures",
    "experiments.json": "recipes tried",
    "manifest.json": "the manifest",
    "model.safetensors": "the network’s weights",
}


def place(name: str) -> str:
    """What a place that a receipt names is, for people: "the memory (bank.safetensors)"."""
    if name == "outside":
        return "out of this program’s reach"
    words = _PLACES.get(name)
    return f"{words} ({name})" if words else name
