"""Beam search: the best of all texts with an exhaustive beam, transformers' texts otherwise."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from nlptool.evaluation.generation.beam_search import Beams, beam_hypotheses
from nlptool.evaluation.generation.generate import continuations
from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.gpt2.config import Config
from nlptool.models.gpt2.model import GPT2

CONFIG = Config(layers=2, hidden=32, heads=2, max_positions=40, init=0.3)


def beam_search(*arguments, **settings) -> list[list[int]]:
    """The best continuation of each prompt."""
    return [best for best, *_ in beam_hypotheses(*arguments, **settings)]


def model_of(vocab: int, seed: int = 0) -> GPT2:
    torch.manual_seed(seed)
    return CONFIG.build(vocab).eval()


def log_likelihood(model: GPT2, prompt: list[int], ids: list[int]) -> float:
    row = [*prompt, *ids]
    with torch.no_grad():
        logp = model.logits(model(Inputs(ids=torch.tensor([row[:-1]]))))[0].log_softmax(-1)
    return sum(float(logp[at - 1, row[at]]) for at in range(len(prompt), len(row)))


def test_a_wide_beam_finds_the_likeliest_of_all_texts():
    model = model_of(5)
    for prompt in ([1], [2, 3], [4, 4, 0]):
        likeliest = max(
            (list(ids) for ids in itertools.product(range(5), repeat=3)),
            key=lambda ids: log_likelihood(model, prompt, ids),
        )
        assert beam_search(model, [prompt], 3, beams=Beams(width=25)) == [likeliest]


def test_one_beam_is_greedy_and_more_are_no_less_likely():
    model = model_of(60)
    prompts = [[1], [2, 3, 4], [5, 6]]
    one = beam_search(model, prompts, 8, beams=Beams(width=1))
    assert one == [[t for _, t in continuations(model, [prompt], 8)] for prompt in prompts]
    four = beam_search(model, prompts, 8, beams=Beams(width=4))
    likelier = [
        log_likelihood(model, p, b) - log_likelihood(model, p, a)
        for p, a, b in zip(prompts, one, four, strict=True)
    ]
    assert min(likelier) >= -1e-5
    assert max(likelier) > 0.1


def test_a_penalty_that_grows_with_length_favours_longer_texts():
    model = model_of(60)
    prompts = [[number] for number in range(20)]
    short, long = (
        beam_search(model, prompts, 12, ends=(7, 8, 9), beams=Beams(penalty=lambda n, a=alpha: n**a))
        for alpha in (0.0, 3.0)
    )
    assert sum(map(len, short)) < sum(map(len, long))


def test_t5s_penalty_at_length_one_is_one():
    assert Beams().penalty(1) == 1
    assert Beams().penalty(7) == pytest.approx(2**0.6)


@pytest.mark.parametrize(("width", "alpha", "every"), [(4, 0.6, 11), (3, 1.0, 4), (2, 0.0, 4)])
def test_answers_are_those_of_transformers_alone_and_in_a_batch(
    width: int, alpha: float, every: int, tmp_path: Path
):
    transformers = pytest.importorskip("transformers")
    ends = list(range(3, 60, every))
    model = model_of(60, seed=width)
    model.embeddings.tokens.weight.data *= 0.4  # so that no token is nearly certain
    state = nn.ModuleDict({"backbone": model}).state_dict()
    huggingface.save_pretrained(tmp_path, CONFIG, state, {"eos": 7, "pad": 0})
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    prompts = [torch.randint(0, 60, (length,)).tolist() for length in range(1, 13)]
    expected = []
    for prompt in prompts:
        out = theirs.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=10,
            num_beams=width,
            length_penalty=alpha,
            do_sample=False,
            eos_token_id=ends,
            pad_token_id=0,
        )[0, len(prompt) :].tolist()
        at = next((at for at, token in enumerate(out) if token in ends), len(out))
        expected.append(out[:at])
    assert len({len(ids) for ids in expected}) > 2
    beams = Beams(width, lambda tokens: tokens**alpha)
    assert [beam_search(model, [prompt], 10, ends, beams)[0] for prompt in prompts] == expected
    assert beam_search(model, prompts, 10, ends, beams) == expected


def test_a_search_ends_at_the_last_position_and_of_nothing_comes_nothing():
    model = model_of(60)
    assert [len(ids) for ids in beam_search(model, [list(range(38)), [5]], 60)] == [3, 40]
    assert beam_search(model, [], 4) == []
    assert beam_search(model, [[1]], 0) == [[]]


def test_a_beam_that_is_stopped_counts_as_one_that_ends():
    model, prompts = model_of(60), [[1], [2, 3, 4], [5, 6]]
    ends = list(range(3, 60, 5))
    ended = beam_search(model, prompts, 8, ends)
    stopped = beam_search(model, prompts, 8, stopped=lambda ids: ids[-1] in ends)
    assert {len(ids) for ids in ended} - {8}
    assert [ids[:-1] if ids[-1] in ends else ids for ids in stopped] == ended


def test_where_nearly_every_token_stops_the_best_of_all_texts_is_found():
    model, beams = model_of(10, seed=3), Beams()
    for prompt in ([1], [2], [4, 4]):
        texts = [[*[5] * fives, last] for fives in range(6) for last in range(10) if last != 5] + [[5] * 6]
        best = max(
            texts, key=lambda ids: log_likelihood(model, prompt, ids) / beams.penalty(len(ids))
        )  # beams of one length compete, so nothing better than this can be found
        found = beam_search(model, [prompt], 6, beams=beams, stopped=lambda ids: ids[-1] != 5)
        assert found == [best]
