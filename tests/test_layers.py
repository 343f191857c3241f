"""The order of the layers, read from the imports: a breach fails here, in words.

A module of munkey_core imports from rows above its own only (or from its own package). The library
knows no screen; the app knows no PyTorch and enters the library by one door. Imports inside
functions count too: an import that is late is still an import.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Top to bottom; modules and packages of one row do not know each other.
ROWS = [
    ["munkey_core"],  # the version
    ["errors"],
    ["types", "config", "cache", "machine", "limits", "durable"],
    ["foreign", "plain_words"],
    ["typed", "tensor_files", "request_report"],
    ["data", "model", "retrieval", "membership", "outputs", "backbones", "progress"],
    [
        "encoder",
        "bank",
        "records",
        "forget_sets",
        "experiments",
        "resampling",
        "packing",
        "writing",
        "ledger",
        "versions",
    ],
    ["thumbnails", "picture_places", "features"],
    ["pictures"],
    ["predictor", "training", "bundle"],
    ["effects", "projection", "calibration", "card", "canonical"],
    ["explain", "maps"],
    ["explanations", "exact"],
    ["retraining", "unlearning", "verification"],
    ["shipped"],
    ["runs"],
    ["evidence"],
    ["shipping", "table", "oracles", "recall", "receipts"],
    ["leak", "erasure"],
    ["privacy", "frontier"],
    ["audit"],
    ["reports", "comparison", "image_table", "traces"],
    ["tuned", "results"],
    ["compare"],
    ["jobs"],
    ["build", "recipes"],
    ["planning"],
    ["making", "own_data"],
    ["studio"],
    ["bench"],
    ["commands"],
    ["cli"],
]
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}

SCREENS = ("streamlit", "plotly", "app")
APP_MAY_IMPORT = ("studio", "types", "errors", "config")


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


def layer_of(name):
    """`munkey_core.data.base` → `data`; the package itself → `munkey_core`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def core_breaches(module, source, is_package=False):
    """What a module of munkey_core imports that it may not. module: its dotted name."""
    package = module if is_package else module.rpartition(".")[0]
    own = layer_of(module)
    if own not in RANK:
        return [f"{module} has no row in tests/test_layers.py: give it one"]
    breaches = []
    for line, name in imports(source, package):
        if any(is_or_in(name, screen) for screen in SCREENS):
            breaches.append(f"{module}:{line} imports {name}: the library knows no screen")
        if not is_or_in(name, "munkey_core"):
            continue
        # `from munkey_core import effects` names a module; `import __version__` doesn't.
        other = layer_of(name)
        other = other if other in RANK or "." not in name else "munkey_core"
        if other != own and RANK[other] >= RANK[own]:
            breaches.append(f"{module}:{line} imports {name}, which is not above it")
    return breaches


def app_breaches(module, source, is_package=False):
    """What a module of the app imports that it may not."""
    package = module if is_package else module.rpartition(".")[0]
    breaches = []
    for line, name in imports(source, package):
        if is_or_in(name, "torch") or is_or_in(name, "torchvision"):
            breaches.append(f"{module}:{line} imports {name}: the app knows no PyTorch")
        if is_or_in(name, "munkey_core") and layer_of(name) not in APP_MAY_IMPORT:
            breaches.append(
                f"{module}:{line} imports {name}: the app may import {', '.join(APP_MAY_IMPORT)}"
            )
    return breaches


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


def test_every_row_names_something_that_exists():
    there = {layer_of(name) for name, _, _ in modules("munkey_core")}
    assert set(RANK) - there == set()


# -- the checker, on breaches made up ----------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("munkey_core.studio", "import streamlit"),
        ("munkey_core.studio", "import streamlit as st"),
        ("munkey_core.studio", "from streamlit import config"),
        ("munkey_core.cli", "def main():\n    import streamlit.web.cli"),
        ("munkey_core.model.bank", "import plotly.graph_objects as go"),
        ("munkey_core.model.bank", "if True:\n    from plotly import express"),
        ("munkey_core.cli", "from app import main"),
        ("munkey_core.model.bank", "from munkey_core.studio import Studio"),
        ("munkey_core.model.bank", "from munkey_core import studio"),
        ("munkey_core.model.bank", "from . import studio"),
        ("munkey_core.model.bank", "from .studio import Studio"),
        ("munkey_core.data.base", "from ..bank import MemoryBank"),
        ("munkey_core.data.base", "from munkey_core.model.encoder import to_float"),
        ("munkey_core.errors", "import munkey_core.results"),
        ("munkey_core.results", "from munkey_core.config import Recipe"),
        (
            "munkey_core.model.encoder",
            "def late():\n    from munkey_core.model.predictor import Predictor",
        ),
        ("munkey_core.studio", "from munkey_core.cli import main"),
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
        ("munkey_core.studio", "from munkey_core import effects\nimport torch"),
        ("munkey_core.model.bank", "from munkey_core.model.search import ExactRetriever"),
        ("munkey_core.data.base", "from munkey_core.data.images import decode_image"),
        (
            "munkey_core.data.base",
            "from .images import decode_image\nfrom ..errors import DataError",
        ),
        ("munkey_core.cli", "from munkey_core import __version__"),
        ("munkey_core.training.build", "import munkey_core\nimport streamlit_like_name"),
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
        "import munkey_core",
        "from munkey_core import bank",
        "from munkey_core.model.bank import MemoryBank",
        "import munkey_core.model.predictor",
        "from munkey_core.data.images import decode_image",
    ],
)
def test_the_checker_sees_a_breach_in_the_app(source):
    breaches = app_breaches("app.main", source)
    assert len(breaches) == 1
    assert breaches[0].startswith("app.main:")


def test_the_checker_lets_the_app_do_what_it_may():
    source = (
        "import streamlit as st\nimport plotly\nfrom munkey_core.studio import Studio\n"
        "from munkey_core import types\nimport munkey_core.errors\nfrom . import theme\n"
        "from munkey_core.config import EnsembleConfig\n"
    )
    assert app_breaches("app.main", source) == []


def test_relative_imports_are_spelled_out():
    source = "from . import a\nfrom .b import c\nfrom ..d import e\nfrom .. import f"
    names = [name for _, name in imports(source, "munkey_core.data")]
    assert names == [
        "munkey_core.data.a",
        "munkey_core.data.b.c",
        "munkey_core.d.e",
        "munkey_core.f",
    ]
