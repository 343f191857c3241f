"""`munkey bench`: how long deletion and prediction take on this machine."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from munkey_core.cli.base import answer, command
from munkey_core.cli.options import BundleName, Images, Json

if TYPE_CHECKING:
    from munkey_core.model.bank import MemoryBank

REPEATS = 20
_LARGER = 10
_DELETIONS = (1, 100, 1000)


@command("munkey bench")
def bench(bundle: BundleName = "fashion", images: Images = None, as_json: Json = False) -> int:
    """Time deletion and prediction on this machine."""
    document = measure(bundle)
    lines = [f"{name}: {value:.3f}" for name, value in document["median"].items()]
    return answer(as_json, document, lines)


def measure(bundle: str) -> dict[str, Any]:
    """Median milliseconds of 20 runs each, after one that warms up, unless said otherwise.

    open_bundle: one run. delete_n: n keys of the bundle's bank; delete_n_of_N: of a bank of N
    random keys, ten times as many. predict_1, predict_n: test images from PNG to prediction,
    everything loaded; n is 1,000 or all there are, three runs.
    """
    import torch

    from munkey_core.model.bank import BankView
    from munkey_core.studio import Studio

    start = time.perf_counter()
    studio = Studio.open(bundle)
    median: dict[str, float] = {"open_bundle_ms": (time.perf_counter() - start) * 1000}
    large = _large_bank(_LARGER * studio.memory.keys_total)
    for all_ids, of, session in (
        (studio.memory.private_ids(), "", studio.session),
        (large.ids, f"_of_{len(large)}", lambda: BankView(large)),
    ):
        for n in _DELETIONS:
            if len(all_ids) >= n:
                median[f"delete_{n}{of}_ms"] = _deletion(session, all_ids[:n])
    test = studio.memory.test_ids()
    single = [timed(lambda i=i: studio.predict([test[i % len(test)]])) for i in range(REPEATS + 1)]  # type: ignore[misc]
    median["predict_1_ms"] = statistics.median(single[1:])
    many = test[:1000]
    median[f"predict_{len(many)}_ms"] = statistics.median(
        timed(lambda: studio.predict(many)) for _ in range(3)
    )
    return {
        "bundle": studio.about.name,
        "repeats": REPEATS,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "k": studio.about.ensemble.k,
        "median": median,
    }


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that it takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _deletion(session: Callable[[], Any], ids: tuple[str, ...]) -> float:
    sessions = [session() for _ in range(REPEATS + 1)]
    times = [timed(lambda s=s: s.forget(ids)) for s in sessions]  # type: ignore[misc]
    return statistics.median(times[1:])


def _large_bank(n: int) -> MemoryBank:
    import torch

    from munkey_core.model.bank import MemoryBank

    generator = torch.Generator().manual_seed(0)
    keys = torch.nn.functional.normalize(torch.randn(n, 96, generator=generator), dim=1)
    return MemoryBank([f"key-{i}" for i in range(n)], keys, torch.zeros(n, 128))
