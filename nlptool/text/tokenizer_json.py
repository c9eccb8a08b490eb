"""The content of a tokenizer.json: digest, mask token, Hugging Face files, differences."""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nlptool.formatting import json_value

if TYPE_CHECKING:
    from nlptool.text.tokenizer import Tokenizer

PARTS = {"normalizer": "normalise", "pre_tokenizer": "split", "model": "merge"}


def files(
    content: Mapping[str, Any], tokens: Mapping[int, str], special: Mapping[str, str], max_length: int
) -> dict[str, str]:
    """The files that AutoTokenizer reads, by name.

    content: tokenizer.json. tokens: all, by id. special: special tokens by role.
    """
    named = {f"{role}_token": token for role, token in special.items()}
    after = content.get("post_processor") or {"type": "ByteLevel"}  # it adds nothing around a text
    types = ["token_type_ids"] if _has_types(after) else []
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "model_input_names": ["input_ids", *types, "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **named,
    }
    values = {"tokenizer": content, "tokenizer_config": config, "special_tokens_map": named}
    written = {
        f"{name}.json": json.dumps(value, ensure_ascii=False, indent=2) + "\n"
        for name, value in values.items()
    }
    if content["model"]["type"] == "WordPiece":
        lines = (tokens.get(number, f"[unused-{number}]") for number in range(max(tokens) + 1))
        written["vocab.txt"] = "\n".join(lines) + "\n"
    return written


def _has_types(after: Mapping[str, Any]) -> bool:
    """Whether a post-processor gives the texts of a pair different types."""
    if after["type"] != "TemplateProcessing":
        return str(after["type"]) != "ByteLevel"
    return any(piece["type_id"] for part in after["pair"] for piece in part.values())


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of tokenizer.json, whatever its layout and the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def mask_takes_space(content: Mapping[str, Any]) -> bool:
    """Whether the space before a word belongs to its token, as in byte-level BPE and SentencePiece.

    Then the space before [MASK] belongs to it, too, and must not be a token of its own: RoBERTa, ALBERT and XLM-R
    have `lstrip` for that. It has no effect where white space is dropped, as in BERT.
    """
    parts = str([content.get("normalizer"), content.get("pre_tokenizer")])
    return any(name in parts for name in ("ByteLevel", "Metaspace", "▁"))


PLAIN = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
"""The flags of an added token that is found wherever its text stands."""


def added_token(number: int, name: str, *, special: bool = True) -> dict[str, Any]:
    """An entry of `added_tokens`."""
    return {"id": number, "content": name, "special": special} | PLAIN


def template_processing(first: tuple[str, int], last: tuple[str, int], second: int) -> dict[str, Any]:
    """The post-processor FIRST A LAST and FIRST A LAST B LAST. first, last: tokens with ids; second: segment of B."""

    def special(token: tuple[str, int], segment: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": token[0], "type_id": segment}}

    single = [special(first, 0), {"Sequence": {"id": "A", "type_id": 0}}, special(last, 0)]
    pair = [*single, {"Sequence": {"id": "B", "type_id": second}}, special(last, second)]
    tokens = {name: {"id": name, "ids": [number], "tokens": [name]} for name, number in (first, last)}
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}


def with_mask_flags(content: Mapping[str, Any], mask: int, name: str, **flags: bool) -> dict[str, Any]:
    """tokenizer.json with these flags of the mask token, which is added if it is not among the added tokens."""
    added = list(content.get("added_tokens") or ())
    if all(token["id"] != mask for token in added):
        added.append(added_token(mask, name))
    changed = [dict(token) | flags if token["id"] == mask else token for token in added]
    return dict(content) | {"added_tokens": changed}


def difference(one: "Tokenizer", other: "Tokenizer") -> str | None:
    """How two tokenizers differ; None if both give the same ids."""
    if one.fingerprint == other.fingerprint:
        return None
    if one.vocab_size != other.vocab_size:
        return f"{one.vocab_size:,} tokens and {other.vocab_size:,}"
    for number in range(one.vocab_size):
        mine, theirs = one.tokens.get(number), other.tokens.get(number)
        if mine != theirs:
            return f"token {number} is {json_value(mine)} in the one, {json_value(theirs)} in the other"
    parts = [how for part, how in PARTS.items() if one.content.get(part) != other.content.get(part)]
    return f"the same tokens, but they {' and '.join(parts or ['split'])} texts differently"
