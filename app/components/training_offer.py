"""What a training would be made of, as plain HTML: images by class, their parts, what is left out,
and the stages of the work. Everything foreign in it is escaped here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_MOST_FILES = 200

# What becomes of the images: class of the style sheet → parts of a TrainingOffer, words.
_PARTS = (
    ("retain", ("private",), "get a key: the memory, in which each can be forgotten"),
    (
        "shared",
        ("encoder", "anchor", "calibration", "validation"),
        "teach what all images share (public part): never in the memory, can’t be forgotten",
    ),
    ("test", ("test",), "test the model, which never learns from them"),
    ("unused", ("unused",), "are not used"),
)


def class_bars(classes: Sequence[tuple[str, int]]) -> str:
    """A bar a class, in the order of the labels. classes: name and number of images."""
    most = max((n for _, n in classes), default=1) or 1
    rows = "".join(
        f'<span class="mk-own-name">{escape(name)}</span>'
        f'<span class="mk-own-track"><i style="width:{100 * n / most:.1f}%"></i></span>'
        f"<b>{n:,}</b>"
        for name, n in classes
    )
    return f'<div class="mk mk-own-classes" tabindex="0">{rows}</div>'


def parts_bar(parts: Mapping[str, int]) -> str:
    """One bar of all images, by what becomes of them, and what that means."""
    groups = [(kind, sum(parts.get(p, 0) for p in names), text) for kind, names, text in _PARTS]
    groups = [(kind, n, text) for kind, n, text in groups if n]
    bar = "".join(f'<i class="mk-own-{kind}" style="flex-grow:{n}"></i>' for kind, n, _ in groups)
    items = "".join(
        f'<li class="mk-own-{kind}"><b>{n:,}</b> {escape(text)}</li>' for kind, n, text in groups
    )
    key = f'<ul class="mk-own-key">{items}</ul>'
    return f'<div class="mk"><div class="mk-own-parts">{bar}</div>{key}</div>'


def left_out(skipped: Sequence[tuple[str, str]]) -> str:
    """A table of files that are left out, with the reason of each."""
    rows = "".join(
        f"<tr><th>{escape(file)}</th><td>{escape(reason)}</td></tr>"
        for file, reason in skipped[:_MOST_FILES]
    )
    more = len(skipped) - _MOST_FILES
    rest = f'<div class="mk-small">and {more:,} more</div>' if more > 0 else ""
    return (
        '<div class="mk mk-own-files" tabindex="0"><table class="mk-table"><thead><tr>'
        f"<th>File</th><th>Why</th></tr></thead><tbody>{rows}</tbody></table>{rest}</div>"
    )


@dataclass(frozen=True)
class Step:
    """A stage of the work. state: "done", "now" or "to come"; note: beside its name."""

    name: str
    state: str
    note: str = ""


_SIGNS = {"done": "✓", "now": "▸", "to come": "○"}


def steps(stages: Sequence[Step]) -> str:
    """The stages in their order, with a sign for each one's state."""
    items = "".join(
        f'<li class="mk-own-{step.state.replace(" ", "-")}"><i aria-hidden="true">'
        f"{_SIGNS[step.state]}</i><span>{escape(step.name)}"
        f"<small>{escape(step.note)}</small></span></li>"
        for step in stages
    )
    return f'<ol class="mk mk-own-steps">{items}</ol>'
