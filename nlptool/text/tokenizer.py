"""Text to token ids and back: byte-level BPE trained here, or an existing tokenizer.

The trained tokenizer is GPT-2's (Radford et al. 2019, section 2.2) with BERT's special tokens, so that one store
serves encoders and decoders. A tokenizer is the JSON that Hugging Face's `tokenizers` reads; its digest is the
fingerprint that stores and checkpoints record.
"""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, pre_tokenizers, trainers

from nlptool.atomic_files import write_text
from nlptool.errors import DataError
from nlptool.text import bounded_tokenizer, imported, tokenizer_json, word_boundaries
from nlptool.text.classes import template
from nlptool.text.coverage import Coverage, Loss
from nlptool.text.imported import FINGERPRINT, KNOWN, MAX_LENGTH
from nlptool.text.store import TokenStore
from nlptool.text.token_places import EncodedTexts, TokenPlaces, bases_of, from_bytes, without_space

SPECIAL = {
    "pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]", "eos": "<|endoftext|>",
}  # fmt: skip
LONGEST = 64  # bytes of a trained token, so that a line of dashes does not become one
SMALLEST = len(SPECIAL) + 256
AT_ONCE = 1024  # texts encoded at once: the library's result takes many times the memory of the ids


class Tokenizer:
    """A tokenizer, made by `load` or `train`.

    Text is always ordinary text: a document with the letters [MASK] gets the ids of these letters.
    """

    def __init__(
        self, content: dict[str, Any], special: Mapping[str, str] | None = None, max_length: int = MAX_LENGTH
    ) -> None:
        """content: tokenizer.json. special: special tokens by role, where a configuration names them."""
        given = content | {"truncation": None, "padding": None}
        self.max_length = max_length
        self.name = "tokenizer.json"
        self._encoder = tokenizers.Tokenizer.from_str(json.dumps(given))
        self._encoder.encode_special_tokens = True
        ids = self._encoder.get_vocab(with_added_tokens=True)
        self.tokens: dict[int, str] = {token_id: token for token, token_id in ids.items()}
        self.vocab_size = max(self.tokens) + 1
        named = special or {
            role: found
            for role, names in KNOWN.items()
            if (found := next((n for n in names if n in ids), None))
        }
        self.special: dict[str, int] = {role: ids[token] for role, token in named.items() if token in ids}
        self._loss: Loss | None = None
        self._digest_as_given = tokenizer_json.digest(given)
        self.content = (
            self._with_mask(given, lstrip=True) if tokenizer_json.mask_takes_space(given) else given
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a Hugging Face folder, a tokenizer.json, a WordPiece vocab.txt or GPT-2's vocab.json.

        Raises DataError where there is none, where it cannot be read, and where its ids would differ from
        transformers'.
        """
        found = imported.found_in(path)
        try:
            given = imported.read(path)
            with bounded_tokenizer.quiet():
                bounded_tokenizer.require_bounded(found, given.content)
                tokenizer = cls(*given)
            tokenizer.name = str(found)
            return tokenizer
        except DataError:
            raise
        except BaseException as error:  # the library panics, or raises bare Exception, on invalid files
            if not isinstance(error, Exception) and not bounded_tokenizer.is_panic(error):
                raise
            raise DataError(f"{found}: cannot be read as a tokenizer: {error}") from error

    @classmethod
    def of_model(cls, folder: Path, rows: int) -> Self:
        """Load the tokenizer of a model with this many rows of embeddings. Raises DataError for a token without one."""
        found = cls.load(folder)
        if found.vocab_size > rows:
            raise DataError(
                f"{folder}: the tokenizer has {found.vocab_size:,} tokens, the model only {rows:,}",
                hint="the tokenizer of another model lies there",
            )
        known = imported.read_json(folder / "config.json").get(FINGERPRINT)
        if known is not None and not found.is_called(known):
            raise DataError(
                f"{folder}: its tokenizer is not the one that the model was trained with (the fingerprint differs)",
                hint=f"put that one back; or, if it was changed on purpose, remove {FINGERPRINT} from config.json",
            )
        return found

    @classmethod
    def of_store(cls, store: TokenStore) -> Self:
        """Load the tokenizer of a token store. Raises DataError where it is not the one that made the store."""
        found = cls.load(store.tokenizer)
        if not found.is_called(store.fingerprint):
            raise DataError(
                f"{store.tokenizer}: is not the tokenizer that {store.path} was made with",
                hint="put the original back, or make the store again with nlptool tokenize",
            )
        return found

    @classmethod
    def train(cls, texts: Iterable[str], vocab: int) -> Self:
        """Train byte-level BPE on `texts`; the vocabulary stays smaller than `vocab` where pairs run out.

        Ids are those of SPECIAL in its order, then the 256 bytes, then merges in the order of training.
        """
        encoder = tokenizers.Tokenizer(models.BPE())
        encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        encoder.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab,
            min_frequency=2,
            special_tokens=list(SPECIAL.values()),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            max_token_length=LONGEST,
            show_progress=False,
        )
        bounded_tokenizer.train(encoder, texts, trainer)
        numbers = {role: (name, number) for number, (role, name) in enumerate(SPECIAL.items())}
        encoder.post_processor = template(numbers["cls"], numbers["sep"])
        return cls(json.loads(encoder.to_str()), SPECIAL)

    @property
    def byte_level(self) -> bool:
        """Whether tokens are runs of bytes that spell the text, white space included."""
        parts = json.dumps([self.content.get("pre_tokenizer"), self.content.get("decoder")])
        return "ByteLevel" in parts and not self.content["model"].get("end_of_word_suffix")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the ids of a text, so exported encoders and decoders have that of their
        store.

        It is computed on the library's form of tokenizer.json, whatever its layout and version.
        """
        whole = json.loads(self._encoder.to_str())
        parts = {key: whole[key] for key in ("model", "normalizer", "pre_tokenizer")}
        vocab = self._encoder.get_vocab(with_added_tokens=False)
        added = [
            {key: token[key] for key in ("id", "content")} if token["special"] else token
            for token in whole["added_tokens"]
            if not token["special"] or token["content"] not in vocab
        ]
        return tokenizer_json.digest(parts | {"added_tokens": added})

    def is_called(self, fingerprint: str) -> bool:
        """Whether this is the fingerprint, or the former one over the whole tokenizer.json."""
        before = tokenizer_json.digest(self._with_mask(self.content, lstrip=False))
        return fingerprint in (self.fingerprint, before, self._digest_as_given)

    def ids_of(self, *roles: str, where: str = "the model") -> dict[str, int]:
        """Ids of these special tokens. Raises DataError for a missing one. where: names the tokenizer in messages."""
        if missing := [f"{role}_token" for role in roles if role not in self.special]:
            raise DataError(
                f"{where}: the tokenizer has no {', '.join(missing)}, which this needs",
                hint="name it in tokenizer_config.json beside the tokenizer, if the model was trained with one",
            )
        return {role: self.special[role] for role in roles}

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without special tokens."""
        with bounded_tokenizer.errors_as_data(self.name, f"encode {bounded_tokenizer.start_of(text)}"):
            ids: list[int] = self._encoder.encode(text, add_special_tokens=False).ids
        return ids

    def encode_masked(self, text: str) -> list[int]:
        """Ids of a text in which the name of the mask token is that token, as in transformers."""
        with bounded_tokenizer.errors_as_data(self.name, f"encode {bounded_tokenizer.start_of(text)}"):
            ids: list[int] = self._encoder_of_masks.encode(text, add_special_tokens=False).ids
        return ids

    def counting(self, loss: Loss) -> Self:
        """The same tokenizer, which adds its losses in encoded batches to `loss`."""
        other = copy.copy(self)
        other._loss = loss
        return other

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text; on all cores unless TOKENIZERS_PARALLELISM is false."""
        if self._loss is not None and not self.coverage.complete:
            return [ids for ids, _ in self.encode_offsets(texts, self._loss)]
        found: list[list[int]] = []
        for begin in range(0, len(texts), AT_ONCE):
            with bounded_tokenizer.errors_as_data(self.name, "encode a text"):
                some = list(texts[begin : begin + AT_ONCE])
                batch = self._encoder.encode_batch_fast(some, add_special_tokens=False)
            found += [encoding.ids for encoding in batch]
        return found

    def encode_offsets(
        self, texts: Sequence[str], loss: Loss | None = None
    ) -> list[tuple[list[int], NDArray[np.int32]]]:
        """Ids of each text, and [ids, 2]: the characters of each, white space included.

        loss: losses are added to it.
        """
        with bounded_tokenizer.errors_as_data(self.name, "encode a text"):
            encodings = self._encoder.encode_batch(list(texts), add_special_tokens=False)
        found = []
        for text, encoding in zip(texts, encodings, strict=True):
            places = np.fromiter(chain.from_iterable(encoding.offsets), np.int32).reshape(-1, 2)
            found.append((encoding.ids, places))
            if loss is not None:
                loss += self.coverage.of(text, *found[-1])
        return found

    def encode_places(self, texts: Sequence[str]) -> list[tuple[list[int], NDArray[np.int32]]]:
        """Ids of each text, and [ids, 2]: the characters of each, as in `encode_texts`."""
        found = self.encode_texts(texts)
        of_texts = np.split(np.stack([found.ids, found.starts, found.ends], 1), np.cumsum(found.sizes)[:-1])
        each = zip(of_texts, found.bases[:-1].tolist(), strict=False)  # without texts there is one empty part
        return [(of[:, 0].tolist(), (of[:, 1:] - base).astype(np.int32)) for of, base in each]

    def encode_texts(self, texts: Sequence[str]) -> EncodedTexts:
        """Tokens of the texts end to end, and the characters of each.

        White space at their ends, which byte-level tokens include, is left out. If several tokens form one
        character, each has that character.
        """
        bases, places = bases_of(texts), None
        if self._spells_texts is not None:
            encoded = self.encode_batch(texts)
            ids = np.fromiter(chain.from_iterable(encoded), np.int64)
            sizes = np.array([len(of) for of in encoded], np.int64)
            places = from_bytes(texts, self._spells_texts[ids])
        if places is None:
            offsets = self.encode_offsets(texts, self._loss)
            ids = np.fromiter(chain.from_iterable(of for of, _ in offsets), np.int64)
            sizes = np.array([len(of) for of, _ in offsets], np.int64)
            inner = np.concatenate([np.empty((0, 2), np.int32), *(of for _, of in offsets)])
            places = TokenPlaces(*(inner + np.repeat(bases[:-1], sizes)[:, None]).T)
        return EncodedTexts(ids, sizes, *without_space(texts, places), bases)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of ids, with special tokens by name or without them."""
        with bounded_tokenizer.errors_as_data(self.name, "decode tokens"):
            text: str = self._encoder.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return text

    def word_boundaries(self) -> tuple[word_boundaries.Classes, word_boundaries.Classes]:
        """First and last class of each token, int8 [vocab_size].

        Token t begins a word iff first[t] != last[token before it].
        """
        special = self._special_ids()
        return word_boundaries.boundaries(
            self.content["model"], self.byte_level, self.tokens, self.vocab_size, special
        )

    @property
    def knows_word_boundaries(self) -> bool:
        """Whether its tokens show word boundaries; if not, every token counts as a word."""
        return word_boundaries.knows_word_boundaries(
            self.content["model"], self.byte_level, self.tokens, self._special_ids()
        )

    def byte_counts(self) -> NDArray[np.int32] | None:
        """Bytes of text of each token, int32 [vocab_size], special tokens 0.

        None for tokenizers that are not byte-level or lack bytes, whose tokens do not add up to the text.
        """
        if not (self.byte_level and self.coverage.complete):
            return None
        stands_for, counts = word_boundaries.byte_table(), np.zeros(self.vocab_size, np.int32)
        for token_id, token in self.tokens.items():
            spelled = all(character in stands_for for character in token)
            counts[token_id] = len(token) if spelled else len(token.encode())
        counts[list(self._special_ids())] = 0
        return counts

    @cached_property
    def coverage(self) -> Coverage:
        """What this tokenizer cannot represent of a text."""
        return Coverage(self.content, self.tokens, self._normalise, bytewise=self.byte_level)

    @cached_property
    def _spells_texts(self) -> NDArray[np.int32] | None:
        """Bytes of each token, if they add up to texts; None for other tokenizers."""
        return self.byte_counts() if self._encoder.normalizer is None else None

    def framed(self) -> Self:
        """The same tokenizer for an encoder: [CLS] and [SEP] around a text or a pair, as in training."""
        cls, sep = ((self.tokens[token], token) for token in self.ids_of("cls", "sep").values())
        return self._with_post_processor(json.loads(template(cls, sep).__getstate__()))

    def bare(self) -> Self:
        """The same tokenizer for a decoder: without special tokens around a text, and without segment types.

        Hugging Face's GPT-2 would embed segment types as tokens.
        """
        after = self.content.get("post_processor")
        kept = after if after and after["type"] == "ByteLevel" else None
        return self._with_post_processor(kept)

    def save(self, folder: Path, max_length: int | None = None) -> None:
        """Write a Hugging Face folder that AutoTokenizer loads with identical ids.

        max_length: positions of its model; None: as loaded.
        """
        folder.mkdir(parents=True, exist_ok=True)
        special = {role: self.tokens[token_id] for role, token_id in self.special.items()}
        files = tokenizer_json.files(self.content, self.tokens, special, max_length or self.max_length)
        for name, text in files.items():
            write_text(folder / name, text)

    def _normalise(self, text: str) -> str:
        if self._encoder.normalizer is None:
            return text
        with bounded_tokenizer.errors_as_data(self.name, f"normalise {bounded_tokenizer.start_of(text)}"):
            return str(self._encoder.normalizer.normalize_str(text))

    def _with_post_processor(self, block: dict[str, Any] | None) -> Self:
        special = {role: self.tokens[token_id] for role, token_id in self.special.items()}
        return type(self)(self.content | {"post_processor": block}, special, self.max_length)

    @cached_property
    def _encoder_of_masks(self) -> tokenizers.Tokenizer:
        """The encoder for texts with mask tokens."""
        encoder = tokenizers.Tokenizer.from_str(json.dumps(self._with_mask(self.content, special=False)))
        encoder.encode_special_tokens = True  # as text
        return encoder

    def _with_mask(self, content: dict[str, Any], **flags: bool) -> dict[str, Any]:
        mask = self.special.get("mask")
        if mask is None:
            return content
        return tokenizer_json.with_mask_flags(content, mask, self.tokens[mask], **flags)

    def _special_ids(self) -> set[int]:
        return {*self.special.values(), *(token["id"] for token in self._added() if token["special"])}

    def _added(self) -> list[dict[str, Any]]:
        return list(self.content.get("added_tokens") or ())
