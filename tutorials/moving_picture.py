"""Make the README's moving picture from the real app: `python tutorials/moving_picture.py`.

It starts `munkey app` on the default bundle and does in Chromium what a newcomer does: pick two
pictures, delete their keys, see what the model says now, undo. Each step is one photograph; Pillow
adds the pointer and a line of text below, and puts them together as a GIF, which every viewer of a
README shows.
"""

import io
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Locator, Page
from screenshots import IMAGES, chromium, running_app

FILE = IMAGES / "forget.gif"
VIEW = {"width": 1280, "height": 840}
WIDTH, STRIP = 960, 46  # of the picture; of the line below it
MOST_BYTES = 2_500_000
PATIENCE = 300_000  # ms, for a busy machine
TEXT, PANEL = "#1B212B", "#F5F6F8"
ARROW = ((0, 0), (0, 26), (7, 20), (12, 31), (17, 29), (12, 18), (20, 18))  # px, its tip first
STILL = 2500  # ms in which nothing may move any more


@dataclass(frozen=True)
class Frame:
    """One photograph, how long it stands (ms), its line of text, where the pointer is."""

    picture: Image.Image
    stands: int
    words: str
    pointer: tuple[float, float] | None = None

    def drawn(self) -> Image.Image:
        scale = WIDTH / self.picture.width
        height = round(self.picture.height * scale)
        sheet = Image.new("RGB", (WIDTH, height + STRIP), PANEL)
        sheet.paste(self.picture.resize((WIDTH, height), Image.Resampling.LANCZOS))
        draw = ImageDraw.Draw(sheet)
        draw.text(
            (WIDTH / 2, height + STRIP / 2),
            self.words,
            fill=TEXT,
            font=ImageFont.load_default(22),
            anchor="mm",
        )
        if self.pointer is not None:
            x, y = (value * scale for value in self.pointer)
            arrow = [(x + dx, y + dy) for dx, dy in ARROW]
            draw.polygon(arrow, fill=TEXT, outline="#FFFFFF", width=2)
        return sheet


def inside(target: Locator) -> tuple[float, float]:
    """A point of it that hides no words: right of the middle, below it."""
    box = target.bounding_box()
    if box is None:
        raise SystemExit("what is to be clicked is not on the screen")
    return box["x"] + 0.75 * box["width"], box["y"] + 0.6 * box["height"]


def settled(page: Page) -> Image.Image:
    """The page once nothing on it fades or grows any more."""
    before = b""
    for _ in range(100):
        page.wait_for_timeout(STILL)
        now = page.screenshot(animations="disabled")
        if now == before:
            with Image.open(io.BytesIO(now)) as picture:
                return picture.convert("RGB")
        before = now
    raise SystemExit("the page never stands still")


def act(page: Page) -> list[Frame]:
    """The newcomer's first minute."""
    frames: list[Frame] = []

    def take(words: str, stands: int, pointer: tuple[float, float] | None = None) -> None:
        frames.append(Frame(settled(page), stands, words, pointer))

    tiles = page.get_by_role("option")
    tiles.first.wait_for()
    take("Photographs that the model knows by heart", 2200)
    for number in (1, 4):
        where = inside(tiles.nth(number))
        tiles.nth(number).click()
        take("Pick what it should forget", 1100, where)
    button = page.get_by_role("button", name="Delete 2 keys")
    where = inside(button)
    take("Delete their keys: no weight is changed", 1500, where)
    button.click()
    page.get_by_text("And everybody else?").wait_for()
    take("Now it takes them for something else", 4500)
    undo = page.get_by_role("button", name="Undo").last
    where = inside(undo)
    take("Undo …", 1500, where)
    undo.click()
    page.get_by_text("2 keys deleted").first.wait_for(state="detached")
    take("… brings back the same bytes, and the same answers", 2600)
    return frames


def save(frames: list[Frame]) -> None:
    drawn = [frame.drawn() for frame in frames]
    # One palette for all, so that nothing flickers between frames.
    together = Image.new("RGB", (WIDTH, sum(one.height for one in drawn)))
    for number, one in enumerate(drawn):
        together.paste(one, (0, number * one.height))
    palette = together.quantize(256, dither=Image.Dither.NONE)
    first, *others = (one.quantize(palette=palette, dither=Image.Dither.NONE) for one in drawn)
    first.save(
        FILE,
        save_all=True,
        append_images=others,
        duration=[frame.stands for frame in frames],
        loop=0,
        optimize=True,
    )
    size = FILE.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{FILE} has {size:,} bytes, wanted at most {MOST_BYTES:,}")
    print(f"{FILE}: {len(frames)} frames, {size:,} bytes")


def main() -> None:
    with running_app() as url, chromium() as browser:
        page = browser.new_context(color_scheme="light", viewport=VIEW).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        frames = act(page)
    save(frames)


if __name__ == "__main__":
    main()
