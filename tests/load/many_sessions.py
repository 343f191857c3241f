"""Many people at once: real sessions over HTTP and websockets against a running `munkey app`.

    python tests/load/many_sessions.py --sessions 20 --seconds 60

Each picks an owner's images, sees them predicted, deletes their keys, waits for what that changed,
and undoes it now and then. Nobody may see an error or another one's deletions. At the end: how long
the interactions took, and the most memory that the server had.
"""

import argparse
import asyncio
import json
import math
import re
import sys
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import parse_qs

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from streamlit_client import PageError, Visitor

from munkey_core.bundle.find import find_bundle
from munkey_core.bundle.manifest import read_manifest
from munkey_core.bundle.records import CSV, PARQUET, read_records
from munkey_core.results import PRIVATE
from tests.servers import serving

_KEYS = re.compile(r"([\d,]+) of ([\d,]+) \[?keys\b")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--bundle", default="fashion")
    arguments = parser.parse_args()
    found = run(arguments.bundle, arguments.sessions, arguments.seconds)
    print(json.dumps(found, indent=1))
    return 0


def run(bundle, sessions, seconds, *options, then=None):
    """Serve a bundle, let so many people work on it, and say how it went.

    options: more of `munkey app`'s. then: called with the address while the server is still there.
    """
    folder = find_bundle(bundle)
    owners = owned(folder)
    command = ["-P", "-m", "munkey_core.cli", "app", "--headless", "--bundle", str(folder)]
    with serving(*command, *options) as server:
        url, process = server.url, server.process
        before = memory(process.pid)["now"]
        visitors = asyncio.run(visit(url, owners, sessions, seconds))
        after = memory(process.pid)
        assert process.poll() is None, "the server has ended"
        if then is not None:
            then(url)
        said = server.said()
        assert "Traceback" not in said, said[-3000:]
    kinds = defaultdict(list)
    for visitor in visitors:
        for kind, took in visitor.seconds:
            kinds[kind].append(took)
    return {
        "sessions": sessions,
        "seconds": seconds,
        "interactions": sum(map(len, kinds.values())),
        "p50_seconds": {kind: percentile(times, 50) for kind, times in kinds.items()},
        "p95_seconds": {kind: percentile(times, 95) for kind, times in kinds.items()},
        "server_mb_before": round(before / 1e6),
        "server_mb_at_most": round(after["most"] / 1e6),
        "server_mb_after": round(after["now"] / 1e6),
        "errors": 0,
    }


def percentile(times, percent):
    ordered = sorted(times)
    return round(ordered[min(len(ordered) - 1, math.ceil(len(ordered) * percent / 100) - 1)], 3)


def owned(folder):
    """Owners, those with fewest images first, and the ids of each."""
    manifest, _ = read_manifest(folder)
    records = read_records(folder / (PARQUET if PARQUET in manifest.files else CSV))
    owners = defaultdict(set)
    for record in records:
        if record.split == PRIVATE and record.owner:
            owners[record.owner].add(record.id)
    return dict(sorted(owners.items(), key=lambda item: (len(item[1]), item[0])))


async def visit(url, owners, sessions, seconds):
    visitors = [Visitor(url) for _ in range(sessions)]
    names = list(owners)
    shares = [{name: owners[name] for name in names[i::sessions]} for i in range(sessions)]
    try:
        for visitor in visitors:
            await visitor.connect()
        await asyncio.gather(*(v.open() for v in visitors))
        end = time.monotonic() + seconds
        await asyncio.gather(*map(work, visitors, shares, [end] * sessions))
    finally:
        await asyncio.gather(*(v.leave() for v in visitors))
    return visitors


async def work(visitor, share, end):
    """One person's minute. share: owners and ids that nobody else touches."""
    gone = {}
    check(visitor, gone, share)
    while time.monotonic() < end:
        free = [name for name in share if name not in gone]
        if not free or len(gone) == 3:
            await visitor.click("Undo everything" if len(gone) > 1 else "Undo")
            gone = {}
            check(visitor, gone, share)
            if visitor.has("button", "Clear"):
                await visitor.click("Clear")
            continue
        await visitor.choose("Pick a", free[0])
        await visitor.click("Delete")
        gone[free[0]] = share[free[0]]
        check(visitor, gone, share)
        if not await visitor.settle():
            raise PageError("the page does not come to rest")
        check(visitor, gone, share)
        if "And everybody else?" not in visitor.text:
            raise PageError(f"no consequences are shown: {visitor.text[-500:]}")


def check(visitor, gone, share):
    """What this person sees is what this person did."""
    left, total = (int(n.replace(",", "")) for n in _KEYS.search(visitor.text).groups())
    wanted = sum(map(len, gone.values()))
    if total - left != wanted:
        raise PageError(f"{wanted} keys were deleted here, the page says {total - left}")
    link = parse_qs(visitor.query).get("forgotten", [""])[0]
    seen = set() if link.startswith("@") else set(link.replace(",", " ").split())
    mine = set().union(*share.values())
    if seen - mine:
        raise PageError(f"somebody else's deletions are in this link: {sorted(seen - mine)[:3]}")


# -- the server --------------------------------------------------------------------------------


def memory(pid):
    """Bytes of the server's memory: now, and at most since it started (Linux)."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        for name, key in (("VmRSS:", "now"), ("VmHWM:", "most")):
            if line.startswith(name):
                found[key] = int(line.split()[1]) * 1024
    return found


if __name__ == "__main__":
    sys.exit(main())
