"""Three people at once, over the real protocol: `many_sessions.py` does the same with twenty."""

import asyncio
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from many_sessions import percentile, run
from streamlit_client import Visitor

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="reads the server's memory as Linux tells it"
)


def upload(url):
    """What a person's own program may try: a file for a page that draws no uploader."""

    async def session():
        visitor = Visitor(url)
        await visitor.connect()
        await visitor.open()
        try:
            return await asyncio.to_thread(put, visitor.session)
        finally:
            await visitor.leave()

    def put(session):
        with urllib.request.urlopen(f"{url}/_stcore/health") as answer:
            cookie = answer.headers["Set-Cookie"].split(";")[0]
        body = (
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\nabc'
            b"\r\n--x--\r\n"
        )
        request = urllib.request.Request(
            f"{url}/_stcore/upload_file/{session}/file-1",
            body,
            {
                "Content-Type": "multipart/form-data; boundary=x",
                "Cookie": cookie,
                "X-Xsrftoken": cookie.split("=", 1)[1].strip('"'),
            },
            method="PUT",
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    assert asyncio.run(session()) == 413  # too large, whatever its size


def test_three_people_delete_and_undo_and_see_only_their_own(digits_folder):
    """On a demonstration, which takes no file, however it is sent."""
    # In a thread of its own: the browser tests' Playwright keeps an event loop in this one.
    with ThreadPoolExecutor(1) as alone:
        found = alone.submit(run, str(digits_folder), 3, 4, "--demo", then=upload).result()
    assert found["errors"] == 0
    assert found["sessions"] == 3
    assert found["interactions"] >= 3 * 3  # each at least opened, chose and deleted
    assert {"first screen", "Pick a", "Delete"} <= set(found["p95_seconds"])
    assert found["server_mb_at_most"] < 2_500


def test_percentiles_are_of_what_was_seen():
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile(list(range(100)), 95) == 94
    assert percentile([5.0], 95) == 5.0
