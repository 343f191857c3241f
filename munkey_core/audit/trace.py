"""What one mode of a bundle keeps of a forget set, as far as is known without any training."""

import time
from collections.abc import Sequence

from munkey_core.audit.audit import (
    AFTER,
    BEFORE,
    ORACLE,
    SEEDS_AND_IMAGES,
    AuditReport,
    code_of,
)
from munkey_core.audit.evidence import Evidence
from munkey_core.audit.figures import Entry, Table
from munkey_core.audit.leak import leak_split
from munkey_core.bundle.forget_sets import canonical_name, forget_set_digest, size_name
from munkey_core.errors import BadInputError
from munkey_core.progress import Steps


def trace(evidence: Evidence, ids: Sequence[str]) -> Steps[AuditReport]:
    """Yield progress; return an audit with the rows of MUNKEY alone: before deletion, after it, and
    retrained where such a model is known (in an exact mode it is the model after deletion).

    Raises BadInputError for a set that is empty or leaves nothing, UnknownIdError, or BundleError
    if there are no pictures to predict.
    """
    start = time.perf_counter()
    ids = tuple(sorted(set(ids)))
    table = Table(evidence, ids)
    before = yield from evidence.before()
    after = yield from evidence.after(ids)
    oracle = evidence.retrained(ids)
    held = ORACLE if oracle is not None else None
    rows = [
        Entry(BEFORE, "original", [before], held),
        Entry(AFTER, "by-design", [after], held, [after.seconds], exact=evidence.exact),
    ]
    if oracle is not None:
        rows.append(Entry(ORACLE, "oracle", [oracle], None, [oracle.seconds]))
    try:
        leak = leak_split(table, [before], [after], [oracle] if oracle is not None else None)
    except BadInputError:
        leak = None
    bundle = evidence.bundle
    return AuditReport(
        bundle=bundle.manifest.name,
        digest=bundle.digest,
        forget=canonical_name(ids, bundle) or size_name(len(ids)),
        set_digest=forget_set_digest(ids),
        n_forget=len(ids),
        n_retain=len(bundle.bank) - len(ids),
        n_test=len(table.test_labels),
        seeds=(evidence.runs.seed,),
        models=table.figures(rows),
        null_bands={},
        leak=leak,
        device=str(evidence.runs.device),
        seconds=time.perf_counter() - start,
        intervals=SEEDS_AND_IMAGES,
        code=code_of(()),
    )
