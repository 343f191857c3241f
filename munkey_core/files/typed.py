"""Plain values that came out of a file, made into what they are said to be.

msgspec checks kinds, ranges and lengths. Here its errors become one line in this project's words,
and what it passes over is refused: names that a dataclass doesn't have, and endless numbers.
"""

import copy
import dataclasses
import re
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar, cast, is_typeddict

import msgspec

from munkey_core.errors import BadInputError
from munkey_core.files.untrusted import MAX_NAME, NAME, parse_json, shown

T = TypeVar("T")
Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME, pattern=NAME)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
DigestOrNone = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{64})?\Z")]

_STEP = re.compile(r"\.(\w+)|\[([\d.]+)\]")
_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}


def checked(
    kind: type[T],
    values: object,
    where: str,
    others: tuple[type, ...] = (),
    most: float = sys.float_info.max,
) -> T:
    """`values` as a `kind`: a dataclass, or a TypedDict, which stays the table that it is with
    whatever else it holds. values: plain ones, or the bytes of a JSON file. where: the file or
    table, for messages. others: dataclasses whose tables may hold names that they don't have; they
    are passed over. most: size of a number.

    Raises BadInputError such as "manifest.json: dataset.grey must be true or false, got 'yes'".
    """
    if isinstance(values, bytes):
        values = parse_json(values, where)
    try:
        made = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise BadInputError(_sentence(kind, values, where, str(error))) from error
    except BadInputError as error:  # what a dataclass says of itself
        raise BadInputError(f"{where}: {error}") from error
    except UnicodeEncodeError as error:
        raise BadInputError(f"{where} holds {shown(error.object)}, which is no text") from error
    _check_rest(values, made, where, "", others, most)
    return cast(T, values) if is_typeddict(kind) else made


def _check_rest(
    given: Any, made: Any, where: str, place: str, others: tuple[type, ...], most: float
) -> None:
    inner: Iterable[tuple[str, Any, Any]] = ()
    if dataclasses.is_dataclass(made):
        known = [field.name for field in dataclasses.fields(made)]
        unknown = [name for name in given if name not in known]
        if unknown and not isinstance(made, others):
            names = f"{shown(unknown[0])}; known: {', '.join(known)}"
            raise BadInputError(f"{_at(where, place)} has no {names}")
        inner = ((f".{name}", given[name], getattr(made, name)) for name in known if name in given)
    elif isinstance(made, dict):
        inner = ((f".{name}", given[name], value) for name, value in made.items())
    elif isinstance(made, (list, tuple)):
        inner = ((f"[{i}]", given[i], value) for i, value in enumerate(made))
    elif isinstance(made, (int, float)) and not abs(made) <= most:
        wanted = f"a finite number of at most {most:.3g}"
        raise BadInputError(f"{_at(where, place)} must be {wanted}, got {shown(made)}")
    for step, one, other in inner:
        _check_rest(one, other, where, place + step, others, most)


def _at(where: str, place: str) -> str:
    """place: such as ".trials[2].seed"; empty for the whole."""
    return f"{where}: {place.lstrip('.')}" if place else where


# -- what msgspec says ---------------------------------------------------------------------------


def _sentence(kind: Any, values: object, where: str, error: str) -> str:
    """error: such as "Expected `int`, got `str` - at `$.a[0]`"; "[...]" is any entry of a table."""
    said, found, path = error.rpartition(" - at `")
    if not found:
        said, path = error, ""
    root: Any = copy.deepcopy(values)
    at, place, wanted = root, "", msgspec.inspect.type_info(kind)

    def fails() -> bool:
        try:
            msgspec.convert(root, kind)
        except (msgspec.ValidationError, BadInputError, UnicodeEncodeError) as again:
            return str(again) == error
        return False

    for name, index in _STEP.findall(path):
        step = name or (_culprit(at, fails) if index == "..." else int(index))
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
        wanted, at = _inside(wanted, name), at[step]
    subject = _at(where, f"a name in {place[1:] or 'it'}" if path.startswith("key") else place)
    if "missing required field" in said:
        return f"{subject} needs {said.split('`')[1]}"
    if said.startswith("Invalid enum value"):
        said = "Expected one of " + ", ".join(getattr(wanted, "values", ()))
    elif said.endswith("out of range"):
        said = "Expected a finite number"
    if not said.startswith("Expected "):
        return f"{subject}: {said}"
    text = said.removeprefix("Expected ").split(", got ")[0]
    text = text.replace(f"matching regex {NAME!r}", "of one line")
    text = re.sub("`(.*?)`", lambda kinds: _in_words(kinds[1]), text)
    return f"{subject} must be {text}, got {shown(at)}"


def _in_words(kinds: str) -> str:
    kinds = kinds.replace("int | float", "float")
    return " or ".join(_WORDS.get(kind, kind) for kind in kinds.split(" | "))


def _inside(info: Any, name: str) -> Any:
    """What msgspec knows of a part of a type. name: of a field; empty for an entry."""
    fields = {field.name: field.type for field in getattr(info, "fields", ())}
    return fields.get(name, getattr(info, "value_type", getattr(info, "item_type", None)))


def _culprit(table: dict[str, Any], fails: Callable[[], bool]) -> str:
    """The entry that is wrong, the last that is left in the table while the halves are tried."""
    while len(table) > 1:
        entries = list(table.items())
        middle = len(entries) // 2
        for half in (entries[:middle], entries[middle:]):
            table.clear()
            table.update(half)
            if fails():
                break
    return next(iter(table))
