import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from nlptool.cli import main
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError
from nlptool.models.base import Inputs
from nlptool.models.bert.config import Config as BertConfig
from nlptool.models.gpt2.config import Config as Gpt2Config
from nlptool.models.kernels import cross_entropy
from nlptool.objectives.causal import CausalLM
from nlptool.objectives.clm.config import Config
from nlptool.text.store import Split

ROOT = Path(__file__).parents[2]
END = tiny.SPECIAL["eos"]
BYTES = np.where(tiny.VOCABULARY.is_special, 0, np.arange(tiny.SIZE) % 4 + 1).astype(np.int32)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return tiny.store(tmp_path_factory.mktemp("store"))


def objective(**vocabulary) -> CausalLM:
    model = Gpt2Config(layers=1, hidden=16, heads=2, max_positions=32, dropout=0, attention_dropout=0)
    torch.manual_seed(0)
    known = replace(tiny.VOCABULARY, **{"bytes": BYTES, **vocabulary})
    return CausalLM(known, model.build(tiny.SIZE))


def test_labels_are_the_tokens_that_follow(split: Split):
    (batch,) = tiny.batches(objective(), split).get(0)
    assert batch["ids"].shape == batch["labels"].shape == (8, tiny.LENGTH)
    assert torch.equal(batch["ids"][:, 1:], batch["labels"][:, :-1])
    assert batch.counts == {"clm": 8 * tiny.LENGTH}
    assert batch.tokens == 8 * tiny.LENGTH


def test_an_epoch_guesses_each_token_of_the_stream_once_but_for_less_than_a_row(split: Split):
    made = objective()
    examples = made.examples(split, tiny.LENGTH, 0)
    index = np.arange(len(examples))
    batch = made.collate(examples.take(index, index * 0, RandomStreams(0, 0)), RandomStreams(0, 0))
    stream = []
    for number in range(len(split)):
        stream += [*np.concatenate(split.document(number)).tolist(), END]
    guessed = batch["labels"].flatten().tolist()
    assert 0 <= len(stream) - len(guessed) < tiny.LENGTH
    twice = ",".join(map(str, stream * 2))
    assert ",".join(map(str, guessed)) in twice


def test_a_tokenizer_without_an_end_of_text_ends_with_its_separator_or_is_refused(split: Split):
    special = {role: token for role, token in tiny.SPECIAL.items() if role != "eos"}
    assert objective(special=special).examples(split, 8, 0).between == tiny.SPECIAL["sep"]
    with pytest.raises(DataError, match="no token that ends a text"):
        objective(special={"pad": 0}).examples(split, 8, 0)


def test_the_loss_is_the_cross_entropy_of_the_next_token(split: Split):
    made = objective().double()
    (batch,) = tiny.batches(made, split).get(0)
    logits = made.backbone(Inputs(ids=batch["ids"])) @ made.backbone.word_embeddings.t()
    chosen = logits.log_softmax(-1).gather(-1, batch["labels"][:, :, None])
    assert made(batch)["clm"].item() == pytest.approx(-chosen.sum().item(), rel=1e-12)


@pytest.mark.parametrize("logits_at_once", [1, 7 * tiny.SIZE, 1 << 22])
def test_held_out_figures_do_not_depend_on_the_chunks(
    split: Split, logits_at_once: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cross_entropy, "CHUNK", logits_at_once)
    made = objective().double()
    (batch,) = tiny.batches(made, split).get(0)
    figures = made.summary(made.measure(batch), batch.counts)
    logits = made.backbone(Inputs(ids=batch["ids"])) @ made.backbone.word_embeddings.t()
    mean = made(batch)["clm"].item() / batch.counts["clm"]
    read = BYTES[batch["labels"].numpy()].sum()
    assert figures["clm"] == pytest.approx(mean, rel=1e-12)
    assert figures["clm_accuracy"] == (logits.argmax(-1) == batch["labels"]).double().mean().item()
    assert figures["perplexity"] == pytest.approx(math.exp(mean), rel=1e-6)
    assert figures["bits_per_byte"] == pytest.approx(mean * batch.counts["clm"] / read / math.log(2))


def test_bits_per_byte_by_hand():
    """Two tokens at 3 nats each, a word of 5 bytes and the end of the text."""
    figures = objective().summary(
        {"clm": torch.tensor(6.0), "clm_correct": torch.tensor(1), "clm_bytes": torch.tensor(5)}, {"clm": 2}
    )
    assert figures == pytest.approx(
        {"clm": 3.0, "clm_accuracy": 0.5, "perplexity": math.exp(3), "bits_per_byte": 6 / math.log(2) / 5}
    )


def test_a_hopeless_loss_is_shown_and_no_error():
    figures = objective().summary({"clm": torch.tensor(1e6)}, {"clm": 1})
    assert figures["perplexity"] == math.inf


def test_tokens_that_are_no_bytes_give_no_bits_per_byte(split: Split):
    made = objective(bytes=None)
    (batch,) = tiny.batches(made, split).get(0)
    assert set(made.summary(made.measure(batch), batch.counts)) == {"clm", "clm_accuracy", "perplexity"}


def test_encoders_are_refused():
    (problem,) = Config().check(BertConfig())
    assert problem.path == "model.name"
    assert "gpt2" in problem.message
    assert Config().check(Gpt2Config()) == []


def test_settings_import_no_torch():
    code = (
        "import sys, nlptool.objectives.clm.config, nlptool.models.gpt2.config; "
        "sys.exit({'torch', 'numpy'} & set(sys.modules) != set())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_what_is_trained_can_be_trained_on_up_to_its_positions(
    tiny_store: Path, tiny_recipe: Path, tmp_path: Path, capsys
):
    model = 'model={"name": "gpt2", "layers": 1, "hidden": 16, "heads": 2, "max_positions": 32}'
    command = ["pretrain-clm", str(tiny_recipe), 'objective={"name": "clm"}', "train.steps=2"]
    assert main([*command, model]) == 0
    more = [*command, "~model", f"init_from={tmp_path / 'run' / 'final'}", "--out", str(tmp_path / "more")]
    assert main(more) == 0
    capsys.readouterr()
    assert main([*more, "train.sequence_length=33", "--overwrite"]) == 3
    assert (
        "train.sequence_length: 33 tokens are more than model.max_positions (32)" in capsys.readouterr().err
    )


def test_what_is_trained_continues_texts_in_transformers(tiny_store: Path, tiny_recipe: Path, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    model = 'model={"name": "gpt2", "layers": 2, "hidden": 16, "heads": 2, "max_positions": 64}'
    assert main(["pretrain-clm", str(tiny_recipe), model, 'objective={"name": "clm"}']) == 0
    final = tmp_path / "run" / "final"
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    last = {key: value for line in lines for key, value in line.items() if line["step"] == 12}
    assert last["heldout/bits_per_byte"] > 0
    assert last["heldout/perplexity"] == pytest.approx(math.exp(last["heldout/clm"]), rel=1e-5)
    tokenizer = transformers.AutoTokenizer.from_pretrained(final)
    model, info = transformers.AutoModelForCausalLM.from_pretrained(final, output_loading_info=True)
    assert not any(info.values()), info
    assert model.config.eos_token_id == tokenizer.eos_token_id == END
    inputs = tokenizer("the old river", return_tensors="pt")
    assert set(inputs) == {"input_ids", "attention_mask"}
    assert tokenizer.decode(inputs["input_ids"][0]) == "the old river"
    longer = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert tokenizer.decode(longer[0]).startswith("the old river")
