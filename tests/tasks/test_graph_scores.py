"""Scores of ONNX graphs by the model's task: by thresholds, entities or spans, as in `evaluate`."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small

from nlptool.cli import main
from nlptool.commands.export import task_scores
from nlptool.commands.export.onnx import Graphs
from nlptool.commands.export.options import ExportOptions
from nlptool.commands.export.task_scores import TaskRows
from nlptool.console import Console
from nlptool.launch import ALONE
from nlptool.metric_table import describe
from nlptool.models import huggingface, onnx_export
from nlptool.models.kernels.cpu import CPU
from nlptool.tasks.finetuned import FinetunedModel
from nlptool.tasks.predictions import compute_logits
from nlptool.tasks.task_record import TaskRecord
from nlptool.text.row import Row
from nlptool.text.store import Split
from nlptool.text.tokenizer import Tokenizer
from nlptool.train import distributed
from nlptool.train.interrupts import SignalHandler

pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ("onnxruntime", "onnxscript"))), reason="onnx is not installed"
)
KINDS = (
    "classification",
    "multi_label_classification",
    "token_classification",
    "extractive_qa",
    "multiple_choice",
    "relation_classification",
    "entity_typing",
)
CASES = [
    (kind, name)
    for kind in KINDS
    for name, settings in small.facts(kind).VARIANTS.items()
    if "graph" not in settings
]


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


def write(kind: str, settings: dict[str, Any], tokenizer: Tokenizer, work: Path) -> tuple[Path, list[dict]]:
    """A model with random weights, and rows."""
    objective = small.build(kind, settings, tokenizer, init=0.3)
    (work / "final").mkdir(parents=True)
    spec = objective.folders(small.model(kind, init=0.3, **small.entity_keys(objective.config)))[""]
    spec.save(work / "final", tokenizer, small.length(kind))
    TaskRecord(objective.config, small.length(kind), 16).write(work / "final")
    rng = np.random.default_rng(0)
    return work / "final", [small.facts(kind).row(rng, small.WORDS, settings) for _ in range(40)]


def expected_figures(final: Path, rows: list[dict], aside: Path) -> dict[str, float]:
    model = FinetunedModel("m", final, CPU)
    numbered = (Row(f"row {number}", row) for number, row in enumerate(rows))
    model.objective.encode(numbered, model.tokenizer, aside, labelled=True)
    dataset = model.open(Split(aside))
    with SignalHandler(alone=True) as signals:
        logits = compute_logits(
            model.objective, dataset, "fp32", distributed.join(ALONE), signals, batch_size=16
        )
    return model.objective.score(dataset, logits)


@pytest.mark.parametrize(("kind", "variant"), CASES, ids=map("-".join, CASES))
def test_a_graph_scores_what_its_model_scores(
    kind: str, variant: str, tokenizer: Tokenizer, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    settings = small.facts(kind).VARIANTS[variant]
    final, rows = write(kind, settings, tokenizer, tmp_path)

    class Same(onnx_export.OnnxModel):
        """The graph's place taken by the model, so that none is traced here."""

        def __init__(self, path: Path) -> None:
            architecture = huggingface.read_config(final)["architectures"][0]
            self.model = onnx_export.Exported(huggingface.load_pretrained(final), architecture)

        def __call__(self, feeds: Any) -> Any:
            return onnx_export.outputs(self.model, feeds)

    monkeypatch.setattr("nlptool.commands.export.onnx.OnnxModel", Same)
    monkeypatch.setattr(onnx_export, "write", lambda graph, path: path.write_bytes(b"graph"))
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["export", str(final), "--to", "onnx", "--rows", str(file), "--json"]) == 0
    graphs = json.loads((tmp_path / "onnx" / "onnx.json").read_text())["graphs"]
    expected = expected_figures(final, rows, tmp_path / "rows")
    assert len(expected) > 0
    for name in ("model", "model.onnx"):
        found = {key: graphs[name][key] for key in expected}
        assert found == pytest.approx(expected, abs=1e-6), name
    assert graphs["model.onnx"].get("agreement", 1) == 1
    assert json.loads(capsys.readouterr().out)["graphs"] == graphs
    main_score = describe(next(iter(expected)))
    columns, lines = Graphs({}, graphs, main_score.key).table()
    assert columns[-1] == main_score.title
    assert [line[-1] for line in lines] == [main_score.show(expected[main_score.key])] * 2


def test_a_model_that_reads_entities_is_not_exported(tokenizer: Tokenizer, tmp_path: Path, capsys):
    final, _ = write("classification", small.facts("classification").VARIANTS["linked"], tokenizer, tmp_path)
    assert main(["export", str(final), "--to", "onnx"]) == 3
    assert "ernie reads entities beside tokens" in capsys.readouterr().err
    assert not (tmp_path / "onnx").exists()


def test_rows_without_labels_are_compared_and_it_is_said_that_nothing_is_scored(
    tokenizer: Tokenizer, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    settings = small.facts("classification").VARIANTS["classes-of-one-text"]
    final, rows = write("classification", settings, tokenizer, tmp_path)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"a": row["a"]}) + "\n" for row in rows))
    with TaskRows(final, str(file), Console()) as known:
        assert "no scores" in capsys.readouterr().err
        assert not known.rows.labelled
        assert [len(feeds["input_ids"]) for feeds in known.batches(20, 8)] == [7, 7, 6]
    file.write_text(json.dumps({"b": "x"}) + "\n")
    assert main(["export", str(final), "--to", "onnx", "--rows", str(file)]) == 3
    assert f"{file}:1" in capsys.readouterr().err


def test_rows_are_those_of_the_task_unless_they_are_lines_or_columns_are_named(
    tokenizer: Tokenizer, tmp_path: Path
):
    texts = {"rows.tsv": "a\tlabel\nthe town\tno\n", "rows.txt": "the town\n", "rows.conll": "town O\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)

    def readable(model: Path, rows: str, **columns: Any) -> bool:
        rows = str(tmp_path / rows)
        return task_scores.can_read(model, ExportOptions(str(model), None, "onnx", rows=rows, **columns))

    kinds = {kind: next(iter(small.facts(kind).VARIANTS.values())) for kind in KINDS[:3:2]}
    classes, tags = (write(kind, settings, tokenizer, tmp_path / kind)[0] for kind, settings in kinds.items())
    assert readable(classes, "rows.tsv")
    assert not readable(classes, "rows.tsv", label="class")
    assert not readable(classes, "rows.txt")
    assert [readable(model, "rows.conll") for model in (classes, tags)] == [False, True]
