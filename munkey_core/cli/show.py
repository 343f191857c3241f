"""`munkey bundles` and `munkey show`: what can be opened, and what it is."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from typer import Option

from munkey_core.cli.base import answer, command, session, table
from munkey_core.cli.options import BundleName, Json
from munkey_core.files.in_words import counted

if TYPE_CHECKING:
    from munkey_core.studio import Studio


@command("munkey bundles")
def bundles(as_json: Json = False) -> int:
    """List the bundles that can be opened."""
    from munkey_core.studio import list_bundles

    found = list_bundles()
    rows = [
        (
            info.name,
            info.problem
            or f"{info.title}: {counted(info.keys, 'key')}, {len(info.classes)} classes, "
            f"{info.bytes / 1e6:.0f} MB, {info.path}",
        )
        for info in found
    ]
    none = ["no bundle found; set MUNKEY_BUNDLES to a folder of bundles, or train one"]
    return answer(as_json, [asdict(info) for info in found], table(rows, left=2) if rows else none)


@command("munkey show fashion", "munkey show fashion --records > records.csv")
def show(
    bundle: BundleName,
    records: Annotated[bool, Option("--records", help="ids, labels, owners as CSV")] = False,
    as_json: Json = False,
) -> int:
    """Check a bundle and tell what it is."""
    studio = session(bundle)
    if records:
        return _records(studio, as_json)
    about, memory = studio.about, studio.memory
    facts = {"digest": about.digest, **about.manifest, "metrics": about.metrics}
    provenance = facts["provenance"]
    return answer(
        as_json,
        facts,
        [
            f"{about.name}: {about.title}, {', '.join(about.classes)}",
            f"licence {facts['dataset']['licence']}; owners "
            + ("simulated" if about.owners_simulated else "from the source"),
            f"{counted(memory.keys_total, 'key')}, {counted(len(memory.test_ids()), 'test image')}",
            f"K = {about.ensemble.k}, {about.ensemble.aggregation}, tau = {about.ensemble.tau}, "
            f"anchor = {about.ensemble.anchor}",
            f"trained on {provenance['device']} in {sum(provenance['seconds'].values()):.0f} s",
            f"digest {about.digest}; all files match it",
        ],
    )


def _records(studio: Studio, as_json: bool) -> int:
    """Ids and what is known of them: private and test images."""
    from munkey_core.files.untrusted import safe_cell

    memory = studio.memory
    records = [memory.record(id_) for id_ in (*memory.private_ids(), *memory.test_ids())]
    rows = [{**asdict(record), "label": studio.about.classes[record.label]} for record in records]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in rows)
    return answer(as_json, rows, [text.getvalue().rstrip("\n")])
