"""Lessons as files: what is right is read, what is wrong gets one message with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.lessons.images import find_images
from app.lessons.lesson import CHOICE, PAGES, LessonError
from app.lessons.measures import MEASURES, Asked, Known, Scope, compute
from app.lessons.reader import fill, parse_lesson, read_lesson
from app.screens.lessons.page import SHOWS
from app.session import properties
from app.session.pages import TITLES
from munkey_core.progress import finish
from munkey_core.studio import Studio
from tests.app.lesson_files import SMALL

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tutorials" / "lessons"
FILES = sorted(FOLDER.glob("*.yaml"))
MESSAGE = re.compile(r"small\.yaml, line (\d+): [^\n]+")


def parse(text: str):
    return parse_lesson(text.encode("utf-8", "surrogatepass"), "small.yaml")


def refused(text: str) -> tuple[int, str]:
    """Line and reason of the one message."""
    with pytest.raises(LessonError) as found:
        parse(text)
    assert MESSAGE.fullmatch(str(found.value))
    return found.value.line, found.value.reason


def complaint(text: str) -> LessonError | None:
    """What is wrong, None if it is a lesson."""
    try:
        assert parse(text).steps
    except LessonError as error:
        return error
    return None


# -- what is right ---------------------------------------------------------------------------------


def test_each_step_goes_on_from_the_screen_before():
    first, second, third = parse(SMALL).steps
    assert (first.before.page, dict(first.before.properties)) == ("forget", {"basket": "$star"})
    assert second.before.properties == {"basket": "$star"}
    assert second.before.hide == ("menu", "delete")
    assert (second.after.properties, second.after.hide) == ({"forgotten": "$star"}, ("menu",))
    assert (third.before.page, dict(third.before.properties)) == ("map", {"query": "$star"})
    assert third.before.hide == ("menu", "delete")


def test_only_known_names_are_filled_in():
    assert fill("{a} of {b}, {not one}", {"a": "1"}) == "1 of {b}, {not one}"


def test_the_pages_and_controls_of_a_lesson_are_those_of_the_app():
    assert all(TITLES[name] for name in PAGES)
    assert set(PAGES) == set(SHOWS)
    assert "pick" in properties.CONTROLS


# -- what is wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line", "reason"),
    [
        (("minutes: 5", "minutes: many"), 3, "minutes must be a number from 1 to 240"),
        (("minutes: 5", "minutes: 5.5"), 3, "a whole number"),
        (("minutes: 5\n", ""), 1, "the lesson needs “minutes”"),
        (("summary:", "sumary:"), 5, "did you mean “summary”?"),
        (("id: small", "id: Small lesson"), 1, "id must be"),
        (("title: A small lesson", "title: A small lesson\ntitle: Twice"), 3, "comes twice"),
        (("[menu, delete]", "[menu, deleted]"), 6, "hide must be one of"),
        (("hide: [menu, delete]", "hide: menu"), 6, "hide must be a list"),
        (("{ids: train-42395}", "{ids: train-42395, set: x}"), 8, "exactly one of"),
        (("{most: memorised,", "{most: loved,"), 9, "most must be one of"),
        (("{random: 2}", "{near: moon}"), 10, "near must name images that come before"),
        (("what: answer", "what: response"), 12, "what must be one of"),
        (("of: star, without: star}\n  turns", "without: star}\n  turns"), 12, "needs “of”"),
        (("{what: sure, of: star}", "{what: sure, of: moon}"), 14, "“moon”"),
        (("{what: sure, of: star}", "{what: sure, of: star, by: star}"), 14, "has no “by”"),
        (("page: forget", "page: forgot"), 17, "page must be one of"),
        (("    page: forget\n", ""), 16, "the first step needs “page”"),
        (("{basket: $star}", "{basket: $moon}"), 18, "“$moon”"),
        (("{basket: $star}", "{baskets: $star}"), 18, "did you mean “basket”?"),
        (("{basket: $star}", "{mode: fuzzy}"), 18, "mode must be one of joint, exact"),
        (("{basket: $star}", "{basket: '@0123'}"), 18, "basket must be"),
        (("It is {sure} sure.", "It is\n      {shure} sure."), 21, "“{shure}”"),
        (("truth: after", "truth: later"), 23, "truth is “later”"),
        (("truth: after", "truth: turns"), 23, "kind class can't have the truth"),
        (("kind: class", "kind: choice"), 23, "options"),
        (("kind: class", "kind: riddle"), 23, "kind must be one of"),
        (("    question:", "    quiz:"), 23, "a step has no “quiz”"),
        (("      text: Now it says {after}.\n", ""), 25, "reveal needs “text”"),
        (("text: Guess.", "text: [a, b]"), 22, "text must be a text, got a list"),
        (("text: The end.", "text: ''"), 31, "text is empty"),
        (("steps:", "steps: [\n"), 17, ""),
        (("A small lesson", "A \x07 lesson"), 2, "a character"),
        (("A small lesson", "A \t: lesson: x"), 2, ""),
    ],
)
def test_an_error_says_line_and_reason(change, line, reason):
    old, new = change
    assert old in SMALL
    found = refused(SMALL.replace(old, new, 1))
    assert reason in found[1]
    assert found[0] == line


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just words", "must be a list of"),
        (b"- a\n- b", "must be a list of"),
        (b"id: a\n\xff\xfe", "no UTF-8"),
        (b"a: " + b"[" * 5_000, "nested too deeply"),
        (b"x: " + b"y" * 300_000, "larger than"),
        (b"id: !!python/object/apply:os.system [echo]", "needs"),
        (b"--- a\n--- b", "document"),
    ],
)
def test_a_file_that_is_no_lesson_is_refused_in_one_line(data, reason):
    with pytest.raises(LessonError, match=reason) as found:
        parse_lesson(data, "small.yaml")
    assert MESSAGE.fullmatch(str(found.value))


LINES = SMALL.splitlines()
SCALARS = st.sampled_from(["", "[]", "{}", "~", "*x", "&x [*x]", "-1", "'", '"', "a: b", "$star"])


@settings(max_examples=80)
@given(
    number=st.integers(0, len(LINES) - 1),
    how=st.sampled_from(["drop", "double", "indent", "outdent", "value", "cut"]),
    value=st.one_of(SCALARS, st.text(max_size=12)),
)
def test_any_spoiled_lesson_is_read_or_gets_one_message(number, how, value):
    lines = list(LINES)
    line = lines[number]
    match how:
        case "drop":
            del lines[number]
        case "double":
            lines.insert(number, line)
        case "indent":
            lines[number] = "  " + line
        case "outdent":
            lines[number] = line.lstrip()
        case "value":
            lines[number] = line.partition(":")[0] + ": " + value
        case "cut":
            lines = [*lines[:number], line[: len(line) // 2]]
    error = complaint("\n".join(lines))
    if error is not None:
        assert MESSAGE.fullmatch(str(error))
        assert 1 <= error.line <= len(lines) + value.count("\n") + 1


@settings(max_examples=40)
@given(st.binary(max_size=200))
def test_any_bytes_get_one_message(data):
    with pytest.raises(LessonError) as found:
        parse_lesson(data, "small.yaml")
    assert MESSAGE.fullmatch(str(found.value))


# -- those that ship -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def studios() -> dict[str, Studio]:
    if not (ROOT / "pretrained" / "fashion" / "manifest.json").is_file():
        pytest.skip("needs the default bundle, pretrained/fashion")
    studio = Studio.open(str(ROOT / "pretrained" / "fashion"))
    return {"": studio, "joint": studio, "exact": studio.session("exact")}


def test_five_lessons_ship_with_ids_of_their_own():
    lessons = [read_lesson(path) for path in FILES]
    assert len({lesson.id for lesson in lessons}) == len(lessons) == 5
    assert all(5 <= len(lesson.steps) <= 10 for lesson in lessons)
    assert all(sum(step.question is not None for step in le.steps) >= 3 for le in lessons)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_answer_of_a_shipped_lesson_can_be_computed(path, studios):
    lesson = read_lesson(path)
    scope = Scope(studios.__getitem__, find_images(lesson, studios[""], seed=0))
    known = {}
    for value in lesson.values.values():
        if not MEASURES[value.what].slow:  # an attack takes a look at every image
            known[value.name] = finish(compute(value.what, Asked(scope, value.arguments)))
    assert all(isinstance(value, Known) and value.words for value in known.values())
    for step in lesson.steps:
        asked = step.question
        if asked is not None and asked.kind == CHOICE and asked.truth in known:
            truth = known[asked.truth]
            assert sum(option.fits(truth.value, truth.words) for option in asked.options) == 1


def test_no_value_of_a_shipped_lesson_is_idle():
    for path in FILES:
        lesson = read_lesson(path)
        text = path.read_text("utf-8")
        truths = {step.question.truth for step in lesson.steps if step.question}
        idle = [v for v in lesson.values if v not in truths and f"{{{v}}}" not in text]
        assert idle == [], path.name


def test_an_image_that_the_bundle_lacks_is_an_error_of_the_file(studios):
    lesson = parse(SMALL.replace("train-42395", "train-99999"))
    with pytest.raises(LessonError, match=r"small\.yaml, line 8: .*train-99999"):
        find_images(lesson, studios[""], seed=0)


def test_images_are_found_by_their_rules(studios):
    text = SMALL.replace(
        "  drawn: {random: 2}\n",
        "  a: {random: 3, class: Bag}\n  b: {owner: customer-0066}\n  c: {test: 2}\n",
    )
    studio = studios[""]
    found = find_images(parse(text), studio, seed=1)
    assert studio.memory.record(*found["best"]).label == studio.about.classes.index("Trouser")
    assert {studio.about.classes[studio.memory.record(i).label] for i in found["a"]} == {"Bag"}
    assert {studio.memory.record(i).owner for i in found["b"]} == {"customer-0066"}
    assert {studio.memory.record(i).split for i in found["c"]} == {"test"}
    assert find_images(parse(text), studio, seed=1) == found
    assert find_images(parse(text), studio, seed=2)["a"] != found["a"]


def test_the_guide_names_every_measure_and_every_group_of_controls():
    guide = (FOLDER / "README.md").read_text("utf-8")
    for name in (*MEASURES, *properties.CONTROLS, *PAGES):
        assert f"`{name}`" in guide, name
