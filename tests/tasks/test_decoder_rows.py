"""Labelled rows read by a decoder: what transformers' GPT2ForSequenceClassification says of them, from its own weights,
and from those that nlptool has fine-tuned."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch

from nlptool.cli import main
from nlptool.errors import DataError
from nlptool.evaluation.embedding import Embedder
from nlptool.models import huggingface
from nlptool.tasks.classification.config import Config
from nlptool.tasks.finetuned import FinetunedModel
from nlptool.tasks.row_reading import row_reading
from nlptool.text.tabular import Row

transformers = pytest.importorskip("transformers")

END = "<|endoftext|>"
SIZE = {"n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": 64}
ROWS = [
    {"a": "the old town by the river", "b": "a small bell"},
    {"a": "겨울의 강 😀", "b": "Ça coûte déjà 3 €"},
    {"a": "猫", "b": "the end of a longer text, that says so"},
]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as OpenAI's GPT-2 is published: byte-level, with an end of text and no other special token."""
    folder = tmp_path_factory.mktemp("published")
    made = tokenizers.ByteLevelBPETokenizer()
    texts = [text for row in ROWS for text in row.values()]
    made.train_from_iterator(texts * 3, vocab_size=320, special_tokens=[END], show_progress=False)
    made.save_model(str(folder))
    tokenizer = transformers.GPT2Tokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(2)
    end = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), initializer_range=0.3, **SIZE, **end, pad_token_id=None
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def theirs(published: Path, folder: Path, *, end: bool, **settings: Any) -> Path:
    """A classifier as transformers' users write it: the end of text is padding. end: it also ends each text."""
    config = transformers.AutoConfig.from_pretrained(published, **settings)
    tokenizer = transformers.AutoTokenizer.from_pretrained(published)
    tokenizer.pad_token = tokenizer.eos_token
    config.pad_token_id = tokenizer.pad_token_id
    model = transformers.GPT2ForSequenceClassification.from_pretrained(published, config=config)
    model.save_pretrained(folder)
    if end:
        last = tokenizer.eos_token_id
        tokenizer._tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single=f"$A {END}", pair=f"$A {END} $B {END}", special_tokens=[(END, last)]
        )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("end", [False, True], ids=["bare", "with an end"])
@pytest.mark.parametrize("inputs", [("a",), ("a", "b")], ids=["text", "pair"])
def test_logits_and_gradients_are_those_of_transformers(
    end: bool, inputs: tuple[str, ...], published: Path, tmp_path: Path
):
    folder = theirs(published, tmp_path, end=end, num_labels=3)
    names = tuple(f"LABEL_{number}" for number in range(3))
    task = Config(name="classification", inputs=inputs, labels=names, metrics=("accuracy",))
    ours = FinetunedModel("theirs", folder, torch.device("cpu"), task)
    rows = ours.encode([Row(f"row {n}", row) for n, row in enumerate(ROWS)], tmp_path / "rows")
    batch = ours.objective.collate(rows.take(np.arange(len(ROWS))), None)
    model = transformers.GPT2ForSequenceClassification.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ([row[name] for row in ROWS] for name in inputs)
    read = tokenizer(*texts, padding=True, return_tensors="pt")
    assert batch["ids"].tolist() == read["input_ids"][:, : batch["ids"].shape[1]].tolist()
    labels = torch.tensor([2, 0, 1])
    expected = model(**read, labels=labels)
    assert (ours.objective.predict(batch) - expected.logits).abs().max() < 1e-5
    expected.loss.backward()
    batch.tensors["labels"] = labels[:, None].float()
    (ours.objective(batch)["cross_entropy"] / len(ROWS)).backward()
    pairs = {
        model.score.weight: ours.objective.classifier.out.weight,
        model.transformer.wte.weight: ours.objective.backbone.embeddings.tokens.weight,
    }
    for one, other in pairs.items():
        assert (one.grad - other.grad).abs().max() < 1e-5


def test_without_a_task_it_is_that_of_its_class(published: Path, tmp_path: Path, capsys):
    folder = theirs(published, tmp_path, end=False, id2label={0: "bad", 1: "좋다"})
    assert main(["predict", str(folder), "--text", "the old town", "--text", "겨울의 강 😀", "--json"]) == 0
    told = capsys.readouterr()
    assert "has no task.json; by its class it is classification of text" in told.err
    pipe = transformers.pipeline("text-classification", model=str(folder), top_k=None)
    said = json.loads(told.out)
    for one, other in zip(said, pipe(["the old town", "겨울의 강 😀"], batch_size=2), strict=True):
        scores = {found["label"]: found["score"] for found in other}
        assert one["scores"] == pytest.approx(scores, abs=1e-4)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    (tmp_path / "rows.tsv").write_text(
        "sentence1\tsentence2\tlabel\n"
        + "".join(f"{r['a']}\t{r['b']}\t{n % 2}\n" for n, r in enumerate(ROWS[:2] * 8))
    )
    return tmp_path / "rows.tsv"


def test_gpt2_as_published_learns_a_pair_and_gets_a_token_to_pad_with(
    published: Path, labelled: Path, tmp_path: Path, capsys
):
    (tmp_path / "recipe.yaml").write_text(
        f"init_from: {published}\nout: {tmp_path / 'run'}\n"
        f"task: {{source: {{files: {{train: {labelled}, validation: {labelled}}}}}}}\n"
        "train: {steps: 40, batch_size: 8, sequence_length: 64, lr: 5e-3}\n"
    )
    assert main(["finetune", str(tmp_path / "recipe.yaml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean"]["accuracy"] == 1
    final = tmp_path / "run" / "seed-0" / "final"
    settings = json.loads((final / "config.json").read_text())
    size = json.loads((published / "config.json").read_text())["vocab_size"]
    assert (settings["architectures"], settings["vocab_size"]) == (
        ["GPT2ForSequenceClassification"],
        size + 1,
    )
    assert settings["pad_token_id"] == size != settings["eos_token_id"]
    assert not (final / "generation_config.json").exists()
    pipe = transformers.pipeline("text-classification", model=str(final), top_k=None)
    asked = [{"text": row["a"], "text_pair": row["b"]} for row in ROWS[:2]]
    together = [{one["label"]: one["score"] for one in found} for found in pipe(asked, batch_size=2)]
    assert main(["predict", str(final), str(labelled), "--json", "-o", str(tmp_path / "said.jsonl")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    for line, expected in zip(lines[:2], together, strict=True):
        assert line["scores"] == pytest.approx(expected, abs=1e-4)
    tokenizer = transformers.AutoTokenizer.from_pretrained(final)
    end = settings["eos_token_id"]
    a, b = (tokenizer(ROWS[0][name], add_special_tokens=False).input_ids for name in "ab")
    assert tokenizer(ROWS[0]["a"], ROWS[0]["b"]).input_ids == [end, *a, end, *b, end]
    assert Embedder(final, "last").encode([ROWS[0]["a"], ""])[0] == [[end, *a, end], [end, end]]


def test_what_a_decoder_cannot_learn_is_said_with_what_it_can(published: Path, tmp_path: Path, capsys):
    tags = tmp_path / "tags.jsonl"
    tags.write_text(json.dumps({"tokens": ["the", "Rhine"], "tags": ["O", "B-LOC"]}) + "\n")
    task = f"task={{name: token_classification, labels: [O, B-LOC, I-LOC], source: {{files: {tags}}}}}"
    (tmp_path / "recipe.yaml").write_text(f"init_from: {published}\nout: {tmp_path / 'run'}\ntask: nothing\n")
    assert main(["finetune", str(tmp_path / "recipe.yaml"), task, "task.holdout=0.5"]) == 3
    told = capsys.readouterr().err
    assert "token_classification takes an encoder, such as bert" in told
    assert "a decoder, as this is, learns classification, multi_label_classification, text_generation" in told


def test_a_decoder_without_an_end_of_text_is_refused(published: Path, tmp_path: Path):
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((published / name).read_bytes())
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["model"]["vocab"] = {
        ("<end>" if name == END else name): number for name, number in content["model"]["vocab"].items()
    }
    content["added_tokens"] = []
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    task = Config(name="classification", inputs=("a",), metrics=("pearson",))
    with pytest.raises(DataError, match="no token that ends a text"):
        row_reading(tmp_path, huggingface.load_pretrained(tmp_path), task)
