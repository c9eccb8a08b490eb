"""Generation: with and without a cache, alone and in a batch, against transformers."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from nlptool.errors import DataError, UsageError
from nlptool.evaluation.fill_mask import FillMask
from nlptool.evaluation.generation.beam_search import Beams, beam_hypotheses
from nlptool.evaluation.generation.decoding import DecodingSession
from nlptool.evaluation.generation.generate import Generator, continuations
from nlptool.evaluation.generation.sampling import DecodingState, Sampling, greedy
from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.bert.config import Config as BertConfig
from nlptool.models.gpt2.config import Config
from nlptool.models.gpt2.model import GPT2
from nlptool.text.tokenizer import Tokenizer

VOCAB = 200
CONFIG = Config(layers=3, hidden=48, heads=4, max_positions=40, init=0.3)  # large weights, so that texts vary


@pytest.fixture(scope="module")
def model() -> GPT2:
    torch.manual_seed(0)
    return CONFIG.build(VOCAB).eval()


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    """20 prompts of 1 to 20 tokens."""
    torch.manual_seed(1)
    return [torch.randint(0, VOCAB, (length,)).tolist() for length in range(1, 21)]


def without_cache(model: GPT2, prompt: list[int], tokens: int) -> list[int]:
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(tokens):
            ids.append(
                int((model(Inputs(ids=torch.tensor([ids])))[0, -1] @ model.word_embeddings.t()).argmax())
            )
    return ids[len(prompt) :]


def with_cache(
    model: GPT2, prompts: list[list[int]], tokens: int, ends: tuple[int, ...] = ()
) -> list[list[int]]:
    made: list[list[int]] = [[] for _ in prompts]
    for number, token in continuations(model, prompts, tokens, ends):
        made[number].append(token)
    return made


def test_the_cache_changes_no_token_of_20_prompts(model: GPT2, prompts: list[list[int]]):
    expected = [without_cache(model, prompt, 16) for prompt in prompts]
    assert len({tuple(tokens) for tokens in expected}) == 20
    assert len({token for tokens in expected for token in tokens}) > 20
    assert [with_cache(model, [prompt], 16)[0] for prompt in prompts] == expected
    assert with_cache(model, prompts, 16) == expected


def test_tokens_are_those_of_transformers(model: GPT2, prompts: list[list[int]], tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    state = nn.ModuleDict({"backbone": model}).state_dict()
    huggingface.save_pretrained(tmp_path, CONFIG, state, {"eos": 7, "pad": 0})
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    expected = []
    for prompt in prompts:
        out = theirs.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=16,
            do_sample=False,
        )
        tokens = out[0, len(prompt) :].tolist()
        expected.append(tokens[: tokens.index(7)] if 7 in tokens else tokens)
    assert with_cache(model, prompts, 16, ends=(7,)) == expected


def test_a_text_ends_before_its_end_token_and_others_go_on(model: GPT2, prompts: list[list[int]]):
    whole = with_cache(model, prompts, 16)
    ends = (whole[3][5], whole[8][0])
    cut = [next((tokens[:i] for i, t in enumerate(tokens) if t in ends), tokens) for tokens in whole]
    assert len({len(tokens) for tokens in cut}) > 2
    assert with_cache(model, prompts, 16, ends) == cut


def test_tokens_come_one_of_each_prompt_in_turn(model: GPT2):
    assert [number for number, _ in continuations(model, [[1], [2, 3]], 2)] == [0, 1, 0, 1]


def test_a_text_ends_at_the_last_position_whatever_its_neighbours(model: GPT2):
    long, short = list(range(38)), [5]
    made = with_cache(model, [long, short], 60)
    assert [len(tokens) for tokens in made] == [3, 40]  # what is guessed at the last position is never read
    assert made == [with_cache(model, [long], 60)[0], with_cache(model, [short], 60)[0]]


def test_another_choice_makes_another_text(model: GPT2):
    second = [
        t
        for _, t in continuations(model, [[1]], 4, choose=lambda logits, going: logits.topk(2).indices[:, 1])
    ]
    assert second[0] != without_cache(model, [1], 1)[0]
    assert greedy(torch.tensor([[0.0, 2.0, 1.0]]), DecodingState([0], [[1]], [0])).tolist() == [1]


def test_nothing_is_made_of_nothing(model: GPT2):
    assert list(continuations(model, [], 4)) == []
    assert list(continuations(model, [[1]], 0)) == []
    with pytest.raises(ValueError, match="a prompt needs a token"):
        list(continuations(model, [[1], []], 4))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["the old bell of the old town reads the winter light"] * 5, 300)


@pytest.fixture
def folder(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    torch.manual_seed(2)
    state = nn.ModuleDict({"backbone": CONFIG.build(tokenizer.vocab_size)}).state_dict()
    huggingface.save_pretrained(tmp_path, CONFIG, state, tokenizer.special)
    tokenizer.bare().save(tmp_path)
    return tmp_path


def test_a_folder_continues_texts_and_begins_from_nothing(folder: Path, tokenizer: Tokenizer):
    generator = Generator(folder)
    texts = ["the old", "", "winter"]
    prompts = [tokenizer.encode(text) or [tokenizer.special["eos"]] for text in texts]
    expected = with_cache(generator.model, prompts, 6, (tokenizer.special["eos"],))
    assert generator.complete(texts, 6) == [tokenizer.decode(ids) for ids in expected]
    with pytest.raises(UsageError, match="a text has 41 tokens, the model reads 40"):
        generator.complete(["x" * 41], 1)


def test_a_continuation_stops_before_a_stop_string_and_others_go_on(folder: Path):
    generator = Generator(folder)
    texts = ["the old", "winter", "bell"]
    whole = generator.complete(texts, 16)
    stop = whole[1][2:5]
    assert generator.complete(texts, 16, stop=[stop]) == [text.partition(stop)[0] for text in whole]


def test_pieces_are_whole_and_begin_before_the_end(folder: Path):
    generator = Generator(folder)
    made: list[tuple[int, str]] = list(generator.stream(["the old", "winter"], 16))
    assert {number for number, _ in made[:4]} == {0, 1}
    assert ["".join(p for n, p in made if n == number) for number in (0, 1)] == generator.complete(
        ["the old", "winter"], 16
    )


def test_beams_and_draws_complete_texts_too(folder: Path):
    generator = Generator(folder)
    prompt = generator.tokenizer.encode("the old")
    best = beam_hypotheses(generator.model, [prompt], 6, generator.ends)[0][0]
    assert generator.complete(["the old"], 6, choose=Beams()) == [generator.tokenizer.decode(best)]
    drawn = {generator.complete(["the old"], 6, choose=Sampling(seed=seed))[0] for seed in range(3)}
    assert len(drawn) == 3


def test_a_decoder_is_written_with_the_tokens_that_begin_and_end_a_text(folder: Path, tokenizer: Tokenizer):
    end, pad = tokenizer.special["eos"], tokenizer.special["pad"]
    told = json.loads((folder / "generation_config.json").read_text())
    assert told == {"bos_token_id": end, "eos_token_id": end, "pad_token_id": pad}


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("listed", [True, False], ids=["list", "number"])
def test_a_text_ends_at_every_token_that_the_folder_names(
    folder: Path, tokenizer: Tokenizer, file: str, listed: bool
):
    generator, prompt = Generator(folder), tokenizer.encode("the old")
    whole = [token for _, token in continuations(generator.model, [prompt], 8)]
    end = whole[3]
    settings = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(settings | {"eos_token_id": [5, end] if listed else end}))
    generator = Generator(folder)
    assert generator.ends[0] == tokenizer.special["eos"]
    assert generator.complete(["the old"], 8) == [tokenizer.decode(whole[: whole.index(end)])]
    ((found, *_),) = beam_hypotheses(generator.model, [prompt], 8, generator.ends, Beams(2))
    assert generator.complete(["the old"], 8, choose=Beams(2)) == [tokenizer.decode(found)]
    assert end not in found


def test_a_list_of_ends_is_that_of_transformers(folder: Path, tokenizer: Tokenizer):
    transformers = pytest.importorskip("transformers")
    prompt = tokenizer.encode("the old")
    end = [token for _, token in continuations(Generator(folder).model, [prompt], 8)][3]
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": [5, end]}))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    ids, mask = torch.tensor([prompt]), torch.ones(1, len(prompt), dtype=torch.long)
    said = theirs.generate(ids, attention_mask=mask, max_new_tokens=8, do_sample=False)
    *expected, last = said[0, len(prompt) :].tolist()
    assert last == end
    assert Generator(folder).complete(["the old"], 8) == [tokenizer.decode(expected)]


def test_an_end_that_is_no_token_is_told(folder: Path):
    (folder / "generation_config.json").write_text('{"eos_token_id": "<|endoftext|>"}')
    with pytest.raises(DataError, match=r'generation_config\.json: eos_token_id is "<\|endoft'):
        Generator(folder)


def test_a_decoder_has_no_words_under_masks(folder: Path):
    with pytest.raises(DataError, match="no masked-LM head"):
        FillMask(folder)


def test_an_encoder_is_refused(tokenizer: Tokenizer, tmp_path: Path):
    config = BertConfig(layers=1, hidden=8, heads=2, max_positions=16)
    state = nn.ModuleDict({"backbone": config.build(tokenizer.vocab_size)}).state_dict()
    huggingface.save_pretrained(tmp_path, config, state, tokenizer.special)
    tokenizer.save(tmp_path)
    with pytest.raises(DataError, match="is not a decoder"):
        Generator(tmp_path)


def test_a_step_that_reads_all_columns_gives_the_same_logits(model: GPT2, prompts: list[list[int]]):
    """As a CUDA graph repeats it, whatever of the columns is used."""
    found = []
    for whole in (False, True):
        with torch.inference_mode():
            steps = DecodingSession(model, prompts, 10)
            steps.begin()
            steps.cache.whole = whole
            found.append(torch.cat([steps.read([[token]] * len(prompts)) for token in (5, 9, 7)]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)


def test_a_full_row_that_is_read_on_disturbs_no_other(model: GPT2):
    with torch.inference_mode():
        steps = DecodingSession(model, [[1] * 10, [1] * 3], 2)
        steps.begin()
        steps.cache.whole = True
        found = [steps.read([[5], [9]])[1, 0] for _ in range(4)][
            -1
        ]  # the first row has room for two of these
    expected = model.logits(model(Inputs(ids=torch.tensor([[1, 1, 1, 9, 9, 9, 9]])))[0, -1])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


class Repeats:
    """Does what a CUDA graph does, on a CPU: the same step on the same memory."""

    def __init__(self, steps: DecodingSession) -> None:
        self.steps = steps

    def replay(self) -> None:
        self.steps.logits_N1V = self.steps._step(self.steps.ids_N1)


def test_texts_go_on_alike_where_a_graph_repeats_the_step(
    model: GPT2, prompts, monkeypatch: pytest.MonkeyPatch
):
    captured = []

    def capture(steps: DecodingSession) -> None:
        captured.append(len(steps.cache.lengths_B))
        steps.cache.whole, steps.graph = True, Repeats(steps)
        steps.ids_N1 = torch.zeros(len(steps.cache.lengths_B), 1, dtype=torch.long)

    expected = with_cache(
        model, prompts, 60
    )  # more than there are positions, so that each ends at another step
    plain = DecodingSession.__init__

    def on_gpu(steps: DecodingSession, *given) -> None:
        plain(steps, *given)
        steps.on_gpu = True

    monkeypatch.setattr(DecodingSession, "__init__", on_gpu)
    monkeypatch.setattr(DecodingSession, "_capture", capture)
    assert with_cache(model, prompts, 60) == expected
    assert captured == [20, 10, 5, 2, 1]
