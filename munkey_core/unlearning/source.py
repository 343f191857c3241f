"""What a method is made of, so that no result of another version of it is ever found again."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

_HERE = Path(__file__).resolve().parent
_seen: dict[Path, str] = {}  # SHA-256 of files, when they ran or were first looked at


class Sourced:
    """source: SHA-256 (hex) of the file that defines a class, of those that it imports from its
    own folder or this one, and of its bases' `source`, as they are when the class is made. None
    where that can't be told: in a notebook, at a prompt, for a class made in a function, if the
    file or a helper was edited since it was loaded. What the class is given later doesn't show.
    """

    source: ClassVar[str | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__") != cls.__module__:
            frame = frame.f_back  # metaclasses come between
        parts = [base.source for base in cls.__mro__[1:] if issubclass(base, Sourced)][:-1]
        try:
            parts += _digests(frame) if frame is not None else [None]
        except (OSError, SyntaxError, ValueError):  # gone, or half edited
            parts.append(None)
        cls.source = None if None in parts else hashlib.sha256(repr(parts).encode()).hexdigest()


def _digests(frame: FrameType) -> list[str | None]:
    """SHA-256 of the file that runs in this frame, and of its helpers, sorted; [None] if one isn't
    what was loaded. Raises OSError, SyntaxError or ValueError for no such file."""
    code, names = frame.f_code, frame.f_globals
    own = Path(code.co_filename).resolve()
    # A cell of a notebook is no module's file. What was compiled before may be of an older text.
    if code.co_filename != names.get("__file__") or code != compile(
        own.read_bytes(), own, "exec", dont_inherit=True
    ):
        return [None]
    _seen.pop(own, None)
    todo, found = [(own, str(names.get("__package__") or ""))], dict[Path, str]()
    while todo:
        path, package = todo.pop()
        if path not in found:
            text = path.read_bytes()
            found[path] = hashlib.sha256(text).hexdigest()
            todo += _helpers(text, package, own.parent)
    known = all(_seen.setdefault(path, digest) == digest for path, digest in found.items())
    return [*sorted(found.values())] if known else [None]


def _helpers(text: bytes, package: str, folder: Path) -> Iterator[tuple[Path, str]]:
    """Files in `folder` and this one, and their packages, of the modules that a text may import:
    loaded ones, and those that will be."""
    for name in _imports(text, package):
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None) or folder / (name.replace(".", "/") + ".py")
        path = Path(file).resolve()
        beside = path.is_relative_to(folder) and "site-packages" not in path.parts
        if path.is_file() and (beside or path.parent == folder or path.is_relative_to(_HERE)):
            yield path, getattr(module, "__package__", None) or ""


@cache
def _imports(text: bytes, package: str) -> tuple[str, ...]:
    """Dotted names in a text's imports that may be modules'; none of the standard library's."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(n for n in found if n.partition(".")[0] not in sys.stdlib_module_names)
