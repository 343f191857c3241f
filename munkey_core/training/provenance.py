"""Where a bundle comes from: device, library versions, seconds, source revision."""

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

import munkey_core
from munkey_core.bundle.manifest import Provenance
from munkey_core.files.machine import processor


def provenance(device: torch.device, seconds: dict[str, float]) -> Provenance:
    """Where and with what a bundle was made. seconds: wall time by stage."""
    import torchvision

    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else "CPU",
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "versions": {
            "munkey": munkey_core.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": np.__version__,
        },
        "source_revision": _source_revision(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _source_revision() -> str:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
