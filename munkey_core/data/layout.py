"""How a folder of images is laid out: where its classes lie, and which folders are its parts.

photos/cats, photos/dogs                      classes
photos/…, README.md, __MACOSX                 the one folder of classes, with things beside it
Training/cats/…, Testing/cats/…               parts, by any usual name
seg_train/seg_train/cats/…, seg_pred/…        parts in folders of their own names, and an odd one
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from munkey_core.data.formats import looks_like_picture, named_as_picture
from munkey_core.files.system_files import added_by_system
from munkey_core.files.untrusted import shown

TRAIN, TEST, VALIDATION = "train", "test", "validation"

_DEEPEST = 3  # folders around the folder at most
_LOOKED_INTO = 1000  # files of a folder, where none is named as a picture
_ROLES = {
    **dict.fromkeys(("train", "training", "trn"), TRAIN),
    **dict.fromkeys(("test", "testing", "tst", "tests", "holdout", "heldout"), TEST),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "vali"), VALIDATION),
    **dict.fromkeys(("dev", "devel", "development", "eval", "evaluation", "tune"), VALIDATION),
}
_FILLER = "sets?|data|datasets?|images?|imgs?|pictures?|photos?|samples?|splits?|parts?|folder|seg"
_WORD = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")  # ChestTrain → Chest Train
_FILLED = re.compile(rf"(?:{_FILLER})?({'|'.join(_ROLES)})(?:{_FILLER})*")
_FILLS = re.compile(rf"(?:{_FILLER})+")


@dataclass(frozen=True)
class Part:
    """role: TRAIN, TEST or VALIDATION. home: the folder of classes, and prefix: its path
    inside the root."""

    role: str
    prefix: str
    home: Path


@dataclass(frozen=True)
class Layout:
    """root: the folder whose sub-folders are the classes or the parts. classes: names of the class
    folders that hold pictures, as far as their endings and first bytes tell. entered: the root's
    path inside the folder that was named, empty for that one itself. parts: by top folder; none
    where the top folders are the classes. inner_tests: folders in each class that are test parts,
    where every class has parts in it. beside: (name, reason) of what is left out as a whole.
    remarks: sentences about what may have been meant otherwise."""

    root: Path
    classes: frozenset[str] = frozenset()
    entered: str = ""
    parts: dict[str, Part] = field(default_factory=dict)
    inner_tests: frozenset[str] = frozenset()
    beside: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()

    def class_of(self, name: str) -> str | None:
        """The class folder in which a file lies; None outside. name: its path inside the root."""
        part = self.parts.get(name.split("/", 1)[0])
        prefix = f"{part.prefix}/" if part is not None else ""
        if not name.startswith(prefix) or (self.parts and part is None):
            return None
        kind, slash, _ = name[len(prefix) :].partition("/")
        return kind if slash else None

    def is_test(self, name: str) -> bool:
        """Whether a file lies in a test part."""
        top, *inner = name.split("/")[:-1] or [""]
        part = self.parts.get(top)
        if part is not None:
            return part.role == TEST
        return not self.parts and bool(inner) and inner[0] in self.inner_tests

    def is_odd(self, name: str) -> bool:
        """Whether a file lies in a folder beside the parts."""
        top, slash, _ = name.partition("/")
        return bool(self.parts) and bool(slash) and top not in self.parts


def find_layout(folder: Path, unwrap: bool = True) -> Layout:
    """Look at the folders' names and at which of them hold pictures; no picture is decoded.

    unwrap: whether the classes may lie in the only folder with pictures, up to three deep.
    Raises OSError for a folder that can't be read.
    """
    root, beside = _entered(folder) if unwrap else (folder, [])
    tops = _with_pictures(root)
    parts = _parts(root, tops)
    kinds = tops
    if parts:
        kinds = [kind for part in parts.values() for kind in _with_pictures(part.home)]
    inner_tests: frozenset[str] = frozenset() if parts else _inner_tests(tops)
    return Layout(
        root=root,
        classes=frozenset(unicodedata.normalize("NFC", kind.name) for kind in kinds),
        entered=inner_name(root, folder) if root != folder else "",
        parts=parts,
        beside=tuple(beside),
        inner_tests=inner_tests,
        remarks=() if parts or inner_tests else tuple(_doubts(tops)),
    )


def inner_name(path: Path, folder: Path) -> str:
    """The path inside the folder. macOS decomposes accents; one form keeps the ids the same."""
    return unicodedata.normalize("NFC", path.relative_to(folder).as_posix())


def visible(names: Sequence[str]) -> list[str]:
    """Those that are neither hidden nor put there by the system, sorted."""
    return sorted(n for n in names if not n.startswith(".") and not added_by_system([n]))


def role_of(name: str) -> tuple[str, tuple[str, ...]] | None:
    """What part a folder of this name is, and the words beside that; None if it is no part's name.

    "seg_train" → ("train", ()); "chest-xray Testing" → ("test", ("chest", "xray")).
    """
    words = [
        w.casefold() for w in _WORD.findall(_HUMP.sub(" ", unicodedata.normalize("NFC", name)))
    ]
    roles = [found[1] for word in words if (found := _FILLED.fullmatch(word))]
    if len(roles) != 1:
        return None
    others = (w for w in words if not _FILLED.fullmatch(w) and not _FILLS.fullmatch(w))
    return _ROLES[roles[0]], tuple(others)


# -- folders -------------------------------------------------------------------------------------


def _entered(folder: Path) -> tuple[Path, list[tuple[str, str]]]:
    """The folder, or the one below it that has two folders with pictures or more, while each above
    has no other with any; and what lies beside that one."""
    here = folder
    beside: list[tuple[str, str]] = []
    for _ in range(_DEEPEST + 1):
        inside = _with_pictures(here)
        if len(inside) >= 2:
            return here, beside
        if len(inside) != 1:
            break
        for path in _all(here):
            if path != inside[0] and not path.name.startswith("."):
                beside.append((inner_name(path, folder), "lies beside the folder of classes"))
        here = inside[0]
    return folder, []


def _all(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: path.name)


def _folders(folder: Path) -> list[Path]:
    names = visible([path.name for path in folder.iterdir()])
    paths = [folder / name for name in names]
    return [path for path in paths if path.is_dir() and not path.is_symlink()]


def _with_pictures(folder: Path) -> list[Path]:
    return [path for path in _folders(folder) if holds_picture(path)]


def holds_picture(folder: Path, deep: bool = True) -> bool:
    """Whether a picture lies in a folder. deep: or in one of those in it."""
    unnamed = 0  # files whose first bytes have to tell
    for here, inner, names in os.walk(folder):
        inner[:] = visible(inner) if deep else ()
        for path in (Path(here, name) for name in visible(names)):
            unnamed += not named_as_picture(path)
            if (named_as_picture(path) or unnamed <= _LOOKED_INTO) and looks_like_picture(path):
                return True
    return False


# -- parts ---------------------------------------------------------------------------------------


def _parts(root: Path, tops: list[Path]) -> dict[str, Part]:
    """The largest group of top folders that are parts of one whole, by name; none if their names
    are those of classes."""
    groups: dict[tuple[str, ...], dict[Path, str]] = {}
    for top in tops:
        if named := role_of(top.name):
            groups.setdefault(named[1], {})[top] = named[0]
    best: dict[str, Part] = {}
    for roles in groups.values():
        places = _places(roles)
        if len(roles) > len(best) and _are_parts(roles, places):
            best = {
                inner_name(top, root): Part(role, inner_name(places[top], root), places[top])
                for top, role in roles.items()
            }
    return best


def _places(roles: dict[Path, str]) -> dict[Path, Path]:
    """Where the classes of each part lie: in it, or in the only folder in it."""
    places = {top: top for top in roles}
    for _ in range(_DEEPEST):
        inside = {top: _with_pictures(place) for top, place in places.items()}
        only = {top: found[0] for top, found in inside.items() if len(found) == 1}
        again = {
            top: place
            for top, place in only.items()
            if (named := role_of(place.name)) and named[0] == roles[top]
        }
        with_classes = [top for top, found in inside.items() if found]
        wrapped = len(only) == len(with_classes) and len({p.name for p in only.values()}) == 1
        if not again and wrapped and all(_with_pictures(place) for place in only.values()):
            again = only
        if not again:
            break
        places |= again
    return places


def _are_parts(roles: dict[Path, str], places: dict[Path, Path]) -> bool:
    """Whether folders are parts: something to learn from (which is validation where nothing is
    called training), something else, and class folders."""
    names = {top: {path.name for path in _with_pictures(place)} for top, place in places.items()}
    kinds = set(roles.values())
    if TRAIN in kinds:
        return len(kinds) >= 2 and any(names[top] for top in roles if roles[top] == TRAIN)
    return len(kinds) >= 2 and bool(set.intersection(*names.values()))


def _inner_tests(tops: list[Path]) -> frozenset[str]:
    """The test parts in the class folders, if all of these hold parts and nothing else."""
    roles: dict[str, str] = {}
    for top in tops:
        if holds_picture(top, deep=False):
            return frozenset()
        for path in _with_pictures(top):
            named = role_of(path.name)
            if named is None or named[1]:
                return frozenset()
            roles[unicodedata.normalize("NFC", path.name)] = named[0]
    if TRAIN not in roles.values():
        return frozenset()
    return frozenset(name for name, role in roles.items() if role == TEST)


def _doubts(tops: list[Path]) -> list[str]:
    """What may have been meant otherwise where the top folders are taken for the classes."""
    found = []
    named = [top.name for top in tops if role_of(top.name)]
    roles = {role_of(name) for name in named}
    if len(roles) >= 2:
        names = ", ".join(shown(name) for name in named[:5])
        found.append(
            f"The folders {names} are taken for classes: there are no class folders in them."
        )
    inner = [tuple(path.name for path in _with_pictures(top)) for top in tops]
    same = len(tops) >= 2 and len(set(inner)) == 1 and len(inner[0]) >= 2
    if same and not any(holds_picture(top, deep=False) for top in tops):
        names = ", ".join(shown(name) for name in inner[0][:5])
        classes = ", ".join(shown(top.name) for top in tops[:5])
        found.append(
            f"The same folders ({names}) lie in each of the classes {classes}: if those are the "
            "classes, put them on top, or name the folders around them train and test."
        )
    return found
