"""`munkey kept`: what the app took in or made on this machine, and how to be rid of it."""

from dataclasses import asdict
from typing import Annotated

from typer import Option

from munkey_core.cli.base import answer, command, table
from munkey_core.cli.options import Json
from munkey_core.files.in_words import counted


@command("munkey kept", "munkey kept --delete upload/faces-1a2b3c4d --yes")
def kept(
    delete: Annotated[
        list[str] | None, Option(metavar="NAME", help="one of the list; may be repeated")
    ] = None,
    yes: Annotated[bool, Option("--yes", help="really do it: there is no undo")] = False,
    as_json: Json = False,
) -> int:
    """List uploads, models made in the app and the cache; delete some for good."""
    from munkey_core.errors import BadInputError
    from munkey_core.files.machine import readable_bytes
    from munkey_core.jobs.kept import delete_kept, kept_named, list_kept

    chosen = kept_named(delete) if delete else list_kept()
    if yes and not delete:
        raise BadInputError("--yes goes with --delete: what is to be deleted?")
    rows = [
        (one.name, readable_bytes(one.bytes), counted(one.files, "file"), one.changed, one.in_use)
        for one in chosen
    ]
    document = {"kept": [asdict(one) for one in chosen], "deleted": []}
    if not delete:
        return answer(as_json, document, table(rows) if rows else ["nothing is kept here"])
    if not yes:
        last = "nothing was deleted: --yes does it, and there is no undo"
        return answer(as_json, document, [*table(rows), last])
    done = {one.name: delete_kept(one.name) for one in chosen}
    document["deleted"] = [{"name": name, "files": files} for name, files in done.items()]
    lines = [
        f"{name}: {counted(files, 'file')} overwritten and removed" for name, files in done.items()
    ]
    return answer(as_json, document, lines)
