"""Perplexity with a stride, and pseudo-log-likelihood within words, against transformers."""

import json
from pathlib import Path

import pytest
import torch

from nlptool.cli import main
from nlptool.evaluation import perplexity, requests
from nlptool.evaluation.scoring import CausalScorer, MaskedScorer
from nlptool.models import huggingface
from nlptool.text.tokenizer import Tokenizer

TEXT = " the old river town reads a small bell in winter. a house of stone and light." * 8


def opened(folder: Path, kind: type, *rest: object):
    pretrained = huggingface.load_pretrained(folder)
    return kind(pretrained, Tokenizer.of_model(folder, pretrained.vocab_size), torch.device("cpu"), *rest)


def recipe_of_transformers(model, ids: list[int], stride: int) -> float:
    """Sum of nats, by the loop of huggingface.co/docs/transformers/perplexity; its mean is over windows."""
    max_length, seq_len = model.config.n_positions, len(ids)
    nll_sum, prev_end_loc = 0.0, 0
    for begin_loc in range(0, seq_len, stride):
        end_loc = min(begin_loc + max_length, seq_len)
        trg_len = end_loc - prev_end_loc
        input_ids = torch.tensor([ids[begin_loc:end_loc]])
        target_ids = input_ids.clone()
        target_ids[:, :-trg_len] = -100
        with torch.no_grad():
            neg_log_likelihood = model(input_ids, labels=target_ids).loss
        num_loss_tokens = int((target_ids[:, 1:] != -100).sum())
        nll_sum += neg_log_likelihood.item() * num_loss_tokens
        prev_end_loc = end_loc
        if end_loc == seq_len:
            break
    return nll_sum


@pytest.mark.parametrize("stride", [50, 127])
def test_strides_are_those_of_transformers_documentation(tiny_decoder: Path, stride: int):
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_decoder).eval()
    reader = opened(tiny_decoder, CausalScorer)
    ids = reader.tokenizer.encode(TEXT)
    assert len(ids) > 150
    expected = recipe_of_transformers(model, [reader.start, *ids], stride)
    found = perplexity.cost(reader, TEXT, stride)
    assert found.tokens == len(ids)
    assert found.nats == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("length", [1, 9, 10, 11, 37])
@pytest.mark.parametrize("stride", [1, 4, 9])
def test_each_token_is_predicted_once_with_as_much_context_as_the_stride_leaves(
    known: int, length: int, stride: int
):
    ids = list(range(length))
    found = requests.strided(ids, 10, known, stride)
    assert [token for window in found for token in window.answer] == ids[known:]
    for window in found:
        assert len(window.context) + len(window.answer) <= 10
        whole = [*window.context, *window.answer]
        assert whole == ids[whole[0] : whole[0] + len(whole)]
    assert all(len(window.context) == 10 - stride for window in found[1:-1])


def test_a_stride_shorter_than_a_window_costs_no_more_and_is_told(
    tiny_decoder: Path, tiny_store: Path, capsys
):
    arguments = ["evaluate", str(tiny_decoder), "--store", str(tiny_store), "--json"]
    assert main([*arguments, "--stride", "64"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["stride"] == 64
    assert main(arguments) == 0
    (plain,) = json.loads(capsys.readouterr().out)
    assert "stride" not in plain
    assert found["tokens"] == plain["tokens"]
    assert main([*arguments, "--stride", "128"]) == 2
    assert "reads 128 tokens at once, and windows must overlap" in capsys.readouterr().err
    assert main(["evaluate", str(tiny_decoder), "--minimal-pairs", "x", "--stride", "3"]) == 2
    assert "--stride" in capsys.readouterr().err


def test_within_words_what_follows_is_masked_too(tiny_run: Path):
    """Kauf and Ivanova 2023, section 3: token by token, by transformers' own model."""
    transformers = pytest.importorskip("transformers")
    final = tiny_run / "final"
    model = transformers.AutoModelForMaskedLM.from_pretrained(final).eval()
    reader = opened(final, MaskedScorer, "within_word_l2r")
    special, tokenizer = reader.special, reader.tokenizer
    text = " the bellringer reads woodhousing stonelight"
    ids = tokenizer.encode(text)
    pieces = [tokenizer.decode([number]) for number in ids]
    words = [sum(piece.startswith(" ") for piece in pieces[: at + 1]) for at in range(len(pieces))]
    assert len(set(words)) < len(words) - 3, "some words are several tokens"
    expected = 0.0
    for at, word in enumerate(words):
        hidden = [special["mask"] if words[k] == word and k >= at else one for k, one in enumerate(ids)]
        row = torch.tensor([[special["cls"], *hidden, special["sep"]]])
        with torch.no_grad():
            logits = model(row).logits[0, at + 1]
        expected += logits.log_softmax(-1)[ids[at]].item()
    (found,) = reader.scores([text])
    assert found == pytest.approx(expected, abs=1e-4)
    (original,) = opened(final, MaskedScorer).scores([text])
    assert original != found, "more is masked"


def test_the_metric_of_pairs_is_an_option_beside_salazars(
    tiny_run: Path, tiny_decoder: Path, tmp_path: Path, capsys
):
    (tmp_path / "a.jsonl").write_text(
        "".join(
            json.dumps({"sentence_good": f"the bellringer {n}", "sentence_bad": f"bellringer {n} the"}) + "\n"
            for n in range(4)
        )
    )
    arguments = ["evaluate", str(tiny_run / "final"), str(tiny_decoder), "--minimal-pairs", str(tmp_path)]
    assert main([*arguments, "--pll-metric", "within_word_l2r"]) == 0
    told = capsys.readouterr()
    assert "4 minimal pairs by within_word_l2r" in told.out
    assert "scores by likelihood, to which --pll-metric is nothing" in told.err
    assert main(["evaluate", str(tiny_run / "final"), "--store", "x", "--pll-metric", "original"]) == 2
    assert "--pll-metric" in capsys.readouterr().err
