"""Replacement candidates of TinyBERT's data augmentation for each word of a text.

Jiao et al. 2020, algorithm 1: for a word of one token, the most probable words at its mask; for any other, the
nearest words by the cosine of their vectors. The paper uses GloVe's vectors. Here a word's vector is the mean of the
model's own token embeddings, and the words are those of the training rows, so that any language works without
further data. Without a masked-LM head all words get their nearest ones.
"""

# N masked words, A requested words, W words, K candidates, T tokens, E width of the embeddings, V vocabulary

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool.data.augmentation import WORD, Candidates, word_spans
from nlptool.models.base import Encoder, Inputs
from nlptool.text.tokenizer import Tokenizer
from nlptool.text.word_boundaries import ALWAYS

WORDS = 100_000  # number of most frequent words compared; TinyBERT's code reads as many of GloVe's
AT_ONCE = 1 << 23  # similarities in memory
TOKENS = 1 << 13  # tokens that the model reads at once

Ids = tuple[int, ...]


def frequent(texts: Iterable[str], most: int = WORDS) -> list[str]:
    """The words of texts, most frequent first."""
    counts = Counter(text[begin:end] for text in texts for begin, end in word_spans(text))
    return [word for word, _ in counts.most_common(most)]


class NearestNeighbours:
    """The K nearest neighbours of words.

    Words with the same tokens, such as upper and lower case in many models, are one; words with an unknown token are
    excluded. Similarities are computed on first use, for many words together.
    """

    def __init__(
        self, tokenizer: Tokenizer, embeddings_VE: Tensor, words: Sequence[str], number: int
    ) -> None:
        self.number, self._unknown = number, tokenizer.special.get("unk")
        self._words: dict[Ids, str] = {}
        for word, ids in zip(words, tokens_of(tokenizer, words), strict=True):
            if ids and self._unknown not in ids:
                self._words.setdefault(ids, word)
        spelt = list(self._words)
        flat = torch.tensor(
            [token for ids in spelt for token in ids], device=embeddings_VE.device, dtype=torch.long
        )
        begins = torch.tensor([0, *map(len, spelt)]).cumsum(0)[:-1].to(flat)
        vectors_WE = F.embedding_bag(flat, embeddings_VE.detach(), begins, mode="mean")
        self._vectors_WE = F.normalize(vectors_WE, dim=-1)
        self._places = {ids: place for place, ids in enumerate(spelt)}
        self._found: dict[Ids, tuple[str, ...]] = {}

    def of(self, words: Sequence[Ids]) -> list[tuple[str, ...]]:
        """For each word, given by its tokens, the others, nearest first; empty for an unknown word."""
        new = [ids for ids in dict.fromkeys(words) if ids in self._places and ids not in self._found]
        size, names = max(1, AT_ONCE // max(len(self._words), 1)), list(self._words.values())
        for first in range(0, len(new), size):
            block = new[first : first + size]
            places_A = torch.tensor([self._places[ids] for ids in block], device=self._vectors_WE.device)
            cosines_AW = self._vectors_WE[places_A] @ self._vectors_WE.T
            cosines_AW.scatter_(1, places_A[:, None], -2.0)  # the word itself is last
            near_AK = cosines_AW.topk(min(self.number, len(names) - 1)).indices
            for ids, near in zip(block, near_AK.tolist(), strict=True):
                self._found[ids] = tuple(names[place] for place in near)
        return [self._found.get(ids, ()) for ids in words]


class _Masked(NamedTuple):
    """A text with a word masked, followed by the original text."""

    text: int
    word: int
    ids: list[int]
    at: int
    """Position of the mask."""
    first: int
    """Number of tokens before the second copy of the text."""


class MaskedLMCandidates:
    """The K most probable words at a mask: tokens of letters that begin a word.

    The model reads `[CLS] text with the mask [SEP] text [SEP]`, so that it knows the original word, as in TinyBERT's
    code; a text too long for that is read once. The word itself may be among its candidates, as there.
    """

    def __init__(self, tokenizer: Tokenizer, model: Encoder, head: nn.Module, number: int) -> None:
        self.model, self.head, self.special, self.number = model, head, tokenizer.special, number
        first, _ = tokenizer.word_boundaries()
        begins = [token for token in tokenizer.tokens if first[token] == ALWAYS]
        spelt = {token: tokenizer.decode([token]).strip() for token in begins}
        self._words = {token: word for token, word in spelt.items() if WORD.fullmatch(word)}
        device = model.word_embeddings.device
        self._allowed_A = torch.tensor(
            [t for t in self._words if t < len(model.word_embeddings)], device=device
        )

    def of(self, texts: Sequence[list[Ids]]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Number of a text, number of a word in it, and its candidates, for all words of one token.

        texts: tokens between the words and of the words in turn, beginning and ending with those between.
        """
        masked = [one for number, parts in enumerate(texts) for one in self._masked(number, parts)]
        masked.sort(key=lambda one: len(one.ids))
        while masked:
            size = max(1, TOKENS // len(masked[-1].ids))
            masked, some = masked[:-size], masked[-size:]
            for one, words in zip(some, self._guess(some), strict=True):
                yield one.text, one.word, words

    def _masked(self, number: int, parts: list[Ids]) -> Iterator[_Masked]:
        cls, sep, mask = (self.special[role] for role in ("cls", "sep", "mask"))
        unknown = self.special.get("unk")
        whole = [token for part in parts for token in part]
        most, at = self.model.config.max_positions, 1
        for place, part in enumerate(parts):
            if place % 2 and len(part) == 1 and part[0] != unknown and len(whole) + 2 <= most:
                once = [cls, *whole, sep]
                once[at] = mask
                ids = [*once, *whole, sep] if len(once) + len(whole) < most else once
                yield _Masked(number, place // 2, ids, at, len(once))
            at += len(part)

    @torch.inference_mode()
    def _guess(self, some: Sequence[_Masked]) -> list[tuple[str, ...]]:
        device, longest = self._allowed_A.device, max(len(one.ids) for one in some)
        padded = [one.ids + [self.special["sep"]] * (longest - len(one.ids)) for one in some]
        ids_NT = torch.tensor(padded, device=device)
        lengths_N = torch.tensor([len(one.ids) for one in some], device=device)
        at_N1 = torch.tensor([[one.at] for one in some], device=device)
        first_N1 = torch.tensor([[one.first] for one in some], device=device)
        types_NT = (torch.arange(longest, device=device) >= first_N1).long()
        inputs = Inputs(ids=ids_NT, token_type_ids=types_NT, lengths=lengths_N, output_positions=at_N1)
        hidden_N1E = self.model(inputs)
        logits_NA = self.head(hidden_N1E, self.model.word_embeddings)[:, 0][:, self._allowed_A]
        best_NK = self._allowed_A[logits_NA.topk(min(self.number, logits_NA.shape[1])).indices]
        return [tuple(self._words[token] for token in row) for row in best_NK.tolist()]


class ReplacementCandidates:
    """The candidates of all words of texts."""

    def __init__(
        self, tokenizer: Tokenizer, nearest: NearestNeighbours, masked_lm: MaskedLMCandidates | None
    ) -> None:
        self.tokenizer, self.nearest, self.masked_lm = tokenizer, nearest, masked_lm

    def of(self, texts: Sequence[str]) -> dict[str, Candidates]:
        """For each text, for each of its words."""
        words = [[text[begin:end] for begin, end in word_spans(text)] for text in texts]
        near = iter(self.nearest.of(tokens_of(self.tokenizer, [word for some in words for word in some])))
        found = [[next(near) for _ in some] for some in words]
        if self.masked_lm is not None:
            for text, word, candidates in self.masked_lm.of(self._parts(texts)):
                found[text][word] = candidates
        return dict(zip(texts, found, strict=True))

    def _parts(self, texts: Sequence[str]) -> list[list[Ids]]:
        """For each text the tokens between its words and of its words, in turn; a space belongs to the next word."""
        cut: list[list[str]] = []
        for text in texts:
            pieces, at = [], 0
            for start, end in word_spans(text):
                begin = start - text[at:start].endswith(" ")
                pieces += [text[at:begin], text[begin:end]]
                at = end
            cut.append([*pieces, text[at:]])
        ids = iter(self.tokenizer.encode_batch([piece for pieces in cut for piece in pieces]))
        return [[tuple(next(ids)) for _ in pieces] for pieces in cut]


def tokens_of(tokenizer: Tokenizer, words: Sequence[str]) -> list[Ids]:
    """Tokens of words within a text, with a space before them."""
    return [tuple(ids) for ids in tokenizer.encode_batch([f" {word}" for word in words])]
