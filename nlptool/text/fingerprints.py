"""Whether two tokenizers give a text the same ids, and if not, what differs first."""

from nlptool.formatting import json_value
from nlptool.text.tokenizer import Tokenizer

PARTS = {"normalizer": "normalise", "pre_tokenizer": "split", "model": "merge"}


def difference(one: Tokenizer, other: Tokenizer) -> str | None:
    """What differs, of the one and of the other; None where both give the same ids."""
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
