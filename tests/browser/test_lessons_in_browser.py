"""Every lesson played from its first step to its last, answering; and the teacher's link."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from app.lessons.reader import read_lesson
from tests.browser.visit import at_rest, open_page, turn_to
from tests.servers import ROOT
from tests.shipped import needs_fashion

LESSONS = [read_lesson(path) for path in sorted((ROOT / "tutorials" / "lessons").glob("*.yaml"))]

pytestmark = needs_fashion


@pytest.fixture(scope="module")
def url(fashion_url: str) -> str:
    return fashion_url


def button(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} button").first


def at_step(page: Page, number: int) -> None:
    expect(page.locator(".mk-way b")).to_have_text(re.compile(f"Step {number} of"))


def guess(page: Page, kind: str) -> None:
    """Answer an open question of this kind with something, and commit to it."""
    asked = page.locator(".st-key-lesson-question")
    expect(button(page, "lesson-next")).to_be_disabled()
    expect(page.locator(".mk-truth")).to_have_count(0)
    if kind == "number":
        asked.locator("input[inputmode], input[type=number]").fill("5")
    elif kind == "class":
        asked.locator("[data-variant=pills]").nth(2).click()
    else:
        asked.locator("[data-testid=stRadioOption]").last.click()
    button(page, "lesson-commit").click()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.id)
def test_a_lesson_can_be_played_from_its_first_step_to_its_last(
    page: Page, url: str, lesson
) -> None:
    open_page(page, f"{url}/lessons")
    expect(button(page, f"lesson-start-{lesson.id}")).to_be_visible()
    button(page, f"lesson-start-{lesson.id}").click()
    for number, step in enumerate(lesson.steps, 1):
        at_step(page, number)
        expect(page.get_by_role("heading", name=step.title, exact=True)).to_be_visible()
        if step.question is not None:
            expect(button(page, "lesson-commit")).to_be_visible()
            guess(page, step.question.kind)
            truth = page.locator(".mk-truth b")
            expect(truth).to_be_visible()
            expect(truth).not_to_have_text("…")
            expect(page.locator(".mk-told")).not_to_contain_text("can't be told")
        expect(page.locator(".st-key-in-lesson")).to_be_visible()
        expect(page.locator("[data-testid=stException]")).to_have_count(0)
        expect(button(page, "lesson-next")).to_be_enabled()
        expect(page).to_have_url(re.compile(rf"/lessons\?lesson={lesson.id}"))
        button(page, "lesson-next").click()
    expect(page.get_by_text("to its end")).to_be_visible()


def test_the_link_opens_the_same_step_and_what_is_hidden_no_key_reaches(
    page: Page, other: Page, url: str
) -> None:
    open_page(page, f"{url}/lessons?lesson=remember&step=7")
    at_step(page, 7)
    expect(page.locator(".st-key-delete")).to_be_visible()  # this step shows it

    open_page(
        page, f"{url}/teacher?lesson=remember&step=7&hide=delete+history+pick+filters&basket="
    )
    code = page.locator("[data-testid=stCode] code")
    expect(code).to_contain_text("lesson=remember")
    link = code.inner_text()
    expect(page.locator("img.mk-qr")).to_have_attribute("alt", f"QR code that opens {link}")
    expect(page.get_by_text("This link works on this machine only.")).to_be_visible()

    open_page(other, link)
    at_step(other, 7)
    expect(other.get_by_role("heading", name="Your turn")).to_be_visible()
    expect(other.locator(".tile").first).to_be_visible()
    for key in ("delete", "undo-newest", "clear-basket"):
        expect(other.locator(f".st-key-{key}")).to_have_count(0)
    at_rest(other)
    # All the way round with the keyboard, pressing whatever has the focus but the lesson's buttons.
    reached = all_focused(other)
    assert any("lesson-next" in where for where in reached)
    assert not any("tile" in where or "st-key-delete" in where for where in reached)
    other.locator(".tile").first.click()
    expect(other.get_by_text("0 picked")).to_be_visible()


def all_focused(page: Page) -> list[str]:
    """Classes of everything that Tab reaches, with those of what it lies in."""
    page.locator(".mk-way b").click()
    found: list[str] = []
    where = "let n = document.activeElement; const all = [];"
    where += "while (n?.shadowRoot?.activeElement) { all.push(n.className); n = "
    where += "n.shadowRoot.activeElement; }"
    where += "for (; n && n !== document.body; n = n.parentElement) all.push(n.className);"
    for _ in range(60):
        page.keyboard.press("Tab")
        now = page.evaluate(f"(() => {{ {where} return all.join(' '); }})()")
        if found and now == found[0]:
            break
        found.append(str(now))
    return found


def test_a_link_to_a_page_opens_it_with_its_images(page: Page, other: Page, url: str) -> None:
    open_page(page, f"{url}/?basket=train-14265&forgotten=train-42395")
    expect(page.get_by_text("1 key deleted in").first).to_be_visible()
    turn_to(page, "Lessons")
    button(page, "to-teacher").click()
    code = page.locator("[data-testid=stCode] code")
    expect(code).to_be_visible()
    page.locator(".st-key-teacher-kind").get_by_text("Chosen images on a page").click()
    page.locator(".st-key-teacher-read-only label").first.click()
    expect(code).to_contain_text("hide=menu+filters+pick")

    open_page(other, code.inner_text())
    expect(other.get_by_text("1 key deleted in").first).to_be_visible()
    expect(other.get_by_text("1 picked")).to_be_visible()
    expect(other.locator(".st-key-delete")).to_have_count(0)
    expect(other.get_by_role("link", name="Privacy")).to_have_count(0)
