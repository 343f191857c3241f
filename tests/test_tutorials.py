"""The notebooks run from top to bottom and draw their figure; the repository holds them bare."""

import re
import runpy
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec

TUTORIALS = Path(__file__).resolve().parent.parent / "tutorials"
NOTEBOOKS = sorted(TUTORIALS.glob("*.ipynb"))

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel of this very Python, whatever kernels the person has."""
    folder = tmp_path_factory.mktemp("jupyter")
    write_kernel_spec(str(folder / "kernels" / "munkey"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        # Streamlit, which other tests import, chooses a backend that draws into no notebook.
        patch.delenv("MPLBACKEND", raising=False)
        yield "munkey"


def test_there_are_six():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{n}_" for n in range(1, 7)]


@every_notebook
def test_it_holds_no_output(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert cell.metadata == {}


@every_notebook
def test_it_says_what_it_needs_and_shows_its_figure_where_nothing_runs(path):
    notebook = nbformat.read(path, as_version=4)
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    for wanted in ("**The question:", "*Needs*:", "![What you will draw: "):
        assert wanted in first.source
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target.startswith("https://") or (TUTORIALS / target).is_file(), target


@every_notebook
def test_its_cells_are_short(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert len(cell.source.splitlines()) <= 48


@every_notebook
def test_it_runs_and_draws_one_figure(path, kernel, tmp_path):
    run = runpy.run_path(str(TUTORIALS / "figures.py"))["run"]
    [figure] = run(path, tmp_path, kernel)
    assert figure.startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == []  # it leaves nothing where it was started
