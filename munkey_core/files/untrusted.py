"""Texts, JSON and CSV of unknown origin, taken in so that nothing in them can do harm.

What comes from a file may be shown in a page, a terminal, a table or a link. So a name holds no
control characters (a terminal would obey them) and nothing that turns the direction of writing (it
would make one name look like another).
"""

import csv
import io
import re
import tomllib
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from munkey_core.errors import BadInputError
from munkey_core.files.limits import at_most, limits
from munkey_core.files.names import compared

MAX_NAME = 200
# Control characters but tab, line feed and carriage return; lone surrogates; what overrides or
# isolates the direction of writing. A pattern, because a CSV file has millions of characters.
_ODD = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069"
_NOT_PLAIN = re.compile(f"[{_ODD}]")
NAME = rf"\A[^{_ODD}\t\n\r\u2028\u2029]*\Z"
_NAME = re.compile(NAME)
_NOT_IN_NAMES = re.compile(rf"[{_ODD}\t\n\r\u2028\u2029]")
_DELIMITERS = ",;\t"
_HINT = re.compile(r'\A\s*"?sep=(\t|[^\w\s"\'])"?[^\S\r\n]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_SAMPLE, _SAMPLE_ROWS = 65_536, 20  # characters and rows by which the mark between cells is known
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_DEEPEST = 100
_MAX_TOML = 1_000_000


# -- texts ---------------------------------------------------------------------------------------


def is_name(text: str, most: int = MAX_NAME) -> bool:
    """Whether a text can be a name: short, of one line, and it looks like what it is."""
    return len(text) <= most and _NAME.match(text) is not None


def one_line(text: str) -> str:
    """A text with U+FFFD for every character that a name can't hold."""
    return _NOT_IN_NAMES.sub("\ufffd", text)


def is_plain(text: str) -> bool:
    """Whether a text holds no control characters but tabs and ends of lines, no lone surrogates,
    and nothing that turns the direction of writing."""
    return not _NOT_PLAIN.search(text)


def shown(text: object, most: int = 60) -> str:
    """A foreign value for a message: in quotation marks, escaped, shortened."""
    quoted = ascii(text) if isinstance(text, str) and not is_plain(text) else repr(text)
    return quoted if len(quoted) <= most else quoted[:most] + "…"


def read_limited(path: Path, most: int, name: str) -> bytes:
    """The bytes of a plain file of at most so many. Raises BadInputError, OSError."""
    if not path.is_file():  # opening a pipe would wait for ever
        raise BadInputError(f"{name}: wanted a plain file, got none")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise BadInputError(f"{name}: wanted at most {most:,} bytes, got more")
    return data


# -- JSON and TOML -------------------------------------------------------------------------------


def parse_json(data: bytes, name: str) -> Any:
    """The value of a JSON text. Raises BadInputError for anything that is no JSON in UTF-8, for
    numbers that are not finite, more than 100 levels, and texts that are not plain."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        reason = "too deep" if isinstance(error, RecursionError) else str(error)
        raise BadInputError(f"{name} is not valid JSON ({reason})") from error
    _check_tree(value, name)
    return value


def read_toml(path: Path, name: str) -> dict[str, Any]:
    """The tables of a TOML file of at most a megabyte. name: for messages. Raises BadInputError for
    anything else, for more than 100 levels, and for texts that are not plain."""
    try:
        if path.stat().st_size > _MAX_TOML:
            raise BadInputError(f"{name}: larger than {_MAX_TOML:,} bytes")
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{name} can't be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{name} is not valid TOML ({error})") from error
    _check_tree(values, name)
    return values


def _check_tree(value: Any, name: str) -> None:
    """Not by recursion: how deep it goes is up to whoever wrote it."""
    level = [value]
    for _ in range(_DEEPEST):
        texts = [text for item in level for text in _texts(item)]
        wrong = next((text for text in texts if not is_plain(text)), None)
        if wrong is not None:
            raise BadInputError(f"{name}: {shown(wrong)} holds characters that no text needs")
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return
    raise BadInputError(f"{name}: wanted at most {_DEEPEST} levels, got more")


def _texts(item: Any) -> Iterable[str]:
    if isinstance(item, str):
        return (item,)
    return item.keys() if isinstance(item, dict) else ()


def _inside(item: Any) -> Iterable[Any]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


# -- CSV -----------------------------------------------------------------------------------------


def parse_csv(data: bytes, name: str, columns: Collection[str] = ()) -> list[tuple[int, list[str]]]:
    """Rows of a CSV file that are not empty, each with the number of its last line.

    Understood: UTF-8 with or without a byte order mark, UTF-16 with one; commas, semicolons or tabs
    between the cells, whichever fits the header best; a spreadsheet's own line `sep=;` before it,
    which is no row; quoted cells with ends of lines in them. Cells come without blanks around them.
    Nothing in a cell is ever computed: `=1+1` is a text. columns: names (small letters) that the
    header is expected to have.

    Raises BadInputError, one line naming the file, what was wanted and in which line.
    """
    if len(data) > limits().csv_bytes:
        raise BadInputError(f"{name}: wanted {at_most('csv_bytes', 'bytes')}, got {len(data):,}")
    text = _decode(data, name)
    hint = _HINT.match(text)
    lines = 0
    if hint:
        lines = len(text[: hint.end()].splitlines())
        text = text[hint.end() :]
    delimiter = hint.group(1) if hint else _delimiter(text, columns)
    most = limits().csv_rows
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(rows) >= most:
                raise BadInputError(f"{name}: wanted {at_most('csv_rows', 'rows')}, got more")
            rows.append((lines + reader.line_num, cells))
    except csv.Error as error:
        raise BadInputError(
            f"{name}: line {lines + reader.line_num} is not a line of a CSV file ({error})"
        ) from error
    return rows


def _delimiter(text: str, columns: Collection[str]) -> str:
    """The mark between the cells: the one by which the header has most of the expected names, then
    most rows have as many cells as the header, then the header has most cells, then all rows."""
    sample = text[:_SAMPLE]

    def fit(mark: str) -> tuple[int, int, int, int]:
        rows = _sampled(sample, mark)
        head = rows[0] if rows else []
        named = sum(compared(cell).casefold() in columns for cell in head)
        alike = sum(len(row) == len(head) for row in rows) if len(head) > 1 else 0
        return named, alike, len(head), sum(map(len, rows))

    return max(_DELIMITERS, key=fit)


def _sampled(text: str, mark: str) -> list[list[str]]:
    """The first rows, as far as they can be read; the last one may be cut."""
    rows: list[list[str]] = []
    try:
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, strict=True
        )
        rows.extend(row for row in islice(reader, 5 * _SAMPLE_ROWS) if any(map(str.strip, row)))
    except csv.Error:  # said when the whole file is read
        pass
    return rows[:_SAMPLE_ROWS]


def read_csv(path: Path, name: str, columns: Collection[str] = ()) -> list[tuple[int, list[str]]]:
    """`parse_csv` of a file, of which no more is read than may be."""
    try:
        if not path.is_file():
            raise BadInputError(f"{name}: wanted a CSV file, got no regular file")
        with path.open("rb") as file:
            data = file.read(limits().csv_bytes + 1)
    except (OSError, ValueError) as error:  # not there, or no path at all
        raise BadInputError(f"{name}: can't be read as a CSV file ({error})") from error
    return parse_csv(data, name, columns)


def _decode(data: bytes, name: str) -> str:
    encoding = next((code for mark, code in _BOMS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{name}: wanted a CSV file in UTF-8, got other bytes (at {error.start:,}); in a "
            'spreadsheet, save it as "CSV UTF-8"'
        ) from error
    if not is_plain(text):
        raise BadInputError(
            f"{name}: wanted a CSV file, got control characters or ones that turn the direction of "
            "writing"
        )
    return text


def safe_cell(value: object) -> object:
    """A value for a CSV file that somebody may open in a spreadsheet: a text that would be taken
    for a formula gets an apostrophe before it (OWASP, CSV injection). Numbers stay numbers."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def plain_cell(text: str) -> str:
    """The inverse of `safe_cell`: a text without the apostrophe that protected it."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
