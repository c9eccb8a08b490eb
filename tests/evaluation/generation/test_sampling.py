"""Sampling: candidates, frequencies, and dependence on seed, number and step only."""

import pytest
import torch
from torch import Tensor

from nlptool.evaluation.generation.generate import continuations, strategy
from nlptool.evaluation.generation.keys import GenerationKeys
from nlptool.evaluation.generation.logits_processors import LogitsProcessors
from nlptool.evaluation.generation.sampling import DecodingState, Sampling, filtered
from nlptool.models.gpt2.config import Config

CONFIG = Config(layers=2, hidden=32, heads=2, max_positions=40, init=0.2)


def probabilities(logits_NV: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """[N, V], from what `filtered` leaves."""
    p_NK, ids_NK = filtered(logits_NV, temperature, top_k, top_p)
    return torch.zeros(logits_NV.shape, dtype=p_NK.dtype).scatter(1, ids_NK, p_NK / p_NK.sum(-1, True))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (20, 1.0), (0, 0.9), (0, 0.999), (50, 0.5), (0, 0.0)])
def test_the_filtered_distribution_is_that_of_transformers(temperature: float, top_k: int, top_p: float):
    process = pytest.importorskip("transformers.generation.logits_process")
    torch.manual_seed(0)
    logits = torch.randn(4, 3000) * torch.tensor([[0.5], [1.0], [3.0], [8.0]])
    steps = [process.TemperatureLogitsWarper(temperature)]
    steps += [process.TopKLogitsWarper(top_k)] if top_k else []
    steps += [process.TopPLogitsWarper(top_p)] if top_p < 1 else []
    expected = process.LogitsProcessorList(steps)(None, logits).softmax(-1)
    found = probabilities(logits, temperature, top_k, top_p)
    assert (found - expected).abs().max() < 1e-6
    if top_p < 0.99 or top_k:
        assert ((found == 0).sum() - (expected == 0).sum()).abs() <= 1


def test_keys_of_a_recipe_sample_as_transformers_does_with_them():
    process = pytest.importorskip("transformers.generation.logits_process")
    keys = {
        "temperature": 0.7,
        "top_k": 20,
        "top_p": 0.8,
        "repetition_penalty": 1.4,
        "no_repeat_ngram_size": 2,
    }
    torch.manual_seed(0)
    logits, ids = 3 * torch.randn(4, 300), torch.randint(0, 9, (4, 30))
    choose = strategy(GenerationKeys(stop=(), max_new_tokens=5, **keys).generation._replace(seed=6))
    steps = [process.RepetitionPenaltyLogitsProcessor(1.4), process.NoRepeatNGramLogitsProcessor(2)]
    steps += [
        process.TemperatureLogitsWarper(0.7),
        process.TopKLogitsWarper(20),
        process.TopPLogitsWarper(0.8),
    ]
    expected = process.LogitsProcessorList(steps)(ids, logits.clone()).softmax(-1)
    assert isinstance(choose, Sampling)
    assert choose.seed == 6
    processed = choose.processors(logits, ids.tolist())
    found = probabilities(processed, choose.temperature, choose.top_k, choose.top_p)
    assert (found - expected).abs().max() < 1e-6


def test_tokens_are_drawn_as_often_as_they_are_likely():
    logits = torch.tensor([[2.0, 0.0, 1.0, -1.0, 3.0]])
    numbers = list(range(4000))
    drawn = Sampling(temperature=0.7, top_k=4, seed=5)(
        logits.expand(4000, -1), DecodingState(numbers, [[0]] * 4000, [0] * 4000)
    )
    expected = probabilities(logits, 0.7, 4, 1.0)[0]
    shares = torch.bincount(drawn, minlength=5) / 4000
    assert shares[3] == 0
    assert (shares - expected).abs().max() < 0.025  # three standard deviations


def test_no_temperature_is_the_likeliest_token_and_repetition_counts_in_it():
    logits, going = torch.tensor([[1.0, 3.0, 2.9]]), DecodingState([0], [[1]], [0])
    assert Sampling(temperature=0)(logits, going).tolist() == [1]
    penalised = Sampling(temperature=0, processors=LogitsProcessors(repetition_penalty=1.2))
    assert penalised(logits, going).tolist() == [2]


def test_what_is_drawn_does_not_depend_on_batch_mates_nor_on_when_they_end():
    torch.manual_seed(0)
    model = CONFIG.build(90).eval()
    prompts = [torch.randint(0, 90, (length,)).tolist() for length in (3, 9, 1, 5, 5, 12)]
    choose = Sampling(temperature=1.2, top_p=0.95, seed=3)

    def made(chosen: list[int], ends: tuple[int, ...] = ()) -> list[list[int]]:
        texts: list[list[int]] = [[] for _ in chosen]

        def by_number(logits: Tensor, going: DecodingState) -> Tensor:
            return choose(logits, going._replace(numbers=[chosen[n] for n in going.numbers]))

        for number, token in continuations(model, [prompts[n] for n in chosen], 20, ends, by_number):
            texts[number].append(token)
        return texts

    whole = made([0, 1, 2, 3, 4, 5])
    assert len({tuple(text) for text in whole}) == 6
    assert [made([n])[0] for n in range(6)] == whole
    assert made([4, 1, 5]) == [whole[4], whole[1], whole[5]]
    ends = (whole[1][2], whole[5][0])
    cut = [next((text[:i] for i, t in enumerate(text) if t in ends), text) for text in whole]
    assert made([0, 1, 2, 3, 4, 5], ends) == cut


def test_another_seed_or_number_draws_another_text():
    torch.manual_seed(0)
    model = CONFIG.build(90).eval()
    texts: list[list[int]] = [[], []]
    for number, token in continuations(model, [[1], [1]], 12, choose=Sampling(seed=1)):
        texts[number].append(token)
    again = [t for _, t in continuations(model, [[1]], 12, choose=Sampling(seed=1))]
    other = [t for _, t in continuations(model, [[1]], 12, choose=Sampling(seed=2))]
    assert texts[0] == again
    assert texts[0] != texts[1]
    assert texts[0] != other
