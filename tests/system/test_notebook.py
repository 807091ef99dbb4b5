"""docs/notebook.ipynb, executed as a reader does it: real locks, real virtual environments, no container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """What each code cell displayed."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    folder = tmp_path_factory.mktemp("notebook")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.network
def test_every_cell_runs_and_shows_what_the_page_promises(outputs: list[list[Any]]) -> None:
    assert not [output for cell in outputs for output in cell if output.output_type == "error"]
    matrix, table, styled, converging, diverging, said = outputs[2:]
    html = matrix[-1].data["text/html"]
    assert html.count("✓ converges") == 2
    assert html.count("✗ fails") == 2
    assert "RATE=1.1" in table[-1].data["text/html"]
    assert "color: #d55e00" in styled[-1].data["text/html"]
    for chart in (converging, diverging):
        assert "vega-lite" in chart[-1].data["text/html"]
    assert '"value":' in diverging[-1].data["text/html"]
    assert "worse" in said[0].text


def test_the_notebook_is_committed_without_outputs() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells  # type: ignore[no-untyped-call]
    assert not [cell for cell in cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]
