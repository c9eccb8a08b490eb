"""Logits processors against transformers', step by step and over whole texts."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from nlptool.evaluation.generation.beam_search import Beams, beam_hypotheses
from nlptool.evaluation.generation.generate import continuations, strategy
from nlptool.evaluation.generation.keys import GenerationKeys
from nlptool.evaluation.generation.logits_processors import penalised, without_repeated_ngrams
from nlptool.models import huggingface
from nlptool.models.gpt2.config import Config
from nlptool.models.gpt2.model import GPT2

CONFIG = Config(layers=2, hidden=32, heads=2, max_positions=60, init=0.3)


@pytest.fixture(scope="module")
def model() -> GPT2:
    torch.manual_seed(1)
    return CONFIG.build(60).eval()


@pytest.fixture(scope="module")
def theirs(model: GPT2, tmp_path_factory: pytest.TempPathFactory) -> Any:
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("model")
    huggingface.save_pretrained(
        folder, CONFIG, nn.ModuleDict({"backbone": model}).state_dict(), {"eos": 7, "pad": 0}
    )
    return transformers.AutoModelForCausalLM.from_pretrained(folder)


def test_each_step_is_that_of_transformers():
    process = pytest.importorskip("transformers.generation.logits_process")
    torch.manual_seed(0)
    logits, ids = torch.randn(3, 50), torch.randint(0, 6, (3, 30))
    before = logits.clone()
    expected = process.RepetitionPenaltyLogitsProcessor(1.3)(ids, logits.clone())
    assert torch.equal(penalised(logits, ids.tolist(), 1.3), expected)
    for size in (1, 2, 3, 40):
        expected = process.NoRepeatNGramLogitsProcessor(size)(ids, logits.clone())
        assert torch.equal(without_repeated_ngrams(logits, ids.tolist(), size), expected)
    assert torch.equal(logits, before)


def test_an_ngram_is_banned_by_hand_and_where_nothing_would_be_left_nothing_is():
    logits = torch.zeros(1, 4)
    found = without_repeated_ngrams(logits, [[1, 2, 3, 1, 2]], 3)
    assert found.tolist() == [[0, 0, 0, -math.inf]]
    assert without_repeated_ngrams(logits, [[0, 1, 2, 3]], 1).tolist() == logits.tolist()


@pytest.mark.parametrize(
    "asked",
    [
        {"repetition_penalty": 1.3},
        {"no_repeat_ngram_size": 2},
        {"repetition_penalty": 0.8, "no_repeat_ngram_size": 3},
        {"num_beams": 3, "repetition_penalty": 1.3, "length_penalty": 1.0},
        {"num_beams": 4, "no_repeat_ngram_size": 2, "num_return_sequences": 4, "length_penalty": 0.5},
    ],
    ids=str,
)
def test_whole_texts_are_those_of_transformers(asked: dict[str, Any], model: GPT2, theirs: Any):
    keys = {key: value for key, value in asked.items() if key != "num_return_sequences"}
    choose = strategy(GenerationKeys(stop=(), max_new_tokens=25, **keys).generation)
    torch.manual_seed(3)
    prompts = [torch.randint(0, 60, (length,)).tolist() for length in (1, 4, 9)]
    plain, expected = [], []
    for prompt in prompts:
        for options, texts in ((asked, expected), ({}, plain)):
            out = theirs.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=25,
                do_sample=False,
                **options,
            )[:, len(prompt) :].tolist()
            texts.append([ids[: ids.index(7)] if 7 in ids else ids for ids in out])
    assert expected != plain
    if isinstance(choose, Beams):
        found = beam_hypotheses(model, prompts, 25, (7,), choose)
        count = asked.get("num_return_sequences", 1)
        assert [several[:count] for several in found] == expected
        return
    made: list[list[int]] = [[] for _ in prompts]
    for number, token in continuations(model, prompts, 25, (7,), choose):
        made[number].append(token)
    assert [[ids] for ids in made] == expected
