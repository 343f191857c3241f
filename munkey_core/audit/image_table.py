"""One CSV row an image: what MUNKEY said before and after deletion, and what the oracle says."""

import csv
import io
from collections.abc import Sequence

from munkey_core.audit.audit import AFTER, BEFORE, ORACLE, ForgettingAudit
from munkey_core.audit.figures import Entry
from munkey_core.files.untrusted import safe_cell
from munkey_core.results import PRIVATE, TEST

_STATES = {"before": BEFORE, "after": AFTER, "retrained": ORACLE}
HEADER = (
    "id",
    "set",
    "class",
    *(f"{state}_{what}" for state in _STATES for what in ("class", "p_true")),
    "shift_by_deletion",
    "distance_to_retrained",
)


def image_table(audit: ForgettingAudit, entries: Sequence[Entry]) -> str:
    """CSV text, a row for each private and test image, of the first seed.

    set: forget, retain or test. p_true: probability of the true class, in [0, 1].
    shift_by_deletion: after − before. distance_to_retrained: after − retrained.
    """
    bundle = audit.bundle
    outputs = {entry.name: entry.outputs[0] for entry in entries}
    states = {state: outputs[name].both for state, name in _STATES.items()}
    forget = set(audit.ids)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row, record in enumerate((*bundle.records_of(PRIVATE), *bundle.records_of(TEST))):
        part = "test" if record.split == TEST else "forget" if record.id in forget else "retain"
        classes = bundle.manifest.classes
        truth = {state: float(p[row, record.label]) for state, p in states.items()}
        said = [
            value
            for state, p in states.items()
            for value in (safe_cell(classes[int(p[row].argmax())]), f"{truth[state]:.6f}")
        ]
        shift = truth["after"] - truth["before"]
        distance = truth["after"] - truth["retrained"]
        writer.writerow(
            [
                record.id,
                part,
                safe_cell(classes[record.label]),
                *said,
                f"{shift:.6f}",
                f"{distance:.6f}",
            ]
        )
    return text.getvalue()
