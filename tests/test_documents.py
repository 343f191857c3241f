"""What the README and the pages beside it say: links that lead somewhere, commands that exist."""

import re
import shlex
from pathlib import Path

import pytest

from munkey_core.bundle.forget_sets import CANONICAL
from munkey_core.cli import main, make_parser
from munkey_core.cli.base import IDS_HELP
from munkey_core.unlearning import METHODS, SYSTEMS

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
COMMANDS = ROOT / "tutorials" / "COMMANDS.md"
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "tutorials").glob("*.md")),
]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def command_lines(text):
    """The lines of a text that call munkey, without comments and redirections."""
    for line in text.splitlines():
        if line.strip().startswith("munkey "):
            words = shlex.split(line.strip(), comments=True)
            yield words[1 : words.index(">")] if ">" in words else words[1:]


def fenced(text):
    """What stands between fences, of whatever kind."""
    return "\n".join(re.findall(r"^```[a-z]*\n(.*?)^```", text, re.M | re.S))


def anchors(page):
    """Anchors of a page's headings, as repository pages make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def subcommands():
    [found] = [a for a in make_parser()._actions if a.dest == "==SUPPRESS==" and a.choices]
    return found.choices


@every_page
def test_its_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place), target


@every_page
def test_its_commands_can_be_given(page):
    for words in command_lines(fenced(page.read_text(encoding="utf-8"))):
        make_parser().parse_args(words)


def test_every_command_is_listed():
    lines = list(command_lines(fenced(COMMANDS.read_text(encoding="utf-8"))))
    assert set(subcommands()) == {words[0] for words in lines}


@pytest.mark.parametrize("name", sorted(subcommands()))
def test_its_help_can_be_read(name):
    parser = subcommands()[name]
    text = parser.format_help()
    assert parser.description[0].isupper()
    assert parser.description.endswith(".")
    for words in command_lines(text.partition("examples:")[2]):
        assert words[0] == name
        make_parser().parse_args(words)
    for action in parser._actions:
        assert action.help or action.choices, f"{name}: {action.dest} has no help"


def test_the_help_names_every_canonical_set():
    for name in CANONICAL:
        assert name in IDS_HELP


def test_the_methods_that_help_names_exist():
    text = subcommands()["compare"].format_help()
    named = re.search(r"such as\s+([\w,-]+)", text).group(1)
    assert set(named.split(",")) <= {*METHODS, *SYSTEMS}


def test_the_moving_picture_is_one_and_not_too_large():
    from PIL import Image

    [name] = re.findall(r"\(tutorials/(images/[\w-]+\.gif)\)", README.read_text(encoding="utf-8"))
    path = ROOT / "tutorials" / name
    assert path.stat().st_size <= 2_500_000
    with Image.open(path) as picture:
        assert picture.n_frames >= 6


def test_munkey_alone_says_what_there_is(capsys):
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for name in subcommands():
        assert f"\n    {name}" in out
    for words in command_lines(out.partition("examples:")[2]):
        assert words[0] in subcommands()
