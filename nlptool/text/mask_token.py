"""How a tokenizer.json treats its mask token: what else it takes of a text in which a word is masked."""

from collections.abc import Mapping
from typing import Any


def take_space(content: Mapping[str, Any]) -> bool:
    """Whether the space before a word is part of its token, as in byte-level BPE and SentencePiece.

    Then the space before [MASK] is part of what [MASK] stands for, and must be no token by itself: RoBERTa, ALBERT and
    XLM-R have `lstrip` for that. Where white space is dropped, as by BERT, it changes nothing.
    """
    parts = str([content.get("normalizer"), content.get("pre_tokenizer")])
    return any(name in parts for name in ("ByteLevel", "Metaspace", "▁"))


def flagged(content: Mapping[str, Any], mask: int, name: str, **flags: bool) -> dict[str, Any]:
    """tokenizer.json with these flags of the mask token, which is added where it is not among the added ones."""
    added = list(content.get("added_tokens") or ())
    if all(token["id"] != mask for token in added):
        plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        added.append({"id": mask, "content": name, "special": True} | plain)
    changed = [dict(token) | flags if token["id"] == mask else token for token in added]
    return dict(content) | {"added_tokens": changed}
