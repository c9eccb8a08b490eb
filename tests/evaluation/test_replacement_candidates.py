"""Replacement candidates of a word: the most probable under its mask, or the nearest embeddings."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from nlptool.evaluation import replacement_candidates
from nlptool.evaluation.fill_mask import FillMask
from nlptool.evaluation.replacement_candidates import (
    MaskedLMCandidates,
    NearestNeighbours,
    ReplacementCandidates,
    frequent,
    tokens_of,
)
from nlptool.models.base import Inputs
from nlptool.text.tokenizer import Tokenizer

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "old", "new", "mill", "##s", "river", ",", "3")
VECTORS = {"old": (3, 4), "new": (4, 3), "mill": (0, 1), "##s": (1, 0), "river": (-1, 0)}
TEXT = "Old mills, new river 3"


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return Tokenizer.load(tmp_path)


@pytest.fixture
def nearest(tokenizer: Tokenizer) -> NearestNeighbours:
    vectors = torch.tensor([VECTORS.get(token, (0, -1)) for token in VOCABULARY], dtype=torch.float)
    return NearestNeighbours(tokenizer, vectors, ["old", "Old", "mills", "new", "river", "unheard"], 2)


def ids(*tokens: str) -> list[int]:
    return [VOCABULARY.index(token) for token in tokens]


def test_words_are_told_by_how_often_they_stand_in_texts():
    assert frequent(["a b a.", "b a"], most=1) == ["a"]
    assert frequent(["a b a.", "b a c3"]) == ["a", "b"]


def test_nearest_words_are_those_by_the_cosine_of_the_means_of_their_tokens(tokenizer, nearest):
    """mills = (1/2, 1/2): cosine .990 with old and new, -.707 with river; old and new .96; old and river -.6."""
    found = nearest.of(tokens_of(tokenizer, ["old", "Old", "river", "mills", "unheard", "mill"]))
    assert found == [("mills", "new"), ("mills", "new"), ("old", "mills"), ("old", "new"), (), ()]


def test_many_words_have_the_same_nearest_ones_block_by_block(tokenizer, nearest, monkeypatch):
    asked = tokens_of(tokenizer, ["old", "mills", "new", "river"])
    together = nearest.of(asked)
    monkeypatch.setattr(replacement_candidates, "AT_ONCE", 1)
    nearest._found.clear()
    assert nearest.of(asked) == together


class Guesser:
    """A model that likes what has a high number in the vocabulary, and remembers what it has read."""

    def __init__(self, positions: int) -> None:
        self.config = SimpleNamespace(max_positions=positions)
        self.word_embeddings = torch.zeros(len(VOCABULARY), 1)
        self.read: list[tuple] = []

    def __call__(self, inputs: Inputs):
        columns = inputs.ids, inputs.lengths, inputs.output_positions[:, 0], inputs.token_type_ids
        for row, n, at, kind in zip(*(column.tolist() for column in columns), strict=True):
            self.read.append((row[:n], at, kind[:n]))
        return torch.zeros(len(inputs.ids), 1, 1)

    def head(self, hidden_N1E, embeddings_VE):
        return torch.arange(len(VOCABULARY), dtype=torch.float).expand(len(hidden_N1E), 1, -1)


def test_a_word_of_one_token_is_masked_before_the_text_as_it_is(tokenizer, nearest):
    model = Guesser(positions=20)
    found = ReplacementCandidates(tokenizer, nearest, MaskedLMCandidates(tokenizer, model, model.head, 2)).of(
        [TEXT]
    )
    text = ids("old", "mill", "##s", ",", "new", "river", "3")
    expected = []
    for at in (1, 5, 6):
        first = ids("[CLS]") + text + ids("[SEP]")
        first[at] = VOCABULARY.index("[MASK]")
        expected.append((first + text + ids("[SEP]"), at, [0] * 9 + [1] * 8))
    assert sorted(model.read, key=lambda one: one[1]) == expected
    likely = ("river", "mill")  # neither the comma nor the digit, nor what continues a word
    assert found == {TEXT: [likely, ("old", "new"), likely, likely]}


def test_a_text_too_long_to_stand_there_twice_is_read_once_and_a_longer_one_not_at_all(tokenizer, nearest):
    for positions, lengths in ((17, {17}), (16, {9}), (9, {9}), (8, set())):
        model = Guesser(positions)
        found = ReplacementCandidates(
            tokenizer, nearest, MaskedLMCandidates(tokenizer, model, model.head, 2)
        ).of([TEXT])
        assert {len(row) for row, _, _ in model.read} == lengths
        assert found[TEXT][0] == (("river", "mill") if lengths else ("mills", "new"))


def test_the_likeliest_words_are_those_of_fill_mask(tiny_run: Path):
    """Of a text that stands there once only; ours are its guesses that begin a word, in the same order."""
    model = FillMask(tiny_run / "final")
    model.model.config = model.model.config.model_copy(update={"max_positions": 20})
    text = "the old town reads a small bell by the river and the stone house"
    likeliest = MaskedLMCandidates(model.tokenizer, model.model, model.head, 4)
    nearest = NearestNeighbours(model.tokenizer, model.model.word_embeddings, frequent([text]), 4)
    found = ReplacementCandidates(model.tokenizer, nearest, likeliest).of([text])[text]
    words = text.split()
    tried = 0
    for place, word in enumerate(words):
        if place and len(model.tokenizer.encode(f" {word}")) == 1:
            masked = " ".join([*words[:place], "[MASK]", *words[place + 1 :]])
            (guesses,) = model.predictions(masked, model.tokenizer.vocab_size)
            known = [guess.text for guess in guesses if guess.text in set(likeliest._words.values())]
            assert list(found[place]) == list(dict.fromkeys(known))[:4]
            tried += 1
    assert tried > 5


def test_candidates_do_not_depend_on_the_texts_beside(tiny_run: Path, monkeypatch):
    model = FillMask(tiny_run / "final")
    texts = ["the old town reads", "a bell", "winter wood and stone light by the old river", ""]
    likeliest = MaskedLMCandidates(model.tokenizer, model.model, model.head, 5)
    nearest = NearestNeighbours(model.tokenizer, model.model.word_embeddings, frequent(texts), 5)
    replacements = ReplacementCandidates(model.tokenizer, nearest, likeliest)
    together = replacements.of(texts)
    assert together[""] == []
    assert all(len(found) == len(text.split()) for text, found in together.items())
    for text in texts:
        assert replacements.of([text]) == {text: together[text]}
    monkeypatch.setattr(replacement_candidates, "TOKENS", 1)
    assert replacements.of(texts) == together
