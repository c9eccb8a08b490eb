"""Inference on a GPU equals that on a CPU."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
import torch

from nlptool.cli import main
from nlptool.evaluation.generation.beam_search import beam_hypotheses
from nlptool.evaluation.generation.generate import Generator, continuations
from nlptool.evaluation.generation.sampling import Choose, Sampling, greedy
from nlptool.evaluation.requests import Request
from nlptool.evaluation.scoring import answers, scorer
from nlptool.models import huggingface
from nlptool.models.gpt2.config import Config
from nlptool.models.gpt2.model import GPT2
from nlptool.text.tokenizer import Tokenizer

GPU = torch.device("cuda")
VOCAB = 200
CONFIG = Config(layers=3, hidden=48, heads=4, max_positions=40, init=0.3)  # large weights, so that texts vary
CONTEXTS = ["the river", "the old town reads", "a small bell", ""]
REQUESTS = [Request(c, f" {a}") for c in CONTEXTS for a in ("stone", "wood and light", "a house.")]


@pytest.fixture(scope="module")
def model() -> GPT2:
    torch.manual_seed(0)
    return CONFIG.build(VOCAB).eval()


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    """20 prompts of 1 to 20 tokens."""
    torch.manual_seed(1)
    return [torch.randint(0, VOCAB, (length,)).tolist() for length in range(1, 21)]


def made(
    model: GPT2,
    prompts: Sequence[list[int]],
    tokens: int,
    ends: Collection[int] = (),
    choose: Choose = greedy,
) -> list[list[int]]:
    texts: list[list[int]] = [[] for _ in prompts]
    for number, token in continuations(model, prompts, tokens, ends, choose):
        texts[number].append(token)
    return texts


@pytest.mark.parametrize("choose", [greedy, Sampling(top_k=20, seed=3)], ids=["greedy", "drawn"])
def test_texts_go_on_alike_alone_and_in_a_batch(model: GPT2, prompts, choose: Choose):
    tokens = 60  # more than there are positions, so that each text ends at another step
    expected = made(model, prompts, tokens, choose=choose)
    assert len({len(text) for text in expected}) == 20
    there = CONFIG.build(VOCAB).eval().to(GPU)
    there.load_state_dict(model.state_dict())
    assert made(there, prompts, tokens, choose=choose) == expected
    assert made(there, prompts[7:8], tokens)[0] == made(model, prompts[7:8], tokens)[0]


def test_texts_that_end_early_are_dropped(model: GPT2, prompts):
    ends = {text[step] for step, text in zip((3, 5, 8, 13), made(model, prompts[:4], 20), strict=True)}
    expected = made(model, prompts, 20, ends)
    assert len({len(text) for text in expected}) > 3
    there = CONFIG.build(VOCAB).eval().to(GPU)
    there.load_state_dict(model.state_dict())
    assert made(there, prompts, 20, ends) == expected


def test_beams_find_the_same(model: GPT2, prompts):
    there = CONFIG.build(VOCAB).eval().to(GPU)
    there.load_state_dict(model.state_dict())
    assert beam_hypotheses(there, prompts, 8) == beam_hypotheses(model, prompts, 8)


@pytest.mark.parametrize("run", ["tiny_decoder", "tiny_run"])
def test_answers_score_the_same(run: str, request: pytest.FixtureRequest):
    folder: Path = request.getfixturevalue(run)
    folder = folder if run == "tiny_decoder" else folder / "final"
    pretrained, tokenizer = huggingface.load_pretrained(folder), Tokenizer.load(folder)
    here, there = (scorer(pretrained, tokenizer, device) for device in (torch.device("cpu"), GPU))
    expected, found = answers(here, REQUESTS), answers(there, REQUESTS)
    assert [one.greedy for one in found] == [one.greedy for one in expected]
    assert [one.logprob for one in found] == pytest.approx([one.logprob for one in expected], abs=1e-3)


def test_the_commands_ask_on_the_gpu(tiny_decoder: Path, tiny_store: Path, capsys):
    assert main(["evaluate", str(tiny_decoder), "--store", str(tiny_store)]) == 0
    assert main(["generate", str(tiny_decoder), "--text", "the old", "--max-new-tokens", "5"]) == 0
    assert torch.cuda.max_memory_allocated() > 0
    assert capsys.readouterr().out
    expected = Generator(tiny_decoder).complete(["the old town"], 12)
    assert Generator(tiny_decoder, GPU).complete(["the old town"], 12) == expected
