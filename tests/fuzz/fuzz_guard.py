"""Notes what a piece of code does to the machine: files written or read, programs, connections.

CPython tells an audit hook before it opens a file, starts a program or unpickles (PEP 578). A hook
can't be taken out again, so it does nothing outside `watched`.
"""

import contextlib
import os
import sys
import tempfile
import threading
from pathlib import Path

_NEVER = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.putenv",
    "pickle.find_class",
    "socket.connect",
    "socket.bind",
    "ctypes.dlopen",
    "shutil.unpack_archive",
    "urllib.Request",
)
_CHANGES = (
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.chown",
    "os.utime",
    "shutil.rmtree",
    "shutil.move",
    "shutil.copyfile",
)
_TWO_PATHS = ("os.rename", "os.link", "os.symlink", "shutil.move")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_state = threading.local()


class TouchedOutsideError(AssertionError):
    """Something happened that no input may bring about."""


def _hook(event, arguments):
    allowed = getattr(_state, "allowed", None)
    if allowed is None:
        return
    if event in _NEVER:
        _state.found.append(f"{event} {arguments!r:.200}")
    elif event == "open":
        _opened(allowed, *arguments)
    elif event in _CHANGES:
        for path in arguments[: 2 if event in _TWO_PATHS else 1]:
            _check(allowed["write"], event, path)


def _opened(allowed, path, mode, flags):
    if isinstance(path, int):
        return
    writes = any(c in (mode or "") for c in "wax+") or (flags or 0) & _WRITES
    _check(allowed["write" if writes else "read"], f"open {mode}", path)


def _check(folders, event, path):
    if isinstance(path, int) or path is None:
        return
    _state.allowed, kept = None, _state.allowed  # resolving a path looks at files, too
    try:
        place = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - a thousand times a second
        where, name = os.path.split(place)
        real = os.path.join(os.path.realpath(where), name)  # noqa: PTH118
        if event.startswith("open"):  # which follows a link, while the others change the link
            real = os.path.realpath(place)
        if not any(real == folder or real.startswith(folder + os.sep) for folder in folders):
            _state.found.append(f"{event} {real}")
    except (OSError, ValueError):
        pass  # what can't be a path can't be touched
    finally:
        _state.allowed = kept


sys.addaudithook(_hook)

_LIBRARIES = tuple(
    {
        str(Path(p).resolve())
        for p in (sys.prefix, sys.base_prefix, *sys.path)
        if p and Path(p).exists()
    }
)


@contextlib.contextmanager
def watched(folder):
    """Within it, this thread may write under `folder` and in the cache only, and read there and in
    libraries.

    Raises TouchedOutsideError at the end, naming what was done.
    """
    folder = Path(folder).resolve()
    _state.found = []
    own = (folder, Path(os.environ["MUNKEY_CACHE"]).resolve())
    own = tuple(map(str, own))
    _state.allowed = {"write": own, "read": (*own, *_LIBRARIES, "/proc", "/sys")}
    try:
        yield
    finally:
        _state.allowed = None
    if _state.found:
        raise TouchedOutsideError("; ".join(_state.found[:5]))


def scratch():
    """A new folder for one property, gone at the end of the process."""
    holder = tempfile.TemporaryDirectory(prefix="munkey-fuzz-")
    _HELD.append(holder)
    return Path(holder.name).resolve()


_HELD = []
