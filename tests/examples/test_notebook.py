"""The notebook in examples/ runs from its first cell to its last on a real run."""

from pathlib import Path

import nbformat
import pytest
from conftest import environment
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "explore.ipynb"


def test_the_notebook_runs(hostile_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(AUTOADAPT_RUN=str(hostile_run), IPYTHONDIR=str(tmp_path)).items():
        monkeypatch.setenv(name, value)
    book = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "it is kept without outputs"
    NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    shown = [output["data"] for output in outputs if "data" in output]
    assert "<table>" in shown[0]["text/html"], "a study shows itself"
    assert "<script>document" not in shown[0]["text/html"]
    assert sum("application/vnd.plotly.v1+json" in data for data in shown) == 4
    assert any("hypervolume" in output.get("text", "") for output in outputs)
