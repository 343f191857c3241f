"""Membership attacks in words: what each does, what its figures say, what could not be had."""

from __future__ import annotations

from html import escape

from app import state
from app.panels.words import count
from munkey_core.studio import plain_words
from munkey_core.types import AttackFigures, LeakSplit, PrivacyReport

STATES = {
    "before": "before deletion",
    "after": "after deletion",
    "retrained": "retrained without them",
    "plain": "plain transformer",
    "plain retrained": "plain, retrained without them",
}
MUNKEY_STATES = {name: STATES[name] for name in ("before", "after", "retrained")}
ABOUT = {
    "true-class probability": (
        "log-odds of the true class",
        "The surer the model is of the true class, the more the attacker takes the image for one "
        "it was trained on.",
    ),
    "loss": ("ln of the true class's probability", "The lower the model's error (loss), the more."),
    "entropy": (
        "negative entropy (nats)",
        "The surer the model is, whatever it says, the more; the true class isn't used.",
    ),
    "modified entropy": (
        "negative modified entropy (nats)",
        "As entropy, but being sure of a wrong class counts against.",
    ),
    "LiRA online": (
        "log-likelihood ratio Λ (nats)",
        "Compares the answer with those of reference models that were trained with this image and "
        "of others that were not (likelihood-ratio attack).",
    ),
    "LiRA offline": (
        "standard deviations above models without the image",
        "Compares the answer only with reference models that were not trained with this image.",
    ),
    "RMIA": (
        "share of other images it beats",
        "Asks how much surer the model is than reference models, and of how many unseen images it "
        "could say the same (robust membership inference).",
    ),
    "population": (
        "share of unseen images it beats",
        "Ranks the image among images that the model never saw. It orders images as the "
        "probability does; it adds a known rate of false alarms.",
    ),
}
_FIELD = {
    "auroc": "auroc",
    "tpr1": "tpr_1pct",
    "tpr01": "tpr_01pct",
    "accuracy": "balanced_accuracy",
}
FIGURE_WORDS = {
    "auroc": "How often the attacker picks the right one of a pair: one image in question, one "
    "unseen (area under the ROC curve). **50 = guessing.**",
    "tpr1": "How many of the images in question are found if only 1 in 100 unseen images may be "
    "called a member by mistake (true-positive rate). **Guessing finds 1 %.**",
    "tpr01": "The same with only 1 mistake in 1,000. **Guessing finds 0.1 %.**",
    "accuracy": "How many guesses are right when half of the images are in question and half "
    "unseen. The threshold was chosen on other images: training images that stay, and one half of "
    "the test images; the figure is of the other half. **50 = guessing.**",
}
FEW = plain_words.FEW
_BY_DEFAULT = ("LiRA online", "true-class probability")

in_hundred = plain_words.in_hundred
interval = plain_words.interval


def default_attack(report: PrivacyReport) -> str:
    """The strongest of the attacks that could be computed."""
    able = [name for name in _BY_DEFAULT if "after" in report.figures.get(name, {})]
    return (able or list(_BY_DEFAULT[-1:]))[0]


def sentence(report: PrivacyReport, attack: str, who: str) -> str:
    """What an attacker can tell, for people (HTML). who: "one of the 2 deleted images"."""
    text = plain_words.attacker(report, attack, escape(who), lambda words: f"<b>{words}</b>")
    return f'<div class="mk mk-sum mk-plainly">{text} <small>{plain_words.GUESSING}</small></div>'


def verdict(report: PrivacyReport, attack: str) -> str:
    """Whether what is left after deletion is more than it would be without these images."""
    return plain_words.verdict(report, attack, lambda words: f"**{words}**")


def band(report: PrivacyReport, attack: str) -> str:
    """The range of honest retrains, as a sentence; empty with fewer than two of them."""
    found = report.null_bands.get(attack, {}).get("munkey")
    if found is None:
        return ""
    return (
        f"**Null band:** models retrained without these images from {len(found.seeds)} different "
        f"seeds ({', '.join(map(str, found.seeds))}) give {found.low:.1f} to {found.high:.1f} by "
        "themselves. A difference inside that band means nothing."
    )


def stats(report: PrivacyReport, attack: str) -> str:
    """The three numbers of the sentence, large, in the colour of each model (HTML)."""
    cells = []
    for name, label in MUNKEY_STATES.items():
        figures = report.figures[attack].get(name)
        if figures is None:
            number, small = "–", "not known yet" if name in report.missing else "not computed"
        else:
            number = in_hundred(figures.auroc, figures.auroc_ci95)
            small = f"95 % interval {interval(figures.auroc_ci95)}"
            if figures.auroc_ci95 is None:
                small = interval(None)
        cells.append(
            f'<div class="mk-stat mk-{name}"><b>{number}</b><span>in 100, {escape(label)}</span>'
            f"<small>{escape(small)}</small></div>"
        )
    return f'<div class="mk mk-stats">{"".join(cells)}</div>'


def table(report: PrivacyReport, chosen: str, figure: str) -> str:
    """Attack × model, one figure with its interval in each cell (HTML)."""
    states = [name for name in STATES if name not in report.missing]
    head = "".join(
        f'<th scope="col" class="mk-{escape(s.replace(" ", "-"))}">{escape(STATES[s])}</th>'
        for s in states
    )
    rows = []
    for attack, found in report.figures.items():
        mark = ' class="mk-chosen"' if attack == chosen else ""
        cells = "".join(f"<td>{_cell(found.get(s), figure)}</td>" for s in states)
        rows.append(f'<tr{mark}><th scope="row">{escape(attack)}</th>{cells}</tr>')
    return (
        '<div class="mk mk-scroll"><table class="mk-table"><thead><tr><th scope="col">'
        f"{escape(state.FIGURES[figure])}, percent</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(figures: AttackFigures | None, figure: str) -> str:
    if figures is None:
        return '<span title="could not be computed: see below">–</span>'
    value = getattr(figures, _FIELD[figure])
    if value is None:
        reason = escape(figures.errors.get(_FIELD[figure], ""), quote=True)
        return f'<span title="{reason}">–</span>'
    bounds = getattr(figures, _FIELD[figure] + "_ci95")
    inside = "" if bounds is None else f"<small>{bounds[0]:.1f}–{bounds[1]:.1f}</small>"
    return f"{value:.1f}{inside}"


def failures(report: PrivacyReport, figure: str) -> list[str]:
    """Why cells are empty: one sentence a reason, with the attacks and models it concerns."""
    reasons: dict[str, dict[str, None]] = {}
    models: dict[str, dict[str, None]] = {}
    for attack, found in report.errors.items():
        for model, message in found.items():
            reasons.setdefault(message, {})[attack] = None
            models.setdefault(message, {})[STATES[model]] = None
    for figures in report.figures.values():
        for one in figures.values():
            if _FIELD[figure] in one.errors:
                reasons.setdefault(one.errors[_FIELD[figure]], {})[state.FIGURES[figure]] = None
    return [
        f"{', '.join(who)}"
        + (f" ({', '.join(models[why])})" if why in models else "")
        + f": {state.plain(why)}."
        for why, who in reasons.items()
    ]


def do_they_work(report: PrivacyReport) -> str:
    """What the strongest attack finds in the plain transformer; empty if that isn't known."""
    found = {name: f["plain"] for name, f in report.figures.items() if "plain" in f}
    if not found or report.n_forget < FEW:
        return ""
    best = max(found, key=lambda name: found[name].auroc)
    text = (
        "**Do the attacks work at all?** On the plain transformer, which can only keep these "
        f"images in its weights, the strongest of {len(found)} ({best}) is right "
        f"{found[best].auroc:.1f} times in 100 ({interval(found[best].auroc_ci95)})"
    )
    without = report.figures[best].get("plain retrained")
    if without is not None:
        text += f"; retrained without them, {without.auroc:.1f} ({interval(without.auroc_ci95)})"
    return text + "."


def leak_sentences(leak: LeakSplit, exact: bool = False) -> str:
    """Where the trace lies: memory, and shared weights (METHOD.md §3). exact: in an exact mode."""
    memory = (
        f"**In the memory:** deleting the keys takes {leak.memory_accuracy:.1f} percentage points "
        f"off the accuracy on these images, and {leak.memory_mia:.1f} times in 100 off the "
        "success of the attacker who goes by the true class's probability."
    )
    if exact:
        return (
            f"{memory}\n\n**In the shared weights:** nothing, by construction. They were trained "
            "on public images only; the model that never saw these images is this one with their "
            "keys deleted."
        )
    low, high = leak.image_mia_ci95
    backbone = (
        "**In the shared weights** (*backbone*), which deletion leaves as they are: with the "
        f"memory left out, that attacker is right {leak.image_mia:.1f} times in 100 "
        f"({low:.1f}–{high:.1f})"
    )
    if leak.image_mia_oracle is not None:
        backbone += f"; in the model that never saw these images, {leak.image_mia_oracle:.1f}"
    if leak.backbone is not None:
        backbone += f". {plain_words.backbone(leak.backbone)}"
    return f"{memory}\n\n{backbone}.".replace(" -", " −")


def references(report: PrivacyReport) -> str:
    """K, n and seed, as a caption."""
    known = {"munkey": "MUNKEY", "plain": "plain transformer"}
    k = ", ".join(f"K = {n} of {known.get(f, f)}" for f, n in report.references.items() if n)
    return (
        f"{count(report.n_forget, 'image')} in question (members) against all "
        f"{report.n_test:,} test images (non-members, never trained on); model seed {report.seed}; "
        f"reference models: {k or 'none'}. Intervals: bootstrap over images, 95 %, 1,000 resamples."
    )
