"""The special tokens around the texts of a row: those that a tokenizer's post-processor adds, and a decoder's."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from nlptool.text.tokenizer_json import added_token, template_processing

if TYPE_CHECKING:
    from tokenizers import Encoding

    from nlptool.text.tokenizer import Tokenizer

Ids = tuple[int, ...]
PAD = ("[PAD]", "<pad>", "<|pad|>")
"""Names for an added padding token; the first one that is not in the vocabulary is used."""


class RowTemplate(NamedTuple):
    """Special tokens before, between and after the texts of a row."""

    single: tuple[Ids, Ids]
    """For a row of one text."""
    pair: tuple[Ids, Ids, Ids]
    """For a row of two texts."""

    @classmethod
    def of(cls, first: int, between: int, last: int) -> Self:
        """One token in each place, such as [CLS], [SEP] and [SEP]."""
        return cls(((first,), (last,)), ((first,), (between,), (last,)))

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """The special tokens that the post-processor in a tokenizer.json adds."""
        import tokenizers

        words = {
            "type": "WordLevel",
            "vocab": {"a": 0},
            "unk_token": "a",
        }  # the post-processor has ids of its own
        plain = {"version": "1.0", "added_tokens": [], "model": words}
        given = json.dumps(plain | {"post_processor": content.get("post_processor")})
        encoder = tokenizers.Tokenizer.from_str(given)
        (before, behind), (first, between, last) = (
            _around(encoder.encode(*texts)) for texts in (("a",), ("a", "a"))
        )
        return cls((before, behind), (first, between, last))

    def around(self, texts: int) -> tuple[Ids, ...]:
        """The tokens before each of so many texts, then those after the last one."""
        return self.single if texts == 1 else self.pair

    def without_end(self, token: int) -> Self:
        """The template without this token at the end of rows."""
        single, pair = (list(rows) for rows in self)
        for rows in (single, pair):
            while rows[-1][-1:] == (token,):
                rows[-1] = rows[-1][:-1]
        return type(self)((single[0], single[1]), (pair[0], pair[1], pair[2]))


def for_decoder(tokenizer: "Tokenizer", end: int) -> "Tokenizer":
    """The tokenizer, adding its end-of-text token before, between and after texts, with a different padding token.

    transformers' GPT2ForSequenceClassification classifies the last token that is not padding, which could not be the
    end of text if that were padding.
    """
    name, content, pad = tokenizer.tokens[end], dict(tokenizer.content), tokenizer.special.get("pad", end)
    special = {role: tokenizer.tokens[number] for role, number in tokenizer.special.items()}
    if pad == end:
        special["pad"] = next(one for one in PAD if one not in tokenizer.tokens.values())
        added = added_token(tokenizer.vocab_size, special["pad"])
        content["added_tokens"] = [*(content.get("added_tokens") or ()), added]
    content["post_processor"] = template_processing((name, end), (name, end), 0)
    return type(tokenizer)(content, special, tokenizer.max_length)


def _around(encoding: "Encoding") -> list[Ids]:
    """The special tokens before the first text, and after each."""
    found: list[list[int]] = [[]]
    for token, text in zip(encoding.ids, encoding.sequence_ids, strict=True):
        if text is None:
            found[-1].append(token)
        else:
            found.append([])
    return [tuple(ids) for ids in found]
