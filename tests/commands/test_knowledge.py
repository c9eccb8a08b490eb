"""`nlptool knowledge`: input files and messages."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from nlptool.cli import main
from nlptool.knowledge.graph import Graph

ROWS = "서울\tcapital of\t대한민국\nParis\tcapital of\tFrance\nParis\tpart of\tFrance\n프랑스 🥐\tborders\tSpain\n"


@pytest.fixture
def recipe(tmp_path: Path):
    def write(text: str, **files: str) -> str:
        for name, content in files.items():
            (tmp_path / f"{name}.tsv").write_text(content, "utf8")
        path = tmp_path / "recipe.yaml"
        path.write_text(text.replace("HERE", str(tmp_path)) + f"\nout: {tmp_path}/graph\n", "utf8")
        return str(path)

    return write


def graph_of(recipe: str, *changes: str) -> Graph:
    assert main(["knowledge", recipe, *changes]) == 0
    return Graph(Path(recipe).parent / "graph")


def test_files_of_splits_become_a_graph_and_the_figures_are_told(recipe, tmp_path, capsys):
    text = "source: {files: HERE/train.tsv, validation: HERE/valid.tsv}\nlabels: HERE/names.tsv"
    made = recipe(text, train=ROWS * 2, valid="Paris\tborders\tSpain\n", names="Paris\t파리\nParis\tParis\n")
    assert main(["knowledge", made, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["triples"] == {"train": 4, "validation": 1, "test": 0}
    assert told["dropped"] == {"train": {"duplicate": 4}}
    assert Graph(tmp_path / "graph").labels.of(Graph(tmp_path / "graph").entities.find("Paris")) == [
        "파리",
        "Paris",
    ]
    assert main(["knowledge", made]) == 2
    assert main(["knowledge", made, "--resume", "auto"]) == 0
    assert "is finished" in capsys.readouterr().err
    assert main(["knowledge", made, "loops=keep", "--resume", "auto"]) != 0
    assert main(["knowledge", made, "--overwrite"]) == 0
    assert not list(tmp_path.glob(".graph*"))


def test_a_dry_run_writes_nothing(recipe, tmp_path, capsys):
    made = recipe("source: {files: HERE/train.tsv}", train=ROWS)
    assert main(["knowledge", made, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == len(ROWS.encode())
    assert not (tmp_path / "graph").exists()


def test_compressed_files_json_lines_and_own_groups_of_relations(recipe, tmp_path):
    rows = ["서울 capital_of 대한민국", "France has_capital Paris", "Paris near 서울", "a b c"]
    (tmp_path / "rows.jsonl.gz").write_bytes(
        gzip.compress("\n".join(json.dumps({"triple": row.split()}) for row in rows).encode())
    )
    made = recipe(
        "source: {files: HERE/rows.jsonl.gz, fields: [triple.0, triple.1, triple.2]}\n"
        "relations: {merge: {capital: [capital_of, '*has_capital'], near: [near]}, drop: [near]}"
    )
    graph = graph_of(made)
    assert list(graph.relations) == ["capital"]
    assert list(graph.entities) == ["France", "Paris", "대한민국", "서울"]
    assert graph.info["dropped"]["train"] == {
        "of a relation in no group": 1,
        "of a relation that is left out": 1,
    }


def test_openkes_folder_is_read_with_its_splits(recipe, tmp_path):
    folder = tmp_path / "openke"
    folder.mkdir()
    files = {"entity2id": "2\na\t0\nb\t1\n", "relation2id": "1\nr\t0\n", "train2id": "2\n0 1 0\n1 0 0\n"}
    for name, text in (files | {"test2id": "1\n0 1 0\n"}).items():
        (folder / f"{name}.txt").write_text(text)
    made = recipe("source: {files: HERE/openke, format: openke}")
    graph = graph_of(made)
    assert graph.counts == {"entities": 2, "relations": 1, "train": 2, "validation": 0, "test": 1}
    (folder / "train2id.txt").write_text("3\n0 1 0\n")
    assert main(["knowledge", made, "--overwrite"]) == 3
    assert len(graph_of(made, "source.on_error=drop", "--overwrite").triples()) == 1
    (folder / "train2id.txt").unlink()
    assert main(["knowledge", made, "--overwrite"]) == 3


def test_a_line_that_is_no_triple_stops_with_its_place_or_is_counted(recipe, tmp_path, capsys):
    made = recipe("source: {files: HERE/train.tsv}", train=ROWS + "one\ttwo\n")
    assert main(["knowledge", made]) == 3
    told = capsys.readouterr().err
    assert "train.tsv:5: 2 fields; three are expected" in told
    assert "source.on_error=drop" in told
    assert not (tmp_path / "graph").exists()
    assert graph_of(made, "source.on_error=drop").info["dropped"] == {"train": {"not three fields": 1}}


def test_pairs_of_a_task_leave_the_graph(recipe, tmp_path):
    (tmp_path / "task.jsonl").write_text(json.dumps({"triple": ["France", "P1", "Paris"]}) + "\n")
    made = recipe(
        "source: {files: HERE/train.tsv}\nwithout: [{files: HERE/task.jsonl, head: triple.0, tail: triple.2}]",
        train=ROWS,
    )
    graph = graph_of(made)
    assert graph.info["dropped"] == {"train": {"between a pair to be left out": 2}}
    assert graph.entities.find("France") is None
    (tmp_path / "task.jsonl").write_text('{"other": 1}\n')
    assert main(["knowledge", made, "--overwrite"]) == 3
    assert len(Graph(tmp_path / "graph").triples()) == 2  # a fault replaces nothing


def test_shares_are_set_aside_and_leave_no_entity_untrained(recipe):
    rows = "".join(f"e{n % 20}\tr{n % 3}\te{(7 * n + 3) % 20}\n" for n in range(60))
    graph = graph_of(
        recipe(
            "source: {files: HERE/train.tsv}\nsplit: {validation: 0.2, test: 0.2}\nloops: keep", train=rows
        )
    )
    sizes = graph.counts
    assert sizes["train"] + sizes["validation"] + sizes["test"] == 60
    assert min(sizes["validation"], sizes["test"]) > 2
    train = graph.triples()
    assert {*train.heads, *train.tails} == {*range(20)}


def test_countryinfo_is_a_graph_with_labels(recipe):
    pytest.importorskip("countryinfo")
    graph = graph_of(recipe("source: {package: countryinfo}"))
    korea = graph.entities.find("country:KOR")
    assert {"South Korea", "대한민국", "South Korean"} <= {*graph.labels.of(korea)}
    assert graph.label(graph.entities.find("city:Seoul")) == "Seoul"
    assert graph.label(graph.entities.find("language:to")) == "Tongan"
    assert not [text for text in graph.labels.texts if text.islower() and text.isascii()]  # "is", "to", "my"
    assert graph.info["dropped"] == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source: {}", "give either files or package"),
        ("source: {files: a, columns: [head, head, tail]}", "each once"),
        ("source: {files: a}\nrelations: {merge: {x: [a], y: [A]}}", "in two groups"),
        ("source: {files: a, format: tsv, language: ko}", "has no effect"),
        ("source: {files: a, validation: b}\nsplit: {test: 0.1}", "set aside already"),
        ("source: {package: countryinfo, validation: b}", "belong to files"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_before_anything_is_read(recipe, text, told, capsys):
    assert main(["knowledge", recipe(text)]) == 2
    assert told in capsys.readouterr().err


QUESTIONS = (
    "\nquestions: {templates: {r0: 'Where is {head}?', r1: 'Whose is {head}?'}, share: 0.4, choices: 4}"
)


def test_questions_are_asked_of_triples_that_leave_the_graph(recipe, tmp_path, capsys):
    rng = np.random.default_rng(1)
    rows = [(f"e{a}", f"r{b}", f"e{c}") for a, b, c in rng.integers((40, 3, 40), size=(200, 3)).tolist()]
    text = "source: {files: HERE/train.tsv}\nlabels: HERE/names.tsv" + QUESTIONS
    made = recipe(text, train="".join("\t".join(row) + "\n" for row in rows), names="e1\t서울\ne1\tSeoul\n")
    graph = graph_of(made)
    known = {(graph.entities[h], graph.entities[t]) for h, _, t in zip(*graph.triples(), strict=True)}
    true = {(head, relation, tail) for head, relation, tail in rows if head != tail}
    assert set(graph.entities) == {end for head, _, tail in true for end in (head, tail)}
    called = {name: "서울" if name == "e1" else name for name in graph.entities}
    named = {label: name for name, label in called.items()}
    asked = []
    for split in ("train", "validation"):
        lines = (tmp_path / f"graph/questions/{split}.jsonl").read_text("utf8").splitlines()
        assert len(lines) == graph.info["questions"][split] > 0
        asked += map(json.loads, lines)
    pairs = [frozenset((row["head"], row["tail"])) for row in asked]
    assert len(set(pairs)) == len(pairs)
    for row in asked:
        assert (row["head"], row["relation"], row["tail"]) in true
        assert not {(row["head"], row["tail"]), (row["tail"], row["head"])} & known
        assert (
            row["question"] == {"r0": "Where", "r1": "Whose"}[row["relation"]] + f" is {called[row['head']]}?"
        )
        right = [(row["head"], row["relation"], named[choice]) in true for choice in row["choices"]]
        assert [place for place, is_right in enumerate(right) if is_right] == [row["label"]]
        assert len(set(row["choices"])) == 4
    assert any("서울" in row["choices"] for row in asked)
    first = graph.fingerprint
    assert main(["knowledge", made, "--overwrite"]) == 0
    assert Graph(tmp_path / "graph").fingerprint == first


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ("questions.templates.r9=Who is {head}?", 3, "the graph has no relation 'r9'"),
        ("questions.templates.r0=Who is it?", 2, "no {head}"),
        ("questions.share=0.001", 3, "0 questions can be made"),
        ("questions.choices=20", 3, "tails, and a question has 20 choices"),
    ],
)
def test_questions_that_cannot_be_asked_are_told(recipe, tmp_path, capsys, change, code, told):
    rng = np.random.default_rng(1)
    rows = [f"e{a}\tr{b}\te{c}\n" for a, b, c in rng.integers((9, 3, 9), size=(60, 3)).tolist()]
    made = recipe("source: {files: HERE/train.tsv}" + QUESTIONS, train="".join(rows))
    assert main(["knowledge", made, change]) == code
    assert told in capsys.readouterr().err
    assert not (tmp_path / "graph").exists()


def test_vectors_are_evaluated_on_the_triples_of_a_graph(recipe, tmp_path, capsys):
    rows = {"train": "a\tnext\tb\nb\tnext\tc\nd\tnext\te\nc\tskip\te\n", "test": "c\tnext\td\n"}
    graph = graph_of(recipe("source: {files: HERE/train.tsv, test: HERE/test.tsv}", **rows))
    places = np.arange(5, dtype=np.float32)[:, None]
    places[4] = (
        2.5  # as c + next = 3 is nearer to d, at 3, than to e, and d - next to c, at 2: both ranks are 1
    )
    tables = {"entity.weight": places, "relation.weight": np.array([[1.0], [2.0]], np.float32)}
    (tmp_path / "vectors").mkdir()
    save_file(tables, tmp_path / "vectors/model.safetensors")
    config = {"graph_fingerprint": graph.fingerprint, "norm": 1}
    (tmp_path / "vectors/config.json").write_text(json.dumps(config))
    asked = ["evaluate", str(tmp_path / "vectors"), "--graph", str(tmp_path / "graph")]
    capsys.readouterr()
    assert main([*asked, "--split", "test", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["figures"]["mrr"] == found["figures"]["hits_at_1"] == 1
    places[3] = 2.4  # now e is nearer to 3, and b to 1.4
    save_file(tables, tmp_path / "vectors/model.safetensors")
    assert main([*asked, "--split", "test", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["figures"]["mean_rank"] == 2
    assert main(asked) == 3
    assert "has no validation triples" in capsys.readouterr().err
    assert main([*asked, "--split", "dev"]) == 2
    assert main([*asked, "--task", "glue/sst2"]) == 2
