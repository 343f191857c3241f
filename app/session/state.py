"""What a screen depends on: one table of properties, kept in the session and in the URL.

The URL is read when a session starts (and when somebody goes back, or edits it by hand), and
written after each event; opening it elsewhere shows the same screen. Keys deleted in the session
are no property: the session's Studio holds them, and `forgotten` is only their form in the URL.

Widgets have keys of their own, because Streamlit drops the state of widgets that a page doesn't
draw; :func:`widget` ties one to its property.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.components.address import correct_address
from app.session.long_links import UnknownDigestError, shorten, spell_out
from munkey_core.files import limits

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
# What a read-only demonstration leaves out; the library refuses it, too.
_NOT_IN_A_DEMO = ("own", "jobs")
LARGE_PRINT = 1.3  # times the normal size: legible from the last row
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

# Keys of the session's state that belong to no property. They stand here together, so that no
# two parts of the app use one name for two things.
GALLERY = "images"  # the training images' gallery, whose clicks go into the basket
EXPOSED = "munkey-exposed"  # the gallery of the most exposed images; its clicks do so too
SUBJECT = "munkey-privacy-subject"  # whose privacy the page shows: a value of the property "of"
SESSION = "munkey-session"  # services.Session
PAGES = "munkey-pages"  # name → the page that Streamlit knows
ADD_OWNER = "munkey-add-owner"  # the sidebar's chooser, emptied on each run
RESULT_PAGE = "munkey-result-page:"  # + list and generation → page
OWN_EARLIER = "munkey-own-earlier"  # picture → (generation, probabilities), the newest two
OWN_PICTURE = "munkey-own-picture"  # (bundle's digest, uint8 (1, H, W[, 3])) of the newest upload
PICTURES_SEEN = "munkey-pictures-seen"  # digest of the bundle whose missing pictures were told of
OWN_CHOSEN = "munkey-own-chosen"  # whether Explain is about that picture while "query" is empty
MAP = "munkey-map"  # the memory map, whose clicks and lassos go into the basket
MAP_CLICKED = "munkey-map-clicked"  # the id of the point clicked last
MAP_FIND = "munkey-map-find"  # the field for a query
EXPLAIN_CHOICE = "munkey-explain-choice"  # Explain's galleries: whose click chooses the image
EXPLAIN_CHANGED = "munkey-explain-changed"
EXPLAIN_FIND = "munkey-explain-find"  # the field for an id
EXPLAIN_FILE = "munkey-explain-file"
OWN_SOURCE = "munkey-own-source"  # the chooser of images to train on
OWN_UPLOAD = "munkey-own-upload"  # (file's id, file's name, Background) of the newest archive
OWN_UPLOADS = "munkey-own-uploads"  # how many archives were taken; a new uploader for each
OWN_OFFER = "munkey-own-offer"  # (source, Background) of what is known about the chosen images
OWN_NAME = "munkey-own-name"  # the field for the new model's name
OWN_NAMED = "munkey-own-named"  # (source, name) that a person gave
LESSON_GUESSES = "munkey-lesson-guesses"  # (lesson's digest, step) → what the person answered
LESSON_REACHED = "munkey-lesson-reached"  # lesson's id → the last step that was seen
LESSON_TURN = "munkey-lesson-turn"  # whether the next run takes its screen from the lesson
LESSON_UNGUESSED = "munkey-lesson-unguessed"  # whether somebody went on without an answer
LESSON_FINISHED = "munkey-lesson-finished"  # id of the lesson that was just played to its end
CAME_FROM = "munkey-came-from"  # the page a link for a class is about, when there is no lesson
ERASING = "munkey-erasing"  # what this session erases and has erased
ERASE_WRONG = "munkey-erase-wrong"  # what was typed instead of the count
DESK_OWNER = "munkey-desk-owner"  # the Request desk's chooser of an owner
DESK_IDS = "munkey-desk-ids"  # its field for ids
DESK_CSV = "munkey-desk-csv"  # its uploader of a CSV file; + how many were taken
DESK_COUNT = "munkey-desk-count"  # the count that confirms
DESK_REFERENCE = "munkey-desk-reference"
DESK_NEAR = "munkey-desk-near"  # the gallery of near-copies, whose click adds one to the request
DESK_RECEIPT = "munkey-desk-receipt"  # the chooser of an earlier receipt
DESK_LEDGER = "munkey-desk-ledger"  # page of the ledger
REFUSED = "munkey-refused:"  # + a field's key → why it was not followed
WORKING = "munkey-working:"  # + a part of a page → its newest background.Background

_PREFIX = "munkey:"
_WIDGET = "munkey-widget:"
_WRITTEN = "munkey-url:written"  # the query this session wrote last, and when
_RECENT = "munkey-url:recent"
_READ = "munkey-url:read"  # whether this run took its state from the URL
_PAGE = "munkey-url:page"
_TOUCHED = "munkey-url:touched"
_TURNED = "munkey-url:turned"  # whether this run came to another page than the last one
_BARE = "munkey-url:bare"  # there until the browser has put the query behind the page's address
_GIVEN = "munkey-url:given"  # names of the properties that the URL said
_START = "munkey-url:start"  # property → what it is where the URL doesn't say it
_LESSON_HIDES = "munkey-url:lesson-hides"
_MESSAGES = "munkey-messages"
_ABOUT = "munkey-messages-about"
_ABOUT_LINK = "This link was not followed to the letter."
# A click made before the browser has shown the newest URL still brings an older one along.
_LATE_SECONDS = 3.0
_FOREIGN = re.compile(r"embed(_options)?|utm_\w+|fbclid|gclid")


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
        if len(raw) > limit or not raw.isprintable():
            raise BadValueError(f"at most {limit} printable characters")
        return raw

    return parse


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
    Property("owner", "", _text(100)),
    Property("find", "", _text(100)),
    Property("n", 10, _integer(1, MAX_DRAW)),
    Property("seed", 0, _integer(0, 2**31 - 1)),
    Property("page", 1, _integer(1, 100_000)),
    Property("of", "", _text(40)),
    Property("attack", "", _text(40)),
    Property("figure", "auroc", _choice(FIGURES)),
    Property("query", "", _text(100)),
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
    Property("asks", "", _text(200)),
    Property("receipt", 0, _integer(0, 2**31 - 1)),
    Property("request", (), _ids, " ".join),
    Property("basket", (), _ids, " ".join),
    Property("forgotten", (), _groups, _dump_groups),
)
_BY_NAME = {prop.name: prop for prop in PROPERTIES}
_LONG = ("forgotten", "basket", "request")


# -- values ------------------------------------------------------------------------------------


def get(name: str) -> Any:
    """The value of a property; its default before the URL was read."""
    prop = _BY_NAME[name]
    return st.session_state.get(_PREFIX + name, prop.default)


def hidden(control: str) -> bool:
    """Whether the link, the lesson or a demonstration hides a group of controls (of CONTROLS)."""
    if control not in CONTROLS:
        raise KeyError(control)
    return (
        control in get("hide")
        or control in st.session_state.get(_LESSON_HIDES, ())
        or (demo() and control in _NOT_IN_A_DEMO)
    )


def demo() -> bool:
    """Whether this server is a read-only demonstration: nothing is erased, taken in or trained."""
    return limits.demo()


def print_scale() -> float:
    """How many times their normal size text and pictures have."""
    return LARGE_PRINT if get("large") else 1.0


def scaled(pixels: int) -> int:
    """A length on the screen, in the print that this person wants."""
    return round(pixels * print_scale())


def default(name: str) -> Any:
    return _BY_NAME[name].default


def put(name: str, value: Any) -> None:
    """Set a property, as code that handles no event of a person does."""
    st.session_state[_PREFIX + _BY_NAME[name].name] = value


def change(name: str, value: Any) -> None:
    """Set a property because a person asked for it: the URL follows, old messages go."""
    put(name, value)
    touch()


def parse(name: str, text: str) -> Any:
    """A property's value from a URL's text; an empty text is its default. Raises BadValueError or
    UnknownDigestError."""
    prop = _BY_NAME[name]
    return prop.parse(text) if text else prop.default


def dump(name: str, value: Any) -> str:
    """A property's value as a URL's text, the inverse of :func:`parse`."""
    return _BY_NAME[name].dump(value)


def start_from(values: Mapping[str, Any], hides: Sequence[str] = ()) -> None:
    """Let a lesson's step stand for these properties, so that the URL says only what differs, and
    hide these groups of controls beside those of the link."""
    st.session_state[_START] = dict(values)
    st.session_state[_LESSON_HIDES] = tuple(hides)


def page() -> str:
    """The path of the page that this run draws; empty for the first one."""
    path: str = st.session_state.get(_PAGE, "")
    return path


def given() -> frozenset[str]:
    """Names of the properties that the URL said when it was read last."""
    return frozenset(st.session_state.get(_GIVEN, ()))


def touch() -> None:
    """Note that a person did something in this run, so the URL follows the state."""
    st.session_state[_TOUCHED] = True
    clear_messages()


def widget(name: str, then: Callable[[], None] | None = None, shown: Any = None) -> dict[str, Any]:
    """Arguments that tie a widget to a property: ``st.text_input("Id", **widget("find"))``.

    then: called after a person has changed it. shown: what it shows where that isn't the value.
    """
    key = _WIDGET + name
    value = get(name) if shown is None else shown
    st.session_state[key] = list(value) if isinstance(value, tuple) else value

    def pull() -> None:
        new = st.session_state[key]
        default = _BY_NAME[name].default
        if new is None:
            new = default
        change(name, tuple(new) if isinstance(default, tuple) else new)
        if then is not None:
            then()

    return {"key": key, "on_change": pull}


def choice(
    name: str, words: Mapping[str, str], then: Callable[[], None] | None = None, shown: Any = None
) -> dict[str, Any]:
    """Arguments of a widget that offers some values of a property. words: what a person reads for
    each of them. then, shown: as in :func:`widget`."""
    # What was chosen before, and isn't offered here, has no words.
    offered = {"options": list(words), "format_func": lambda value: words.get(value, value)}
    return offered | widget(name, then, shown)


# -- messages ----------------------------------------------------------------------------------


def say(message: str) -> None:
    """Add a line to the one message about the link, shown until the person's next step."""
    said = st.session_state.setdefault(_MESSAGES, [])
    if message not in said:
        said.append(message)


def clear_messages(about: str = _ABOUT_LINK) -> None:
    """Forget what was said. about: the line over what will be said next."""
    st.session_state[_MESSAGES] = []
    st.session_state[_ABOUT] = about


def about_messages() -> str:
    """What the messages are about, in a sentence."""
    return str(st.session_state.get(_ABOUT, _ABOUT_LINK))


def messages() -> tuple[str, ...]:
    return tuple(st.session_state.get(_MESSAGES, ()))


# -- the URL -----------------------------------------------------------------------------------


def url_is_news(page: str) -> bool:
    """Whether the URL holds a state that this session doesn't have: at its start, or when a
    person went back or edited the address.

    Call it once a run, before anything else changes the state. page: the page's path.
    """
    session = st.session_state
    current = st.query_params.to_dict()
    turned = session.get(_PAGE, page) != page
    touched = bool(session.pop(_TOUCHED, False))
    session[_PAGE] = page
    session[_TURNED] = turned and _WRITTEN in session
    if _WRITTEN not in session:
        return True
    written, when = session[_WRITTEN]
    if current == written:
        session.pop(_BARE, None)
        return False
    if touched or (not current and not turned and _BARE in session):
        return False
    if turned:
        # Streamlit's menu leaves the query out; a step back to another page brings its own along.
        return bool(current)
    late = time.monotonic() - when < _LATE_SECONDS and current in session.get(_RECENT, [])
    return not late


def read_url() -> None:
    """Take every property from the URL; what is wrong gets a message and the default."""
    clear_messages()
    st.session_state[_READ] = True
    params = st.query_params.to_dict()
    st.session_state[_GIVEN] = frozenset(params)
    for prop in PROPERTIES:
        put(prop.name, _read(prop, params.pop(prop.name, None)))
    unknown = [name for name in params if not _FOREIGN.fullmatch(name)]
    if unknown:
        say(f"unknown part {quoted(unknown[0])}: ignored.")
    if not get("bundle"):
        put("bundle", default_bundle())


def _read(prop: Property, raw: str | None) -> Any:
    if raw is None:
        return prop.default
    try:
        return parse(prop.name, raw)
    except BadValueError as error:
        reject(prop.name, raw, str(error))
    except UnknownDigestError:
        say(
            f"{prop.name}: the link stands for a long list of images that this server no longer "
            "holds. The list is left out; ask for a new link."
        )
    return prop.default


def reject(name: str, got: str, wanted: str) -> None:
    """Put a property back to its default and say so."""
    value = default_bundle() if name == "bundle" else default(name)
    put(name, value)
    nothing = value in ("", (), PREDICTED)
    instead = "left out" if nothing else f"using {plain(str(value))}"
    say(f"{name} must be {wanted}, got {quoted(got)}: {instead}.")


def quoted(text: str) -> str:
    """A foreign text in quotation marks, shortened, as Markdown."""
    return "“" + plain(text if len(text) <= 40 else text[:40] + "…") + "”"


def plain(text: str) -> str:
    """A foreign text as Markdown that shows it as it is: no link, no image, no formatting."""
    visible = "".join(c if c.isprintable() else "·" for c in text)
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", visible)


def query_of(values: Mapping[str, Any], start: Mapping[str, Any]) -> dict[str, str]:
    """The URL's query for a screen. start: what a property is where the URL doesn't say it, for
    those that don't start from their default."""
    query = {
        prop.name: prop.dump(values[prop.name])
        for prop in PROPERTIES
        if values.get(prop.name, prop.default) != start.get(prop.name, prop.default)
    }
    if len(query) == 1 and query.get("bundle") == default_bundle():
        query = {}
    return shorten(query, _LONG)


def write_url(forgotten: Groups) -> None:
    """Make the URL say what the screen shows. forgotten: the session's standing deletions."""
    session = st.session_state
    values = {prop.name: get(prop.name) for prop in PROPERTIES} | {"forgotten": forgotten}
    query = query_of(values, session.get(_START, {}))
    behind = st.query_params.to_dict() != query
    turned = session.pop(_TURNED, False)
    if behind and turned:
        correct_address(session[_PAGE], urlencode(query))
        session[_BARE] = True
    elif behind:
        st.query_params.from_dict(query)
    # The browser shows what was just read from it, so no older URL is under way: somebody who
    # goes back twice in a row means it.
    exact = session.pop(_READ, False) and not behind
    if session.get(_WRITTEN, ({}, 0.0))[0] != query or _WRITTEN not in session:
        session[_RECENT] = [*session.get(_RECENT, [])[-20:], session.get(_WRITTEN, ({}, 0))[0]]
        session[_WRITTEN] = (query, -math.inf if exact else time.monotonic())
