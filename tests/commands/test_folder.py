"""Files that --overwrite and --resume may change."""

import os
import shutil
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.commands import report
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.recipe import load
from nlptool.runs import folder, inventory


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
    assert "holds what this command has not written (a.txt)" in capsys.readouterr().err
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
    assert "not a folder of its own" in told or "is where you are" in told


def test_what_is_read_is_not_replaced(tiny_recipe: Path, run: Path, capsys):
    given = ["~model", f"init_from={run}/final", "--out", str(run), "--overwrite"]
    before = files(run)
    assert main(["pretrain-mlm", str(tiny_recipe), *given]) == 2
    assert f"holds {run}/final, which is read" in capsys.readouterr().err
    assert main(["export", str(run), "--out", str(run), "--overwrite"]) == 2
    assert main(["report", str(run), "--out", str(run), "--overwrite"]) == 2
    assert files(run) == before


def test_nothing_is_written_among_the_checkpoints_of_a_run(tiny_recipe: Path, run: Path, capsys):
    before = files(run)
    for name in ("checkpoints/step-00000200", "checkpoints"):
        for more in ([], ["--overwrite"]):
            assert main(["export", str(run), "--out", str(run / name), *more]) == 2
            assert "lies among the checkpoints of a run" in capsys.readouterr().err
    assert files(run) == before


def test_a_store_does_not_lie_in_a_folder_that_is_read_whole(tmp_path: Path, capsys):
    (tmp_path / "a.txt").write_text("The old town reads. " * 40)
    given = ["tokenize", "demo/tokenize", "~source", "tokenizer.vocab_size=270", "--dry-run"]
    assert main([*given, f"source.files={tmp_path}", "--out", str(tmp_path / "tokens")]) == 2
    assert (
        f"{tmp_path / 'tokens'}: lies in {tmp_path}, of which every file is read" in capsys.readouterr().err
    )
    assert main([*given, f"source.files={tmp_path}/*.txt", "--out", str(tmp_path / "tokens")]) == 0


@pytest.mark.parametrize("how", ["--overwrite", "--resume=auto"])
def test_a_run_of_another_command_is_neither_replaced_nor_gone_on_with(how: str, run: Path, capsys):
    before = {name: (run / name).read_bytes() for name in ("recipe.yaml", "environment.json", "command.txt")}
    asked = [f"models={run}/final", "tasks=arithmetic", "limit=1", "num_fewshot=0", "--out", str(run)]
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


def test_an_asides_name_is_nobody_elses(tiny_run: Path, tmp_path: Path):
    """What a user calls NAME.partial beside --out stays; what a killed process left under the mark goes."""
    for name in ("ex.partial", "ex.old.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("x")
    (tmp_path / ".ex.nlptool-partial").mkdir()
    (tmp_path / ".ex.nlptool-partial" / "cut").write_text("x")
    assert main(["export", str(tiny_run), "--out", str(tmp_path / "ex")]) == 0
    assert main(["export", str(tiny_run), "--out", str(tmp_path / "ex"), "--overwrite"]) == 0
    assert (tmp_path / "ex.partial" / "mine").exists()
    assert (tmp_path / "ex.old.partial" / "mine").exists()
    assert not list(tmp_path.glob(".ex*"))


@pytest.mark.parametrize("mine", ["thesis.tex", "src", "notes", ".git"])
def test_overwrite_refuses_where_a_users_own_things_lie(mine: str, tiny_recipe: Path, run: Path, capsys):
    (run / mine).mkdir()
    assert main(["pretrain-mlm", str(tiny_recipe), "--out", str(run), "--overwrite"]) == 2
    assert f"has not written ({mine})" in capsys.readouterr().err
    assert (run / "final").is_dir()


def test_a_recipe_of_ones_own_makes_no_run(tiny_recipe: Path, tmp_path: Path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "recipe.yaml").write_text("store: x\n")
    assert main(["pretrain-mlm", str(tiny_recipe), "--out", str(tmp_path / "project"), "--overwrite"]) == 2
    assert (tmp_path / "project" / "recipe.yaml").read_text() == "store: x\n"


@pytest.mark.parametrize("site", ["index.html", "config.json"])
def test_a_folder_with_other_files_beside_ours_is_not_replaced(site: str, tiny_run: Path, tmp_path: Path):
    (tmp_path / "site" / "img").mkdir(parents=True)
    (tmp_path / "site" / site).write_text("{}")
    command = "report" if site == "index.html" else "export"
    assert main([command, str(tiny_run), "--out", str(tmp_path / "site"), "--overwrite"]) == 2
    assert (tmp_path / "site" / "img").is_dir()


OWN = ("final/notes.txt", "checkpoints/mine/a", "checkpoints/step-00000012/notes", "checkpoints/plot.png")
"""Where a user may put something of their own within a run."""


def put(run: Path, name: str) -> Path:
    (run / name).parent.mkdir(exist_ok=True, parents=True)
    (run / name).write_text("dear")
    return run / name


@pytest.mark.parametrize("name", [*OWN, "abandoned-1/mine", "abandoned-1/final/mine"])
def test_overwrite_refuses_where_a_users_own_things_lie_deeper(
    name: str, tiny_recipe: Path, run: Path, capsys
):
    own = put(run, name)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert main(["pretrain-mlm", str(tiny_recipe), "--out", str(run), "--overwrite"]) == 2
    assert "holds what this command has not written" in capsys.readouterr().err
    assert own.read_text() == "dear"
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "name",
    [
        "seed-0/mine",
        "seed-0/final/mine",
        "grid/a/seed-1/checkpoints/mine",
        "start/mine",
        "seed-0/predictions/bell/mine",
        "teacher/mine",
        "rows/mine",
    ],
)
def test_a_users_own_things_are_found_in_every_folder_of_a_run(name: str, run: Path):
    put(run, "scores.json")
    put(run, "rows/rows.json").write_text('{"files": {"train.bin": "", "a[b]/train.idx": ""}}')
    for ours in ("rows/train.bin", "rows/a[b]/train.idx", "rows/train.features", "teacher/0-of-1-1.known"):
        put(run, ours)
    put(run, "seed-0/predictions/bell/validation.jsonl")
    assert inventory.foreign(run) == []
    put(run, name)
    assert inventory.foreign(run) == [name]


def test_a_users_own_things_are_found_among_answers(tmp_path: Path):
    for name in ("recipe.yaml", "results.json", "answers/bert/kobest/copa-0.jsonl"):
        put(tmp_path, name)
    assert inventory.foreign(tmp_path) == []
    put(tmp_path, "answers/bert/mine")
    assert inventory.foreign(tmp_path) == ["answers/bert/mine"]


def test_a_run_that_goes_on_keeps_what_a_user_has_put_into_final_and_into_a_checkpoint(
    tiny_recipe: Path, run: Path
):
    names = ("final/notes.txt", "final/mine/a", "final/README.md", "checkpoints/step-00000008/notes")
    own = [put(run, name) for name in names]
    own[0].chmod(0o600)
    (run / "final/link").symlink_to("nowhere")
    os.mkfifo(run / "final/pipe")
    more = ["train.steps=16", "save.keep_last=1", "--out", str(run), "--resume", "auto"]
    assert main(["pretrain-mlm", str(tiny_recipe), *more]) == 0
    assert [path.read_text() for path in own] == ["dear"] * len(own)
    assert (run / "final/config.json").exists()
    assert own[0].stat().st_mode & 0o777 == 0o600
    assert (run / "final/link").is_symlink()
    assert (run / "final/pipe").is_fifo()


def test_links_are_followed_never_replaced(tiny_recipe: Path, run: Path, tmp_path: Path):
    (run / "final").rename(tmp_path / "elsewhere")
    (run / "final").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(run)
    assert (
        main(
            [
                "pretrain-mlm",
                str(tiny_recipe),
                "train.steps=13",
                "--out",
                str(tmp_path / "link"),
                "--resume",
                "auto",
            ]
        )
        == 0
    )
    assert (run / "final").is_symlink()
    assert (tmp_path / "elsewhere" / "model.safetensors").exists()
    assert (
        main(
            [
                "pretrain-mlm",
                str(tiny_recipe),
                "train.steps=1",
                "--out",
                str(tmp_path / "link"),
                "--overwrite",
            ]
        )
        == 0
    )
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "model.safetensors").exists()


def test_all_files_have_the_permissions_of_the_umask(run: Path, tiny_recipe: Path, tmp_path: Path):
    assert main(["pretrain-mlm", str(tiny_recipe), "train.steps=1", "--out", str(tmp_path / "new")]) == 0
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert len(modes) == 1


def test_every_name_that_a_run_leaves_is_known_to_overwrite(tiny_run: Path, tiny_store: Path, tmp_path: Path):
    assert inventory.foreign(tiny_run) == []
    assert main(["export", str(tiny_run), "--out", str(tmp_path / "ex")]) == 0
    assert main(["report", str(tiny_run), "--out", str(tmp_path / "page")]) == 0
    assert inventory.foreign(tmp_path / "ex") == inventory.foreign(tmp_path / "page") == []


@pytest.mark.parametrize("left", [(), ("command.txt",)])
def test_a_run_killed_before_its_recipe_was_whole_is_begun_by_resume(
    left: tuple[str, ...], tiny_recipe: Path, tmp_path: Path
):
    (tmp_path / "run").mkdir()
    for name in (".recipe.yaml.nlptool-partial", *left):
        (tmp_path / "run" / name).write_text("nlptool\n")
    assert main(["pretrain-mlm", str(tiny_recipe), "train.steps=1", "--resume", "auto"]) == 0
    assert not list((tmp_path / "run").glob(".*"))


def test_the_command_line_is_written_before_the_recipe(tiny_recipe: Path, monkeypatch):
    """A folder that has a recipe alone is taken for a user's own, and not resumed."""
    monkeypatch.setattr(folder, "write_text", lambda path, text: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["pretrain-mlm", str(tiny_recipe)]) == 130
    monkeypatch.undo()
    assert main(["pretrain-mlm", str(tiny_recipe), "train.steps=1", "--resume", "auto"]) == 0


def test_what_a_kill_left_beside_a_folder_that_began_goes_when_the_run_is_resumed(
    tiny_recipe: Path, tmp_path: Path
):
    recipe, out, aside = (
        load(tiny_recipe, [], Recipe).recipe,
        tmp_path / "run",
        tmp_path / ".run.nlptool-partial",
    )
    (aside / "rows").mkdir(parents=True)
    folder.create_run_folder(out, recipe, {}, overwrite=False)
    assert not aside.exists()
    folder.create_run_folder_with(
        tmp_path / "new", recipe, {}, lambda made: (made / "rows").mkdir(parents=True), overwrite=False
    )
    assert (tmp_path / "new" / "rows").is_dir()
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.parametrize("name", ["data", "index", "plot.png", "config.json", "thesis.tsv", "tokenizer"])
def test_a_users_own_things_in_a_run_keep_it_from_being_replaced(
    name: str, tiny_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Names that other commands write into folders of theirs: a run has none of them."""
    assert main(["pretrain-mlm", str(tiny_recipe), "train.steps=1"]) == 0
    (tmp_path / "run" / name).write_text("mine")
    assert main(["pretrain-mlm", str(tiny_recipe), "train.steps=1", "--overwrite"]) == 2
    assert f"holds what this command has not written ({name})" in capsys.readouterr().err
    assert (tmp_path / "run" / name).read_text() == "mine"
