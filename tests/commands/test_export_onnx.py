"""`nlptool export --to onnx`: the graph's outputs equal the model's and transformers', at any batch size and length."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nlptool import registry
from nlptool.cli import main
from nlptool.models import heads, huggingface, onnx_export
from nlptool.models.onnx_export import OnnxModel
from nlptool.runs import inventory, model_use
from nlptool.text.tokenizer import Tokenizer

NEEDED = ("onnxruntime", "onnxscript", "transformers")
pytestmark = pytest.mark.skipif(
    not all(map(find_spec, NEEDED)), reason=f"not all installed: {', '.join(NEEDED)}"
)

SHAPE = {"layers": 2, "hidden": 32, "heads": 2, "max_positions": 40, "init": 0.2}
NAMES = ["bad", "good", "neither"]


def write_model(folder: Path, family: str, architecture: str, tokenizer: Tokenizer) -> Path:
    """A model with random weights and the head of a class."""
    config = registry.config("models", family).model_validate({"name": family} | SHAPE)
    torch.manual_seed(0)
    parts: dict[str, Any] = {"backbone": config.build(tokenizer.vocab_size)}
    settings: dict[str, Any] = {}
    if architecture == "ForMaskedLM":
        parts["mlm"] = heads.MaskedLM.of(config, tokenizer.vocab_size)
    if architecture == "ForSequenceClassification":
        parts["classifier"] = heads.Classifier.of(config, 3, 0.0)
        parts |= {"pooler": heads.Pooler(config.hidden, 0.3)} if config.pooled else {}
        settings = {
            "id2label": dict(enumerate(NAMES)),
            "label2id": {name: at for at, name in enumerate(NAMES)},
        }
    if architecture == "ForMultipleChoice":
        parts["chooser"] = heads.Classifier.chooser(config, 0.0)
        parts |= {"pooler": heads.Pooler(config.hidden, 0.3)} if config.pooled else {}
    if architecture == "ForTokenClassification":
        parts["tagger"] = heads.TokenClassificationHead.of(config, 3, 0.0)
        settings = {"id2label": dict(enumerate(NAMES))}
    if architecture == "ForQuestionAnswering":
        parts["span"] = heads.TokenClassificationHead.of(config, 2, 0.0)
    state = torch.nn.ModuleDict(parts).state_dict()
    for key, tensor in state.items():
        if key.startswith(("classifier", "chooser", "tagger", "span")):
            tensor.normal_(std=0.3)
    folder.mkdir()
    huggingface.save_pretrained(folder, config, state, tokenizer.special, settings, architecture)
    (tokenizer.bare() if config.kind == "decoder" else tokenizer.framed()).save(folder, max_length=40)
    return folder


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


@pytest.mark.parametrize(
    ("family", "architecture"),
    [
        ("bert", "ForSequenceClassification"),
        pytest.param("distilbert", "ForSequenceClassification", marks=pytest.mark.slow),
        pytest.param("electra", "ForSequenceClassification", marks=pytest.mark.slow),
        pytest.param("electra", "ForMultipleChoice", marks=pytest.mark.slow),
        pytest.param("bert", "ForMultipleChoice", marks=pytest.mark.slow),
        pytest.param("albert", "ForTokenClassification", marks=pytest.mark.slow),
        pytest.param("bert", "ForQuestionAnswering", marks=pytest.mark.slow),
        pytest.param("albert", "ForMaskedLM", marks=pytest.mark.slow),
        pytest.param("gpt2", "ForSequenceClassification", marks=pytest.mark.slow),
        pytest.param("gpt2", "LMHeadModel", marks=pytest.mark.slow),
        pytest.param("bert", "Model", marks=pytest.mark.slow),
    ],
)
def test_the_graph_answers_as_the_class_of_transformers(
    family: str, architecture: str, tokenizer: Tokenizer, tmp_path: Path, capsys
):
    model = write_model(tmp_path / "final", family, architecture, tokenizer)
    assert main(["export", str(model), "--to", "onnx", "--quantize", "int8", "--json"]) == 0
    out = tmp_path / "onnx"
    told, kept = json.loads(capsys.readouterr().out), json.loads((out / "onnx.json").read_text())
    assert told["opset"] == kept["opset"] == onnx_export.OPSET
    graphs = kept["graphs"]
    assert graphs["model.onnx"]["difference"] < 1e-4
    assert graphs["model.onnx"].get("agreement", 1) > 0.99
    assert 1e-4 < graphs["model_int8.onnx"]["difference"] < 0.5
    assert graphs["model_int8.onnx"]["bytes"] < 0.7 * graphs["model.onnx"]["bytes"]
    assert all(graph["rows_per_second"] > 0 for graph in graphs.values())
    assert (out / "tokenizer.json").read_bytes() == (model / "tokenizer.json").read_bytes()

    import onnx

    graph = onnx.load(out / "model.onnx")
    onnx.checker.check_model(graph)
    assert [one.version for one in graph.opset_import if one.domain == ""] == [onnx_export.OPSET]
    import transformers

    name = huggingface.read_config(model)["architectures"][0]
    theirs = getattr(transformers, name).from_pretrained(model).eval()
    session = OnnxModel(out / "model.onnx")
    for rows, tokens in ((1, 2), (3, 11), (2, 40)):
        lengths = np.linspace(tokens, max(2, tokens // 2), rows).astype(int)
        mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
        if architecture == "ForMultipleChoice":
            mask = np.stack([mask] * 3, 1)
        ids = np.random.default_rng(tokens).integers(6, tokenizer.vocab_size, mask.shape) * mask
        feeds = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in session.inputs:
            feeds["token_type_ids"] = (np.arange(tokens) > tokens // 2) * mask
        assert session.inputs <= feeds.keys()
        with torch.no_grad():
            said = theirs(**{key: torch.from_numpy(value) for key, value in feeds.items()})
        for output, found in zip(session.session.get_outputs(), session(feeds), strict=True):
            expected = said[output.name].numpy()
            assert found.shape == expected.shape
            real = mask.astype(bool) if found.shape[:2] == mask.shape else slice(None)
            assert np.abs(found[real] - expected[real]).max() < 1e-4 * max(1, np.abs(expected).max())
    use(out)
    assert capsys.readouterr().out.strip(), "the card's code prints what the graph says"
    assert inventory.foreign(out) == []
    if architecture == "ForSequenceClassification":
        for labels, several, pair in ((1, False, True), (3, True, False), (3, False, True)):
            code = model_use.of_graph(name, labels=labels, multi_label=several, pair=pair)
            exec(code.replace("PATH", str(out)), {})
            (shown,) = capsys.readouterr().out.splitlines()
            found = re.findall(r"-?\d\S*", shown) if labels == 1 else json.loads(shown.replace("'", '"'))
            assert len(found) == 2


def use(folder: Path) -> None:
    """Carry out the code of the card that lies beside a graph."""
    (code,) = re.findall(
        r"^```python\n(.*?)^```", (folder / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    exec(code.replace("PATH", str(folder)), {})


def test_labelled_rows_give_accuracy_and_what_is_wrong_with_them_is_said(
    tokenizer: Tokenizer, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    import transformers

    model = write_model(tmp_path / "final", "bert", "ForSequenceClassification", tokenizer)
    pipe = transformers.pipeline("text-classification", model=str(model))
    texts = ["the old town", "winter", "한국어", "a bell reads the light", "stone " * 60]
    right = [pipe(text, truncation=True)[0]["label"] for text in texts]
    rows = tmp_path / "rows.jsonl"

    def write(labels: list[str]) -> None:
        lines = [{"text": text, "class": label} for text, label in zip(texts, labels, strict=True)]
        rows.write_text("".join(json.dumps(line) + "\n" for line in lines))

    class Same(OnnxModel):
        """The graph's place taken by the model, so that none is traced here."""

        def __init__(self, path: Path) -> None:
            pretrained = huggingface.load_pretrained(model)
            self.model = onnx_export.Exported(pretrained, "BertForSequenceClassification")

        def __call__(self, feeds: Any) -> Any:
            return onnx_export.outputs(self.model, feeds)

    monkeypatch.setattr("nlptool.commands.export.onnx.OnnxModel", Same)
    monkeypatch.setattr(onnx_export, "write", lambda graph, path: path.write_bytes(b"graph"))
    line = ["export", str(model), "--to", "onnx", "--rows", str(rows), "--label", "class", "--json"]
    write([right[0], *("bad" if label != "bad" else "good" for label in right[1:])])
    assert main(line) == 0
    kept = json.loads((tmp_path / "onnx" / "onnx.json").read_text())
    assert kept["graphs"]["model"]["accuracy"] == kept["graphs"]["model.onnx"]["accuracy"] == 0.2
    assert main([*line, "--overwrite"]) == 0
    capsys.readouterr()
    write([*right[:4], "odd"])
    assert main([*line, "--overwrite"]) == 3
    assert f"{rows}:5: the label 'odd' is none of bad, good, neither" in capsys.readouterr().err
    assert (tmp_path / "onnx" / "model.onnx").read_bytes() == b"graph"


def test_a_graph_that_answers_otherwise_is_not_kept(
    tokenizer: Tokenizer, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    model = write_model(tmp_path / "final", "bert", "Model", tokenizer)

    class Other(OnnxModel):
        def __init__(self, path: Path) -> None:
            self.model = onnx_export.Exported(huggingface.load_pretrained(model), "BertModel")

        def __call__(self, feeds: Any) -> Any:
            return [one + 0.1 for one in onnx_export.outputs(self.model, feeds)]

    monkeypatch.setattr("nlptool.commands.export.onnx.OnnxModel", Other)
    monkeypatch.setattr(onnx_export, "write", lambda graph, path: path.write_bytes(b"graph"))
    assert main(["export", str(model), "--to", "onnx"]) == 3
    assert "the graph's outputs differ from the model's by" in capsys.readouterr().err
    assert not list((tmp_path / "onnx").glob("*.onnx"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--quantize", "int8"], "it requires --to onnx"),
        (["--to", "onnx", "--license", "mit"], "--license has no effect"),
        (["--to", "onnx", "--label", "x"], "it requires --rows FILE"),
        (["--to", "onnx", "--rows", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
    ],
)
def test_options_that_change_nothing_are_refused(
    options: list[str], told: str, tiny_run: Path, tmp_path: Path, capsys
):
    assert main(["export", str(tiny_run / "final"), "--out", str(tmp_path / "x"), *options]) == 2
    assert told in capsys.readouterr().err
