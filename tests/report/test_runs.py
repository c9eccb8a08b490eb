import json
from pathlib import Path

import pytest
from folders import falling, write_run

from nlptool.errors import DataError, UsageError
from nlptool.report import tables
from nlptool.report.runs import read, read_all


def test_figures_are_read_by_name_and_step(tmp_path: Path):
    run = read(write_run(tmp_path / "a", [{"step": 1, "mlm": 9.0}, {"step": 2, "mlm": 8.0, "lr": 0.5}]), "a")
    assert run.figures["mlm"] == ([1, 2], [9.0, 8.0])
    assert run.last("lr") == 0.5
    assert (run.step, run.steps) == (2, 100)


def test_what_a_run_did_before_it_went_back_is_forgotten(tmp_path: Path):
    lines = [{"step": s, "mlm": float(s)} for s in (1, 2, 3, 4)] + [
        {"step": s, "mlm": 10.0 * s} for s in (3, 5)
    ]
    assert read(write_run(tmp_path / "a", lines), "a").figures["mlm"] == (
        [1, 2, 3, 5],
        [1.0, 2.0, 30.0, 50.0],
    )


def test_of_two_evaluations_of_a_step_the_later_counts(tmp_path: Path):
    lines = [{"step": 5, "mlm": 7.0}, {"step": 5, "heldout/mlm": 8.0}, {"step": 5, "heldout/mlm": 6.0}]
    run = read(write_run(tmp_path / "a", lines), "a")
    assert run.figures["heldout/mlm"] == ([5], [6.0])
    assert run.figures["mlm"] == ([5], [7.0])


def test_a_line_that_is_being_written_is_not_read(tmp_path: Path):
    path = write_run(tmp_path / "a", [{"step": 1, "mlm": 9.0}])
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "ml')
    assert read(path, "a").step == 1


def test_values_that_are_not_finite_are_left_out(tmp_path: Path):
    path = write_run(tmp_path / "a", [{"step": 1, "mlm": 9.0}, {"step": 2, "mlm": float("nan")}])
    assert read(path, "a").figures["mlm"].steps == [1]


def test_a_run_without_figures_is_a_run(tmp_path: Path):
    path = write_run(tmp_path / "a", [])
    (path / "metrics.jsonl").unlink()
    assert read(path, "a").step == 0
    assert tables.final([read(path, "a")]).rows == [["a", "no figures yet"]]


def test_a_broken_line_is_named(tmp_path: Path):
    path = write_run(tmp_path / "a", [{"step": 1, "mlm": 9.0}, {"mlm": 8.0}])
    with pytest.raises(DataError, match=r"metrics\.jsonl:2: has no step"):
        read(path, "a")


def test_a_run_of_prompt_is_told_where_its_scores_are(tmp_path: Path):
    path = write_run(tmp_path / "a", [])
    (path / "metrics.jsonl").unlink(missing_ok=True)
    (path / "answers").mkdir()
    with pytest.raises(UsageError, match="is a run of prompt") as told:
        read(path, "a")
    assert "results.md" in told.value.hint


@pytest.mark.parametrize("missing", ["recipe.yaml", "environment.json"])
def test_a_folder_that_is_no_run_is_refused_by_name(tmp_path: Path, missing: str):
    path = write_run(tmp_path / "a", [])
    (path / missing).unlink()
    with pytest.raises(UsageError, match=rf"a: is not a run folder \(no {missing}\)"):
        read_all([path])


def test_runs_are_told_apart_by_as_much_of_their_paths_as_it_takes(tmp_path: Path):
    paths = [write_run(tmp_path / name, []) for name in ("x/a", "y/a", "b")]
    assert [run.name for run in read_all(paths)] == ["x/a", "y/a", "b"]


def test_a_run_given_twice_is_refused(tmp_path: Path):
    path = write_run(tmp_path / "a", [])
    with pytest.raises(UsageError, match="given twice"):
        read_all([path, tmp_path / "a" / ".." / "a"])


def test_the_final_table_has_what_a_run_came_to(tmp_path: Path):
    table = tables.final(read_all([write_run(tmp_path / "a", falling(), ended=True)]))
    assert dict(zip(table.columns, table.rows[0], strict=True)) == {
        "run": "a",
        "state": "finished, 300 steps",
        "held-out masked LM loss": f"{4 + 5 * 0.9**30 + 0.3:.3f}",
        "held-out masked LM accuracy": "30.0 %",
        "parameters": "1,234",
        "tokens": "30,000",
        "FLOPs": "6e10",
        "time": "2m30s",
        "tokens/s": "200",
    }


def test_the_unigram_entropy_comes_from_the_store_where_it_lies_there_still(tmp_path: Path):
    path, store = write_run(tmp_path / "a", falling()), tmp_path / "store"
    store.mkdir()
    (store / "store.json").write_text(json.dumps({"unigram_entropy": 6.5}))
    recipe = (path / "recipe.yaml").read_text()
    assert read(path, "a").unigram_entropy is None
    (path / "recipe.yaml").write_text(recipe.replace("store: nowhere", f"store: {store}"))
    assert read(path, "a").unigram_entropy == 6.5


def test_only_keys_that_differ_are_compared_and_where_a_run_lies_is_none(tmp_path: Path):
    runs = read_all([write_run(tmp_path / str(lr), [], lr=lr) for lr in (0.1, 5e-5)])
    assert tables.differences(runs) == (["key", "0.1", "5e-05"], [["train.lr", "0.1", "5e-5"]])
    assert tables.differences(runs[:1]).rows == []


def test_a_key_that_differs_as_a_whole_is_not_taken_apart_again(tmp_path: Path):
    """Three runs: the second has other stages than the first, the third has none."""
    paths = [write_run(tmp_path / name, []) for name in "abc"]
    for path, stages in zip(paths, ("[{sequence_length: 8}]", "[{sequence_length: 9}]", "[]"), strict=True):
        recipe = (path / "recipe.yaml").read_text()
        (path / "recipe.yaml").write_text(recipe.replace("train:\n", f"train:\n  stages: {stages}\n"))
    runs = read_all(paths)
    assert tables.differences(runs[:2]).rows == [["train.stages.0.sequence_length", "8", "9"]]
    assert tables.differences(runs).rows == [
        ["train.stages", "[{sequence_length: 8}]", "[{sequence_length: 9}]", "[]"]
    ]


def test_of_a_block_that_one_run_has_the_keys_are_compared(tmp_path: Path):
    runs = read_all([write_run(tmp_path / name, []) for name in "ab"])
    runs[1].recipe["teacher"] = {"path": "x", "of": {"layers": 2}}
    assert tables.differences(runs).rows == [["teacher.path", "-", "x"], ["teacher.of.layers", "-", "2"]]


def test_what_all_runs_ran_on_is_told_once(tmp_path: Path):
    runs = read_all([write_run(tmp_path / name, []) for name in "ab"])
    assert tables.environment(runs) == (
        ["", "all runs"],
        [["nlptool", "0.1"], ["torch", "2.13.0"], ["device", "cpu"]],
    )
    (tmp_path / "b" / "environment.json").write_text('{"nlptool": "0.2"}')
    runs = read_all([tmp_path / "a", tmp_path / "b"])
    assert tables.environment(runs).rows[0] == ["nlptool", "0.1", "0.2"]


def test_a_table_is_turned_without_losing_a_cell():
    assert tables.turned(tables.Table(["run", "loss"], [["a", "1"], ["b", "2"]])) == (
        ["run", "a", "b"],
        [["loss", "1", "2"]],
    )
