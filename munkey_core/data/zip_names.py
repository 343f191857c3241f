"""Names in .zip archives that don't say how they are encoded.

The format knows cp437 (MS-DOS) and UTF-8 only. Programs of Chinese, Japanese and Russian systems
write their own encoding and say nothing, so that Python reads letters that nobody wrote.
"""

import re
import zipfile
from collections.abc import Callable, Sequence

_SAYS_UTF8 = 0x800  # flag of a member
_WRITTEN = "cp437"  # what zipfile takes for granted
_WORDS = re.compile(r"[^/\\ ._()0-9-]+")
_HALF_KANA = re.compile("[\uff61-\uff9f]")
_EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uff00-\uff60]")
_CYRILLIC = re.compile("[\u0400-\u04ff]+")


def member_names(infos: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The members' names. Where the archive doesn't say so, all that are not ASCII are taken for
    the same: UTF-8, GBK, Shift JIS or cp866 if every one of them can be that, else cp437."""
    raw = [_bytes(info) for info in infos]
    unsaid = [name for name in raw if name is not None]
    encoding = _encoding(unsaid) if unsaid else _WRITTEN
    return [
        info.filename if name is None else name.decode(encoding)
        for info, name in zip(infos, raw, strict=True)
    ]


def _bytes(info: zipfile.ZipInfo) -> bytes | None:
    """A name as the archive holds it; None if it is clear how to read it."""
    written = info.orig_filename.split("\0", 1)[0]
    if info.flag_bits & _SAYS_UTF8 or written.isascii() or len(written) != len(info.filename):
        return None
    try:
        return written.encode(_WRITTEN)
    except UnicodeEncodeError:
        return None


def _encoding(names: Sequence[bytes]) -> str:
    """Of names that are not ASCII. GBK takes nearly any bytes: the most of them must be of its old
    core. Two bytes of that can look like one accented letter of UTF-8, but hardly as a whole word.
    """
    core = sum(_reads([name], "gb2312", _anything) for name in names)
    chinese = core == len(names) and _reads(names, "gb2312", _is_foreign)
    short = chinese and _reads(names, "utf-8", _is_foreign)
    if not short and _reads(names, "utf-8", _anything):
        return "utf-8"
    if 2 * core >= len(names) and _reads(names, "gbk", _anything):
        return "gbk"
    if _reads(names, "cp932", _is_japanese):
        return "cp932"
    return "cp866" if _reads(names, "cp866", _is_cyrillic) else _WRITTEN


def _reads(names: Sequence[bytes], encoding: str, fits: Callable[[str], bool]) -> bool:
    try:
        return all(fits(name.decode(encoding)) for name in names)
    except UnicodeDecodeError:
        return False


def _anything(name: str) -> bool:
    return bool(name)


def _is_foreign(name: str) -> bool:
    """Whether no word mixes ASCII letters with others."""
    return not any(re.search("[A-Za-z]", word) for word in _foreign_words(name))


def _is_japanese(name: str) -> bool:
    return bool(_EAST_ASIAN.search(name)) and not _HALF_KANA.search(name)


def _is_cyrillic(name: str) -> bool:
    return all(map(_CYRILLIC.fullmatch, _foreign_words(name)))


def _foreign_words(name: str) -> list[str]:
    return [word for word in _WORDS.findall(name) if not word.isascii()]
