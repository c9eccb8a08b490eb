"""Losses of a tiny run, step by step, as they were when somebody last looked. `make golden` takes new ones."""

import json
from pathlib import Path

import pytest

from nlptool.cli import main

GOLDEN = Path(__file__).parent / "golden"
RUNS = {
    "mlm": [],
    "mlm-whole-word-ngram": ["objective.whole_word=true", "objective.ngram=3"],
    "mlm-next-sentence": ["objective.next_sentence=true"],
}


@pytest.mark.golden
@pytest.mark.parametrize("name", RUNS)
def test_losses_are_those_of_before(name: str, tiny_recipe: Path, tmp_path: Path, request):
    dropout = ["model.dropout=0", "model.attention_dropout=0"]
    assert main(["pretrain-mlm", str(tiny_recipe), *dropout, *RUNS[name], "evaluate.every=1"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = {str(line["step"]): line["heldout/mlm"] for line in lines if "heldout/mlm" in line}
    path = GOLDEN / f"{name}.json"
    if request.config.getoption("--golden") == "write":
        path.write_text(json.dumps(losses, indent=2) + "\n")
    # Sums come in another order with other kernels, so not to the last bit on every machine.
    assert losses == pytest.approx(json.loads(path.read_text()), abs=1e-4)
