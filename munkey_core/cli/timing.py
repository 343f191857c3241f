"""`munkey bench`: how long deletion and prediction take on this machine."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.studio import Studio

REPEATS = 20
_LARGER = 10
_DELETIONS = (1, 100, 1000)


def bench(bundle: str) -> dict[str, Any]:
    """Median milliseconds of 20 runs each, after one that warms up, unless said otherwise.

    open_bundle: one run. delete_n: n keys of the bundle's bank; delete_n_of_N: of a bank of N
    random keys, ten times as many. predict_1, predict_n: test images from PNG to prediction,
    everything loaded; n is 1,000 or all there are, three runs.
    """
    start = time.perf_counter()
    studio = Studio.open(bundle)
    open_ms = (time.perf_counter() - start) * 1000
    median: dict[str, float] = {"open_bundle_ms": open_ms}
    for n in _DELETIONS:
        ids = studio.memory.private_ids()[:n]
        if len(ids) == n:
            median[f"delete_{n}_ms"] = _deletion(lambda: studio.session(), ids)
    large = _large_bank(_LARGER * studio.memory.keys_total)
    for n in _DELETIONS:
        ids = large.ids[:n]
        if len(ids) == n:
            median[f"delete_{n}_of_{len(large)}_ms"] = _deletion(lambda: BankView(large), ids)
    test = studio.memory.test_ids()
    single = [_timed(lambda i=i: studio.predict([test[i % len(test)]])) for i in range(REPEATS + 1)]  # type: ignore[misc]
    median["predict_1_ms"] = statistics.median(single[1:])
    many = test[:1000]
    median[f"predict_{len(many)}_ms"] = statistics.median(
        _timed(lambda: studio.predict(many)) for _ in range(3)
    )
    return {
        "bundle": studio.about.name,
        "repeats": REPEATS,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "k": studio.about.ensemble.k,
        "median": median,
    }


def _deletion(session: Callable[[], Any], ids: tuple[str, ...]) -> float:
    sessions = [session() for _ in range(REPEATS + 1)]
    times = [_timed(lambda s=s: s.forget(ids)) for s in sessions]  # type: ignore[misc]
    return statistics.median(times[1:])


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _large_bank(n: int) -> MemoryBank:
    generator = torch.Generator().manual_seed(0)
    keys = torch.nn.functional.normalize(torch.randn(n, 96, generator=generator), dim=1)
    return MemoryBank([f"key-{i}" for i in range(n)], keys, torch.zeros(n, 128))
