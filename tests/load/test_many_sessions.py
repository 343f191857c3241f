"""Three people at once, over the real protocol: `many_sessions.py` does the same with twenty."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from many_sessions import percentile, run

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="reads the server's memory as Linux tells it"
)


def test_three_people_delete_and_undo_and_see_only_their_own(digits_folder):
    found = run(str(digits_folder), 3, 4)
    assert found["errors"] == 0
    assert found["sessions"] == 3
    assert found["interactions"] >= 3 * 3  # each at least opened, chose and deleted
    assert {"first screen", "Add all of", "Delete"} <= set(found["p95_seconds"])
    assert found["server_mb_at_most"] < 2_500


def test_percentiles_are_of_what_was_seen():
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile(list(range(100)), 95) == 94
    assert percentile([5.0], 95) == 5.0
