"""Every command with --out: one process at a time writes there, and the user's own files are kept."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from nlptool.cli import app, corpora, inference, main, training
from nlptool.commands.specs import COMMANDS
from nlptool.runs import lock

RECIPES = {spec.name: spec for spec in COMMANDS}
FOLDERS = {
    "compare": ["{recipe}"],
    "reproduce": ["bert-objectives"],
    "evaluate": ["{final}", "--store", "{store}"],
    "export": ["{run}"],
    "report": ["{run}"],
    "verify-resume": ["{recipe}"],
}
FILES = {
    "predict": (["{final}", "{rows}"], ".jsonl"),
    "embed": (["{final}", "{rows}"], ".npy"),
    "inspect": (["{store}"], ".html"),
}


@pytest.fixture(autouse=True)
def free() -> Iterator[None]:
    yield
    lock.release()


@pytest.fixture(autouse=True)
def recipes_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a recipe needs besides `out` is a matter of other tests."""

    def loaded(spec: Any, recipe: str, changes: list[str], options: Any) -> Any:
        block = import_module(f"nlptool.commands.{spec.module}.recipe").Recipe
        return block.model_construct(out=options.out)

    for module in (training, corpora):
        monkeypatch.setattr(module, "loaded_recipe", loaded)


@pytest.fixture
def line(tiny_run: Path, tiny_store: Path, tiny_recipe: Path, tmp_path: Path) -> Any:
    """Makes the command line of a command, with `out`."""
    rows = tmp_path / "rows.txt"
    rows.write_text("the river\n")
    given = {
        "run": tiny_run,
        "final": tiny_run / "final",
        "store": tiny_store,
        "recipe": tiny_recipe,
        "rows": rows,
    }

    def made(command: str, out: Path, *more: str) -> list[str]:
        words = ["recipe.yaml"] if command in RECIPES else FOLDERS.get(command) or FILES[command][0]
        return [command, *(word.format(**given) for word in words), "--out", str(out), *more]

    return made


def commands() -> dict[str, set[str]]:
    """The options of each command with --out."""
    group: Any = typer.main.get_command(app)
    options = {
        name: {word for one in command.params for word in one.opts}
        for name, command in group.commands.items()
    }
    return {name: found for name, found in options.items() if "--out" in found}


def test_each_command_with_an_output_is_tried_here():
    assert commands().keys() == {*RECIPES, *FOLDERS, *FILES}


@pytest.mark.parametrize("command", [*RECIPES, *FOLDERS, *FILES])
def test_an_output_that_another_process_writes_is_refused(command: str, line: Any, tmp_path: Path, capsys):
    suffix = FILES[command][1] if command in FILES else ""
    out = tmp_path / f"out{suffix}"
    path = tmp_path / f".{out.name}{lock.NAME}" if suffix else out / lock.NAME
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"host": "elsewhere", "process": 7, "began": 1}))
    before = sorted(tmp_path.rglob("*"))
    assert main(line(command, out)) == 2
    assert f"{out}: process 7 of the host elsewhere writes it" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("more", ["--overwrite", "--resume", ""])
@pytest.mark.parametrize("command", [*RECIPES, *FOLDERS])
def test_a_folder_of_a_users_own_things_is_refused(
    command: str, more: str, line: Any, tmp_path: Path, capsys
):
    if more not in {*commands()[command], ""}:
        pytest.skip(f"{command} has no {more}")
    out = tmp_path / "out"
    for name in ("thesis.tex", "suite/mine", "final/mine", "report.txt"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("dear")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert main(line(command, out, *([more] if more else []), *(["auto"] if more == "--resume" else []))) == 2
    assert "thesis.tex" in (told := capsys.readouterr().err) or "already" in told
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.parametrize("command", FILES)
def test_an_output_file_that_is_there_or_is_a_folder_is_refused(
    command: str, line: Any, tmp_path: Path, capsys
):
    out = tmp_path / f"out{FILES[command][1]}"
    out.write_text("dear")
    assert main(line(command, out)) == 2
    assert f"{out}: is there already" in capsys.readouterr().err
    assert out.read_text() == "dear"
    out.unlink()
    (out / "mine").mkdir(parents=True)
    assert main(line(command, out, "--overwrite")) == 2
    assert f"{out}: is not a file" in capsys.readouterr().err
    assert (out / "mine").is_dir()


@pytest.mark.parametrize(("command", "suffix"), [("predict", ".jsonl"), ("embed", ".npy")])
def test_what_is_read_is_not_the_output(command: str, suffix: str, tiny_run: Path, tmp_path: Path, capsys):
    rows = tmp_path / f"rows{suffix}"
    rows.write_text('{"text": "the river"}\n')
    assert main([command, str(tiny_run / "final"), str(rows), "--out", str(rows), "--overwrite"]) == 2
    assert f"{rows}: is read by this command" in capsys.readouterr().err
    assert rows.read_text() == '{"text": "the river"}\n'


BEGUN = {
    "compare": ("bert/command.txt", "compare.json"),
    "evaluate": ("model/predictions/validation.jsonl", "evaluate.json"),
    "reproduce": ("runs/a/x", "runs.json"),
}


@pytest.mark.parametrize("command", BEGUN)
def test_results_of_ones_own_are_replaced_and_so_is_what_has_only_begun(
    command: str, line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    begun: list[Any] = []
    for module in (training, inference):
        monkeypatch.setattr(module, "carry_out", lambda *given: begun.append(given))
    for name in BEGUN[command]:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("{}")
        assert main(line(command, tmp_path / "out", "--overwrite")) == 0
    assert len(begun) == 2
    (tmp_path / "out" / "notes.txt").write_text("dear")
    assert main(line(command, tmp_path / "out", "--overwrite")) == 2
