"""The scripts of the components: node runs their tests, and modules can be joined into one text."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.components.script import script

ROOT = Path(__file__).resolve().parent.parent
COMPONENTS = ROOT / "app" / "components"
MODULES = sorted(COMPONENTS.rglob("*.js"))
ENTRIES = [path for path in MODULES if "export default" in path.read_text(encoding="utf-8")]
NODE = shutil.which("node") or shutil.which("nodejs")

IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+\.js)";$', re.MULTILINE)
# A declaration that begins its line is a top-level one: all else is indented.
DECLARED = re.compile(
    r"^(?P<export>export )?(?:async )?(?:function|class|const|let|var)\b\*? *(?P<name>[\w$]*)",
    re.MULTILINE,
)

needs_node = pytest.mark.skipif(
    NODE is None, reason="needs node (Debian: apt-get install nodejs) to run the tests in tests/js"
)


def named(path: Path) -> str:
    return path.relative_to(COMPONENTS).as_posix()


def imports(path: Path) -> list[tuple[Path, list[str]]]:
    """What a module imports: from where, and by which names."""
    return [
        ((path.parent / source).resolve(), re.findall(r"[^\s,]+", names))
        for names, source in IMPORT.findall(path.read_text(encoding="utf-8"))
    ]


def needed(path: Path) -> set[Path]:
    """A module and all that it imports, however far."""
    found, open_ = set(), {path}
    while open_:
        found |= open_
        open_ = {source for module in open_ for source, _ in imports(module)} - found
    return found


def declared(path: Path, exported: bool = False) -> list[str]:
    """Top-level names of a module."""
    text = path.read_text(encoding="utf-8")
    return [match["name"] for match in DECLARED.finditer(text) if match["export"] or not exported]


@needs_node
def test_the_scripts_pass_their_own_tests() -> None:
    files = [str(path) for path in sorted((ROOT / "tests" / "js").rglob("*.test.mjs"))]
    assert files
    done = subprocess.run([str(NODE), "--test", *files], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@needs_node
@pytest.mark.parametrize("entry", ENTRIES, ids=named)
def test_a_joined_script_is_one_module(entry: Path, tmp_path: Path) -> None:
    joined = tmp_path / "joined.mjs"
    joined.write_text(script(entry), encoding="utf-8")
    done = subprocess.run([str(NODE), "--check", str(joined)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_every_import_is_one_that_can_be_joined_and_is_used(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(IMPORT.findall(text)) == len(re.findall(r"^ *import\b", text, re.MULTILINE))
    for source, names in imports(path):
        assert source in MODULES
        assert set(names) <= set(declared(source, exported=True))
        for name in names:
            assert len(re.findall(rf"(?<![\w$.]){re.escape(name)}\b", text)) > 1, name


@pytest.mark.parametrize("entry", ENTRIES, ids=named)
def test_no_name_stands_in_two_modules_of_a_component(entry: Path) -> None:
    names = [name for path in needed(entry) for name in declared(path)]
    assert "" not in names  # A pattern declares several at once.
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("entry", ENTRIES, ids=named)
def test_a_joined_script_has_every_module_once_and_after_those_it_needs(entry: Path) -> None:
    text = script(entry)
    assert text.count("export default") == 1
    places = {}
    for path in needed(entry):
        body = re.sub(
            rf"{IMPORT.pattern}\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        assert text.count(body) == 1
        places[path] = text.index(body)
    for path in places:
        assert all(places[source] < places[path] for source, _ in imports(path))


def test_every_module_belongs_to_a_component() -> None:
    loose = set(MODULES) - {path for entry in ENTRIES for path in needed(entry)}
    assert loose == set()


def test_modules_that_need_each_other_are_joined_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "entry.js").write_text(
        'import { b } from "./deep/b.js";\nimport {\n  a,\n} from "./a.js";\nexport default b;\n'
    )
    (tmp_path / "deep" / "b.js").write_text('import { a } from "../a.js";\nexport const b = a;\n')
    (tmp_path / "a.js").write_text("export const a = 1;\n")
    assert script(tmp_path / "entry.js") == (
        "export const a = 1;\n\nexport const b = a;\n\nexport default b;\n"
    )
