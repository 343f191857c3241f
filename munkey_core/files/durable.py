"""Writing that a kill, a full disk or a power cut can't spoil, and removing that leaves nothing.

Every step that changes the disk is one method of `Disk`, and goes through `DISK`: whoever wants to
see what is left when the machine stops at one of them puts another one in its place.

Where the system can lock a folder itself, it does: the library for locks, filelock, would leave a
file beside people's bundles for ever, as removing it lets two in at once. It serves on Windows.
"""

import contextlib
import ctypes
import errno
import hashlib
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from munkey_core.errors import BundleError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BLOCK = 1 << 20
OWNER_ONLY = 0o600  # permissions of a file of the cache that holds what was learned of people
PATIENCE = 60.0  # seconds to wait for whoever holds a lock
_PAUSE = 0.02
_LOCK_FILE = ".munkey.lock"
_TO_WRITE = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)  # Windows' last
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of Linux
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


class Disk:
    """The system calls that change the disk. Each raises OSError."""

    def create(self, path: Path, mode: int) -> int:
        """Make a file that isn't there yet; returns its descriptor."""
        descriptor = os.open(path, _TO_WRITE | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        if hasattr(os, "fchmod"):  # Windows knows no such permissions
            os.fchmod(descriptor, mode)
        return descriptor

    def open(self, path: Path) -> int:
        """Open a file to overwrite it; never what a link points to."""
        return os.open(path, _TO_WRITE | getattr(os, "O_NOFOLLOW", 0))

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Returns how many bytes were written."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def mkdir(self, path: Path, mode: int) -> None:
        path.mkdir()
        path.chmod(mode)

    def rename(self, path: Path, target: Path) -> None:
        path.replace(target)

    def exchange(self, one: Path, other: Path) -> None:
        """Two paths change places in one step; nobody ever sees one of them missing."""
        library = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        if library is None or not hasattr(library, "renameat2"):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        if library.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(one), None, str(other))

    def unlink(self, path: Path) -> None:
        path.unlink()

    def rmdir(self, path: Path) -> None:
        path.rmdir()


DISK = Disk()


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, data: bytes | memoryview, mode: int = 0o644) -> None:
    """Write a new file; its bytes are on the disk when this returns."""
    descriptor = DISK.create(path, mode)
    try:
        _write_all(descriptor, data)
        DISK.sync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes | memoryview, mode: int = 0o644) -> None:
    """Write a file in the place of the one of this name, if there is one: whoever opens it, even
    after a kill or a power cut, finds all of the old or all of the new. Its folder is made.

    Any number may write the same at once: each writes a file of its own, `*.PID.writing`, and the
    last one stays. Raises OSError; nothing has changed then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.{os.getpid()}.writing")
    try:
        write_file(partial, data, mode)
        DISK.rename(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Make a new folder."""
    DISK.mkdir(path, mode)


def sync_folder(path: Path) -> None:
    """What was made, renamed or removed in a folder is on the disk when this returns."""
    if sys.platform == "win32":  # which opens no folder, and writes such things soon
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        DISK.sync(descriptor)
    finally:
        os.close(descriptor)


def rename(path: Path, target: Path) -> None:
    """Rename, and wait until both folders are on the disk."""
    DISK.rename(path, target)
    sync_folder(target.parent)
    if path.parent != target.parent:
        sync_folder(path.parent)


def exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False if this system or disk can't."""
    try:
        DISK.exchange(one, other)
    except OSError as error:
        if error.errno in _NO_EXCHANGE:
            return False
        raise
    sync_folder(one.parent)
    sync_folder(other.parent)
    return True


def wipe(path: Path, overwrite: bool = True) -> int:
    """Remove a file, or a folder with all that is in it; returns how many files there were.

    overwrite: with zeros first, on the disk before the name goes, where no other name has the same
    file. What a link points to is left alone. A path that isn't there is no error: a run that was
    stopped can be gone through again.
    """
    try:
        kind = path.lstat()
    except FileNotFoundError:
        return 0
    if not stat.S_ISDIR(kind.st_mode):
        if overwrite and stat.S_ISREG(kind.st_mode) and kind.st_nlink == 1:
            _overwrite(path, kind)
        with contextlib.suppress(FileNotFoundError):
            DISK.unlink(path)
        return 1
    if not kind.st_mode & stat.S_IWUSR:
        path.chmod(stat.S_IMODE(kind.st_mode) | stat.S_IRWXU)
    count = sum(wipe(child, overwrite) for child in sorted(path.iterdir()))
    with contextlib.suppress(FileNotFoundError):
        DISK.rmdir(path)
    return count


def _overwrite(path: Path, kind: os.stat_result) -> None:
    if not kind.st_mode & stat.S_IWUSR:
        path.chmod(stat.S_IMODE(kind.st_mode) | stat.S_IWUSR)
    descriptor = DISK.open(path)
    try:
        zeros = bytes(min(BLOCK, kind.st_size))
        left = kind.st_size
        while left > 0:
            left -= DISK.write(descriptor, memoryview(zeros)[: min(left, BLOCK)])
        DISK.sync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    for first in range(0, len(view), BLOCK):
        part = view[first : first + BLOCK]
        while part:
            part = part[DISK.write(descriptor, part) :]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone among all who lock this folder, in any process or thread, until the block ends or the
    process does. Nothing is left on the disk. Raises BundleError if somebody else takes too long,
    or the folder isn't there."""
    with contextlib.ExitStack() as held:
        try:
            if fcntl is None:
                folder.stat()  # else filelock would make it
                held.enter_context(FileLock(folder / _LOCK_FILE, timeout=PATIENCE))
            else:
                descriptor = os.open(folder, os.O_RDONLY)
                held.callback(os.close, descriptor)
                _wait_for(descriptor)
        except TimeoutError:
            raise BundleError(
                f"somebody else has been changing a bundle in {folder} for more than "
                f"{PATIENCE:.0f} s; try again later"
            ) from None
        except OSError as error:
            raise BundleError(f"{folder} can't be locked ({error.strerror})") from error
        yield


def _wait_for(descriptor: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError from None
            time.sleep(_PAUSE)
