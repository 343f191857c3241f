"""Reports of requests that this server has made, kept in its cache so that a reload finds them.

What a report says was measured before the erasure and can't be measured again. It names no image
and nobody: the reference of whoever handled the request is left out.
"""

import re
from dataclasses import replace
from pathlib import Path

from munkey_core.bundle.ledger import Receipt
from munkey_core.erasure.request_page import RequestEvidence, request_report
from munkey_core.errors import BadInputError
from munkey_core.files.cache import cache_folder
from munkey_core.files.durable import write_whole

FOLDER = "reports"  # of the cache


def file_report(receipt: Receipt, evidence: RequestEvidence) -> None:
    """Keep the report of a request, under its receipt's hash. Raises BadInputError without a cache
    that can be written to, OSError where the disk is full."""
    report = request_report(receipt, replace(evidence, reference=""))
    path = _path(receipt)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, report.encode())


def filed_report(receipt: Receipt) -> str | None:
    """The report that was kept, as HTML; None where there is none."""
    try:
        return _path(receipt).read_text(encoding="utf-8")
    except (OSError, BadInputError):
        return None


def _path(receipt: Receipt) -> Path:
    if not re.fullmatch("[0-9a-f]{64}", receipt.hash):  # of a file that somebody has brought
        raise BadInputError("a receipt's hash must be 64 hexadecimal digits")
    return cache_folder() / FOLDER / f"{receipt.hash}.html"
