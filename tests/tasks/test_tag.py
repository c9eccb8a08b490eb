import json
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from kinds import token_classification as kind

from nlptool.data import token_labels
from nlptool.data.token_labels import NOTHING, SPACE, TokenLabelDataset
from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.gpt2.config import Config as Gpt2
from nlptool.tasks.token_classification.config import Config
from nlptool.text.store import Split
from nlptool.text.tabular import Row, Sentence
from nlptool.text.tokenizer import Tokenizer

LABELS = ("O", "B-PER", "I-PER")
WORDS = kind.VARIANTS["words"]


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("pieces")
    words = ["세종", "##대왕", "##은", "어제", "old", "ri", "##ver", "##s"]
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words]))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    return Tokenizer.load(folder)


def where(tokenizer: Tokenizer, tokens: list[str], between: str) -> list[int]:
    sentence = Sentence("", tuple(tokens), None, between)
    ((_, places),) = tokenizer.encode_places([between.join(tokens)])
    return token_labels.pieces_of(sentence, places).tolist()


def opened(tokenizer: Tokenizer, folder: Path, length: int, *sentences: Sentence) -> TokenLabelDataset:
    token_labels.write(sentences, tokenizer, folder / "some")
    ids = tokenizer.special
    return TokenLabelDataset(Split(folder / "some"), length, cls=ids["cls"], sep=ids["sep"], pad=ids["pad"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ner_tags": [0]}, "holds 1 tag; a tag for each word is expected, 2 tags"),
        ({"ner_tags": None}, "holds null; a tag for each word is expected, 2 tags"),
        ({"ner_tags": [0, 3]}, "ner_tags[1] is 3; expected one of 0 O, 1 B-PER, 2 I-PER"),
        ({"ner_tags": [0, "B-LOC"]}, 'ner_tags[1] is "B-LOC"'),
        ({"tokens": []}, "column 'tokens' is empty: there are no words to tag"),
        ({"tokens": "old river"}, "a list of words is expected"),
    ],
)
def test_a_row_that_is_not_as_it_should_be_is_refused_with_its_place(values: dict, said: str):
    with pytest.raises(DataError) as told:
        Config(labels=LABELS).sentence(
            Row("rows.jsonl:7", {"tokens": ["old", "river"], "ner_tags": [0, 1]} | values), labelled=True
        )
    assert told.value.message.startswith("rows.jsonl:7: ")
    assert said in told.value.message


@pytest.mark.parametrize(
    "labels", [("O", "B-PER", "PER"), ("B-PER", "I-PER", "B-LOC"), ("O", "B-PER", "I-LOC")]
)
def test_labels_that_are_not_bio_are_refused(labels: tuple[str, ...]):
    with pytest.raises(ValueError, match="both B-NAME and I-NAME"):
        Config(labels=labels)


def test_tags_are_names_or_places():
    row = Row("", {"tokens": ["old", "river"], "ner_tags": ["B-PER", 2]})
    assert Config(labels=LABELS).sentence(row, labelled=True).tags == (1, 2)
    assert Config(labels=LABELS).sentence(row, labelled=False).tags is None


def test_a_word_is_tagged_at_its_first_piece(pieces: Tokenizer):
    assert where(pieces, ["old", "rivers", "old"], " ") == [0, 1, 4]
    assert where(pieces, ["old", "\u200b", "", "rivers"], " ") == [0, NOTHING, NOTHING, 1]


def test_a_character_is_tagged_at_the_piece_that_begins_or_goes_on_there(pieces: Tokenizer):
    """세종 ##대왕 ##은, a space, and a word that is [UNK] as a whole."""
    assert where(pieces, list("세종대왕은 뷁뷁"), "") == [0, 0, 1, 1, 2, SPACE, 3, 3]


def test_bytes_of_a_character_are_one_decision(tokenizer: Tokenizer):
    """Each Korean character is three bytes, and with so small a vocabulary about as many pieces."""
    found = where(tokenizer, list("세종 왕"), "")
    assert found[2] == SPACE
    assert len(tokenizer.encode("세종 왕")) > 5
    assert found[0] == 0
    assert found[0] < found[1] < found[3]


def test_tags_of_the_first_iob_are_told_and_read_as_the_second_where_the_task_says_so(
    tokenizer: Tokenizer, tmp_path: Path
):
    names = ["I-PER", "I-PER", "O", "I-PER", "B-PER"]
    one, two = (
        Config(labels=LABELS, scheme=scheme).sentence(
            Row("", {"tokens": ["a", "b", "c", "d", "e"], "ner_tags": names}), labelled=True
        )
        for scheme in ("iob1", "iob2")
    )
    assert [LABELS[tag] for tag in one.tags] == ["B-PER", "I-PER", "O", "B-PER", "B-PER"]
    assert [LABELS[tag] for tag in two.tags] == names
    made = small.build("token_classification", {"labels": list(LABELS)}, tokenizer)
    (told,) = made.data_warnings(opened(tokenizer, tmp_path, 30, two, one))
    assert told.startswith("in 1 of 2 rows 2 entities begin with I-NAME")
    assert made.data_warnings(opened(tokenizer, tmp_path, 30, one, one)) == []


def test_words_behind_the_cut_have_no_decision_and_are_told(pieces: Tokenizer, tmp_path: Path):
    tags = (1, 2, 0, 1)
    rows = opened(pieces, tmp_path, 5, Sentence("", ("old", "rivers", "old", "old"), tags, " "))
    assert rows.decision.tolist() == [0, 1, -1, -1]
    assert rows.labels[:, 0].tolist() == [1.0, 2.0]
    assert [(cut.key, cut.rows) for cut in rows.cuts] == [("train.sequence_length", 1)]
    made = small.build("token_classification", WORDS, pieces)
    assert made.score(rows, np.eye(5)[[1, 2]]) == {"entity_f1": 2 / 3, "entity_macro_f1": 2 / 3}


def test_the_characters_of_a_piece_go_on_with_its_entity(pieces: Tokenizer, tmp_path: Path):
    text = "세종대왕은 어제"
    rows = opened(pieces, tmp_path, 20, Sentence("", tuple(text), (1, 2, 2, 2, 0, 0, 0, 0), ""))
    made = small.build("token_classification", {"labels": list(LABELS), "characters": True}, pieces)
    (answer,) = made.answers(rows, np.eye(3)[[1, 2, 0, 0]])
    assert answer["prediction"] == answer["label"] == ["B-PER", *["I-PER"] * 3, *["O"] * 4]
    (answer,) = made.answers(rows, np.eye(3)[[1, 1, 0, 0]])
    assert answer["prediction"][:4] == ["B-PER", "I-PER", "B-PER", "I-PER"]


def test_a_sentence_without_a_piece_is_refused(pieces: Tokenizer, tmp_path: Path):
    with pytest.raises(DataError, match="row 3: the tokenizer finds nothing"):
        token_labels.write([Sentence("row 3", ("\u200b",), (0,), " ")], pieces, tmp_path / "x")


def test_each_decision_knows_its_sentence_and_place(pieces: Tokenizer, tmp_path: Path):
    two = [
        Sentence("", words, (0,) * len(words), " ") for words in (("rivers", "old"), ("old",), ("old", "old"))
    ]
    rows = opened(pieces, tmp_path, 20, *two)
    taken = rows.take(np.array([2, 0]))
    assert taken.encoded.rows.tolist() == [3, 4, 0, 1]
    assert taken.documents.tolist() == [0, 0, 1, 1]
    assert taken.positions.tolist() == [1, 2, 1, 4]


def test_only_encoders_are_taken():
    assert Config(labels=LABELS).check(Gpt2())[0].path == "init_from"


@pytest.mark.parametrize("family", ["bert", "albert", "electra", "distilbert"])
def test_transformers_says_the_same_at_the_same_cost(family: str, tokenizer: Tokenizer, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    made = small.build("token_classification", WORDS, tokenizer, name=family).eval()
    exported = made.folders(made.backbone.config)[""]
    huggingface.save_pretrained(
        tmp_path, exported.config, exported.state, tokenizer.special, exported.settings
    )
    tokenizer.save(tmp_path)
    theirs, info = transformers.AutoModelForTokenClassification.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(info.values()), info
    assert theirs.config.id2label[1] == "B-PER"
    rows = made.dataset(small.encoded("token_classification", WORDS, tokenizer, tmp_path, 6), 24)
    (batch,) = small.all_rows(made, rows, 6)
    labels = torch.full_like(batch["ids"], -100)
    labels[batch["documents"], batch["positions"]] = batch["labels"][:, 0].long()
    mask = (torch.arange(labels.shape[1]) < batch["lengths"][:, None]).long()
    with torch.no_grad():
        expected = theirs.eval()(input_ids=batch["ids"], attention_mask=mask, labels=labels)
        said = made.predict(batch)
        (cost,) = made(batch).values()
    assert (said - expected.logits[batch["documents"], batch["positions"]]).abs().max() < 1e-5
    assert cost.item() / batch.counts["cross_entropy"] == pytest.approx(expected.loss.item(), rel=1e-5)
