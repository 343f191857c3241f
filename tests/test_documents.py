"""What the README and the pages beside it say: links that lead somewhere, commands that exist."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_group

from munkey_core.bundle.forget_sets import CANONICAL
from munkey_core.cli import main
from munkey_core.cli.base import commands
from munkey_core.cli.options import IDS_HELP
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


GROUP = get_group(commands)


def parse(words):
    """Read a command line as `munkey` does, and run nothing. Raises what says that it is wrong."""
    with GROUP.make_context("munkey", list(words)) as context:
        name, command, rest = GROUP.resolve_command(context, list(words))
        return command.make_context(name, rest, parent=context)


def help_of(name):
    """The help page of a command."""
    with GROUP.make_context("munkey", [name]) as context:
        return GROUP.commands[name].get_help(context)


@pytest.fixture
def images_there(tmp_path, monkeypatch):
    """--images names something that must be there, and is noted for this process."""
    (tmp_path / "PATH").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUNKEY_IMAGES", "")


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
@pytest.mark.usefixtures("images_there")
def test_its_commands_can_be_given(page):
    for words in command_lines(fenced(page.read_text(encoding="utf-8"))):
        parse(words)


def test_every_command_is_listed():
    lines = list(command_lines(fenced(COMMANDS.read_text(encoding="utf-8"))))
    assert set(GROUP.commands) == {words[0] for words in lines}


@pytest.mark.parametrize("name", sorted(GROUP.commands))
def test_its_help_can_be_read(name):
    command, text = GROUP.commands[name], help_of(name)
    assert command.help[0].isupper()
    assert command.help.endswith(".")
    for words in command_lines(text.partition("examples:")[2]):
        assert words[0] == name
        parse(words)
    for parameter in command.params:
        assert parameter.help, f"{name}: {parameter.name} has no help"


def test_the_help_names_every_canonical_set():
    for name in CANONICAL:
        assert name in IDS_HELP


def test_the_methods_that_help_names_exist():
    text = help_of("compare")
    named = re.search(r"such as\s+([\w,-]+)", text).group(1)
    assert set(named.split(",")) <= {*METHODS, *SYSTEMS}


def test_the_method_says_how_three_methods_differ_from_official_code():
    """Where the code does as it says: labels once, one pass, no rewinding."""
    text = " ".join((ROOT / "tutorials" / "METHOD.md").read_text(encoding="utf-8").split())
    assert "*Random labels* and *SalUn* draw their labels once a run" in text
    assert "mix forget and retain images in one pass" in text
    assert "*SCRUB* doesn't rewind" in text
    for key, said in (
        ("random-labels", "drawn once a run"),
        ("salun", "how the official code differs"),
        ("scrub", "doesn't rewind"),
    ):
        assert said in " ".join(METHODS[key].__doc__.split())


def test_every_time_is_said_to_be_of_its_operation():
    for page in ("METHOD.md", "RESULTS.md"):
        text = " ".join((ROOT / "tutorials" / page).read_text(encoding="utf-8").split())
        assert "keys are hidden in a view; kNN, RAC-style and SPM rebuild what they answer" in text
        assert "repair" in text
    assert README.read_text(encoding="utf-8").count("keys in a view took") == 2


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
    for name in GROUP.commands:
        assert f"\n  {name} " in out
    for words in command_lines(out.partition("examples:")[2]):
        assert words[0] in GROUP.commands
