"""Files that appear whole or not at all, and locks that go with whoever holds them."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from munkey_core.errors import BundleError
from munkey_core.files import durable
from munkey_core.files.durable import OWNER_ONLY, Disk, locked, write_whole

ROOT = Path(__file__).resolve().parent.parent.parent


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


# -- write_whole ---------------------------------------------------------------------------------


def test_a_file_is_written_in_place_of_the_old_one_and_its_folder_is_made(tmp_path):
    path = tmp_path / "a" / "b" / "report.json"
    write_whole(path, b"old")
    write_whole(path, memoryview(b"new bytes"))
    assert path.read_bytes() == b"new bytes"
    assert listing(path.parent) == ["report.json"]


@pytest.mark.parametrize("mode", [0o644, OWNER_ONLY])
def test_permissions_are_those_asked_for_whatever_the_umask(tmp_path, mode):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", b"x", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


class Full(Disk):
    """A disk that is full at its n-th writing, or that can't rename."""

    def __init__(self, step):
        self.step = step

    def write(self, descriptor, data):
        if self.step == "write":
            super().write(descriptor, data[:2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(descriptor, data)

    def rename(self, path, target):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("step", ["write", "rename"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    write_whole(tmp_path / "file", b"old")
    monkeypatch.setattr(durable, "DISK", Full(step))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC if step == "write" else errno.EIO)):
        write_whole(tmp_path / "file", b"new bytes")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert listing(tmp_path) == ["file"]


def test_who_is_killed_while_writing_leaves_the_old_file_and_one_named_after_it(tmp_path):
    """By that name the job queue finds what it has to remove."""

    class Killed(Disk):
        def write(self, descriptor, data):
            super().write(descriptor, data[:2])
            os.kill(os.getpid(), signal.SIGKILL)

    write_whole(tmp_path / "file.json", b"old")
    child = os.fork()
    if child == 0:
        durable.DISK = Killed()
        write_whole(tmp_path / "file.json", b"new bytes")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert (tmp_path / "file.json").read_bytes() == b"old"
    assert len(list(tmp_path.glob(f"*.{child}.writing"))) == 1
    write_whole(tmp_path / "file.json", b"new bytes")  # what was left stands in nobody's way
    assert (tmp_path / "file.json").read_bytes() == b"new bytes"


def test_many_threads_may_write_the_same(tmp_path):
    """Whoever looks meanwhile sees one of them whole."""
    path, size = tmp_path / "file", 1 << 16
    write_whole(path, bytes(size))

    def write(value):
        for _ in range(10):
            write_whole(path, bytes([value]) * size)

    threads = [threading.Thread(target=write, args=(value,)) for value in range(1, 5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found = path.read_bytes()
        assert len(found) == size
        assert len(set(found)) == 1
    assert listing(tmp_path) == ["file"]


def test_the_bytes_are_on_the_disk_before_they_take_the_name(tmp_path, monkeypatch):
    log = []

    class Watched(Disk):
        def sync(self, descriptor):
            log.append("sync")

        def rename(self, path, target):
            log.append("rename")
            super().rename(path, target)

    monkeypatch.setattr(durable, "DISK", Watched())
    write_whole(tmp_path / "file", b"x")
    assert log == ["sync", "rename"]


# -- locked --------------------------------------------------------------------------------------


HOLDER = """
import sys, time
from pathlib import Path
from munkey_core.files import durable
if sys.argv[2] == "library":
    durable.fcntl = None
with durable.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(params=["system", "library"])
def lock(request, monkeypatch):
    """The system's lock of a folder, and filelock's, which stands for it on Windows."""
    if request.param == "library":
        monkeypatch.setattr(durable, "fcntl", None)
    return request.param


@pytest.fixture
def holder(tmp_path, lock):
    """Another process that holds the lock of tmp_path, until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_who_waits_too_long_is_told(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(durable, "PATIENCE", 0.3)
    start = time.monotonic()
    with (
        pytest.raises(
            BundleError, match=r"somebody else has been changing a bundle in .* 0 s; try"
        ),
        locked(tmp_path),
    ):
        pass
    assert 0.3 <= time.monotonic() - start < 5
    other = tmp_path / "other"
    other.mkdir()
    with locked(other):  # nobody holds this one
        pass


def test_who_waits_comes_next(tmp_path, holder):
    threading.Timer(0.3, lambda: (holder.stdin.write("go\n"), holder.stdin.flush())).start()
    with locked(tmp_path):
        assert holder.wait(5) == 0


def test_nobody_waits_for_somebody_who_was_killed(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(durable, "PATIENCE", 5)
    holder.kill()
    with locked(tmp_path):
        pass


def test_threads_of_one_process_wait_for_each_other_too(tmp_path, lock):
    inside, most = [], []

    def work():
        for _ in range(5):
            with locked(tmp_path):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.002)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 20
    assert set(most) == {1}


def test_an_error_inside_gives_the_lock_back_and_goes_on(tmp_path, lock):
    for _ in range(2):
        with pytest.raises(TimeoutError, match="mine"), locked(tmp_path):
            raise TimeoutError("mine")


def test_the_system_leaves_nothing_on_the_disk(tmp_path):
    with locked(tmp_path):
        assert listing(tmp_path) == []


def test_a_folder_that_is_not_there_can_not_be_locked(tmp_path, lock):
    with pytest.raises(BundleError, match="can't be locked"), locked(tmp_path / "none"):
        pass
    assert not (tmp_path / "none").exists()
