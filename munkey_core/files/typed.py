"""Whether a frozen value holds what its annotations say: for values that come from files."""

from __future__ import annotations

import dataclasses
import math
import types
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from munkey_core.errors import BadInputError
from munkey_core.files.untrusted import is_name, shown


def check_types(value: object, where: str) -> None:
    """Check a dataclass and everything in it: kinds, lengths of tuples, finite numbers, and that
    texts are names (one line, at most 200 characters).

    Raises BadInputError naming the field, such as "report.models.MUNKEY.mia_auc".
    """
    kind: Any = type(value)
    for name, hint in _hints(kind).items():
        _check(getattr(value, name), hint, f"{where}.{name}")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _check(value: Any, hint: Any, where: str) -> None:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return
    if origin in (Union, types.UnionType):
        _check_union(value, inner, where)
    elif isinstance(hint, type) and dataclasses.is_dataclass(hint):
        _require(isinstance(value, hint), where, hint.__name__, value)
        check_types(value, where)
    elif origin is dict:
        _require(isinstance(value, dict), where, "a table", value)
        for name, item in value.items():
            _check(name, inner[0], where)
            _check(item, inner[1], f"{where}.{name}")
    elif origin is tuple:
        _check_tuple(value, inner, where)
    else:
        _require(_is(value, hint), where, _WORDS.get(hint, str(hint)), value)


def _check_union(value: Any, kinds: tuple[Any, ...], where: str) -> None:
    if value is None and type(None) in kinds:
        return
    others = [kind for kind in kinds if kind is not type(None)]
    for kind in others[:-1]:
        try:
            return _check(value, kind, where)
        except BadInputError:
            continue
    _check(value, others[-1], where)


def _check_tuple(value: Any, inner: tuple[Any, ...], where: str) -> None:
    _require(isinstance(value, tuple), where, "a list", value)
    if inner[-1] is Ellipsis:
        inner = (inner[0],) * len(value)
    _require(len(value) == len(inner), where, f"{len(inner)} values", value)
    for item, kind in zip(value, inner, strict=True):
        _check(item, kind, where)


_WORDS = {
    str: "a text of one line",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
}


def _is(value: Any, kind: Any) -> bool:
    if kind is str:
        return isinstance(value, str) and is_name(value)
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and abs(value) < 1e15 and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, kind)


def _require(ok: bool, where: str, wanted: str, got: object) -> None:
    if not ok:
        raise BadInputError(f"{where} must be {wanted}, got {shown(got)}")
