"""A tokenizer as the files of a Hugging Face folder."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def files(
    content: Mapping[str, Any], tokens: Mapping[int, str], special: Mapping[str, str], max_length: int
) -> dict[str, str]:
    """What AutoTokenizer reads, by the names of files.

    content: tokenizer.json. tokens: all, by id. special: special tokens by role.
    """
    named = {f"{role}_token": token for role, token in special.items()}
    after = content.get("post_processor") or {"type": "ByteLevel"}  # which puts nothing around a text
    types = [] if after["type"] == "ByteLevel" else ["token_type_ids"]
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


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of tokenizer.json, whatever its layout and the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
