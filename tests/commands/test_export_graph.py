"""`nlptool export GRAPH`: OpenKE's files give the same graph again, and PyKEEN reads its own."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from nlptool.cli import main
from nlptool.knowledge.build import GraphBuilder
from nlptool.knowledge.graph import SPLITS, Graph
from nlptool.knowledge.readers import Columns

TRIPLES = {
    "train": [
        ("Paris", "capital of", "France"),
        ("서울", "capital of", "한국"),
        ('said "so"', "near", "서울"),
        ("New York", "near", "Paris"),
        ("a\u00a0b 🙂", "near", "한국"),
    ],
    "validation": [("Paris", "near", "New York")],
    "test": [("France", "near", "한국")],
}


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Graph:
    """A small graph, `graph`, and vectors of it, `vectors`."""
    monkeypatch.chdir(tmp_path)
    builder = GraphBuilder()
    for split, rows in TRIPLES.items():
        builder.add(Columns(*map(list, zip(*rows, strict=True))), split)
    Path("graph").mkdir()
    builder.write(Path("graph"))
    found = Graph(Path("graph"))
    chance = np.random.default_rng(0)
    tables = {
        "entity.weight": chance.normal(size=(len(found.entities), 5)).astype(np.float32),
        "relation.weight": chance.normal(size=(len(found.relations), 5)).astype(np.float32),
    }
    Path("vectors").mkdir()
    save_file(tables, "vectors/model.safetensors")
    Path("vectors/config.json").write_text(json.dumps({"graph_fingerprint": found.fingerprint, "norm": 1}))
    return found


def export(*arguments: str) -> int:
    return main(["export", "graph", *arguments])


def test_openkes_files_are_the_same_graph_when_they_are_read(graph: Graph, capsys):
    assert export("--to", "openke", "--vectors", "vectors", "--out", "out", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["train"], told["validation"], told["vectors"]) == (5, 1, 5)
    Path("r.yaml").write_text("source: {files: out, format: openke}\nout: again\n")
    assert main(["knowledge", "r.yaml"]) == 0
    assert Graph(Path("again")).fingerprint == graph.fingerprint
    vectors = np.loadtxt("out/entity2vec.vec", np.float32, delimiter="\t")
    from nlptool.knowledge.embeddings import EntityEmbeddings

    assert np.array_equal(vectors, EntityEmbeddings(Path("vectors")).entities)


def test_pykeens_files_hold_its_triples_and_vectors(graph: Graph):
    assert export("--to", "pykeen", "--vectors", "vectors", "--out", "out") == 0
    assert np.load("out/relation_vectors.npy").shape == (2, 5)
    factories = pytest.importorskip("pykeen.triples")
    for split in SPLITS:
        found = factories.TriplesFactory.from_path_binary(f"out/{split}")
        assert {tuple(row) for row in found.triples.tolist()} == set(TRIPLES[split])
        assert (found.num_entities, found.num_relations) == (len(graph.entities), 2)
        assert found.entity_to_id["서울"] == graph.entities.find("서울")


def test_a_name_that_pandas_takes_for_no_value_is_told(graph: Graph, capsys):
    builder = GraphBuilder()
    builder.add(Columns(["NA", "b"], ["r", "r"], ["b", "c"]))
    Path("other").mkdir()
    builder.write(Path("other"))
    assert main(["export", "other", "--to", "pykeen"]) == 0
    assert "'NA': pandas takes such a name for no value" in capsys.readouterr().err
    assert Path("other-pykeen/train/entity_to_id.tsv.gz").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["graph", "--to", "openke", "--license", "mit"], 2, "--license has no effect"),
        (["graph", "--to", "pykeen", "--push-to-hub", "a/b"], 2, "--push-to-hub has no effect"),
        (["graph", "--to", "onnx", "--vectors", "vectors"], 2, "--vectors has no effect"),
        (["vectors", "--to", "openke"], 3, "is not a knowledge graph"),
        (["graph", "--to", "openke", "--vectors", "graph"], 3, "holds no embeddings"),
        (["graph", "--to", "openke", "--out", "graph"], 2, "graph"),
    ],
)
def test_what_cannot_be_exported_is_one_clear_line(
    arguments: list[str], code: int, told: str, graph: Graph, capsys
):
    assert main(["export", *arguments]) == code
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert Graph(Path("graph")).fingerprint == graph.fingerprint


@pytest.mark.parametrize("form", ["openke", "pykeen"])
def test_an_export_replaces_an_earlier_one_and_nothing_else(graph: Graph, form: str, capsys):
    again = ("--to", form, "--vectors", "vectors", "--out", "out", "--overwrite")
    assert export(*again[:-1]) == 0
    assert export(*again) == 0
    Path("out/mine.txt").write_text("mine")
    assert export(*again) == 2
    assert "holds what this command has not written (mine.txt)" in capsys.readouterr().err
    assert Path("out/mine.txt").read_text() == "mine"
