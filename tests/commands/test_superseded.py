"""A final/ whose run has continued: readers print a note, and commands that derive models from it refuse."""

import shutil
from pathlib import Path

import pytest
import typer
from objectives import tiny

from nlptool import api, notices, weights_record
from nlptool.cli import app, main
from nlptool.knowledge.embeddings import EntityEmbeddings
from nlptool.runs import run_state

WHY = "is the model of step {0}; the run was resumed to 900 steps and has not ended"
ASKS = {
    "fill-mask": ["the [MASK]"],
    "evaluate": ["--store", "{store}", "--max-chars", "8"],
    "predict": ["--text", "the river"],
    "generate": ["--text", "the river"],
    "embed": ["--text", "the river"],
    "doctor": [],
}
"""What each command that takes a model is asked of one; some models cannot answer, and it is told nevertheless."""
MAKES = {
    "export": [["export", "{model}", "--license", "mit"], ["export", "{model}", "--to", "onnx"]],
    "pretrain-mlm": [["pretrain-mlm", "{recipe}", "~model", "init_from={model}"]],
}


@pytest.fixture(autouse=True)
def as_in_python() -> None:
    """Whatever command line an earlier test has carried out."""
    notices.speak_by(notices.warn)


@pytest.fixture
def final(tiny_run: Path, tmp_path: Path) -> Path:
    """The final/ of a run of 12 steps that was resumed for more."""
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    run_state.start(run, run_state.Goal(900, None))
    return run / "final"


def takes_a_model() -> set[str]:
    group = typer.main.get_command(app)
    return {
        name
        for name, command in group.commands.items()  # type: ignore[attr-defined]
        if any(one.param_type_name == "argument" and "MODEL" in str(one.metavar) for one in command.params)
    }


def test_each_command_that_takes_a_model_is_tried_here():
    assert takes_a_model() | {"doctor"} == {*ASKS, "export"}


@pytest.mark.parametrize("command", ASKS)
def test_whoever_asks_it_tells_so_once(command: str, final: Path, tiny_store: Path, capsys):
    given = [one.format(store=tiny_store) for one in ASKS[command]]
    main([command, str(final), *given])
    told = capsys.readouterr()
    assert (told.err + told.out).count(WHY.format(12)) == 1
    if command != "doctor":
        assert sum(WHY.format(12) in line for line in told.err.splitlines()) == 1


def test_prompt_tells_so(final: Path, tmp_path: Path, capsys):
    (tmp_path / "task.yaml").write_text(
        'name: multiple_choice\nprompt: "{a}"\nchoices: [x, y]\nmetrics: [accuracy]\n'
    )
    (tmp_path / "data/task").mkdir(parents=True)
    (tmp_path / "data/task/validation.jsonl").write_text('{"a": "the", "label": 0}\n')
    given = f"models: [{final}]\ntasks: [{tmp_path}/task.yaml]\ndata: {tmp_path}/data\nnum_fewshot: [0]\n"
    (tmp_path / "ask.yaml").write_text(f"{given}out: {tmp_path}/asked\n")
    main(["prompt", str(tmp_path / "ask.yaml")])
    assert WHY.format(12) in capsys.readouterr().err


@pytest.mark.parametrize("line", [line for lines in MAKES.values() for line in lines], ids=" ".join)
def test_nothing_that_lasts_is_made_of_it(
    line: list[str], final: Path, tiny_recipe: Path, tmp_path: Path, capsys
):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    given = [one.format(model=final, recipe=tiny_recipe) for one in line]
    assert main([*given, *(["--out", str(tmp_path / "next")] if line[0] != "export" else [])]) == 2
    told = capsys.readouterr().err
    assert WHY.format(12) in told
    assert "end the run, or write its newest checkpoint with nlptool export" in told
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_python_is_warned(final: Path):
    with pytest.warns(UserWarning, match="has not ended"):
        api.load(final)


def test_vectors_of_a_graph_are_looked_at_too(tmp_path: Path):
    run_state.start(tmp_path, run_state.Goal(900, None))
    final = tiny.entity_embeddings(tmp_path / "final", 4)
    weights_record.stamp(final, weights_record.Stamp(8, 8))
    with pytest.warns(UserWarning, match="is the model of step 8"):
        EntityEmbeddings(final)
