"""`munkey app`: the server, in a process of its own."""

import os
import subprocess
import sys
from typing import Annotated

from typer import Option

from munkey_core.cli.base import command
from munkey_core.cli.options import Images, Port
from munkey_core.files.limits import DEMO, limits


@command("munkey app", "munkey app --bundle my-bundle --host 0.0.0.0 --port 8600")
def app(
    bundle: Annotated[str | None, Option(help="to open first: a name or a folder")] = None,
    host: Annotated[str, Option(help="0.0.0.0 lets a class join")] = "127.0.0.1",
    port: Port = 8501,
    headless: Annotated[bool, Option("--headless", help="do not open a browser")] = False,
    demo: Annotated[
        bool, Option("--demo", help="read-only: nothing is erased, uploaded or trained")
    ] = False,
    images: Images = None,
) -> int:
    """Open the app in the browser."""
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.manifest import read_manifest

    limits()  # a wrong one is told now, not to the first visitor
    if demo:
        os.environ[DEMO] = "1"
    if bundle:
        folder = find_bundle(bundle)
        read_manifest(folder)
        os.environ["MUNKEY_BUNDLE"] = str(folder.resolve())
    # The library starts the app and never imports it. -P: an `app` in the current folder is not
    # ours.
    server = [sys.executable, "-P", "-m", "app.launch", "--host", host, "--port", str(port)]
    server += ["--headless"] if headless else []
    if os.name == "posix":  # takes this process's place, so that ending it ends the server
        os.execv(sys.executable, server)
    return subprocess.call(server)
