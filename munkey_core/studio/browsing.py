"""What the gallery shows: private images that fit, in the order asked for."""

from munkey_core.data.naming import file_of
from munkey_core.data.seeding import permutation
from munkey_core.errors import BadInputError
from munkey_core.files.names import compared
from munkey_core.results import Browse
from munkey_core.studio.memory import Memory
from munkey_core.studio.shared import SharedModel

_ORDERS = ("memorised", "exposed", "influential", "id", "random")


def browse(shared: SharedModel, memory: Memory, query: Browse) -> tuple[str, ...]:
    """Ids. Raises BadInputError for another order, or one that needs what nobody has computed."""
    if query.order not in _ORDERS:
        raise BadInputError(f"order must be one of {', '.join(_ORDERS)}, got {query.order!r}")
    part, owner = compared(query.contains).casefold().replace("\\", "/"), compared(query.owner)
    found = [
        record.id
        for record in shared.private
        if (not query.classes or record.label in query.classes)
        and (not query.owner or compared(record.owner) == owner)
        and (not part or _named(record.id, query.contains, part))
        and not (query.hide_forgotten and memory.is_forgotten(record.id))
    ]
    if query.near is not None:
        near = {pair.other for pair in memory.near_duplicates(query.near)} - set(query.near)
        found = [id_ for id_ in found if id_ in near]
    if query.paired:
        copies = shared.copies
        found = [id_ for id_ in found if not all(map(memory.is_forgotten, copies[id_]))]
    if query.order == "random" or query.sample is not None:
        found = [found[i] for i in permutation(len(found), query.seed)][: query.sample]
    if query.order == "id":
        found.sort()
    elif query.order == "memorised" and "memorisation" in shared.bundle.scores:
        found.sort(key=lambda id_: -memory.score("memorisation", id_))
    elif query.order == "exposed":
        exposure = shared.exposure()
        if exposure is None:
            raise BadInputError(
                "the order by exposure needs what the model says about every image, which nobody "
                "has computed yet: check any forget set's privacy first"
            )
        scores = exposure.scores
        found.sort(key=lambda id_: -scores[id_])
    elif query.order == "influential":
        if "influence" not in shared.bundle.scores:
            raise BadInputError(
                "the order by influence needs scores that this bundle does not have: "
                "`munkey influence BUNDLE --save` computes them"
            )
        found.sort(key=lambda id_: -memory.score("influence", id_))
    return tuple(found)


def _named(id_: str, typed: str, part: str) -> bool:
    """Whether an id, or the name of its file, holds what was typed. part: the same, as names are
    compared."""
    return typed.lower() in id_.lower() or part in compared(file_of(id_)).casefold()
