"""Scores of texts against transformers, and minimal pairs from files."""

import json
import math
from pathlib import Path

import pytest
import torch

from nlptool.cli import main
from nlptool.errors import DataError
from nlptool.evaluation import scoring
from nlptool.evaluation.metrics.confidence import Proportion
from nlptool.models import huggingface
from nlptool.prompting.multiple_choice import minimal_pairs
from nlptool.text.tokenizer import Tokenizer

TEXTS = ["the river", "the old town reads a bell.", "stone", ""]


def scorer(final: Path) -> scoring.Scorer:
    pretrained = huggingface.load_pretrained(final)
    return scoring.scorer(pretrained, Tokenizer.load(final))


def test_pseudo_log_likelihood_masks_each_token_in_turn(tiny_run: Path) -> None:
    transformers = pytest.importorskip("transformers")
    final = tiny_run / "final"
    model = transformers.AutoModelForMaskedLM.from_pretrained(final).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(final)
    expected = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        total = 0.0
        for at in range(1, ids.shape[1] - 1):
            masked = ids.clone()
            masked[0, at] = tokenizer.mask_token_id
            with torch.no_grad():
                total += model(masked).logits[0, at].log_softmax(-1)[ids[0, at]].item()
        expected.append(total)
    assert scorer(final).scores(TEXTS) == pytest.approx(expected, abs=1e-4)


def test_scores_do_not_depend_on_the_batch(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = scorer(tiny_run / "final")
    together = model.scores(TEXTS)
    monkeypatch.setattr(scoring, "BATCH", 1)
    assert model.scores(TEXTS[::-1]) == pytest.approx(together[::-1], abs=1e-5)


def test_a_text_longer_than_the_model_reads_is_refused(tiny_run: Path) -> None:
    with pytest.raises(DataError, match="the model reads 64"):
        scorer(tiny_run / "final").scores(["river " * 100])


def test_a_model_without_a_head_cannot_score(tiny_run: Path) -> None:
    pretrained = huggingface.load_pretrained(tiny_run / "final")
    state = {key: t for key, t in pretrained.state.items() if not key.startswith("mlm")}
    with pytest.raises(DataError, match="no head that can score a text, only backbone"):
        scoring.scorer(pretrained._replace(state=state), Tokenizer.load(tiny_run / "final"))


class Longer:
    """Finds longer texts likelier."""

    def scores(self, texts: list[str]) -> list[float]:
        return [float(len(text)) for text in texts]


def test_a_pair_is_right_when_the_good_sentence_scores_higher() -> None:
    pairs = [("abc", "ab"), ("a", "ab"), ("a", "b")]
    assert minimal_pairs.accuracy(Longer(), pairs) == Proportion(1, 3)


def test_the_interval_is_wilsons() -> None:
    low, high = Proportion(8, 10).interval  # worked out by hand: (0.9921 -+ 0.3130) / 1.38415
    assert (low, high) == (pytest.approx(0.4902, abs=1e-3), pytest.approx(0.9433, abs=1e-3))
    assert Proportion(0, 0).interval == (0.0, 1.0)
    assert math.isnan(Proportion(0, 0).value)
    assert str(Proportion(50, 100)) == "50.0 % ± 9.6"
    assert str(Proportion(3, 3)) == "100.0 % (43.9 to 100.0)"
    assert str(Proportion(1990, 3350)) == "59.4 % ± 1.7"


def test_a_causal_model_gives_the_log_likelihood(tiny_recipe: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = json.dumps({"name": "gpt2", "layers": 2, "hidden": 16, "heads": 2, "max_positions": 64})
    changes = [f"model={model}", 'objective={"name": "clm"}', "train.steps=3"]
    assert main(["pretrain-clm", str(tiny_recipe), *changes]) == 0
    final = tmp_path / "run" / "final"
    reference = transformers.AutoModelForCausalLM.from_pretrained(final).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(final)
    expected = []
    for text in TEXTS:
        ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(text)["input_ids"]]])
        with torch.no_grad():
            found = reference(ids).logits.log_softmax(-1)[:, :-1].gather(2, ids[:, 1:, None])
        expected.append(found.sum().item())
    assert scorer(final).scores(TEXTS) == pytest.approx(expected, abs=1e-4)


def test_a_discriminator_gives_how_original_it_finds_all_tokens(tiny_recipe: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = json.dumps({"name": "electra", "layers": 2, "hidden": 16, "heads": 2, "max_positions": 64})
    changes = [f"model={model}", 'objective={"name": "electra"}', "train.steps=3"]
    assert main(["pretrain-electra", str(tiny_recipe), *changes]) == 0
    final = tmp_path / "run" / "final"
    reference = transformers.ElectraForPreTraining.from_pretrained(final).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(final)
    expected = []
    for text in TEXTS:
        with torch.no_grad():
            logits = reference(**tokenizer(text, return_tensors="pt")).logits[0, 1:-1]
        expected.append(torch.nn.functional.logsigmoid(-logits).sum().item())
    assert scorer(final).scores(TEXTS) == pytest.approx(expected, abs=1e-4)
