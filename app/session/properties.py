"""What a screen depends on: one table of properties, each with its default and its form in the URL.

Keys deleted in the session are no property: the session's Studio holds them, and `forgotten` is
only their form in the URL.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app.session.long_links import spell_out
from munkey_core.data.base import MAX_ID
from munkey_core.files import limits
from munkey_core.files.names import tidied
from munkey_core.files.untrusted import MAX_NAME, is_name

Groups = tuple[tuple[str, ...], ...]
MAX_DRAW = 5_000
FIGURES = {
    "auroc": "AUROC",
    "tpr1": "TPR at 1 % FPR",
    "tpr01": "TPR at 0.1 % FPR",
    "accuracy": "Balanced accuracy",
}
FAMILIES = ("by-design", "post-hoc", "oracle", "original")
SORTS = ("name", "gap", "seconds", "test", "retain", "forget", "attack", "same", "kl", "quality")
MODES = {"joint": "Joint", "exact": "Exact"}
SPACES = {"keys": "Keys", "tokens": "Exemplar tokens"}
LAYOUTS = {"umap": "UMAP", "pca": "PCA"}
COLOURS = {
    "class": "Class",
    "owner": "Owner",
    "memorisation": "Memorisation",
    "exposure": "Exposure to the attack",
    "influence": "Influence on test images",
    "deleted": "Deleted or kept",
}
WHEN = {"before": "Before deletion", "after": "After deletion"}
PIXEL_METHODS = {
    "ig": "Integrated gradients",
    "saliency": "Saliency",
    "gradientshap": "GradientShap",
    "occlusion": "Occlusion",
    "rollout": "Attention rollout",
}
# Groups of controls that a link can hide, so that a class sees only what its lesson is about.
CONTROLS = {
    "menu": "the menu of pages",
    "filters": "filters and draws",
    "pick": "choosing images, for the basket or to look at",
    "own": "own images: the upload of one, and the training on many",
    "delete": "deleting keys",
    "erase": "erasing for good",
    "history": "undo and the list of deletions",
    "jobs": "retraining and comparing",
    "settings": "choices of charts, attacks and methods",
}
PREDICTED = -1  # value of "target": the class that the model answers
WHO = {
    "owner": "An owner",
    "ids": "Ids",
    "csv": "A CSV file",
    "basket": "My basket",
    "forgotten": "Deleted in this session",
}
SHOW = {
    "memorised": "Most memorised first",
    "exposed": "Most exposed to the attack first",
    "id": "In order of id",
    "random": "A random draw",
    "influential": "Most influential on test images first",
    "twins": "Images that have a near-copy",
    "near": "Near-copies of my selection",
    "selection": "Only my selection",
    "gone": "Only what I deleted",
}


class BadValueError(ValueError):
    """A value in the URL is not what is wanted; the text says what is."""


@dataclass(frozen=True)
class Property:
    """One thing the screen depends on. parse raises BadValueError; dump is its inverse."""

    name: str
    default: Any
    parse: Callable[[str], Any]
    dump: Callable[[Any], str] = str


def default_bundle() -> str:
    """The name of the bundle shown when a link names none ($MUNKEY_BUNDLE: a name or a path)."""
    named = os.environ.get("MUNKEY_BUNDLE", "").strip()
    return Path(named).name if named else "fashion"


def _text(limit: int) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if not is_name(raw, limit):
            raise BadValueError(f"at most {limit} printable characters")
        return raw

    return parse


def _owner(raw: str) -> str:
    """A name in the one form of owners. What is blank or unseen in it doesn't count as long."""
    name = tidied(raw)
    if not is_name(raw, 2 * MAX_NAME) or not is_name(name):
        raise BadValueError(f"a name of one line and at most {MAX_NAME} characters")
    return name


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", raw) or not low <= int(raw) <= high:
            raise BadValueError(f"a whole number from {low:,} to {high:,}")
        return int(raw)

    return parse


def _choice(options: Mapping[str, str]) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw not in options:
            raise BadValueError("one of " + ", ".join(options))
        return raw

    return parse


def _some(options: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def parse(raw: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(raw.split()))
        if not set(names) <= set(options):
            raise BadValueError("some of " + ", ".join(options) + ", separated by +")
        return names

    return parse


def _order(raw: str) -> str:
    if raw.removeprefix("-") not in SORTS:
        raise BadValueError(
            "one of " + ", ".join(SORTS) + ", with - before it for the largest first"
        )
    return raw


def _numbers(raw: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d{1,4}( \d{1,4})*", raw):
        raise BadValueError("numbers separated by +")
    return tuple(dict.fromkeys(int(part) for part in raw.split()))


def _model(raw: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", raw):
        raise BadValueError("the name of a model: at most 40 letters, digits, - and _")
    return raw


def _lesson(raw: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", raw):
        raise BadValueError("the name of a lesson: at most 40 small letters, digits and -")
    return raw


def _ids(raw: str) -> tuple[str, ...]:
    return _not_too_many(tuple(dict.fromkeys(spell_out(raw).replace(",", " ").split())))


def _not_too_many(ids: tuple[str, ...]) -> tuple[str, ...]:
    if len(ids) > limits.limits().ids:
        raise BadValueError(limits.at_most("ids", "ids"))
    return ids


def _dump_request(ids: Sequence[str]) -> str:
    """A request may name what is no id: in a link, nothing in it may look like the end of one."""
    return " ".join(re.sub(r"\A@|[\s,]", lambda mark: quote(mark.group()), id_) for id_ in ids)


def _flag(raw: str) -> bool:
    if raw not in ("0", "1"):
        raise BadValueError("0 or 1")
    return raw == "1"


def _groups(raw: str) -> Groups:
    """Deletions are separated by commas, the ids of one by spaces, which a URL writes as +."""
    _not_too_many(tuple(spell_out(raw).replace(",", " ").split()))
    groups = [tuple(dict.fromkeys(part.split())) for part in spell_out(raw).split(",")]
    return tuple(group for group in groups if group)


def _dump_groups(groups: Groups) -> str:
    return ",".join(" ".join(group) for group in groups)


PROPERTIES = (
    Property("bundle", "", _text(100)),
    Property("mode", "", _choice(MODES)),
    Property("show", "memorised", _choice(SHOW)),
    Property("class", (), _numbers, lambda value: " ".join(map(str, value))),
    Property("owner", "", _owner),
    Property("find", "", _text(MAX_ID)),
    Property("n", 10, _integer(1, MAX_DRAW)),
    Property("seed", 0, _integer(0, 2**31 - 1)),
    Property("page", 1, _integer(1, 100_000)),
    Property("of", "", _text(40)),
    Property("attack", "", _text(40)),
    Property("figure", "auroc", _choice(FIGURES)),
    Property("query", "", _text(MAX_ID)),
    Property("space", "keys", _choice(SPACES)),
    Property("layout", "umap", _choice(LAYOUTS)),
    Property("colour", "class", _choice(COLOURS)),
    Property("off", (), _numbers, lambda value: " ".join(map(str, value))),
    Property("when", "after", _choice(WHEN)),
    Property("method", "ig", _choice(PIXEL_METHODS)),
    Property("target", PREDICTED, _integer(0, 9_999)),
    Property("opacity", 60, _integer(0, 100)),
    Property("hide", (), _some(tuple(CONTROLS)), " ".join),
    Property("lesson", "", _lesson),
    Property("step", 1, _integer(1, 100)),
    Property("sort", "gap", _order),
    Property("family", (), _some(FAMILIES), " ".join),
    Property("large", False, _flag, lambda value: str(int(value))),
    Property("data", "", _text(200)),
    Property("training", "", _model),
    Property("who", "", _choice(WHO)),
    Property("asks", "", _owner),
    Property("receipt", 0, _integer(0, 2**31 - 1)),
    Property("request", (), _ids, _dump_request),
    Property("basket", (), _ids, " ".join),
    Property("forgotten", (), _groups, _dump_groups),
)
BY_NAME = {prop.name: prop for prop in PROPERTIES}


def default(name: str) -> Any:
    return BY_NAME[name].default


def parse(name: str, text: str) -> Any:
    """A property's value from a URL's text; an empty text is its default. Raises BadValueError or
    UnknownDigestError."""
    prop = BY_NAME[name]
    return prop.parse(text) if text else prop.default


def dump(name: str, value: Any) -> str:
    """A property's value as a URL's text, the inverse of :func:`parse`."""
    return BY_NAME[name].dump(value)
