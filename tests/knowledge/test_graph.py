"""Building a graph from triples: numbered by name, sorted, without duplicates; omissions are counted."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from nlptool.atomic_files import write_json
from nlptool.errors import DataError
from nlptool.knowledge import readers
from nlptool.knowledge.build import GraphBuilder, pairs_of
from nlptool.knowledge.embeddings import EntityEmbeddings
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.readers import Columns
from nlptool.knowledge.relations import CONCEPTNET, merge_table
from nlptool.text.records import BadRecord

CONCEPTNET_100K = Path(__file__).parents[2] / "../shared/data/kg_conceptnet100k/train.tsv.gz"
CAPITALS = [
    ("서울", "capital of", "대한민국"),
    ("Paris", "capital of", "France"),
    ("🏝️ Nauru", "part of", "Oceania"),
    ("Paris", "part of", "France"),
]


def columns(rows) -> Columns:
    return Columns(*([row[place] for row in rows] for place in range(3)))


def build(folder: Path, rows=CAPITALS, **settings) -> Graph:
    builder = GraphBuilder(**settings)
    builder.add(columns(rows))
    builder.write(folder)
    return Graph(folder)


def named(graph: Graph, split: str = "train") -> list[tuple[str, str, str]]:
    return [
        (graph.entities[h], graph.relations[r], graph.entities[t])
        for h, r, t in zip(*graph.triples(split), strict=True)
    ]


def read(text: str, **settings) -> list[Columns | BadRecord]:
    return list(readers.read_tsv(io.BytesIO(text.encode()), **settings))


def test_names_and_triples_come_back(tmp_path):
    graph = build(tmp_path)
    assert sorted(named(graph)) == sorted(CAPITALS)
    assert list(graph.entities) == sorted(graph.entities) == [graph.entities[n] for n in range(6)]
    found = [graph.entities.find(name) for name in ("서울", "Atlantis", "🏝️ Nauru")]
    assert found == [list(graph.entities).index("서울"), None, 5]
    assert graph.counts == {"entities": 6, "relations": 2, "train": 4, "validation": 0, "test": 0}


@settings(max_examples=30, deadline=None)
@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Zl", "Zp"], exclude_characters="\n\r"), min_size=1),
        min_size=1,
        unique=True,
    )
)
def test_any_name_is_found_by_its_number_and_back(names, tmp_path_factory):
    graph = build(tmp_path_factory.mktemp("graph"), [(name, "r", "x") for name in names], keep_loops=True)
    for number, name in enumerate(graph.entities):
        assert graph.entities[number] == name
        assert graph.entities.find(name) == number
    assert {*names, "x"} == {*graph.entities}


def test_the_folder_does_not_depend_on_the_order_of_lines(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = build(tmp_path / "one"), build(tmp_path / "two", [*CAPITALS[::-1], CAPITALS[0]])
    assert one.fingerprint == two.fingerprint
    assert two.info["dropped"] == {"train": {"duplicate": 1}}


def test_triples_are_sorted_however_large_the_numbers(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 50, (3, 500)).astype(np.int32)
    from nlptool.knowledge import build as module

    packed = module._sorted(*rows)
    assert packed.T.tolist() == sorted(
        {tuple(row) for row in rows.T.tolist()} and map(list, {tuple(r) for r in rows.T.tolist()})
    )
    rows[:, 0] = 2**31 - 1  # three such numbers do not fit into one of 64 bits
    assert module._sorted(*rows).T.tolist() == sorted(map(list, {tuple(r) for r in rows.T.tolist()}))


def test_loops_go_unless_they_are_kept(tmp_path):
    rows = [*CAPITALS, ("Paris", "part of", "Paris")]
    for folder, keep in (("a", False), ("b", True)):
        (tmp_path / folder).mkdir()
        graph = build(tmp_path / folder, rows, keep_loops=keep)
        assert graph.counts["train"] == 4 + keep
        assert graph.info["dropped"] == ({} if keep else {"train": {"loop": 1}})


def test_pairs_leave_with_all_their_triples_and_with_entities_that_have_no_other(tmp_path):
    builder = GraphBuilder()
    builder.add(columns([*CAPITALS, ("France", "borders", "Paris"), ("서울", "borders", "Paris")]))
    builder.add(columns([("Paris", "capital of", "서울"), ("Paris", "part of", "France")]), "validation")
    builder.without(pairs_of([("France", "Paris"), ("Paris", "France"), ("Nauru", "Atlantis")]))
    builder.write(tmp_path)
    graph = Graph(tmp_path)
    assert graph.entities.find("France") is None
    assert named(graph, "validation") == [("Paris", "capital of", "서울")]
    assert graph.info["pairs_without"] == 2
    assert graph.info["dropped"] == {
        "train": {"between a pair to be left out": 3},
        "validation": {"between a pair to be left out": 1},
    }


def test_a_test_triple_of_an_entity_that_is_not_trained_is_left_out_and_counted(tmp_path):
    builder = GraphBuilder()
    builder.add(columns(CAPITALS))
    builder.add(
        columns([("Paris", "part of", "Oceania"), ("Paris", "part of", "Mars"), ("Paris", "x", "France")]),
        "test",
    )
    builder.write(tmp_path)
    assert named(Graph(tmp_path), "test") == [("Paris", "part of", "Oceania")]
    assert Graph(tmp_path).info["dropped"]["test"] == {
        "of an entity or relation without a training triple": 2
    }


def test_merging_exchanges_ends_and_knows_relations_in_any_case(tmp_path):
    builder = GraphBuilder(merge_table(CONCEPTNET))
    builder.add(columns([("car", "HasA", "wheel"), ("rod", "PartOf", "wheel"), ("a", "InheritsFrom", "b")]))
    builder.write(tmp_path)
    graph = Graph(tmp_path)
    assert named(graph) == [("rod", "partof", "wheel"), ("wheel", "partof", "car")]
    assert graph.info["dropped"] == {"train": {"of a relation in no group": 1}}
    assert len(CONCEPTNET) == 17


@pytest.mark.skipif(not CONCEPTNET_100K.exists(), reason="the data set is not here")
def test_conceptnet_100k_has_the_triples_that_kagnets_merge_leaves(tmp_path):
    builder = GraphBuilder(merge_table(CONCEPTNET), keep_loops=True, letters_only=True)
    with gzip.open(CONCEPTNET_100K) as file:
        for part in readers.read_tsv(file, ("relation", "head", "tail")):
            builder.add(part)
    facts = builder.write(tmp_path)
    dropped = facts["dropped"]["train"]
    assert dropped["of an entity with other characters than letters"] == 1_290
    assert facts["triples"]["train"] + dropped["duplicate"] == 97_867
    assert facts["entities"] == 75_920


def test_columns_may_stand_in_any_order():
    assert read("r\th\tt\n", columns=("relation", "head", "tail")) == [Columns(["h"], ["r"], ["t"])]


@pytest.mark.parametrize("text", ["\ufeffa\tr\tb\r\nc\tr\td\r\n", "a\tr\tb\nc\tr\td", "a\tr\tb\n\nc\tr\td\n"])
def test_marks_line_ends_and_blank_lines_are_taken_as_they_come(text):
    assert read(text) == [Columns(["a", "c"], ["r", "r"], ["b", "d"])]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a\tb", "not three fields"),
        ("a\tb\tc\td", "not three fields"),
        ("a\t\tc", "empty field"),
        ("a\t \tc", "empty field"),
    ],
)
def test_a_line_that_is_no_triple_is_told_with_its_number_and_costs_no_other(line, reason):
    for rows in ([f"a\tr\tb\n{line}\nc\tr\td\n"], [f"a\tr\tb\n{line}\nc\tr\td\ne\tf"]):
        bad, *_ = found = [one for one in read(rows[0]) if isinstance(one, BadRecord)]
        assert (bad.line, bad.reason) == (2, reason)
        (whole,) = [one for one in read(rows[0]) if isinstance(one, Columns)]
        assert whole == Columns(["a", "c"], ["r", "r"], ["b", "d"])
        assert len(found) == 1 + rows[0].endswith("e\tf")


def test_what_is_no_utf8_is_told_with_its_line():
    (bad, whole) = readers.read_tsv(io.BytesIO(b"a\tr\tb\n\xff\tr\tb\n"))
    assert (bad.line, bad.reason, whole) == (2, "invalid UTF-8", Columns(["a"], ["r"], ["b"]))


def test_a_line_without_end_is_told_and_not_held(monkeypatch):
    monkeypatch.setattr(readers, "PIECE", 64)
    text = b"a\tb\tc\n" + b"x" * 500 + b"\n" + b"d\te\tf\n" * 20
    found = list(readers.read_tsv(io.BytesIO(text)))
    bad = [one for one in found if isinstance(one, BadRecord)]
    assert (bad[0].line, bad[0].reason) == (2, "overlong line")
    assert sum(len(one.heads) for one in found if isinstance(one, Columns)) == 20


def test_conceptnets_assertions_lose_prefix_class_of_word_and_other_languages():
    text = (
        "/a/x\t/r/IsA\t/c/en/hot_dog/n\t/c/en/food\t{}\n/a/x\t/r/IsA\t/c/ko/개\t/c/en/dog\t{}\n"
        "/a/x\t/r/IsA\t/c/ko/개/n\t/c/ko/동물\t{}\nshort\n"
    )
    bad, found = readers.read_conceptnet(io.BytesIO(text.encode()), "en")
    assert found == Columns(["hot dog"], ["IsA"], ["food"])
    assert bad.line == 4
    *_, found = readers.read_conceptnet(io.BytesIO(text.encode()), "ko")
    assert found == Columns(["개"], ["IsA"], ["동물"])


def test_json_lines_hold_triples_anywhere():
    text = (
        '{"triple": ["Q1", "P2", "Q3"]}\n{"triple": ["Q1", "P2"]}\n{"triple": ["Q1", 7, "a\\nb"]}\n'
        '{"triple": ["\\ud800", "r", "t"]}\n{\n'
    )
    *bad, found = readers.read_jsonl(io.BytesIO(text.encode()), ("triple.0", "triple.1", "triple.2"))
    assert found == Columns(["Q1"], ["P2"], ["Q3"])
    assert [(one.line, one.reason) for one in bad] == [
        (2, "no field"), (3, "line end in a name"), (4, "half a character"), (5, "broken JSON"),
    ]  # fmt: skip


def openke(text: str) -> list[Columns | BadRecord]:
    return list(readers.read_openke(io.BytesIO(text.encode()), ["a", "b"], ["r"]))


def test_openkes_columns_are_head_tail_relation():
    assert openke("2\n0 1 0\n1\t0\t0\n") == [Columns(["a", "b"], ["r", "r"], ["b", "a"])]
    names, bad = readers.read_openke_names(io.BytesIO("2\n서울 시\t1\nB\t0\n".encode()))
    assert (names, bad) == (["B", "서울 시"], None)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("3\n0 1 0\n", 1, "false count"),
        ("1\n0 2 0\n", 2, "number beyond the count"),
        ("1\n0 1 1\n", 2, "number beyond the count"),
        ("0 1 0\n", 1, "false count"),
        ("1\n0 x 0\n", 2, "not three numbers"),
    ],
)
def test_openkes_files_that_lie_are_told(text, line, reason):
    (bad,) = [one for one in openke(text) if isinstance(one, BadRecord)]
    assert (bad.line, bad.reason) == (line, reason)


@pytest.mark.parametrize("text", ["3\na\t0\n", "1\na\t1\n", "2\na\t0\nb\t0\n", "1\na\n", "a\t0\n"])
def test_openkes_names_that_lie_are_told(text):
    names, bad = readers.read_openke_names(io.BytesIO(text.encode()))
    assert names == []
    assert bad is not None


def test_labels_are_of_entities_that_there_are_and_the_first_given_is_first(tmp_path):
    builder = GraphBuilder()
    builder.add(columns([("Q1", "P", "Q2"), ("Q3", "P", "Q2")]))
    facts = builder.write(
        tmp_path, [("Q3", "c"), ("Q1", "z"), ("Q1", "a"), ("Q1", "z"), ("Q9", "x"), ("Q2", " ")]
    )
    graph = Graph(tmp_path)
    assert (graph.labels.of(0), graph.labels.of(1), graph.label(0), graph.label(1)) == (
        ["z", "a"],
        [],
        "z",
        "Q2",
    )
    assert (len(graph.labels), facts["labels_of_others"]) == (3, 1)


def test_a_graph_that_is_not_what_was_written_is_refused(tmp_path):
    graph = build(tmp_path)
    with pytest.raises(DataError, match="another graph"):
        graph.require("0" * 64, "tokens")
    (tmp_path / "entities.txt").write_bytes(b"x")
    with pytest.raises(DataError, match=r"entities\.txt"):
        Graph(tmp_path)
    with pytest.raises(DataError, match="is not a knowledge graph"):
        Graph(tmp_path / "none")
    with pytest.raises(DataError, match="no training triple"):
        GraphBuilder().write(tmp_path)


def vectors(folder: Path, graph: Graph, entities: np.ndarray, fingerprint: str | None = None) -> None:
    folder.mkdir(exist_ok=True)
    relations = np.zeros((len(graph.relations), entities.shape[1]), np.float32)
    save_file({"entity.weight": entities, "relation.weight": relations}, folder / "model.safetensors")
    write_json(folder / "config.json", {"graph_fingerprint": fingerprint or graph.fingerprint})


def test_vectors_are_mapped_and_those_that_do_not_fit_are_refused(tmp_path):
    (tmp_path / "graph").mkdir()
    graph, final = build(tmp_path / "graph"), tmp_path / "final"
    table = np.random.default_rng(0).random((6, 5), np.float32)
    vectors(final, graph, table)
    found = EntityEmbeddings(final, graph)
    assert (found.width, found.entities.tolist()) == (5, table.tolist())
    assert not found.entities.flags.owndata
    assert not found.entities.flags.writeable
    vectors(final, graph, table[:5])
    with pytest.raises(DataError, match=r"\[5, 5\], not float32 \[6"):
        EntityEmbeddings(final, graph)
    vectors(final, graph, np.where(table == table[3, 2], np.nan, table))
    with pytest.raises(DataError, match="NaN or infinity in row 3"):
        EntityEmbeddings(final, graph)
    vectors(final, graph, table, "f" * 64)
    with pytest.raises(DataError, match="another graph"):
        EntityEmbeddings(final, graph)
    (final / "model.safetensors").rename(final / "model.pt")
    with pytest.raises(DataError, match="is a pickle"):
        EntityEmbeddings(final, graph)
