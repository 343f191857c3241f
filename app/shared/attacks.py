"""Membership attacks in words: what each does, what its figures say, what could not be had."""

from collections.abc import Mapping, Sequence
from html import escape

from app.session import properties
from app.words.foreign import escaped
from app.words.glossary import TERMS, html, plain, term
from app.words.phrases import count
from munkey_core.audit.leak import LeakSplit
from munkey_core.audit.privacy import AttackFigures, PrivacyReport, ScoreHistogram
from munkey_core.erasure import words as plain_words
from munkey_core.erasure.words import FEW, in_hundred, interval

STATES = {
    "before": "before deletion",
    "after": "after deletion",
    "retrained": "retrained without them",
    "plain": "plain transformer",
    "plain retrained": "plain, retrained without them",
}
STAGES = {
    "encoding": "Looking at every image (only the first time)",
    "predicting": "Asking the model about every image (only the first time)",
    "after deletion": "Asking again, without the keys",
    "attacks": "Attacking",
}
MUNKEY_STATES = {name: STATES[name] for name in ("before", "after", "retrained")}
_AXES = {
    "true-class probability": "log-odds of the true class",
    "loss": "ln of the true class's probability",
    "entropy": "negative entropy (nats)",
    "modified entropy": "negative modified entropy (nats)",
    "LiRA online": "log-likelihood ratio Λ (nats)",
    "LiRA offline": "standard deviations above models without the image",
    "RMIA": "share of other images it beats",
    "population": "share of unseen images it beats",
}
_FIELD = {
    "auroc": "auroc",
    "tpr1": "tpr_1pct",
    "tpr01": "tpr_01pct",
    "accuracy": "balanced_accuracy",
}
_BY_DEFAULT = ("LiRA online", "true-class probability")


def axis(attack: str) -> str:
    """What an attack's scores are."""
    return _AXES.get(attack, "score")


def about(attack: str) -> str:
    """What an attack does; empty for one that the glossary doesn't know."""
    slug = _slug(attack)
    return plain(slug) if slug in TERMS else ""


def _slug(attack: str) -> str:
    return attack.lower().replace(" ", "-")


def _named(attack: str) -> str:
    """An attack's name as HTML, explained where the glossary knows it."""
    return html(_slug(attack), attack) if _slug(attack) in TERMS else escape(attack)


def default_attack(report: PrivacyReport) -> str:
    """The strongest of the attacks that could be computed."""
    able = (name for name in _BY_DEFAULT if "after" in report.figures.get(name, {}))
    return next(able, _BY_DEFAULT[-1])


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
        f"**{term('null-band')}:** models retrained without these images from "
        f"{len(found.seeds)} different seeds ({', '.join(map(str, found.seeds))}) give "
        f"{found.low:.1f} to {found.high:.1f} by themselves. A difference inside that band means "
        "nothing."
    )


def histograms_in_words(found: Mapping[str, ScoreHistogram]) -> str:
    """What the histograms show, for whoever can't see them."""
    parts = [
        f"{STATES[name]}, half of the images in question score above "
        f"{_signed(_median(found[name].edges, found[name].members))}, half of the unseen images "
        f"above {_signed(_median(found[name].edges, found[name].non_members))}"
        for name in MUNKEY_STATES
        if name in found
    ]
    return f"Histograms of the attacker's scores: {'; '.join(parts)}."


def roc_in_words(found: Mapping[str, AttackFigures]) -> str:
    """What the ROC curves show, for whoever can't see them."""
    parts = [
        f"{name}, {max((y for x, y in found[one].roc if x <= 1), default=0.0):.1f} %"
        for one, name in STATES.items()
        if one in found
    ]
    return (
        "ROC curves: images in question that the attacker finds with 1 % false alarms: "
        f"{'; '.join(parts)}; guessing finds 1 %."
    )


def _median(edges: Sequence[float], shares: Sequence[float]) -> float:
    """The middle of the bin up to which half of them lie."""
    seen, half = 0.0, sum(shares) / 2
    for left, right, share in zip(edges, edges[1:], shares, strict=False):
        seen += share
        if seen >= half:
            return (left + right) / 2
    return edges[-1]


def _signed(value: float) -> str:
    return f"{value:.2g}".replace("-", "−")


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
        rows.append(f'<tr{mark}><th scope="row">{_named(attack)}</th>{cells}</tr>')
    return (
        '<div class="mk mk-scroll"><table class="mk-table"><thead><tr><th scope="col">'
        f"{html(figure, properties.FIGURES[figure])}, percent</th>{head}</tr></thead>"
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
                reasons.setdefault(one.errors[_FIELD[figure]], {})[properties.FIGURES[figure]] = (
                    None
                )
    return [
        f"{', '.join(who)}"
        + (f" ({', '.join(models[why])})" if why in models else "")
        + f": {escaped(why)}."
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
    bounds = leak.image_mia_ci95
    shown = f"{bounds[0]:.1f}–{bounds[1]:.1f}" if bounds else "no interval: a single image"
    backbone = (
        f"**In the {term('shared-weights', 'shared weights')}**, which deletion leaves as they "
        f"are: with the memory left out, that attacker is right {leak.image_mia:.1f} times in 100 "
        f"({shown})"
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
        f"{term('reference-models', 'reference models')}: {k or 'none'}. Intervals: bootstrap over "
        "images, 95 %, 1,000 resamples. True-class probability, loss and population order images "
        "alike: they are one attack."
    )
