"""What this machine is, and what is free on it: memory and disk, in bytes."""

import platform
import shutil
from contextlib import suppress
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
# Limit and use of a container's memory: cgroup v2, then v1.
_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def processor() -> str:
    """What decides the last bits of PyTorch's sums on a CPU: `x86_64 AVX2`."""
    import torch  # here, for whoever only wants to know what is free

    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def free_memory() -> int | None:
    """Bytes that can still be taken before the system or the container runs out; None where
    nobody tells (anywhere but on Linux)."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = _MEMINFO.read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(line.split()[1]) * 1024)
    for limit, used in _CGROUPS:
        with suppress(OSError, ValueError):  # v2 says `max` where there is no limit
            found.append(max(0, int(limit.read_text()) - int(used.read_text())))
    return min(found) if found else None


def free_disk(folder: Path) -> int:
    """Bytes free where a folder is, or will be once it is made."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def readable_bytes(size: float) -> str:
    """`1.4 GB`, `35 MB`, `900 kB`: powers of 1,000."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"
