"""Special tokens around texts, and the tokenizer of a decoder for labelled rows."""

from pathlib import Path

import pytest

from nlptool.text.row_template import RowTemplate, for_decoder
from nlptool.text.tokenizer import Tokenizer

ROBERTA = {"type": "RobertaProcessing", "sep": ["</s>", 7], "cls": ["<s>", 8], "trim_offsets": True}
BERT = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (None, RowTemplate(((), ()), ((), (), ()))),
        (BYTES, RowTemplate(((), ()), ((), (), ()))),
        (BERT, RowTemplate.of(2, 3, 3)),
        (ROBERTA | {"add_prefix_space": False}, RowTemplate(((8,), (7,)), ((8,), (7, 7), (7,)))),
    ],
    ids=["none", "bytes", "bert", "roberta"],
)
def test_what_a_post_processor_puts_around_texts(block: dict | None, expected: RowTemplate):
    assert RowTemplate.read({"post_processor": block}) == expected


def test_a_row_may_lose_the_tokens_that_it_ends_in():
    template = RowTemplate(((8,), (9, 7, 7)), ((8,), (7,), (7,)))
    assert template.without_end(7) == RowTemplate(((8,), (9,)), ((8,), (7,), ()))


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


def test_a_decoder_reads_its_end_of_text_before_between_and_behind_texts(
    tokenizer: Tokenizer, tmp_path: Path
):
    end = tokenizer.special["eos"]
    made = for_decoder(tokenizer, end)
    assert RowTemplate.read(made.content) == RowTemplate.of(end, end, end)
    assert (made.fingerprint, made.special) == (tokenizer.fingerprint, tokenizer.special)
    made.save(tmp_path)
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    a, b = made.encode("the old 강"), made.encode(" bell 😀")
    read = theirs("the old 강", " bell 😀")
    assert set(read) == {"input_ids", "attention_mask"}
    assert read["input_ids"] == [end, *a, end, *b, end]


@pytest.mark.parametrize("pad", [None, "<|endoftext|>"], ids=["none", "the end"])
def test_a_token_to_pad_with_is_added_where_there_is_none_but_the_end(
    pad: str | None, tokenizer: Tokenizer, tmp_path: Path
):
    special = {"eos": "<|endoftext|>"} | ({} if pad is None else {"pad": pad})
    content = tokenizer.content | {
        "added_tokens": [one for one in tokenizer.content["added_tokens"] if one["id"] == 5]
    }
    given = Tokenizer(content, special)
    made = for_decoder(given, given.special["eos"])
    assert made.special == {"eos": given.special["eos"], "pad": given.vocab_size}
    assert made.tokens[given.vocab_size] == "<pad>"  # the letters [PAD] are a token of this vocabulary
    made.save(tmp_path)
    assert Tokenizer.load(tmp_path).special == made.special
    assert made.encode("a <pad> bell") == given.encode("a <pad> bell"), "its name is text as before"
