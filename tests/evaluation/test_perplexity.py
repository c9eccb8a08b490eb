"""Bits per byte against hand-computed values and transformers."""

import math
from pathlib import Path

import pytest
import torch

from nlptool.evaluation.perplexity import NegativeLogLikelihood, bits_per_byte, cost, nats_per_token
from nlptool.evaluation.scoring import CausalScorer, MaskedScorer
from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.gpt2.config import Config
from nlptool.models.huggingface import Pretrained
from nlptool.text.tokenizer import Tokenizer

POSITIONS = 16


@pytest.fixture(scope="module")
def reader(tiny_store: Path) -> CausalScorer:
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    config = Config(layers=2, hidden=16, heads=2, max_positions=POSITIONS, init=0.3)
    model = config.build(tokenizer.vocab_size)
    state = {f"backbone.{key}": t for key, t in model.state_dict().items()}
    return CausalScorer(Pretrained(config, tokenizer.vocab_size, state), tokenizer)


@pytest.fixture(scope="module")
def tiny_masked(tiny_run: Path) -> MaskedScorer:
    pretrained = huggingface.load_pretrained(tiny_run / "final")
    tokenizer = Tokenizer.of_model(tiny_run / "final", pretrained.vocab_size)
    return MaskedScorer(pretrained, tokenizer)


def test_documents_count_by_their_bytes():
    costs = [NegativeLogLikelihood(2 * math.log(2), 1, 4), NegativeLogLikelihood(10 * math.log(2), 3, 8)]
    assert bits_per_byte(costs).value == pytest.approx(12 / 12)
    assert nats_per_token(costs).value == pytest.approx(12 * math.log(2) / 4)


def test_the_interval_is_that_of_a_ratio():
    """Bits 2 and 10 of bytes 4 and 8: rate 1, residuals -2 and 2, so a variance of 2 / 1 * 8 / 12^2."""
    found = bits_per_byte(
        [NegativeLogLikelihood(2 * math.log(2), 1, 4), NegativeLogLikelihood(10 * math.log(2), 3, 8)]
    )
    assert found.half == pytest.approx(1.959964 * math.sqrt(2 * 8) / 12)


def test_one_document_says_nothing_of_others_and_none_says_nothing():
    assert bits_per_byte([NegativeLogLikelihood(1.0, 1, 1)]).half == math.inf
    assert math.isnan(bits_per_byte([]).value)


def windows_of_lm_eval(ids: list[int], start: int, positions: int) -> list[tuple[list[int], list[int]]]:
    """What is read before and what is predicted, as lm-eval's docstrings say it, token by token."""
    found = []
    for end in sorted({*range(positions, len(ids), positions), len(ids)}):
        begin = found[-1][2] if found else 0
        read = [start, *ids][max(0, end - positions) : end]  # what the model is given to predict up to `end`
        found.append((read[: len(read) - (end - begin) + 1], ids[begin:end], end))
    return [(context, predicted) for context, predicted, _ in found]


@pytest.mark.parametrize(
    "length", [1, POSITIONS - 1, POSITIONS, POSITIONS + 1, 3 * POSITIONS, 3 * POSITIONS + 5]
)
def test_windows_are_those_of_lm_eval_and_the_last_one_is_full(reader: CausalScorer, length: int):
    ids = list(range(5, 5 + length))
    found = reader.windows(ids)
    assert [window[:2] for window in found] == windows_of_lm_eval(ids, reader.start, POSITIONS)
    assert [token for window in found for token in window.answer] == ids, "each token once"
    if length > POSITIONS:
        assert len(found[-1].context) + len(found[-1].answer) == POSITIONS + 1


def test_a_masked_model_reads_a_full_last_window_too(tiny_masked: MaskedScorer):
    room = tiny_masked.positions - 2
    ids = [5 + n % 50 for n in range(room + 3)]
    first, last = tiny_masked.windows(ids)
    assert (first.context, first.answer) == ([], ids[:room])
    assert (last.context, last.answer) == (ids[3:room], ids[room:])
    (alone,) = tiny_masked.of_windows([last])
    row = [tiny_masked.special["cls"], *ids[3:], tiny_masked.special["sep"]]
    expected = 0.0
    for place in (-4, -3, -2):
        seen = torch.tensor([row])
        seen[0, place] = tiny_masked.special["mask"]
        hidden = tiny_masked.head.transform(
            tiny_masked.model(Inputs(ids=seen, lengths=torch.tensor([len(row)])))
        )
        logits = hidden[0, place] @ tiny_masked.model.word_embeddings.T + tiny_masked.head.bias
        expected += logits.log_softmax(-1)[row[place]].item()
    assert alone == pytest.approx(expected, rel=1e-5)


def test_the_cost_of_a_text_is_that_of_transformers_in_lm_evals_windows(reader: CausalScorer, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    state = {f"backbone.{key}": t for key, t in reader.model.state_dict().items()}
    special = reader.tokenizer.special
    huggingface.save_pretrained(tmp_path, reader.model.config, state, special)
    model = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    text = " the old town reads a bell." * 6
    ids = reader.tokenizer.encode(text)
    assert len(ids) % POSITIONS, "the last window is not full of what it predicts"
    expected = 0.0
    for context, predicted in windows_of_lm_eval(ids, reader.start, POSITIONS):
        row = torch.tensor([context + predicted])
        with torch.no_grad():
            scores = model(row[:, :-1]).logits.log_softmax(-1)
        found = scores.gather(2, row[:, 1:, None])[0, len(context) - 1 :]
        expected -= found.sum().item()
    found = cost(reader, text)
    assert found.nats == pytest.approx(expected, rel=1e-5)
    assert (found.tokens, found.bytes) == (len(ids), len(text))


def test_an_empty_text_costs_nothing(reader: CausalScorer):
    assert cost(reader, "") == NegativeLogLikelihood(0.0, 0, 0)
