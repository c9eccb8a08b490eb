"""Chunks of whole sentences at any position of a split, like those of the scripts of BERT, ALBERT and ELECTRA."""

# N chunks, T target lengths

from typing import Literal, NamedTuple

import numpy as np

from nlptool.data.pretraining_examples.rows import Ints, Uniforms, epoch_offsets
from nlptool.text.store import Split

SAMPLE = 1024  # sample positions at which sentences and documents are measured


class Chunk(NamedTuple):
    """N chunks: sentences first to last, both included, of a document."""

    document: Ints
    first: Ints
    last: Ints


class Chunks:
    """An epoch of chunks: each begins at a sentence and ends at its target length or with the document.

    The scripts cut a document from its start into consecutive chunks until all of it is used. Chunk i of an epoch is
    found without the ones before it: it begins with the sentence at token position i * stride + phase(epoch). So an
    epoch is not a partition: chunks may share sentences, and a sentence may be missed. A document of no more tokens
    than the target is a chunk from its start, as in the scripts.

    chances_T [T]: probability of each target length, from 0 on. per "document": it is sampled once for a pass over a
    document, as in BERT and ALBERT, so a short target makes more rows than its probability: target t has the share
    p(t) / advance(t) of rows, where advance is the tokens that a chunk uses. per "row": sampled for each chunk, as
    in ELECTRA.

    The number of chunks of an epoch makes its rows hold about as many tokens as the split; it is found by measuring
    a sample.
    """

    def __init__(
        self, split: Split, chances_T: Uniforms, seed: int, *, per: Literal["document", "row"], least: int = 1
    ) -> None:
        """least: fewest sentences of a chunk, where the document has that many."""
        self.split, self.seed, self.least = split, seed, least
        self.number = 1 if split.tokens else 0
        """Chunks per epoch; `read_once` sets it."""
        weights_T = chances_T
        if per == "document" and split.tokens:
            weights_T = chances_T * _chunks_per_token(split, len(chances_T))
        self._cumulative = np.cumsum(weights_T)

    def sample(self) -> Ints:
        """Evenly spaced anchors of a split, from which rows can be measured."""
        return _places(self.split.tokens)

    def read_once(self, tokens: Ints) -> None:
        """Set the number of chunks so that an epoch reads the split once, where sampled rows have `tokens`."""
        if len(tokens):
            self.number = max(1, round(self.split.tokens / float(tokens.mean())))

    def anchors(self, indices: Ints, epochs: Ints) -> Ints:
        """Token positions at which chunks `indices` [N] of `epochs` [N] begin."""
        size = self.split.tokens
        steps = np.floor(indices * (size / self.number)).astype(np.int64)
        found: Ints = (epoch_offsets(self.seed, epochs, size) + steps) % size
        return found

    def target(self, uniform: Uniforms) -> Ints:
        """Target lengths by numbers in [0, 1)."""
        found: Ints = np.searchsorted(self._cumulative, uniform * self._cumulative[-1], side="right")
        return found

    def at(self, anchors: Ints, target: Ints) -> Chunk:
        """The chunks at these token positions."""
        sentence = self.split.sentence_at(anchors)
        document = self.split.document_of(sentence)
        begin, stop = self.split.sentence_range(document)
        whole = self.split.starts(stop) - self.split.starts(begin) <= target
        first = np.where(whole, begin, np.maximum(np.minimum(sentence, stop - self.least), begin))
        least = np.minimum(first + self.least, stop) - 1
        return Chunk(document, first, np.maximum(self.last(first, stop, target), least))

    def last(self, first: Ints, stop: Ints, target: Ints) -> Ints:
        """The sentence, before `stop`, that reaches `target` tokens from `first` on; or the last one."""
        end = np.minimum(self.split.starts(first) + np.maximum(target, 1), self.split.starts(stop))
        return self.split.sentence_at(end - 1)


def _chunks_per_token(split: Split, targets: int) -> Uniforms:
    """Mean number of chunks that a script makes of a token, by target length [T].

    A chunk of target t has t tokens and what its last sentence has over, (s - 1) / 2 in the mean over tokens in
    sentences of s, of which a row holds no more than the longest target. A document of D tokens makes one chunk, or
    D / (t + over) and the half one that its end cuts off.
    """
    sentence = split.sentence_at(_places(split.tokens))
    over = float((split.starts(sentence + 1) - split.starts(sentence) - 1).mean()) / 2
    begin, stop = split.sentence_range(split.document_of(sentence))
    sizes = np.sort(split.starts(stop) - split.starts(begin))
    advance_T = np.minimum(np.maximum(np.arange(targets), 1) + over, targets - 1)
    whole_T = np.searchsorted(sizes, advance_T, side="right")  # documents with a single chunk
    inverse = np.concatenate(([0.0], np.cumsum(1 / sizes)))
    cut_T = (SAMPLE - whole_T) / advance_T + (inverse[-1] - inverse[whole_T]) / 2
    rates_T: Uniforms = (inverse[whole_T] + cut_T) / SAMPLE
    return rates_T


def _places(tokens: int) -> Ints:
    """Evenly spaced positions."""
    return ((np.arange(SAMPLE if tokens else 0) + 0.5) * (tokens / SAMPLE)).astype(np.int64)
