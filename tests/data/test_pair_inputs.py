from pathlib import Path

import numpy as np
import pytest

from nlptool.data import pair_inputs
from nlptool.data.pair_inputs import TextPairDataset, truncated
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError
from nlptool.text.row_template import RowTemplate
from nlptool.text.store import Split
from nlptool.text.tabular import Example
from nlptool.text.tokenizer import Tokenizer

DRAWS = RandomStreams(0, 0)


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


def stored(tokenizer: Tokenizer, folder: Path, *rows: tuple[str, ...], length: int = 64) -> TextPairDataset:
    examples = [Example("", (texts,), (float(number),)) for number, texts in enumerate(rows)]
    pair_inputs.write(examples, tokenizer, folder / "rows")
    special = tokenizer.special
    split = Split(folder / "rows")
    template = RowTemplate.of(special["cls"], special["sep"], special["sep"])
    return TextPairDataset(split, length, template=template, pad=special["pad"])


def take(rows: TextPairDataset, *indices: int) -> pair_inputs.EncodedBatch:
    chosen = np.array(indices)
    return rows.take(chosen)


def naive(a: list[int], b: list[int], room: int) -> tuple[int, int]:
    """_truncate_seq_pair of google-research/bert, token by token."""
    a, b = list(a), list(b)
    while len(a) + len(b) > room:
        (a if len(a) > len(b) else b).pop()
    return len(a), len(b)


def test_one_text_is_cls_text_sep(tokenizer: Tokenizer, tmp_path: Path):
    rows = stored(tokenizer, tmp_path, ("the old river",), (" a bell",))
    cls, sep, pad = (tokenizer.special[role] for role in ("cls", "sep", "pad"))
    first, second = tokenizer.encode("the old river"), tokenizer.encode(" a bell")
    made = take(rows, 0, 1)
    assert made.ids.tolist()[0] == [cls, *first, sep]
    assert made.ids.tolist()[1] == [cls, *second, sep, *[pad] * (len(first) - len(second))]
    assert made.types.max() == 0
    assert made.lengths.tolist() == [len(first) + 2, len(second) + 2]
    assert made.labels.tolist() == [[0.0], [1.0]]


def test_of_a_pair_the_second_text_is_of_type_one(tokenizer: Tokenizer, tmp_path: Path):
    made = take(stored(tokenizer, tmp_path, ("the old", " bell")), 0)
    a, b = tokenizer.encode("the old"), tokenizer.encode(" bell")
    cls, sep = tokenizer.special["cls"], tokenizer.special["sep"]
    assert made.ids[0].tolist() == [cls, *a, sep, *b, sep]
    assert made.types[0].tolist() == [0] * (len(a) + 2) + [1] * (len(b) + 1)


def test_the_ids_are_those_of_transformers(tokenizer: Tokenizer, tiny_store: Path, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(tiny_store / "tokenizer")
    pairs = [("the old river town", "a bell"), ("winter", "wood stone light reads a small house"), ("a", "b")]
    expected = theirs(*map(list, zip(*pairs, strict=True)), truncation=True, max_length=12, padding=True)
    made = take(stored(tokenizer, tmp_path, *pairs, length=12), 0, 1, 2)
    assert made.ids.tolist() == expected["input_ids"]
    assert made.types.tolist() == expected["token_type_ids"]


def test_truncation_is_that_of_bert_token_by_token():
    sizes = np.array([(a, b) for a in range(14) for b in range(14)])
    for room in (0, 1, 7, 8, 13):
        expected = [naive([0] * a, [0] * b, room) for a, b in sizes]
        assert truncated(sizes, room).tolist() == [list(pair) for pair in expected]


def test_a_single_text_is_cut_at_its_end(tokenizer: Tokenizer, tmp_path: Path):
    text = "the old river town bell house"
    rows = stored(tokenizer, tmp_path, (text,), length=5)
    ids = tokenizer.encode(text)
    assert len(ids) > 3
    cls, sep = tokenizer.special["cls"], tokenizer.special["sep"]
    assert take(rows, 0).ids[0].tolist() == [cls, *ids[:3], sep]
    assert rows.lengths.tolist() == [5]


def test_an_empty_text_is_a_text(tokenizer: Tokenizer, tmp_path: Path):
    made = take(stored(tokenizer, tmp_path, ("", "bell"), ("bell", "")), 0, 1)
    cls, sep = tokenizer.special["cls"], tokenizer.special["sep"]
    bell = tokenizer.encode("bell")
    assert made.ids.tolist() == [[cls, sep, *bell, sep], [cls, *bell, sep, sep]]


def test_a_row_of_nothing_is_one_padding_token(tokenizer: Tokenizer, tmp_path: Path):
    bare = RowTemplate(((), ()), ((), (), ()))
    rows = stored(tokenizer, tmp_path, ("",), ("a bell",))
    made = TextPairDataset(rows.split, 64, template=bare, pad=0).take(np.array([0, 1]))
    assert made.lengths.tolist() == [1, len(tokenizer.encode("a bell"))]
    assert made.ids.tolist() == [[0] * int(made.lengths[1]), tokenizer.encode("a bell")]


def test_text_that_looks_like_a_special_token_is_text(tokenizer: Tokenizer, tmp_path: Path):
    made = take(stored(tokenizer, tmp_path, ("the [SEP] bell",)), 0)
    assert (made.ids[0] == tokenizer.special["sep"]).sum() == 1


def test_more_rows_than_are_encoded_at_once_come_in_their_order(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pair_inputs, "AT_ONCE", 3)
    rows = stored(tokenizer, tmp_path, *((" bell" * n,) for n in range(1, 11)))
    assert rows.labels[:, 0].tolist() == list(range(10))
    assert rows.lengths.tolist() == [len(tokenizer.encode(" bell" * n)) + 2 for n in range(1, 11)]


def test_a_tokenizer_without_separator_is_refused(tokenizer: Tokenizer):
    names = {r: tokenizer.tokens[i] for r, i in tokenizer.special.items() if r != "sep"}
    with pytest.raises(DataError, match="no sep token"):
        pair_inputs.special_ids(Tokenizer(tokenizer.content, names))
