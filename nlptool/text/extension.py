"""Extends an existing tokenizer by tokens for text that its vocabulary covers badly.

Byte-level BPE is trained further (Sennrich et al. 2016): its own merges come first, so a text without new merges
keeps its ids. WordPiece gets pieces found by the same counting. It splits a word into the longest pieces, so an old
word changes where a new piece is longer than an old one.
"""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import tokenizers

from nlptool.errors import DataError
from nlptool.text import bounded_tokenizer
from nlptool.text.tokenizer import LONGEST, Tokenizer

LEAST = 2  # occurrences that a pair needs, as in training
ROUNDS = 20  # rounds in which pieces that no word uses are replaced
Piece = str
Pair = tuple[Piece, Piece]
Word = tuple[Piece, ...]
Join = Callable[[Pair], Piece]


class Extension(NamedTuple):
    """An extended tokenizer."""

    tokenizer: Tokenizer
    added: int


def extend(old: Tokenizer, texts: Iterable[str], added: int) -> Extension:
    """Add up to `added` tokens to a tokenizer; fewer if the texts have no more pairs.

    Their ids follow those of `old`. Raises DataError for a tokenizer that is neither byte-level BPE nor WordPiece.
    """
    content = json.loads(json.dumps(old.content))
    model = content["model"]
    if model["type"] == "BPE" and old.byte_level and not model.get("continuing_subword_prefix"):
        merges = _further_merges(old, _words(old, texts), added)
        model["merges"] = [*map(_pair, model["merges"]), *merges]
        names = ["".join(pair) for pair in merges]
    elif model["type"] == "WordPiece":
        names = _further_pieces(old, _words(old, texts), added)
    else:
        raise DataError(
            f"{old.name}: is a {model['type']} tokenizer; byte-level BPE and WordPiece can be extended",
            hint="train a new one on your text: nlptool tokenize ... tokenizer.vocab_size=8000",
        )
    model["vocab"] |= {name: old.vocab_size + number for number, name in enumerate(names)}
    special = {role: old.tokens[number] for role, number in old.special.items()}
    return Extension(type(old)(content, special, old.max_length), len(names))


def pieces_of(old: Tokenizer, new: Tokenizer) -> dict[int, list[int]] | None:
    """The old ids of each token added to a tokenizer; None where it does not extend `old`.

    Empty for a token that the old one cannot spell.
    """
    if new.vocab_size <= old.vocab_size or any(new.tokens.get(n) != old.tokens[n] for n in old.tokens):
        return None
    mine, theirs = old.content, new.content
    if any(mine.get(part) != theirs.get(part) for part in ("normalizer", "pre_tokenizer")):
        return None
    model, further = mine["model"], theirs["model"]
    if model["type"] != further["type"] or old.special != new.special:
        return None
    ids = {token: number for number, token in old.tokens.items()}
    names = {number: new.tokens[number] for number in new.tokens if number >= old.vocab_size}
    if model["type"] == "WordPiece":
        prefix = _prefix(model)
        return {n: [ids[p] for p in _longest_first(name, ids, prefix) or ()] for n, name in names.items()}
    if model["type"] != "BPE":
        return None
    pairs = [_pair(merge) for merge in further["merges"]]
    if pairs[: len(model["merges"])] != [_pair(merge) for merge in model["merges"]]:
        return None
    halves = {"".join(pair): pair for pair in pairs[len(model["merges"]) :]}
    return {number: [ids[p] for p in _halved(name, halves, ids)] for number, name in names.items()}


def _halved(name: Piece, halves: Mapping[Piece, Pair], ids: Mapping[Piece, int]) -> Iterator[Piece]:
    """The old tokens that a new one was merged from."""
    if name in ids:
        yield name
    elif name in halves:
        for half in halves[name]:
            yield from _halved(half, halves, ids)


def _words(old: Tokenizer, texts: Iterable[str]) -> Counter[str]:
    """The stretches of the texts that are tokenized separately, with their counts."""
    encoder = tokenizers.Tokenizer.from_str(json.dumps(old.content))
    normalise, split = encoder.normalizer, encoder.pre_tokenizer
    found: Counter[str] = Counter()
    for text in texts:
        with bounded_tokenizer.errors_as_data(old.name, f"split {bounded_tokenizer.start_of(text)}"):
            plain = text if normalise is None else normalise.normalize_str(text)
            cut = [(plain, None)] if split is None else split.pre_tokenize_str(plain)
        found.update(word for word, _ in cut)
    return found


def _further_merges(old: Tokenizer, words: Mapping[str, int], added: int) -> list[Pair]:
    """The next merges of byte-level BPE, most frequent pair first."""
    model = tokenizers.Tokenizer.from_str(json.dumps(old.content)).model
    counts = {tuple(token.value for token in model.tokenize(word)): number for word, number in words.items()}
    return list(_merges(counts, added, set(old.tokens.values()), "".join))


def _prefix(model: Mapping[str, Any]) -> str:
    """WordPiece's prefix of pieces that continue a word."""
    return str(model.get("continuing_subword_prefix", "##"))


def _pair(merge: str | Sequence[Piece]) -> Pair:
    """The two halves of a merge; older files have them as one text."""
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second


def _longest_first(word: str, vocabulary: Mapping[Piece, int], prefix: str) -> list[Piece] | None:
    """WordPiece's greedy split of a word, or of a piece with the prefix; None where it is unknown."""
    inside = word.startswith(prefix) and word != prefix
    rest = word.removeprefix(prefix) if inside else word
    found: list[Piece] = []
    while rest:
        front = prefix * bool(found or inside)
        end = next((end for end in range(len(rest), 0, -1) if front + rest[:end] in vocabulary), None)
        if end is None:
            return None
        found.append(front + rest[:end])
        rest = rest[end:]
    return found


def _further_pieces(old: Tokenizer, words: Mapping[str, int], added: int) -> list[Piece]:
    """New pieces for WordPiece: missing characters, then merged pieces.

    A piece that no word uses, since a longer one replaces it, is exchanged for the next.
    """
    model = old.content["model"]
    prefix, most = _prefix(model), model.get("max_input_chars_per_word", 100)
    read = {word: number for word, number in words.items() if len(word) <= most}
    known = dict.fromkeys(old.tokens.values(), 0)
    lacking: Counter[Piece] = Counter()
    for word, number in read.items():
        for at, sign in enumerate(word):
            if (piece := prefix * (at > 0) + sign) not in known:
                lacking[piece] += number
    letters = [piece for piece, count in lacking.most_common(added) if count >= LEAST]
    base = known | dict.fromkeys(letters, 0)
    cut = {word: tuple(found) for word in read if (found := _longest_first(word, base, prefix))}
    counts = {found: read[word] for word, found in cut.items()}

    def joined(pair: Pair) -> Piece:
        return pair[0] + pair[1].removeprefix(prefix)

    wanted, requested = added - len(letters), added - len(letters)
    kept: list[Piece] = []
    for _ in range(ROUNDS):
        names = [joined(pair) for pair in _merges(counts, requested, set(base), joined)]
        vocabulary = base | dict.fromkeys(names, 0)
        used = {piece for word in cut for piece in _longest_first(word, vocabulary, prefix) or ()}
        kept = [name for name in names if name in used]
        if len(kept) >= wanted or len(names) < requested:
            break
        requested += wanted - len(kept)
    return letters + kept[:wanted]


def _merges(counts: Mapping[Word, int], most: int, taken: set[Piece], join: Join) -> Iterator[Pair]:
    """Merge the most frequent pair of neighbours repeatedly; ties go by their letters.

    taken: existing tokens, which no merge may produce again.
    """
    words = [(word, number) for word, number in counts.items() if len(word) > 1]
    often: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for at, (word, number) in enumerate(words):
        for pair in pairwise(word):
            often[pair] += number
            places[pair].add(at)
    heap = [(-count, pair) for pair, count in often.items()]
    heapq.heapify(heap)
    taken, done = set(taken), 0
    while heap and done < most:
        count, pair = heapq.heappop(heap)
        if -count != often[pair]:  # changed since it was queued
            if often[pair] >= LEAST:
                heapq.heappush(heap, (-often[pair], pair))
            continue
        if -count < LEAST:
            return
        name = join(pair)
        if name in taken or len(name) > LONGEST:
            often[pair] = 0
            continue
        taken.add(name)
        done += 1
        yield pair
        changed = set()
        for at in sorted(places.pop(pair)):
            word, number = words[at]
            for one in pairwise(word):
                often[one] -= number
            word = _merged(word, pair, name)
            words[at] = word, number
            for one in pairwise(word):
                often[one] += number
                if name in one:
                    places[one].add(at)
                    changed.add(one)
        often[pair] = 0
        for one in changed:
            heapq.heappush(heap, (-often[one], one))


def _merged(word: Word, pair: Pair, name: Piece) -> Word:
    found: list[Piece] = []
    at = 0
    while at < len(word):
        both = at + 1 < len(word) and (word[at], word[at + 1]) == pair
        found.append(name if both else word[at])
        at += 2 if both else 1
    return tuple(found)
