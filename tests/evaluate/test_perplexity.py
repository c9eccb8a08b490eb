"""Bits per byte against hand-computed values and transformers."""

import math
from pathlib import Path

import pytest
import torch

from nlptool.evaluate.perplexity import Cost, bits_per_byte, cost, nats_per_token
from nlptool.evaluate.scoring import CausalScorer
from nlptool.models import huggingface
from nlptool.models.gpt2.config import Config
from nlptool.models.gpt2.net import Net
from nlptool.text.tokenizer import Tokenizer

POSITIONS = 16


@pytest.fixture(scope="module")
def reader(tiny_store: Path) -> CausalScorer:
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    config = Config(layers=2, hidden=16, heads=2, positions=POSITIONS, init=0.3)
    net = Net(config, tokenizer.vocab_size)
    return CausalScorer(config, {f"backbone.{key}": t for key, t in net.state_dict().items()}, tokenizer)


def test_documents_count_by_their_bytes():
    costs = [Cost(2 * math.log(2), 1, 4), Cost(10 * math.log(2), 3, 8)]
    assert bits_per_byte(costs).value == pytest.approx(12 / 12)
    assert nats_per_token(costs).value == pytest.approx(12 * math.log(2) / 4)


def test_the_interval_is_that_of_a_ratio():
    """Bits 2 and 10 of bytes 4 and 8: rate 1, residuals -2 and 2, so a variance of 2 / 1 * 8 / 12^2."""
    found = bits_per_byte([Cost(2 * math.log(2), 1, 4), Cost(10 * math.log(2), 3, 8)])
    assert found.half == pytest.approx(1.959964 * math.sqrt(2 * 8) / 12)


def test_one_document_says_nothing_of_others_and_none_says_nothing():
    assert bits_per_byte([Cost(1.0, 1, 1)]).half == math.inf
    assert math.isnan(bits_per_byte([]).value)


def test_a_long_text_is_read_in_windows_each_token_once(reader: CausalScorer):
    ids = list(range(5, 5 + 2 * POSITIONS + 3))
    rows = reader.windows(ids)
    assert [len(row) for row in rows] == [POSITIONS + 1, POSITIONS + 1, 4]
    assert [token for row in rows for token in row[1:]] == ids
    assert [row[0] for row in rows] == [reader.start, ids[POSITIONS - 1], ids[2 * POSITIONS - 1]]


def test_the_cost_of_a_text_is_that_of_transformers(reader: CausalScorer, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    state = {f"backbone.{key}": t for key, t in reader.net.state_dict().items()}
    special = reader.tokenizer.special
    huggingface.save_pretrained(tmp_path, reader.net.config, state, special)
    model = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    text = " the old town reads a bell." * 6
    ids = [reader.start, *reader.tokenizer.encode(text)]
    expected = 0.0
    for at in range(0, len(ids) - 1, POSITIONS):
        row = torch.tensor([ids[at : at + POSITIONS + 1]])
        with torch.no_grad():
            scores = model(row[:, :-1]).logits.log_softmax(-1)
        expected -= scores.gather(2, row[:, 1:, None]).sum().item()
    found = cost(reader, text)
    assert found.nats == pytest.approx(expected, rel=1e-5)
    assert (found.tokens, found.bytes) == (len(ids) - 1, len(text))


def test_an_empty_text_costs_nothing(reader: CausalScorer):
    assert cost(reader, "") == Cost(0.0, 0, 0)
