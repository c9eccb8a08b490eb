"""KagNet from the command line: training, messages, records and refusals."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from kinds.kagnet import TRIPLES, graph
from safetensors.numpy import load_file, save_file

from nlptool.cli import main
from nlptool.errors import DataError
from nlptool.knowledge.schema_graphs import SchemaGraphStore
from nlptool.report import drawing, explanations, runs
from nlptool.tasks.kagnet import linear_probe
from nlptool.tasks.kagnet.config import Config
from nlptool.tasks.task_record import TaskRecord, read_task_record

JOINED = {(a, b) for a, _, b in TRIPLES} | {(b, a) for a, _, b in TRIPLES}
NAMES = sorted({end for pair in JOINED for end in pair})


def rows(number: int, seed: int) -> list[dict]:
    """Which of three is joined to a word by an edge? The text alone does not tell."""
    rng, made = np.random.default_rng(seed), []
    while len(made) < number:
        asked = str(rng.choice(NAMES))
        near = [name for name in NAMES if (asked, name) in JOINED]
        far = [name for name in NAMES if name != asked and name not in near]
        if len(far) < 2:
            continue
        choices = [str(rng.choice(near)), *map(str, rng.choice(far, 2, replace=False))]
        order = rng.permutation(3)
        texts = [choices[place] for place in order]
        made.append(
            {"question": f"What is at the {asked}?", "choices": texts, "label": int(np.argmin(order))}
        )
    return made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph with embeddings, and rows."""
    folder = tmp_path_factory.mktemp("kagnet")
    graph(folder)
    (folder / "data").mkdir()
    for split, number, seed in (("train", 120, 0), ("validation", 40, 1)):
        lines = (json.dumps(row) + "\n" for row in rows(number, seed))
        (folder / "data" / f"{split}.jsonl").write_text("".join(lines))
    return folder


def tune(world: Path, run: Path, tiny_run: Path, *arguments: str) -> int:
    recipe = {
        "task": {
            "name": "kagnet",
            "inputs": ["question"],
            "choices": ["choices"],
            "labels": ["A", "B", "C"],
            "graph": str(world / "graph"),
            "entity_embeddings": str(world / "vectors"),
            "grounding": {"language": None},
            "paths": {"threshold": None},
            "network": {"gcn": [8], "path_size": 16, "pair_size": 16},
        },
        "data": str(world / "data"),
        "init_from": f"{tiny_run}/final",
        "train": {"epochs": 12, "batch_size": 20, "sequence_length": 32, "lr": 2e-2},
        "out": str(run),
    }
    run.parent.mkdir(exist_ok=True)
    (run.parent / "recipe.yaml").write_text(json.dumps(recipe))
    return main(["finetune", str(run.parent / "recipe.yaml"), *arguments])


@pytest.fixture(scope="module")
def done(world: Path, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("done") / "run"
    assert tune(world, run, tiny_run, "evaluate.every=24") == 0
    return run


def said(run: Path) -> list[dict]:
    return [
        json.loads(line) for line in (run / "seed-0/predictions/validation.jsonl").read_text().splitlines()
    ]


def test_what_only_the_graph_tells_is_learnt_and_the_statement_alone_does_not_tell_it(done: Path):
    told = json.loads((done / "scores.json").read_text())
    assert told["baseline_name"] == "statement alone"
    assert told["mean"]["accuracy"] > 0.9 > 0.75 > told["baseline"]["accuracy"]


def test_an_answer_comes_with_the_paths_it_rests_on(done: Path):
    answers = said(done)
    assert len(answers) == 40
    for answer in answers:
        assert set(answer["paths"]) == {"A", "B", "C"}
        for paths in answer["paths"].values():
            assert all(0 <= path["attention"] <= 1 for path in paths)
            assert sum(path["attention"] for path in paths) <= 1.00001
    right = [answer["paths"][answer["label"]][0]["path"] for answer in answers]
    shown = {f"{a} —{r}→ {b}" for a, r, b in TRIPLES} | {f"{b} ←{r}— {a}" for a, r, b in TRIPLES}
    assert len({*right} & shown) > 8


def test_a_model_is_asked_from_anywhere_and_says_what_its_answers_rest_on(
    done: Path, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    model = str(done / "seed-0/final")
    texts = ["--text", "What is at the bell?", "--text", "stone", "--text", "town", "--text", "river"]
    assert main(["predict", model, *texts, "--explain", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["statements"]["A"] == "What is at the bell? stone"
    assert "bell —madeof→ stone" in [one["path"] for one in answer["paths"]["A"]]
    assert main(["predict", model, *texts, "--explain"]) == 0
    assert "bell —madeof→ stone" in capsys.readouterr().out
    assert main(["predict", model, *texts, "--json"]) == 0
    assert "paths" not in json.loads(capsys.readouterr().out)


def test_the_folders_of_a_task_are_found_where_a_model_was_moved_with_them(
    world: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("graph", "vectors"):
        shutil.copytree(world / name, tmp_path / "old" / name)
    (tmp_path / "old/run/final").mkdir(parents=True)
    task = task_of_model("old/graph", "old/vectors")
    TaskRecord(task, 32, 8).write(tmp_path / "old/run/final")
    (tmp_path / "old").rename(tmp_path / "new")
    final = tmp_path / "new/run/final"
    record = read_task_record(final)
    assert record is not None
    found = record.located(final, "MODEL")
    assert Path(found.graph) == tmp_path / "new/graph"
    assert found.schema_graphs is None
    with pytest.raises(
        DataError, match=r"other: is not the entity_embeddings that MODEL was fine-tuned with"
    ):
        (tmp_path / "other").mkdir()
        save_file({"entity.weight": np.zeros((1, 1), np.float32)}, tmp_path / "other/model.safetensors")
        record.require_same(task_of_model("new/graph", "other"), "MODEL")
    shutil.rmtree(tmp_path / "new/graph")
    with pytest.raises(
        DataError, match=r"MODEL: the task reads graph, which is not at .*new/graph, nor at old/graph"
    ):
        record.located(final, "MODEL")


def task_of_model(graph: str, vectors: str) -> Config:
    return Config(
        inputs=("question",),
        choices=("choices",),
        labels=("A", "B"),
        graph=graph,
        entity_embeddings=vectors,
        schema_graphs="shelf",
    )


def test_a_report_shows_the_paths_that_answers_rest_on(done: Path):
    run = runs.read(done / "seed-0", "run")
    rows = explanations.rows(run)
    assert 1 <= len(rows) <= 2 * explanations.EACH
    look = drawing.Style.of(["run"], explanations.texts(rows[0]))
    picture = drawing.svg(explanations.draw(rows[0], look), look, letters=True)
    best = rows[0]["paths"][rows[0]["prediction"]][0]["path"]
    assert best in picture
    assert "right, answered" in picture


def test_a_run_that_goes_on_gives_the_same_bits(world: Path, done: Path, tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(done, run)
    seed = run / "seed-0"
    for name in ("final", "predictions"):
        shutil.rmtree(seed / name)
    (seed / "scores.json").unlink()
    (last,) = (seed / "checkpoints").iterdir()
    whole = (last / "model.safetensors").read_bytes()
    shutil.rmtree(last)
    shutil.rmtree(run / "rows")  # and rows that are made anew, with their graphs and vectors, are the same
    assert tune(world, run, tiny_run, "evaluate.every=24", "--resume", "auto") == 0
    assert (last / "model.safetensors").read_bytes() == whole
    assert said(run) == said(done)


def test_a_frozen_encoder_stays_as_it_was_and_is_exported(done: Path, tiny_run: Path):
    before = load_file(tiny_run / "final/model.safetensors")
    after = load_file(done / "seed-0/final/model.safetensors")
    shared = [name for name in after if name in before and "pooler" not in name]
    assert len(shared) > 10
    assert all(np.array_equal(after[name], before[name]) for name in shared)
    assert any(name.startswith("nlptool.kagnet.") for name in after)


def test_portions_on_a_shelf_are_used_again(world: Path, tiny_run: Path, tmp_path: Path, monkeypatch, capsys):
    from nlptool.knowledge import schema_graphs

    monkeypatch.setattr(schema_graphs, "AT_ONCE", 100)
    shelf = [f"task.schema_graphs={tmp_path}/shelf", "train.steps=1"]
    assert tune(world, tmp_path / "one/run", tiny_run, *shelf) == 0
    kept = sorted((tmp_path / "shelf").iterdir())
    assert len(kept) == 4 + 2  # 360 and 120 statements
    kept[0].write_bytes(b"cut off")
    kept[1].unlink()

    def refuse(self, texts):
        made.append(len(texts))
        return plain(self, texts)

    made: list[int] = []
    plain = schema_graphs.SchemaGraphBuilder.__call__
    monkeypatch.setattr(schema_graphs.SchemaGraphBuilder, "__call__", refuse)
    assert tune(world, tmp_path / "two/run", tiny_run, *shelf) == 0
    assert len(made) == 2
    told = f"{kept[0]}: schema graphs that are not as they were written; they are made anew"
    assert told in capsys.readouterr().err
    one, two = (tmp_path / name / "run/rows/train.schema/paths" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert SchemaGraphStore(tmp_path / "two/run/rows/train", 2).counts[:, 4].sum() > 0


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (["task.graph=/nowhere"], 3, "/nowhere: is not a knowledge graph"),
        (["task.entity_embeddings=/nowhere"], 3, "/nowhere: holds no embeddings"),
        (["task.grounding.language=xx"], 2, "simplemma has no lemmas of 'xx'"),
        (["task.paths.quantile=0.2", "task.paths.threshold=0.1"], 2, "either threshold or quantile"),
        (["task.paths.hops=9"], 2, "task.paths.hops"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_line(
    change: list[str], code: int, told: str, world: Path, tiny_run: Path, tmp_path: Path, capsys
):
    assert tune(world, tmp_path / "run", tiny_run, *change) == code
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run" / "rows").exists()


def test_rows_of_another_graph_or_other_embeddings_are_refused(
    world: Path, done: Path, tiny_run: Path, tmp_path: Path, capsys
):
    tables = load_file(world / "vectors/model.safetensors")
    shutil.copytree(done, tmp_path / "again")
    save_file({name: table + 1 for name, table in tables.items()}, world / "vectors/model.safetensors")
    try:
        assert tune(world, tmp_path / "again", tiny_run, "evaluate.every=24", "--resume", "auto") == 3
        assert "was made with other embeddings than" in capsys.readouterr().err
    finally:
        save_file(tables, world / "vectors/model.safetensors")
    shutil.move(world / "graph", tmp_path / "kept")
    graph(tmp_path / "other", triples=TRIPLES[:-1])
    try:
        shutil.copytree(tmp_path / "other/graph", world / "graph")
        shutil.move(world / "vectors", tmp_path / "kept-vectors")
        shutil.copytree(tmp_path / "other/vectors", world / "vectors")
        assert tune(world, tmp_path / "again", tiny_run, "evaluate.every=24", "--resume", "auto") == 3
        assert "was made with another graph than" in capsys.readouterr().err
    finally:
        for name, kept in (("graph", "kept"), ("vectors", "kept-vectors")):
            shutil.rmtree(world / name)
            shutil.move(tmp_path / kept, world / name)


def test_embeddings_with_a_row_that_is_no_number_are_refused(
    world: Path, tiny_run: Path, tmp_path: Path, capsys
):
    vectors = tmp_path / "vectors"
    shutil.copytree(world / "vectors", vectors)
    tables = load_file(vectors / "model.safetensors")
    tables["entity.weight"][3, 1] = np.nan
    save_file(tables, vectors / "model.safetensors")
    assert tune(world, tmp_path / "run", tiny_run, f"task.entity_embeddings={vectors}") == 3
    assert "NaN or infinity in row 3" in capsys.readouterr().err


def test_a_probe_finds_what_a_vector_says_and_only_that():
    rng = np.random.default_rng(0)
    right = rng.integers(3, size=300)
    vectors = rng.normal(size=(300, 3, 10)).astype(np.float32)
    noise = vectors.reshape(-1, 10).copy()
    vectors[np.arange(300), right, 4] += 3
    known = linear_probe.chosen(vectors[:200].reshape(-1, 10), right[:200], vectors[200:].reshape(-1, 10), 3)
    unknown = linear_probe.chosen(noise[:600], right[:200], noise[600:], 3)
    assert (known == right[200:]).mean() > 0.9
    assert (unknown == right[200:]).mean() < 0.55
