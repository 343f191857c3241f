"""`munkey results`: what all bundles measured, on one page."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from munkey_core.cli.base import answer, command
from munkey_core.cli.options import Json
from munkey_core.errors import BadInputError


@command("munkey results --check")
def results(
    bundles: Annotated[list[str] | None, Argument(help="default: those that ship")] = None,
    check: Annotated[bool, Option("--check", help="write nothing; fail if it is another")] = False,
    out: Annotated[Path | None, Option(help="default: tutorials/RESULTS.md")] = None,
    as_json: Json = False,
) -> int:
    """Write all figures that bundles carry into one page."""
    from munkey_core.audit.results_page import page_path, results_page, shipped_bundles
    from munkey_core.bundle.find import find_bundle

    shipped, folder = shipped_bundles()
    folders = [find_bundle(name) for name in bundles or ()] or shipped
    if not folders:
        raise BadInputError(f"no bundle ships in {folder}; name some")
    path = out or page_path()
    page = results_page(folders)
    names = [one.resolve().name for one in folders]
    same = not check or (path.is_file() and path.read_text(encoding="utf-8") == page)
    if not check:
        path.write_text(page, encoding="utf-8")
        line = f"wrote {path}: {', '.join(names)}"
    elif same:
        line = f"{path} is what the bundles say"
    else:
        line = f"{path} is not what the bundles say; `munkey results` writes it anew"
    document = {"bundles": names, "file": str(path), "same": same}
    return answer(as_json, document, [line], 0 if same else 1)
