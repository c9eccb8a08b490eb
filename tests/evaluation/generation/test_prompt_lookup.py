"""Prompt lookup: speculative tokens change the number of steps, not the text."""

import pytest
import torch

from nlptool.evaluation.generation.decoding import DecodingSession
from nlptool.evaluation.generation.generate import continuations
from nlptool.evaluation.generation.logits_processors import LogitsProcessors
from nlptool.evaluation.generation.prompt_lookup import GIVING_UP, MOST, PromptLookup, room
from nlptool.evaluation.generation.sampling import Sampling, greedy
from nlptool.models.gpt2.config import Config
from nlptool.models.gpt2.model import GPT2

CONFIG = Config(layers=2, hidden=32, heads=2, max_positions=120, init=0.2)


@pytest.fixture(scope="module")
def model() -> GPT2:
    torch.manual_seed(0)
    return CONFIG.build(50).eval()


def made(model: GPT2, prompts: list[list[int]], tokens: int, **how) -> list[list[int]]:
    texts: list[list[int]] = [[] for _ in prompts]
    for number, token in continuations(model, prompts, tokens, **how):
        texts[number].append(token)
    return texts


def test_what_stood_behind_the_last_tokens_is_guessed():
    guesses = PromptLookup([1, 2, 3, 4, 5, 9, 1, 2, 3])
    assert guesses.next(4) == [4, 5], (
        "half of what is allowed, as half of the guesses are expected to be right"
    )
    assert guesses.next(0) == []
    assert PromptLookup([1, 2, 3, 4]).next(4) == []


def test_the_longest_and_then_the_latest_occurrence_counts():
    assert PromptLookup([7, 1, 2, 5, 8, 1, 2, 6, 7, 1, 2]).next(2) == [5]
    assert PromptLookup([3, 1, 2, 5, 8, 1, 2, 6, 4, 1, 2]).next(2) == [6]


def test_a_text_that_grows_is_read_on():
    text = [1, 2, 3]
    guesses = PromptLookup(text)
    assert guesses.next(3) == []
    text += [4, 1, 2]
    assert guesses.next(6) == [3, 4, 1]


def test_who_guesses_wrong_guesses_less():
    guesses = PromptLookup([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2])
    assert len(guesses.next(MOST)) == MOST // 2
    for _ in range(8):
        guesses.observe(4, 0)
    assert guesses.right < GIVING_UP
    assert guesses.next(MOST) == [], "two tokens alike are not enough any more"
    guesses.observe(0, 0)
    assert guesses.right > 0, "who has not guessed has not been wrong"


def test_many_rows_leave_no_room_for_guesses():
    assert [room(rows) for rows in (1, 2, 4, 8, 16, 32)] == [MOST, 15, 7, 3, 1, 0]


@pytest.mark.parametrize(
    "choose", [greedy, Sampling(0.05, seed=4), Sampling(top_k=3, processors=LogitsProcessors(1.2))]
)
@pytest.mark.parametrize("rows", [1, 3])
def test_the_same_tokens_in_fewer_steps(model: GPT2, choose, rows: int, monkeypatch: pytest.MonkeyPatch):
    prompts = [[1, 2, 3, 4, 1, 2, 3], [7, 8, 9, 7, 8], [5] * 6][:rows]
    read, plain = [], DecodingSession.read
    monkeypatch.setattr(
        DecodingSession, "read", lambda steps, given: read.append(len(given[0])) or plain(steps, given)
    )
    with_guesses = made(model, prompts, 80, choose=choose, ends=(11,))
    steps = len(read)
    assert max(read) > 1
    monkeypatch.setattr("nlptool.evaluation.generation.generate.room", lambda rows: 0)
    read.clear()
    assert made(model, prompts, 80, choose=choose, ends=(11,)) == with_guesses
    assert max(read) == 1
    assert steps < len(read)


def test_a_text_ends_at_its_last_position_also_while_guessing(model: GPT2):
    (text,) = made(model, [[5] * 100], 100)
    assert len(text) == 21, "120 positions are read, and one more token follows"
    assert [len(text) for text in made(model, [[5] * 100, [5]], 30)] == [21, 30]
