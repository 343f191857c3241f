"""From a lesson's file to a Lesson: every name, property and image rule is checked on the way.

What can be known without a model is checked here; ids, owners and classes when a bundle is at
hand (images.py).
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from app.lessons.lesson import (
    CHOICE,
    KINDS,
    NUMBER,
    PAGES,
    YES_NO,
    Images,
    Lesson,
    LessonError,
    Option,
    Question,
    Screen,
    Step,
    Value,
)
from app.lessons.measures import MEASURES, Argument
from app.lessons.nodes import Node, Part, Parts, compose
from app.session import properties
from app.session.long_links import UnknownDigestError

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9-]*)\}")
_REFERENCE = re.compile(r"\$([a-z][a-z0-9-]*)")
# A step says these in its own way, or the person who shares the link does.
_NOT_ON_SCREEN = ("bundle", "lesson", "step", "hide", "seed", "data", "training")
_PROPERTIES = [prop.name for prop in properties.PROPERTIES if prop.name not in _NOT_ON_SCREEN]
_MOST_STEPS = 40
_RULES = ("ids", "most", "near", "owner", "set", "random", "test")
_SCORES = ("memorised", "exposed", "influential")
_COMMIT = "That is my guess"


def read_lesson(path: Path, own: bool = False) -> Lesson:
    """A lesson from its file. Raises LessonError for anything that is wrong with it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LessonError(path.name, 1, f"can't be read: {error.strerror}") from None
    return parse_lesson(data, path.name, own)


def parse_lesson(data: bytes, file: str, own: bool = False) -> Lesson:
    """A lesson from the bytes of its file, called `file` in messages. Raises LessonError."""
    parts = compose(data, file).mapping(
        "the lesson",
        ("id", "title", "minutes", "bundle", "summary", "hide", "images", "values", "steps"),
        ("id", "title", "minutes", "bundle", "summary", "steps"),
    )
    id_ = _name(parts["id"], "id")
    images = _images(parts)
    values = _values(parts, images)
    hide = _hide(parts["hide"]) if "hide" in parts else ()
    steps = _steps(parts["steps"], images, values, hide)
    return Lesson(
        id=id_,
        title=parts["title"].text("title", 80),
        minutes=parts["minutes"].whole("minutes", 1, 240),
        bundle=parts["bundle"].text("bundle", 100),
        summary=parts["summary"].text("summary", 400),
        images=images,
        values=values,
        steps=steps,
        file=file,
        digest=hashlib.sha256(data).hexdigest(),
        own=own,
        modes=_modes(values, steps),
    )


def placeholders(text: str) -> tuple[str, ...]:
    """Names of the values that a text shows."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))


def fill(text: str, words: Mapping[str, str]) -> str:
    """The text with words in the place of its values' names; unknown names stay."""
    return _PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]), text)


def refer(text: str, ids: Mapping[str, tuple[str, ...]]) -> str:
    """A property's text with the ids of images in the place of $name."""
    return _REFERENCE.sub(lambda found: " ".join(ids[found[1]]), text)


# -- parts ---------------------------------------------------------------------------------------


def _name(node: Node, what: str) -> str:
    text = node.text(what, 100)
    if not _NAME.fullmatch(text):
        node.fail(f"{what} must be at most 40 small letters, digits and -, got “{text}”")
    return text


def _named(part: Part, name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        part.key_fail(f"a name of {what} must be at most 40 small letters, digits and -")


def _images(parts: Parts) -> dict[str, Images]:
    found: dict[str, Images] = {}
    if "images" not in parts:
        return found
    for name, part in parts["images"].named("images").items():
        _named(part, name, "images")
        what = f"images “{name}”"
        rule_parts = part.mapping(what, (*_RULES, "class", "count", "skip"), ())
        rules = [rule for rule in _RULES if rule in rule_parts]
        if len(rules) != 1:
            part.fail(f"{what} must have exactly one of {', '.join(_RULES)}")
        [rule] = rules
        of = rule_parts[rule].text(rule, 20_000)
        if rule == "most" and of not in _SCORES:
            rule_parts[rule].fail(f"most must be one of {', '.join(_SCORES)}, got “{of}”")
        if rule == "near" and of not in found:
            rule_parts[rule].fail(f"near must name images that come before, got “{of}”")
        count = rule_parts["count"].whole("count", 1, 1_000) if "count" in rule_parts else 1
        if rule in ("random", "test"):
            count = rule_parts[rule].whole(rule, 1, 1_000)
        skip = rule_parts["skip"].whole("skip", 0, 1_000) if "skip" in rule_parts else 0
        label = rule_parts.text("class", "class", 100)
        found[name] = Images(name, rule, of, label, count, skip, part.line)
    return found


def _values(parts: Parts, images: Mapping[str, Images]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if "values" not in parts:
        return found
    for name, part in parts["values"].named("values").items():
        _named(part, name, "values")
        named = part.named(f"value “{name}”")
        if "what" not in named:
            part.fail(f"value “{name}” needs “what”: one of {', '.join(MEASURES)}")
        what = named["what"].choice("what", MEASURES)
        wanted = MEASURES[what].arguments
        needed = [key for key, argument in wanted.items() if argument.needed]
        given = part.mapping(f"the value “{name}” ({what})", ("what", *wanted), needed)
        arguments = {
            key: _argument(given[key], key, wanted[key], images) for key in wanted if key in given
        }
        found[name] = Value(name, what, arguments, part.line)
    return found


def _argument(part: Part, key: str, wanted: Argument, images: Mapping[str, Images]) -> str:
    text = part.text(key, 400)
    if wanted.images:
        for name in text.split():
            if name not in images:
                part.fail(f"{key} names images “{name}”, which “images” doesn't have")
    elif wanted.options and text not in wanted.options:
        part.fail(f"{key} must be one of {', '.join(wanted.options)}, got “{text}”")
    return text


def _hide(node: Node) -> tuple[str, ...]:
    names = [item.choice("hide", properties.CONTROLS) for item in node.items("hide")]
    return tuple(dict.fromkeys(names))


# -- steps ---------------------------------------------------------------------------------------


def _steps(
    node: Node, images: Mapping[str, Images], values: Mapping[str, Value], hide: tuple[str, ...]
) -> tuple[Step, ...]:
    """Each step goes on from the screen that the one before leaves."""
    steps: list[Step] = []
    screen = Screen("", {}, hide)
    for item in node.items("steps"):
        step = _step(item, screen, images, values, hide)
        steps.append(step)
        screen = step.after
    if not 1 <= len(steps) <= _MOST_STEPS:
        node.fail(f"a lesson has from 1 to {_MOST_STEPS} steps, got {len(steps)}")
    return tuple(steps)


def _step(
    node: Node,
    screen: Screen,
    images: Mapping[str, Images],
    values: Mapping[str, Value],
    hide: tuple[str, ...],
) -> Step:
    parts = node.mapping(
        "a step",
        ("title", "text", "page", "screen", "hide", "question", "reveal", "try"),
        ("title", "text"),
    )
    before = _screen(parts, Screen(screen.page, screen.properties, hide), images)
    if not before.page:
        node.fail("the first step needs “page”")
    question = _question(parts["question"], values) if "question" in parts else None
    after, reveal = before, ""
    if "reveal" in parts:
        if question is None:
            parts["reveal"].fail("“reveal” needs a “question” before it")
        revealed = parts["reveal"].mapping("reveal", ("text", "page", "screen", "hide"), ("text",))
        reveal = _markdown(revealed["text"], "text", values)
        after = _screen(revealed, before, images)
    elif question is not None:
        parts["question"].fail("a question needs a “reveal” after it")
    return Step(
        title=parts["title"].text("title", 80),
        text=_markdown(parts["text"], "text", values),
        before=before,
        after=after,
        question=question,
        reveal=reveal,
        attempt=_markdown(parts["try"], "try", values) if "try" in parts else "",
        line=node.line,
    )


def _screen(parts: Parts, earlier: Screen, images: Mapping[str, Images]) -> Screen:
    page = parts["page"].choice("page", PAGES) if "page" in parts else earlier.page
    hide = _hide(parts["hide"]) if "hide" in parts else earlier.hide
    properties = dict(earlier.properties)
    if "screen" in parts:
        for name, part in parts["screen"].mapping("screen", _PROPERTIES, ()).items():
            properties[name] = _property(part, name, images)
    return Screen(page, {name: text for name, text in properties.items() if text}, hide)


def _property(part: Part, name: str, images: Mapping[str, Images]) -> str:
    """A property as a URL has it; empty for its default."""
    text = part.text(name, 20_000, empty=True)
    references = _REFERENCE.findall(text)
    for reference in references:
        if reference not in images:
            part.fail(f"{name} names images “${reference}”, which “images” doesn't have")
    if text and not references:
        try:
            properties.parse(name, text)
        except (properties.BadValueError, UnknownDigestError) as error:
            part.fail(f"{name} must be {error}, got “{text[:40]}”")
    return text


def _markdown(node: Node, what: str, values: Mapping[str, Value]) -> str:
    text = node.text(what)
    for found in _PLACEHOLDER.finditer(text):
        if found[1] not in values:
            line = node.line_of(found.start())
            node.fail(f"“{{{found[1]}}}” is shown, which “values” doesn't have", line)
    return text


def _question(node: Node, values: Mapping[str, Value]) -> Question:
    parts = node.mapping(
        "a question",
        ("ask", "kind", "truth", "commit", "options", "from", "to", "within"),
        ("ask", "kind", "truth"),
    )
    kind = parts["kind"].choice("kind", KINDS)
    truth = parts["truth"].text("truth", 100)
    if truth not in values:
        parts["truth"].fail(f"truth is “{truth}”, which “values” doesn't have")
    gives = MEASURES[values[truth].what].gives
    wanted = {"class": ("class",), YES_NO: (YES_NO,), NUMBER: (NUMBER, "percent")}.get(kind)
    if wanted and gives not in wanted:
        parts["truth"].fail(f"a question of kind {kind} can't have the truth “{truth}”: a {gives}")
    if (kind == CHOICE) != ("options" in parts):
        node.fail("“options” belong to a question of kind choice, which needs them")
    for name in ("from", "to", "within"):
        if name in parts and kind != NUMBER:
            parts[name].key_fail(f"“{name}” belongs to a question of kind number")
    low = parts["from"].number("from", -1e6, 1e6) if "from" in parts else 0.0
    high = parts["to"].number("to", -1e6, 1e6) if "to" in parts else 100.0
    if low >= high:
        node.fail(f"“from” must be smaller than “to”, got {low:g} and {high:g}")
    return Question(
        ask=_markdown(parts["ask"], "ask", values),
        kind=kind,
        truth=truth,
        commit=parts.text("commit", "commit", 60) or _COMMIT,
        options=_options(parts["options"]) if "options" in parts else (),
        low=low,
        high=high,
        within=parts["within"].number("within", 0, 1e6) if "within" in parts else 0.0,
    )


def _options(node: Node) -> tuple[Option, ...]:
    options = []
    for item in node.items("options"):
        parts = item.mapping("an option", ("text", "is", "from", "below"), ("text",))
        if ("is" in parts) == ("from" in parts or "below" in parts):
            item.fail("an option is true by “is”, or by “from” and “below” (one of them will do)")
        low, high = (
            parts[name].number(name, -1e6, 1e6) if name in parts else None
            for name in ("from", "below")
        )
        if low is not None and high is not None and low >= high:
            item.fail(f"“from” must be smaller than “below”, got {low:g} and {high:g}")
        equals = parts["is"].text("is", 200) if "is" in parts else None
        options.append(Option(parts["text"].text("text", 200), equals, low, high))
    if not 2 <= len(options) <= 8:
        node.fail(f"a choice has from 2 to 8 options, got {len(options)}")
    if len({option.text for option in options}) < len(options):
        node.fail("two options have the same text")
    return tuple(options)


def _modes(values: Mapping[str, Value], steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Modes that a bundle must have for this lesson."""
    named = [value.arguments["mode"] for value in values.values() if "mode" in value.arguments]
    named += [
        screen.properties["mode"]
        for step in steps
        for screen in (step.before, step.after)
        if "mode" in screen.properties
    ]
    return tuple(dict.fromkeys(named))
