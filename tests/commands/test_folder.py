"""What --overwrite and --resume may touch."""

import shutil
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.commands import report


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run of pretraining, as runs/bert."""
    shutil.copytree(tiny_run, tmp_path / "bert")
    return tmp_path / "bert"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_folder_of_other_things_is_not_replaced(tiny_recipe: Path, tmp_path: Path, capsys):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    assert main(["pretrain-mlm", str(tiny_recipe), "--out", str(tmp_path / "letters"), "--overwrite"]) == 2
    assert "holds what this command has not written (a.txt, ...)" in capsys.readouterr().err
    assert files(tmp_path / "letters") == {"a.txt"}


@pytest.mark.parametrize("out", ["", ".", "..", "../{name}"])
def test_where_one_is_is_not_replaced(
    out: str, tiny_recipe: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.chdir(run)
    before = files(run)
    named = out.format(name=run.name)
    for more in ([], ["--overwrite"]):
        assert main(["pretrain-mlm", str(tiny_recipe), "--out", named, *more]) == 2
        assert files(run) == before
    told = capsys.readouterr().err
    assert "no folder of its own" in told or "is where you are" in told


def test_what_is_read_is_not_replaced(tiny_recipe: Path, run: Path, capsys):
    given = ["~model", f"start={run}/final", "--out", str(run), "--overwrite"]
    before = files(run)
    assert main(["pretrain-mlm", str(tiny_recipe), *given]) == 2
    assert f"holds {run}/final, which is read" in capsys.readouterr().err
    assert main(["export", str(run), "--out", str(run), "--overwrite"]) == 2
    assert main(["report", str(run), "--out", str(run), "--overwrite"]) == 2
    assert files(run) == before


@pytest.mark.parametrize("how", ["--overwrite", "--resume=auto"])
def test_a_run_of_another_command_is_neither_replaced_nor_gone_on_with(how: str, run: Path, capsys):
    before = {name: (run / name).read_bytes() for name in ("recipe.yaml", "environment.json", "command.txt")}
    asked = [f"models={run}/final", "tasks=arithmetic", "limit=1", "shots=0", "--out", str(run)]
    assert main(["prompt", "prompt/one", *asked, *how.split("=")]) == 2
    assert "holds what this command has not written" in capsys.readouterr().err
    assert {name: (run / name).read_bytes() for name in before} == before


def test_an_export_and_a_report_replace_their_own_kind(run: Path, tmp_path: Path, monkeypatch):
    def page(runs: object, out: Path, console: object) -> list[str]:  # pictures take seconds
        (out / report.PAGE).write_text("a page")
        return []

    monkeypatch.setattr(report, "_write", page)
    for _ in range(2):
        assert main(["export", str(run), "--out", str(tmp_path / "hf"), "--overwrite"]) == 0
        assert main(["report", str(run), "--out", str(tmp_path / "page"), "--overwrite"]) == 0
