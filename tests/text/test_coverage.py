"""Text that a tokenizer cannot encode."""

import json

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from nlptool.text.coverage import Loss
from nlptool.text.tokenizer import Tokenizer
from nlptool.text.word_boundaries import byte_table


def word_piece(*tokens: str) -> Tokenizer:
    vocab = {token: number for number, token in enumerate(["[UNK]", *tokens])}
    made = tokenizers.Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return Tokenizer(json.loads(made.to_str()))


def byte_pairs(missing: bytes) -> Tokenizer:
    symbols = [symbol for symbol, byte in byte_table().items() if byte not in missing]
    made = tokenizers.Tokenizer(models.BPE({symbol: number for number, symbol in enumerate(symbols)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return Tokenizer(json.loads(made.to_str()))


def lost(tokenizer: Tokenizer, *texts: str) -> Loss:
    loss = Loss()
    tokenizer.counting(loss).encode_batch(texts)
    return loss


def test_an_unknown_word_is_lost_with_all_its_bytes_and_white_space_is_not():
    loss = lost(word_piece("the", "오", "##늘"), "the  오늘\n 우리 ?", "the")
    assert (loss.tokens, loss.unknown) == (6, 2)
    assert (loss.bytes, loss.lost) == (24, 7)
    assert loss.characters == {"우": 1, "리": 1, "?": 1}
    assert (
        str(loss) == "33.33 % of the tokens are unknown, 29.17 % of the bytes are lost (most often ? 리 우)"
    )


def test_letters_that_become_no_token_are_lost():
    loss = lost(byte_pairs(b"Qz"), "Quiz JAZZ")
    assert (loss.tokens, loss.unknown, loss.bytes, loss.lost) == (7, 0, 9, 2)
    assert loss.characters == {"Q": 1, "z": 1}


def test_a_character_that_lost_one_of_its_bytes_counts():
    assert lost(byte_pairs("우".encode()[:1]), "우").lost == 1


@pytest.mark.parametrize("text", ["Quiz JAZZ 123 우리", "\x00\u0378👨‍👩", ""])
def test_nothing_is_lost_of_bytes(text: str):
    tokenizer = byte_pairs(b"")
    assert tokenizer.coverage.complete
    assert (lost(tokenizer, text).lost, lost(tokenizer, text).unknown) == (0, 0)


def test_bytes_of_tokens_are_not_told_where_some_are_missing():
    assert byte_pairs(b"z").byte_counts() is None
    assert np.array_equal(byte_pairs(b"").byte_counts(), np.ones(256))
