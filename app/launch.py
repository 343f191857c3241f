"""Starts the Streamlit server: what `munkey app` runs in a process of its own."""

import argparse
import os
import sys
from pathlib import Path

# A page and the thread that works out consequences predict at the same time. With all cores for
# each they fight over them (seen: several times slower); half each is as fast alone.
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // 2)))

from streamlit.web import cli as streamlit_cli

# Imported before the server is up, so that the first visitor doesn't wait for PyTorch.
import munkey_core.studio  # noqa: F401
from app.words.theme import streamlit_options
from munkey_core.files import limits


def main() -> None:
    """Serve the app until the process ends."""
    parser = argparse.ArgumentParser(prog="app.launch")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--headless", action="store_true")
    arguments = parser.parse_args()
    options = {
        **streamlit_options(),
        "server.address": arguments.host,
        "server.port": str(arguments.port),
        "server.headless": "true" if arguments.headless else "false",
        "server.showEmailPrompt": "false",  # else who has no such file yet is asked before it opens
        "server.fileWatcherType": "none",
        "server.maxUploadSize": str(limits.upload_megabytes()),
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",  # the server's log has them; they name its folders
    }
    script = Path(__file__).with_name("main.py")
    sys.argv = ["streamlit", "run", str(script), *(f"--{k}={v}" for k, v in options.items())]
    streamlit_cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
