"""The order of the rooms, read from the imports: a breach fails here, in words.

A room imports from rooms above its own only, and no module takes part in a circle. The library
knows no screen. The app knows no PyTorch: it enters the library by its door, and of the other rooms
it may name what they return. Imports inside functions and under TYPE_CHECKING count too: an import
that is late is still an import.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Top to bottom; one module or folder a row.
ROOMS = [
    "munkey_core",  # the version
    "errors",
    "config",
    "results",
    "progress",
    "files",
    "data",
    "model",
    "bundle",
    "explain",
    "training",
    "unlearning",
    "audit",
    "erasure",
    "jobs",
    "studio",
    "cli",
]
APP = ["app", "words", "components", "session", "lessons", "shared", "screens", "main"]
# The script that starts the server, and the one that checks lessons, stand beside the rooms.
APP_STARTS = ("app.launch", "app.lessons.__main__")

SCREENS = ("streamlit", "plotly", "app")
# Rooms of the library that the app may call; of all others it may only name plain values.
APP_MAY_CALL = ("errors", "config", "results", "progress", "files", "studio")
# Modules that only judge or only speak, NumPy at most, no model; and the two doors to own images.
APP_MAY_ASK = (
    "munkey_core.audit.verdict",
    "munkey_core.erasure.words",
    "munkey_core.jobs.kept",
    "munkey_core.jobs.own_data",
)


def imports(source, package):
    """(line, dotted name) of every import in a module of `package`, wherever it stands.

    `from a import b` gives `a.b`: b may be a module. Relative imports are spelled out.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                kept = parents[: len(parents) - node.level + 1]
                base = ".".join([*kept, base] if base else kept)
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def is_or_in(name, package):
    return name == package or name.startswith(package + ".")


def room_of(name, rooms):
    """`munkey_core.data.base` → `data`. The version → the package itself."""
    top, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    return room if room in rooms else top


def order_breaches(module, source, is_package, top, rooms):
    """What a module of a package imports from a room that is not above its own."""
    package = module if is_package else module.rpartition(".")[0]
    own = room_of(module, rooms)
    if own == top and module != top:
        return [f"{module} has no row in tests/test_layers.py: give it one"]
    return [
        f"{module}:{line} imports {name}, which is not above it"
        for line, name in imports(source, package)
        if is_or_in(name, top)
        and room_of(name, rooms) != own
        and rooms.index(room_of(name, rooms)) > rooms.index(own)
    ]


def core_breaches(module, source, is_package=False):
    """What a module of munkey_core imports that it may not. module: its dotted name."""
    package = module if is_package else module.rpartition(".")[0]
    screens = [
        f"{module}:{line} imports {name}: the library knows no screen"
        for line, name in imports(source, package)
        if any(is_or_in(name, screen) for screen in SCREENS)
    ]
    return screens + order_breaches(module, source, is_package, "munkey_core", ROOMS)


def app_breaches(module, source, is_package=False):
    """What a module of the app imports that it may not."""
    package = module if is_package else module.rpartition(".")[0]
    breaches = []
    for line, name in imports(source, package):
        if is_or_in(name, "torch") or is_or_in(name, "torchvision"):
            breaches.append(f"{module}:{line} imports {name}: the app knows no PyTorch")
        if is_or_in(name, "importlib"):
            breaches.append(f"{module}:{line} imports {name}: pages are imported by name")
        if is_or_in(name, "munkey_core") and not _app_may(name):
            breaches.append(f"{module}:{line} imports {name}, which is no plain value")
    if module in APP_STARTS:
        return breaches
    return breaches + order_breaches(module, source, is_package, "app", APP)


def _app_may(name):
    """Whether the app may import this from the library."""
    if room_of(name, ROOMS) in APP_MAY_CALL:
        return True
    if any(is_or_in(name, module) for module in APP_MAY_ASK):
        return True
    module, _, value = name.rpartition(".")
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return path.is_file() and value in plain_values(path)


def plain_values(path):
    """Frozen dataclasses, protocols, enumerations and texts that a module defines."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            marks = [ast.unparse(d) for d in node.decorator_list]
            bases = [ast.unparse(b).rpartition(".")[2] for b in node.bases]
            if any(m.startswith("dataclass(") and "frozen=True" in m for m in marks) or {
                "Protocol",
                "Enum",
                "StrEnum",
                "NamedTuple",
            } & set(bases):
                found.add(node.name)
        elif isinstance(node, ast.Assign):
            names = [t for t in ast.walk(node) if isinstance(t, ast.Name)]
            try:
                ast.literal_eval(node.value)
            except ValueError:
                continue
            found |= {name.id for name in names}
    return found


def circles(modules):
    """Groups of modules that need each other. modules: dotted name → dotted names it imports."""
    found, index, low, stack = [], {}, {}, []

    def visit(name):
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(modules[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(modules):
        if name not in index:
            visit(name)
    return found


def graph(files):
    """Dotted name → modules it imports. files: (dotted name, source, whether it is a package)."""
    files = list(files)
    names = {name for name, _, _ in files}
    found = {}
    for name, source, is_package in files:
        package = name if is_package else name.rpartition(".")[0]
        wanted = set()
        for _, imported in imports(source, package):
            known = imported if imported in names else imported.rpartition(".")[0]
            wanted |= {known} & names - {name}
        found[name] = wanted
    return found


def modules(package):
    """(dotted name, source, whether it is a package) of every file of a package."""
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        yield name, path.read_text(encoding="utf-8"), is_package


# -- the project -------------------------------------------------------------------------------


def test_the_library_keeps_the_order_of_its_layers_and_knows_no_screen():
    found = list(modules("munkey_core"))
    assert len(found) > 20
    assert [breach for module in found for breach in core_breaches(*module)] == []


def test_the_app_knows_no_pytorch_and_enters_the_library_by_its_door():
    found = list(modules("app"))
    assert len(found) > 3
    assert [breach for module in found for breach in app_breaches(*module)] == []


def test_no_module_takes_part_in_a_circle():
    assert circles(graph([*modules("munkey_core"), *modules("app")])) == []


@pytest.mark.parametrize(("package", "rooms"), [("munkey_core", ROOMS), ("app", APP)])
def test_every_row_names_something_that_exists(package, rooms):
    there = {room_of(name, rooms) for name, _, _ in modules(package)}
    assert set(rooms) - there == set()


# -- the checker, on breaches made up ----------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("munkey_core.studio.door", "import streamlit"),
        ("munkey_core.studio.door", "import streamlit as st"),
        ("munkey_core.studio.door", "from streamlit import config"),
        ("munkey_core.cli.show", "def main():\n    import streamlit.web.cli"),
        ("munkey_core.model.bank", "import plotly.graph_objects as go"),
        ("munkey_core.model.bank", "if True:\n    from plotly import express"),
        ("munkey_core.cli.show", "from app import main"),
        ("munkey_core.model.bank", "from munkey_core.studio import Studio"),
        ("munkey_core.model.bank", "from munkey_core import studio"),
        ("munkey_core.model.bank", "from .. import studio"),
        ("munkey_core.model.bank", "from ..studio import Studio"),
        ("munkey_core.data.base", "from ..model.bank import MemoryBank"),
        ("munkey_core.data.base", "from munkey_core.model.encoder import to_float"),
        ("munkey_core.errors", "import munkey_core.results"),
        ("munkey_core.config", "from munkey_core.results import Record"),
        (
            "munkey_core.model.encoder",
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from munkey_core.bundle.bundle import Bundle",
        ),
        ("munkey_core.studio.door", "from munkey_core.cli import main"),
        ("munkey_core.newcomer", ""),
    ],
)
def test_the_checker_sees_a_breach_in_the_library(module, source):
    breaches = core_breaches(module, source)
    assert len(breaches) == 1
    assert breaches[0].startswith(module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("munkey_core.studio.door", "from munkey_core.model import side_effects\nimport torch"),
        ("munkey_core.model.bank", "from munkey_core.model.search import ExactRetriever"),
        ("munkey_core.data.base", "from munkey_core.data.images import decode_image"),
        (
            "munkey_core.data.base",
            "from .images import decode_image\nfrom ..errors import DataError",
        ),
        ("munkey_core.cli.show", "from munkey_core import __version__"),
        ("munkey_core.jobs.making", "import munkey_core\nimport streamlit_like_name"),
    ],
)
def test_the_checker_lets_the_library_do_what_it_may(module, source):
    assert core_breaches(module, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "import torch.nn as nn",
        "from torch import Tensor",
        "def late():\n    from torchvision import models",
        "from munkey_core.model import bank",
        "from munkey_core.model.bank import MemoryBank",
        "import munkey_core.model.predictor",
        "from munkey_core.audit.attacks import privacy",
        "from munkey_core.data.images import decode_image",
        "import importlib",
    ],
)
def test_the_checker_sees_a_breach_in_the_app(source):
    breaches = app_breaches("app.main", source)
    assert len(breaches) == 1
    assert breaches[0].startswith("app.main:")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app.words.theme", "from app.session import state"),
        ("app.components.gallery", "from app.shared.basket import sidebar"),
        ("app.session.services", "from app import lessons"),
        ("app.screens.forget.page", "def late():\n    from app.main import main"),
        ("app.newcomer", ""),
    ],
)
def test_the_checker_sees_an_arrow_that_runs_up_in_the_app(module, source):
    breaches = app_breaches(module, source)
    assert len(breaches) == 1
    assert breaches[0].startswith(module)


def test_the_checker_lets_the_app_do_what_it_may():
    source = (
        "import streamlit as st\nimport plotly\nfrom munkey_core.studio import Studio\n"
        "from munkey_core import results\nimport munkey_core.errors\nfrom . import words\n"
        "from munkey_core.config import EnsembleConfig\n"
        "from munkey_core.model.predictor import Prediction\n"
        "from munkey_core.audit import verdict\n"
    )
    assert app_breaches("app.main", source) == []


def test_the_checker_sees_circles_of_any_length():
    files = [
        ("p.a", "from p.b import x", False),
        ("p.b", "def late():\n    from p import c", False),
        ("p.c", "from .a import y", False),
        ("p.d", "import p.a", False),
    ]
    assert circles(graph(files)) == [["p.a", "p.b", "p.c"]]
    assert circles(graph(files[1:])) == []


def test_relative_imports_are_spelled_out():
    source = "from . import a\nfrom .b import c\nfrom ..d import e\nfrom .. import f"
    names = [name for _, name in imports(source, "munkey_core.data")]
    assert names == [
        "munkey_core.data.a",
        "munkey_core.data.b.c",
        "munkey_core.d.e",
        "munkey_core.f",
    ]
