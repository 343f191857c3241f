"""Run the notebooks and keep their figures: `python tutorials/figures.py [NUMBER ...]`.

The repository holds the notebooks without outputs; where nothing runs, as on a repository's page,
their first cell shows the figure from `images/`.
"""

import base64
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TUTORIALS = Path(__file__).parent
SECONDS = 600  # for one cell, on a busy machine


def run(path: Path, folder: Path, kernel: str = "python3") -> list[bytes]:
    """Execute a notebook in a folder; its figures as PNG files. Raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name=kernel,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    return [
        base64.b64decode(output.data["image/png"])
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]


def main() -> None:
    for path in sorted(TUTORIALS.glob("*.ipynb")):
        number = path.stem.partition("_")[0]
        if sys.argv[1:] and number not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            [figure] = run(path, Path(folder))
        file = TUTORIALS / "images" / f"notebook-{number}.png"
        file.write_bytes(figure)
        print(f"{file}: {len(figure):,} bytes")


if __name__ == "__main__":
    main()
