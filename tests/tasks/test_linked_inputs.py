"""Classification of texts with linked entities: inputs, refusals and counts."""

import re
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from kinds import classification, kagnet

from nlptool.errors import DataError, UsageError
from nlptool.knowledge.graph import Graph
from nlptool.tasks import row_source
from nlptool.tasks.base import TaskObjective
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

LINKED = classification.VARIANTS["linked"]
ONE = {"inputs": ["a"], "labels": ["no", "yes"], "metrics": ["accuracy"], "links": {"columns": ("in_a",)}}


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


def opened(made: TaskObjective, rows: list[dict], tokenizer: Tokenizer, prefix: Path, length: int = 24):
    numbered = [Row(f"row {number}", row) for number, row in enumerate(rows)]
    made.encode(numbered, tokenizer, prefix, labelled=True)
    return made.dataset(Split(prefix), length)


# ---- what is learnt ----


def test_what_the_vectors_of_entities_tell_is_learnt_by_links_alone(tokenizer: Tokenizer, tmp_path: Path):
    """All rows have one text; the label is the sign of the first number of the vector that it is linked to. Entities of
    the held-out rows are in no training row."""
    triples = tuple((f"E{n:03}", "near", f"E{(n + 1) % 200:03}") for n in range(200))
    graph, vectors = kagnet.graph(tmp_path, triples=triples)
    known = {"graph": graph, "entity_embeddings": vectors}
    table = small.config("classification", ONE | known).entity_table()
    rows = [
        {"a": "the old river", "in_a": [[name, 8, 13]], "label": int(table.embeddings.entities[n, 0] > 0)}
        for n, name in enumerate(Graph(Path(graph)).entities)
    ]
    scores = {}
    for name, keys in (("links", known), ("no links", {})):
        made = small.build("classification", ONE | keys, tokenizer, **small.ERNIE)
        train = opened(made, rows[:160], tokenizer, tmp_path / f"{name} train")
        held_out = opened(made, rows[160:], tokenizer, tmp_path / f"{name} held out")
        (batch,), (asked,) = small.all_rows(made, train, 160), small.all_rows(made, held_out, 40)
        optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
        for _ in range(60):
            optimizer.zero_grad()
            (made(batch)["cross_entropy"] / 160).backward()
            optimizer.step()
        logits = np.zeros((40, 2))
        logits[asked["row"]] = made.eval().predict(asked).detach().numpy()
        scores[name] = made.score(held_out, logits)["accuracy"], len(np.unique(logits.argmax(1)))
    assert scores["links"][0] >= 0.9
    assert scores["no links"][1] == 1


# ---- what is read ----


@pytest.mark.parametrize("length", [24, 11])
def test_links_of_both_texts_are_at_their_words_and_go_with_what_is_cut(
    length: int, tokenizer: Tokenizer, tmp_path: Path
):
    made = small.build("classification", LINKED, tokenizer)
    rng = np.random.default_rng(5)
    rows = [classification.row(rng, small.WORDS, LINKED) for _ in range(30)]
    data = opened(made, rows, tokenizer, tmp_path / "rows", length)
    taken, (batch,) = data.take(np.arange(30)), small.all_rows(made, data, 30)
    names = Graph(Path(kagnet.GRAPH)).entities
    of_second = 0
    for row, at, entity in zip(taken.row, taken.at, taken.entity, strict=True):
        ids, types = taken.encoded.ids[row], taken.encoded.types[row]
        of_second += int(types[at])
        assert names[entity].startswith(tokenizer.decode([int(ids[at])]).strip())
    assert 0 < of_second < len(taken.at)
    expected = [
        [word for text in ("a", "b") for word in row[text].split() if names.find(word) is not None]
        for row in rows
    ]
    found = [[names[entity] for entity in taken.entity[taken.row == row]] for row in range(30)]
    assert (found == expected) == (length == 24 and not any(cut.rows for cut in data.cuts))
    assert all(set(one) <= set(other) for one, other in zip(found, expected, strict=True))
    assert int((batch["entity_at"] >= 0).sum()) == made.sizes(batch)[0] == len(taken.at)
    assert [cut.what for cut in data.cuts] == ["text"]
    marked = [(view.row, at, mark.label) for view in made.row_views(batch) for at, mark in view.marks.items()]
    called = [names[entity] for entity in taken.entity]
    assert sorted(marked) == sorted(zip(taken.row.tolist(), taken.at.tolist(), called, strict=True))


def test_labels_of_the_graph_are_found_where_rows_have_no_mentions(tokenizer: Tokenizer, tmp_path: Path):
    triples = (("서울", "수도", "한국"), ("Paris", "capital", "France"))
    graph, vectors = kagnet.graph(tmp_path, triples=triples)
    settings = ONE | {"graph": graph, "entity_embeddings": vectors, "links": {}}
    made = small.build("classification", settings, tokenizer)
    assert made.config.text_columns == ("a",)
    rows = [{"a": text, "label": 0} for text in ("서울에서 만나자 😀", "in Paris, France", "nothing é")]
    data = opened(made, rows, tokenizer, tmp_path / "rows", 40)
    taken = data.take(np.arange(3))
    names = Graph(Path(graph)).entities
    assert [(int(row), names[entity]) for row, entity in zip(taken.row, taken.entity, strict=True)] == [
        (0, "서울"),
        (1, "Paris"),
        (1, "France"),
    ]
    assert made.data_warnings(data) == []


def test_a_model_without_entities_reads_the_same_rows(tokenizer: Tokenizer, tmp_path: Path):
    without = {key: value for key, value in LINKED.items() if key not in ("graph", "entity_embeddings")}
    rows = [classification.row(np.random.default_rng(0), small.WORDS, LINKED)]
    linked = opened(small.build("classification", LINKED, tokenizer), rows, tokenizer, tmp_path / "linked")
    made = small.build("classification", without, tokenizer)
    plain = opened(made, rows, tokenizer, tmp_path / "plain")
    assert (plain.take(np.arange(1)).ids == linked.take(np.arange(1)).encoded.ids).all()
    assert made.data_warnings(plain) == []
    reader = small.build("classification", without, tokenizer, **small.ERNIE)
    assert reader.data_warnings(plain) == [
        "no mention is linked: the task names no graph and no entity_embeddings"
    ]


# ---- what is wrong ----


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            {"in_a": [["river", 4, 99]]},
            "column 'in_a': characters 4 to 99 are not a span of the text, which has 9",
        ),
        (
            {"in_a": [["river", 4]]},
            "column 'in_a' holds [\"river\", 4]; [entity, begin, end, score] is expected",
        ),
        ({"in_a": None}, "column 'in_a' holds null; a list is expected"),
        ({}, "no column 'in_a'; it has a, b, in_b, label"),
    ],
)
def test_a_mention_that_is_none_is_told_with_its_place(
    row: dict, told: str, tokenizer: Tokenizer, tmp_path: Path
):
    made = small.build("classification", LINKED, tokenizer)
    rows = [{"a": "the river", "b": "a bell", "in_b": [], "label": 0} | row]
    with pytest.raises(DataError, match=re.escape(f"row 0: {told}")):
        opened(made, rows, tokenizer, tmp_path / "rows")


def test_entities_that_the_graph_does_not_have_are_counted(tokenizer: Tokenizer, tmp_path: Path):
    made = small.build("classification", LINKED, tokenizer)
    mentions = [["river", 4, 9], ["nowhere", 0, 3], ["river", 5, 9], ["town", 4, 9, 0.3], [None, 0, 3]]
    rows = [{"a": "the river", "b": "a bell", "in_a": mentions, "in_b": [["bell", 2, 6]], "label": 0}]
    assert made.data_warnings(opened(made, rows, tokenizer, tmp_path / "rows")) == [
        "2 of 4 mentions are linked: 1 name an entity without a triple in the graph, 1 begin inside a token"
    ]


def test_rows_with_mentions_are_more_than_texts_and_have_a_column_for_each(tokenizer: Tokenizer):
    with pytest.raises(UsageError, match="a row of this task is more than texts"):
        row_source.of_texts(small.config("classification", LINKED), ["the river", "a bell"])
    with pytest.raises(ValueError, match=r"links.columns: one for each of inputs, a, b"):
        small.config("classification", LINKED | {"links": {"columns": ("in_a",)}})
