"""Take the README's pictures from the real app: `python tutorials/screenshots.py`.

It starts `munkey app` on the default bundle, deletes two keys in Chromium and photographs the
Forget page in light and dark, then the Memory map, Explain, Privacy and Compare.
"""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1280, "height": 860}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str) -> None:
    for _ in range(1200):
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.25)
    raise SystemExit(f"the app did not answer at {url} within five minutes")


def photograph(browser: Browser, url: str, scheme: str) -> None:
    page = browser.new_context(color_scheme=scheme, viewport=SIZE).new_page()
    page.goto(url)
    tiles = page.get_by_role("option")
    tiles.first.wait_for(timeout=30_000)
    tiles.nth(1).click()
    tiles.nth(4).click()
    page.get_by_role("button", name="Delete 2 keys").click()
    page.get_by_text("And everybody else?").wait_for(timeout=30_000)
    page.wait_for_timeout(2500)
    page.screenshot(path=IMAGES / f"forget-{scheme}.png")


def photograph_map(browser: Browser, url: str) -> None:
    """The ten best-known images deleted, and who answers for one of them now."""
    page = browser.new_context(color_scheme="light", viewport=SIZE).new_page()
    page.goto(url)
    page.get_by_role("option").first.wait_for(timeout=60_000)
    for number in range(10):
        page.get_by_role("option").nth(number).click()
    page.get_by_role("button", name="Delete 10 keys").click(timeout=60_000)
    page.get_by_text("10 keys deleted").wait_for(timeout=60_000)
    gone = page.locator(".mk-card .mk-pic").first.get_attribute("alt")
    page.get_by_role("link", name="Memory map").click()
    page.locator(".mkmap[data-drawn]").wait_for(timeout=60_000)
    page.get_by_placeholder("Image id").fill(str(gone).split(" ")[0])
    page.get_by_placeholder("Image id").press("Enter")
    page.get_by_text("Who answers now").wait_for(timeout=60_000)
    page.wait_for_timeout(5000)
    page.screenshot(path=IMAGES / "map-light.png")


def photograph_explain(browser: Browser, url: str) -> None:
    page = browser.new_context(color_scheme="light", viewport=SIZE).new_page()
    page.goto(f"{url}/explain")
    page.get_by_role("button", name="Look at the image it knows best").click(timeout=60_000)
    page.get_by_text("Convergence error").wait_for(timeout=60_000)
    page.get_by_role("heading", name="Which memories made").evaluate("e => e.scrollIntoView()")
    page.wait_for_timeout(1500)
    page.screenshot(path=IMAGES / "explain-light.png")


def photograph_page(browser: Browser, url: str, page_name: str, wait_for_text: str) -> None:
    page = browser.new_context(color_scheme="light", viewport=SIZE).new_page()
    page.goto(f"{url}/{page_name}?of=random-10pct")
    page.get_by_text(wait_for_text).first.wait_for(timeout=120_000)
    page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=60_000)
    page.wait_for_timeout(2500)
    page.screenshot(path=IMAGES / f"{page_name}-light.png")


@contextmanager
def running_app() -> Iterator[str]:
    """`munkey app` on the default bundle; its URL, once it answers."""
    port = free_port()
    command = [sys.executable, "-m", "munkey_core.cli", "app", "--headless", "--port", str(port)]
    server = subprocess.Popen(command)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/_stcore/health")
        yield url
    finally:
        server.terminate()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        yield playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with running_app() as url, chromium() as browser:
        for scheme in ("light", "dark"):
            photograph(browser, url, scheme)
        photograph_map(browser, url)
        photograph_explain(browser, url)
        photograph_page(browser, url, "privacy", "LiRA online")
        photograph_page(browser, url, "compare", "Every method, every figure")


if __name__ == "__main__":
    main()
