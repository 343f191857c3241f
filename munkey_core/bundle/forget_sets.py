"""Which images are meant: canonical forget sets, and the command line's ways to name ids."""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.image_names import ImageNames
from munkey_core.data.seeding import permutation
from munkey_core.errors import BadInputError
from munkey_core.files.in_words import counted
from munkey_core.files.limits import at_most, limits
from munkey_core.files.names import compared, lookalikes
from munkey_core.files.untrusted import parse_csv, plain_cell, read_csv, shown
from munkey_core.model.search import near_pairs
from munkey_core.results import PRIVATE, Record

_HARD_SHARE = 0.01
MAIN_SET = "random-10pct"  # on which seeds are compared
_SHARES = {"random-1pct": 0.01, "random-5pct": 0.05, "hard-1pct": _HARD_SHARE}
_MOST_PAIRS = 2_000_000  # a memory of copies has half the square of its size


def _one_class(bundle: Bundle) -> tuple[str, ...]:
    """Every private image of one class, drawn by a fixed seed among those that have any."""
    private = bundle.records_of(PRIVATE)
    there = {record.label for record in private}
    drawn = permutation(len(bundle.manifest.classes), _SEED).tolist()
    label = next(label for label in drawn if label in there)
    return tuple(r.id for r in private if r.label == label)


def _one_owner(bundle: Bundle) -> tuple[str, ...]:
    """Every private image of the owner who has most; among equals the first name."""
    owned: dict[str, list[str]] = {}
    for record in bundle.records_of(PRIVATE):
        if record.owner:
            owned.setdefault(record.owner, []).append(record.id)
    if not owned:
        raise BadInputError("one-owner: no image of this bundle has an owner")
    return tuple(owned[min(owned, key=lambda owner: (-len(owned[owner]), owner))])


def _hard(bundle: Bundle) -> tuple[str, ...]:
    """The 1% of the private images that the bundle's own model has memorised most, at least one:
    the same in every mode."""
    scores = bundle.joint_memorisation
    if scores is None:
        scores = bundle.scores.get("memorisation")
    if scores is None:
        raise BadInputError("hard-1pct: this bundle has no memorisation scores")
    count = max(1, round(len(bundle.bank) * _HARD_SHARE))
    order = scores.argsort(descending=True, stable=True)
    return tuple(bundle.bank.ids[row] for row in order[:count].tolist())


def _near_duplicates(bundle: Bundle) -> tuple[str, ...]:
    """One image of each pair of near-duplicates, the closest pairs first; an image is in at most
    one pair, and the one whose id sorts later is forgotten."""
    keys, ids = bundle.bank.keys, bundle.bank.ids
    pairs: list[tuple[float, int, int]] = []
    for i, j, similarity in near_pairs(keys, bundle.manifest.near_duplicate):
        if i < j:
            pairs.append((-similarity, i, j))
        if len(pairs) > _MOST_PAIRS:
            raise BadInputError("near-duplicates: nearly all images are near-copies of each other")
    used: set[int] = set()
    forget = []
    for _, i, j in sorted(pairs):
        if i not in used and j not in used:
            used |= {i, j}
            forget.append(max(ids[i], ids[j]))
    if not forget:
        raise BadInputError("near-duplicates: no two images of this bundle are near-copies")
    return tuple(sorted(forget))


def _random(percent: int) -> Callable[[Bundle], tuple[str, ...]]:
    return lambda bundle: random_forget_set(bundle.bank.ids, percent)


def _makes_sense(name: str, ids: Sequence[str], bundle: Bundle) -> bool:
    """Whether a set is worth a row in a table: it leaves something to retain, and a percentage is
    of an image at least, else its name promises less than it takes."""
    share = _SHARES.get(name)
    n = len(bundle.bank)
    return 0 < len(ids) < n and (share is None or n * share >= 1)


CANONICAL: dict[str, Callable[[Bundle], tuple[str, ...]]] = {
    "random-1pct": _random(1),
    "random-5pct": _random(5),
    "random-10pct": _random(10),
    "one-class": _one_class,
    "one-owner": _one_owner,
    "hard-1pct": _hard,
    "near-duplicates": _near_duplicates,
}


CANONICAL_TITLES = {
    "random-1pct": "1% at random",
    "random-5pct": "5% at random",
    "random-10pct": "10% at random",
    "one-class": "one whole class",
    "one-owner": "one owner, the one with most images",
    "hard-1pct": "the most memorised 1%",
    "near-duplicates": "one image of each pair of near-duplicates",
}


def forget_set(spec: str, bundle: Bundle) -> tuple[str, ...]:
    """The private ids that `spec` names: a canonical set's name, or what `select_ids` takes.

    Raises BadInputError. Ids are not checked against the bank.
    """
    spec = spec.strip()
    if spec in CANONICAL:
        return CANONICAL[spec](bundle)
    names = ImageNames(record.id for record in bundle.records)
    return select_ids(spec, bundle.records_of(PRIVATE), names)


def names_a_set(spec: str) -> bool:
    """Whether images are named by a set such as random-10pct, not one by one, by owner or by file:
    it means other images once some are erased."""
    return spec.strip() in CANONICAL or _RANDOM.fullmatch(spec.strip()) is not None


def forget_set_digest(ids: Iterable[str]) -> str:
    """SHA-256 (hex) of a set of ids; their order doesn't matter."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def canonical_sets(bundle: Bundle) -> dict[str, tuple[str, ...]]:
    """Ids of the canonical sets that this bundle has: not every one has owners or near-copies, and
    one image is more than 1% of a small memory. `random-10pct` every bundle has in which something
    stays when one image goes; of a memory of one image there is none."""
    found = {}
    for name, members in CANONICAL.items():
        with contextlib.suppress(BadInputError):
            ids = members(bundle)
            if _makes_sense(name, ids, bundle):
                found[name] = ids
    return found


def canonical_name(ids: Iterable[str], bundle: Bundle) -> str | None:
    """The canonical set that holds exactly these ids, if there is one."""
    wanted = set(ids)
    sets = canonical_sets(bundle).items()
    return next((name for name, members in sets if wanted == set(members)), None)


def size_name(n: int) -> str:
    """What to call a set of n images that has no name: "1 image", "1,000 images"."""
    return counted(n, "image")


RANDOM_SETS = ("random-1pct", "random-5pct", "random-10pct")
_RANDOM = re.compile(r"random-([1-9]\d?)pct")
# One seed for all bundles, so that a set's name means the same images everywhere it is quoted.
_SEED = 2603
_LONGEST_NAME = 200  # characters of a path in a message
_ID_COLUMNS = ("id", "file")  # of a table, the likelier first
_NUMBER = re.compile(r"[-+]?[0-9][0-9.,]*%?")
# Cells (small letters) by which a header is known that has neither of those columns.
_HEADER = re.compile(
    r"(?:(?:the|image|img|picture|photo|file|sample|record|example|data|train|class|owner|person)"
    r"[ _.-]*)*(?:ids?|id[ _.-]?(?:no|nr|number)|identifiers?|uuid|names?|paths?|files?|filename|"
    r"images?|img|pictures?|photos?|labels?|class|classes|owners?|splits?|index|number|score|notes?)"
)


def random_forget_set(ids: Sequence[str], percent: int) -> tuple[str, ...]:
    """`percent` of the ids, drawn by a fixed seed from their sorted order; at least one."""
    ordered = sorted(ids)
    count = max(1, round(len(ordered) * percent / 100))
    order = permutation(len(ordered), _SEED, percent)
    return tuple(sorted(ordered[i] for i in order[:count]))


def select_ids(
    spec: str, private: Sequence[Record], names: ImageNames | None = None
) -> tuple[str, ...]:
    """The private ids that `spec` names, each once, in order of first mention.

    spec: ids or file names separated by commas, `@file.csv` (a table of them, see `parse_id_csv`),
    `owner:NAME`, or a canonical set such as `random-10pct`. names: of the bundle's images, for file
    names; without it only ids are understood. Raises BadInputError naming what is wrong; ids are
    not checked against the bank.
    """
    spec = spec.strip()
    names = names or ImageNames()
    if spec.startswith("@"):
        ids = tuple(map(names.id_for, read_id_csv(Path(spec[1:]))))
    elif spec.startswith("owner:"):
        ids = _of_owner(spec.removeprefix("owner:"), private)
    elif match := _RANDOM.fullmatch(spec):
        ids = random_forget_set([record.id for record in private], int(match.group(1)))
    else:
        ids = names.in_text(spec, ",")
    if not ids:
        raise BadInputError(
            "name at least one image: ids separated by commas, @file.csv, owner:NAME or one of "
            + ", ".join(RANDOM_SETS)
        )
    if not spec.startswith(("owner:", "random-")):  # of what people list, not of what there is
        check_count(ids)
    return tuple(dict.fromkeys(ids))


def _of_owner(name: str, private: Sequence[Record]) -> tuple[str, ...]:
    """Ids of an owner's images, however the name is spelled."""
    for form in (name, plain_cell(name)):
        wanted = compared(form)
        if ids := tuple(r.id for r in private if r.owner and compared(r.owner) == wanted):
            return ids
    owners = dict.fromkeys(record.owner for record in private if record.owner)
    alike = ", ".join(shown(other) for _, other in lookalikes([name], owners)[:3])
    raise BadInputError(
        f"no private image belongs to an owner {shown(name)}"
        + (f"; there is {alike}, whose name looks alike" if alike else "")
    )


def read_id_csv(path: Path) -> tuple[str, ...]:
    """Ids of a CSV file, as `parse_id_csv` reads them."""
    name = str(path)
    name = name if len(name) <= _LONGEST_NAME else shown(name)
    return _ids_of(read_csv(path, name, _ID_COLUMNS), name)


def parse_id_csv(data: bytes, name: str) -> tuple[str, ...]:
    """Ids, or names of files, of a CSV file's bytes. name: for messages.

    They stand in its column `id`, or else `file`. Without a header all cells are ids, but for
    columns of numbers beside ids that are none. Raises BadInputError for a header that names
    neither, and where it can't be told which cells are ids.
    """
    return _ids_of(parse_csv(data, name, _ID_COLUMNS), name)


def check_count(ids: Sequence[str]) -> None:
    """Raises BadInputError for more ids than one request may name."""
    if len(ids) > limits().ids:
        raise BadInputError(f"wanted {at_most('ids', 'ids')} in one request, got {len(ids):,}")


def _ids_of(rows: Sequence[tuple[int, list[str]]], name: str) -> tuple[str, ...]:
    head = [compared(cell).casefold() for cell in rows[0][1]] if rows else []
    column = next((head.index(wanted) for wanted in _ID_COLUMNS if wanted in head), None)
    if column is None and any(map(_HEADER.fullmatch, head)):
        there = ", ".join(cell for cell in rows[0][1] if cell)
        there = there if len(there) <= _LONGEST_NAME else shown(there)
        raise BadInputError(f"{name}: column id is missing: have {there}")
    body = rows if column is None else rows[1:]
    if not body:
        raise BadInputError(f"{name} holds no ids")
    place = column or 0
    for line, row in body:
        if len(row) <= place or not row[place]:
            raise BadInputError(f"{name}: line {line} has no id in column {place + 1}")
    if column is None:
        ids = tuple(_without_header(body, name))
    elif len(head) == 1:  # what stands beside the only column that has a name belongs to it
        ids = tuple(cell for _, row in body for cell in row if cell)
    else:
        ids = tuple(row[place] for _, row in body)
    check_count(ids)
    return ids


def _without_header(rows: Sequence[tuple[int, list[str]]], name: str) -> Iterator[str]:
    """The cells of a table that are ids: all, but for numbers beside ids that are no numbers."""
    numbered = all(_NUMBER.fullmatch(row[0]) for _, row in rows)
    for line, row in rows:
        others = [cell for cell in row[1:] if cell]
        if others and len(rows) > 1 and numbered:
            raise BadInputError(
                f"{name}: line {line} has several numbers, and no header says which of them is an "
                "id: wanted a header with a column id, or one id a line"
            )
        yield row[0]
        yield from (c for c in others if len(rows) == 1 or not _NUMBER.fullmatch(c))
