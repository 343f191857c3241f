"""The recipes that were tried on a bundle's images: accuracy against the trace in the weights."""

from html import escape, unescape

import streamlit as st

from app.components.frontier_chart import RecipeMark, accuracy_by_leak, off_scale
from app.shared.sections import draw, section
from app.words.figures import interval, number, took
from app.words.foreign import escaped
from app.words.glossary import term
from app.words.phrases import count
from app.words.theme import current_palette
from munkey_core.bundle.experiments import Experiments, RecipeTried

_SHIPPED, _PLAIN = "shipped", "plain"
_SETTINGS = {
    "p_mem": "empty memory slot, share of steps",
    "p_img": "empty image pathway, share of steps",
    "neighbour_rate": "a neighbour's token in the slot, share of steps",
    "anchor_batch": "public images a step",
    "anchor_weight": "weight of the public images",
    "epochs": "epochs",
    "batch_size": "private images a step",
    "learning_rate": "learning rate",
    "token_learning_rate": "learning rate of the tokens",
    "weight_decay": "weight decay",
    "warmup": "warm-up, share of steps",
    "dropout": "dropout",
    "token_dropout": "image tokens dropped, share",
    "layers": "layers",
    "dim": "token dimension",
    "heads": "attention heads",
    "mlp_ratio": "width of the perceptron over the token's",
}


def recipes_tried(experiments: Experiments | None) -> None:
    """Chart and table; nothing if nobody has tried other recipes on this bundle."""
    marks, plain = recipe_marks(experiments) if experiments is not None else ([], None)
    if experiments is None or not marks:
        return
    with st.container(key="recipes-tried"):
        section("Accuracy against trace: the recipes tried", "recipes")
        st.markdown(how_to_read(experiments))
        figure = accuracy_by_leak(marks, plain, current_palette())
        draw(figure, "accuracy-by-leak", recipes_in_words(marks))
        st.caption(_caption(experiments, marks, plain))
        with st.expander("The recipes as a table", key="recipes-table"):
            st.table(table_rows(experiments))
            st.caption(_table_caption(experiments))


def recipe_marks(experiments: Experiments) -> tuple[list[RecipeMark], RecipeMark | None]:
    """A mark for each recipe that was trained at all, and the plain transformer's."""
    marks, plain = [], None
    for recipe in experiments.recipes:
        if not recipe.trials:
            continue
        mark = RecipeMark(
            escape(recipe.name),
            recipe.leak,
            recipe.leak_ci95,
            recipe.before.test_accuracy,
            tuple((trial.leak, trial.before.test_accuracy) for trial in recipe.trials),
            recipe.kind == _SHIPPED,
            _hover(recipe),
        )
        if recipe.kind == _PLAIN:
            plain = mark
        else:
            marks.append(mark)
    return marks, plain


def how_to_read(experiments: Experiments) -> str:
    """What to read off, in one sentence."""
    trained = [recipe for recipe in experiments.recipes if recipe.trials]
    text = (
        "Higher is more accurate; further left leaves less in the weights that no deletion reaches"
    )
    own = next((recipe for recipe in trained if recipe.kind == _SHIPPED), None)
    others = [recipe for recipe in trained if recipe.kind not in (_SHIPPED, _PLAIN)]
    if own is None or not others:
        return f"{text}."
    ahead = [r for r in others if r.before.test_accuracy > own.before.test_accuracy]
    text += f": of {count(len(others), 'other recipe')}, "
    if not ahead:
        return text + "**none is more accurate than the shipped one.**"
    surely = sum(_apart(own, recipe) for recipe in ahead)
    who = "1 has" if len(ahead) == 1 else f"{len(ahead)} have"
    text += f"**{who} a higher test accuracy than the shipped one, "
    if not surely:
        return text + "but by the bars none of them can be said to leave more behind.**"
    these = "it" if len(ahead) == 1 else f"{surely} of these"
    return (
        f"{text}and {these} {'leaves' if surely == 1 else 'leave'} more behind, beyond the bars.**"
    )


def _apart(own: RecipeTried, other: RecipeTried) -> bool:
    """Whether another recipe leaves more behind than the shipped one, by intervals apart."""
    high, low = own.leak_ci95, other.leak_ci95
    return other.leak > own.leak and (high is None or low is None or high[1] < low[0])


def recipes_in_words(marks: list[RecipeMark]) -> str:
    """What the chart shows, for whoever can't see it."""
    order = sorted(marks, key=lambda mark: -mark.accuracy)
    shown = "; ".join(
        f"{unescape(mark.name)}{' (shipped)' if mark.shipped else ''} {mark.accuracy:.1f} %, leak "
        f"{number(mark.leak, mark.interval)}"
        for mark in order
    )
    return f"Test accuracy and backbone leak in points, the most accurate recipe first: {shown}."


def settings_words(recipe: RecipeTried) -> str:
    """What a recipe changes, for people: "dropout 0.1; layers 3"."""
    if recipe.kind == _SHIPPED:
        return "the bundle's own"
    if recipe.kind == _PLAIN:
        return "no memory"
    changes = {**recipe.train, **recipe.model}
    return "; ".join(f"{_SETTINGS.get(name, name)} {value:g}" for name, value in changes.items())


def table_rows(experiments: Experiments) -> dict[str, list[str]]:
    """Columns of the table, one entry a recipe; a recipe that failed says so."""
    rows = [
        {
            "Recipe": escaped(recipe.name),
            "What it changes": escaped(settings_words(recipe)),
            **_figures(recipe),
        }
        for recipe in experiments.recipes
    ]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _figures(recipe: RecipeTried) -> dict[str, str]:
    accuracy, alone, forgotten, attack, leak = "not trained", "–", "–", "–", "–"
    if recipe.trials:
        before, after = recipe.before, recipe.after
        accuracy, alone = f"{before.test_accuracy:.1f} %", f"{recipe.image_test:.1f} %"
        right = _turned(before.forget_accuracy, after.forget_accuracy if after else None)
        forgotten = f"{right} %"
        attack = _turned(before.mia_auc, after.mia_auc if after else None)
        leak = _leak(recipe)
    return {
        "Test accuracy": accuracy,
        "Image alone": alone,
        "Forgotten, before → after": forgotten,
        "MIA AUROC, before → after": attack,
        "Backbone leak": leak,
    }


def _turned(before: float, after: float | None) -> str:
    return f"{before:.1f}" if after is None else f"{before:.1f} → {after:.1f}"


def _leak(recipe: RecipeTried) -> str:
    bounds = recipe.leak_ci95
    inside = f" ({interval(bounds)})" if bounds else ""
    return f"{number(recipe.leak, bounds)}{inside}"


def _hover(recipe: RecipeTried) -> str:
    before, after = recipe.before, recipe.after
    lines = [f"<b>{escape(recipe.name)}</b>", escape(settings_words(recipe))]
    lines += [escape(recipe.why)] if recipe.why else []
    lines.append(
        f"test accuracy {before.test_accuracy:.1f} %, image alone {recipe.image_test:.1f} %"
    )
    lines.append(f"backbone leak {_leak(recipe)} points")
    if after is not None:
        turned = _turned(before.forget_accuracy, after.forget_accuracy)
        attack = _turned(before.mia_auc, after.mia_auc)
        lines.append(f"forget set {turned} %, MIA AUROC {attack}")
    lines.append(f"{count(len(recipe.trials), 'training')}, {took(recipe.seconds)} each")
    return "<br>".join(lines)


def _caption(experiments: Experiments, marks: list[RecipeMark], plain: RecipeMark | None) -> str:
    text = (
        f"Star: the shipped recipe. Bar: {term('interval')} over images. {term('backbone-leak')}: "
        f"on all {experiments.n_private:,} private against all {experiments.n_test:,} test images. "
        "Differences smaller than the bars mean nothing."
    )
    if len(experiments.seeds) > 1:
        text += f" Large: mean over {len(experiments.seeds)} seeds; small: each seed."
    else:
        text += " One seed: how far two trainings of one recipe differ is not known."
    if plain is not None:
        text += " Dashed: the plain transformer on the same images and labels"
        text += f", leak {plain.leak:+.1f}." if off_scale(marks, plain) else "."
    return text


def _table_caption(experiments: Experiments) -> str:
    failed = [recipe for recipe in experiments.recipes if recipe.failed]
    text = (
        f"Forgotten: {escaped(experiments.forget)}, "
        f"{count(experiments.n_forget, 'image')}, before and after their keys are deleted. Every "
        "model also learned from the labels of the same public images."
    )
    for recipe in failed:
        seed, reason = next(iter(recipe.failed.items()))
        text += f" {escaped(recipe.name)}, seed {escaped(seed)}: {escaped(reason)}."
    return text
