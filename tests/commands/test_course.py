"""A run folder holds one course: going back, resuming and diverging, and the commands that notice."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nlptool import weights_record
from nlptool.cli import main
from nlptool.errors import DataError
from nlptool.manifests import write_manifest
from nlptool.runs import run_state
from nlptool.train import checkpoint


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run of 12 steps, with checkpoints 8 and 12."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def train(recipe: Path, *arguments: str) -> int:
    return main(["pretrain-mlm", str(recipe), *arguments])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def stopped(recipe: Path, step: int, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """A run that a signal ends after a step."""
    import os
    import signal

    from nlptool.runs.loop import TrainingRun

    after = TrainingRun._after

    def stop(own: TrainingRun, taken: object) -> None:
        after(own, taken)  # type: ignore[arg-type]
        if own.state.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "_after", stop)
        assert train(recipe, *arguments) == 75


@pytest.mark.parametrize("source", ["", "checkpoints/step-00000008"])
def test_a_run_is_not_resumed_into_a_folder_of_other_things(
    source: str, run: Path, tiny_recipe: Path, tmp_path: Path, capsys
):
    for name in ("other", "letters"):
        if name == "other":
            shutil.copytree(run, tmp_path / name)
        else:
            (tmp_path / name).mkdir()
            (tmp_path / name / "thesis.tex").write_text("dear")
        before = contents(tmp_path / name)
        assert train(tiny_recipe, "--resume", str(run / source), "--out", str(tmp_path / name)) == 2
        assert "is not the run that" in capsys.readouterr().err
        assert contents(tmp_path / name) == before
    (tmp_path / "empty").mkdir()
    assert train(tiny_recipe, "--resume", str(run / source), "--out", str(tmp_path / "empty")) == 0


def test_going_back_sets_the_later_course_aside_and_keeps_what_it_saves(
    run: Path, tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    old = contents(run)
    back = ["--resume", str(run / "checkpoints/step-00000008"), "train.lr=5e-4", "save.keep_last=1"]
    stopped(tiny_recipe, 10, monkeypatch, *back)
    assert (
        f"set aside in {run}/abandoned-1, as the run goes back to step 8: step-00000012"
        in capsys.readouterr().err
    )
    assert [path.name for path in checkpoint.steps(run / "checkpoints")] == ["step-00000010", "step-00000008"]
    left = contents(run / "abandoned-1")
    assert left == {name: old[name] for name in left}
    assert {"recipe.yaml", "metrics.jsonl", "final/model.safetensors"} < set(left)
    assert main(["doctor", str(run / "abandoned-1")]) == 0
    assert main(["export", str(run), "--out", str(run.parent / "hf")]) == 0
    assert "step-00000010" in capsys.readouterr().out
    best, _ = checkpoint.best(run / "checkpoints")
    assert main(["export", str(run), "--checkpoint", "best", "--out", str(run.parent / "best")]) == 0
    told = capsys.readouterr()
    assert str(best) in told.out
    assert "abandoned" not in told.out + told.err
    assert train(tiny_recipe, "train.lr=5e-4", "save.keep_last=1", "--resume", "auto") == 0
    assert f"resuming from {run}/checkpoints/step-00000010" in capsys.readouterr().err
    new = load_file(run / "final/model.safetensors")
    assert any(
        (new[name] != tensor).any()
        for name, tensor in load_file(run / "abandoned-1/final/model.safetensors").items()
    )


def test_what_is_written_just_now_is_never_pruned(run: Path):
    folder = run / "checkpoints"
    shutil.copytree(folder / "step-00000008", folder / "step-00000004")
    checkpoint.prune(folder, 1, folder / "step-00000004")
    assert (folder / "step-00000004").is_dir()


def test_what_a_kill_between_saving_and_pruning_has_left_goes_when_the_run_is_resumed(
    run: Path, tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = run.parent / "killed" / "checkpoints"
    given = ["save.every=4", "save.keep_last=1", "--out", str(folder.parent)]
    prune = checkpoint.prune

    def kill(folder: Path, keep: int, written: Path) -> None:
        if checkpoint.step_of(written) == 12:
            raise SystemExit(9)
        prune(folder, keep, written)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(checkpoint, "prune", kill)
        train(tiny_recipe, *given)
    assert len(checkpoint.steps(folder)) > len(checkpoint.steps(run / "checkpoints")) - 1
    assert train(tiny_recipe, *given, "--resume", "auto") == 0
    assert train(tiny_recipe, *given[:2], "--out", str(run.parent / "straight")) == 0
    straight = checkpoint.steps(run.parent / "straight" / "checkpoints")
    assert [path.name for path in checkpoint.steps(folder)] == [path.name for path in straight]


def test_a_final_of_an_earlier_end_is_told_by_everyone(
    run: Path, tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    assert run_state.has_ended(run)
    stamp = json.loads((run / "final/run.json").read_text())
    assert (stamp["step"], stamp["ended"]) == (12, 12)
    stopped(tiny_recipe, 14, monkeypatch, "train.steps=900", "--resume", "auto")
    assert not run_state.has_ended(run)
    assert run_state.goal(run) == run_state.Goal(900, None)
    why = "is the model of step 12; the run was resumed to 900 steps and has not ended"
    capsys.readouterr()
    assert main(["doctor", str(run), "--json"]) == 0
    assert why in capsys.readouterr().out
    assert main(["export", str(run), "--out", str(tmp_path / "hf")]) == 0
    told = capsys.readouterr()
    assert why in told.err
    assert "has not ended" in told.out
    assert json.loads((tmp_path / "hf/run.json").read_text())["step"] == 14
    assert train(tiny_recipe, "~model", f"init_from={run}/final", "--out", str(tmp_path / "next")) == 2
    assert why in capsys.readouterr().err
    shutil.copytree(run / "final", tmp_path / "copy")
    assert weights_record.superseded_final(tmp_path / "copy") is None


def test_a_figure_that_is_no_number_is_named(run: Path, tiny_recipe: Path, tmp_path: Path, capsys):
    from nlptool.report import runs

    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 12, "heldout/mlm": "08"}\n')
    assert train(tiny_recipe, "--resume", "auto") == 3
    assert "heldout/mlm is not a number" in capsys.readouterr().err
    (tmp_path / "scores.json").write_text('{"baseline": {"accuracy": "08", "f1": 0.5}}')
    assert runs._baselines(tmp_path / "scores.json")["baselines"] == {"f1": 0.5}


def test_a_report_tells_a_run_that_goes_on_from_one_that_has_ended(run: Path):
    from nlptool.report import runs

    assert runs.read(run, "a").finished
    run_state.start(run, run_state.Goal(900, None, (0, 450)))
    again = runs.read(run, "a")
    assert (again.finished, again.steps, again.stages) == (False, 900, [450])


def test_a_comparison_goes_on_with_a_run_that_was_resumed_and_stopped(
    tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    out = tmp_path / "compared"
    more = ["train.steps=20", "save.every=100", "--resume", "auto"]
    assert main(["compare", str(tiny_recipe), "--out", str(out)]) == 0
    stopped(tiny_recipe, 13, monkeypatch, "--out", str(out / "tiny"), *more)
    assert main(["compare", str(tiny_recipe), "--out", str(out), *more]) == 0
    assert points(out)[-1] == 20
    own, steps = out / "tiny", points(out)
    earlier = checkpoint.path_of(own / "checkpoints", steps[-2])
    assert train(tiny_recipe, "--resume", str(earlier), "--out", str(own), *more[:2]) == 0
    capsys.readouterr()
    assert main(["compare", str(tiny_recipe), "--out", str(out), *more]) == 0
    assert "abandoned" not in capsys.readouterr().err
    assert points(out) == steps
    (earlier / "state.json").unlink()
    assert main(["compare", str(tiny_recipe), "--out", str(out), *more]) == 0
    assert f"skipped {earlier}: state.json is missing" in capsys.readouterr().err
    assert points(out) == [step for step in steps if step != steps[-2]]


def points(out: Path) -> list[int]:
    """The checkpoints that a comparison of one run has scored."""
    (one,) = json.loads((out / "compare.json").read_text())
    return [point["step"] for point in one["points"]]


def test_a_held_out_loss_that_is_no_number_ends_the_run_with_4_and_is_not_saved(
    tiny_recipe: Path, tmp_path: Path, capsys
):
    assert train(tiny_recipe, "train.lr=1e38", "train.warmup=0", "train.steps=1") == 4
    assert "last good checkpoint: none yet" in capsys.readouterr().err
    assert not list((tmp_path / "run/checkpoints").glob("*"))
    assert not (tmp_path / "run/final").exists()


def test_a_disk_that_is_full_at_the_first_checkpoint_is_told_with_what_there_is(
    tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    def full(*given: object, **named: object) -> None:
        raise DataError("checkpoints: could not be written: No space left on device", hint="free some space")

    monkeypatch.setattr(checkpoint, "save", full)
    assert train(tiny_recipe, "train.steps=1") == 3
    assert "hint: free some space; no checkpoint was saved before" in capsys.readouterr().err


def test_weights_that_are_not_finite_are_not_resumed(run: Path, tiny_recipe: Path, capsys):
    last = run / "checkpoints/step-00000012"
    state = load_file(last / "model.safetensors")
    next(iter(state.values())).view(-1)[0] = torch.nan
    save_file(state, last / "model.safetensors")
    write_manifest(last)
    assert train(tiny_recipe, "train.steps=16", "--resume", "auto") == 3
    assert "its weights are not finite" in capsys.readouterr().err
    for which in ("newest", last.name):
        assert main(["export", str(run), "--checkpoint", which, "--out", str(run.parent / "hf")]) == 3
        assert f"{last}: its weights are not finite" in capsys.readouterr().err
    assert not (run.parent / "hf").exists()


def test_a_loss_that_is_no_number_is_not_the_best(run: Path):
    state = run / "checkpoints/step-00000012/state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"heldout": float("nan")}))
    assert checkpoint.best(run / "checkpoints") == (run / "checkpoints/step-00000008", [])


def test_a_best_checkpoint_that_is_damaged_is_skipped_and_named(run: Path, tmp_path: Path, capsys):
    path, _ = checkpoint.best(run / "checkpoints")
    assert path is not None
    with (path / "model.safetensors").open("ab") as file:
        file.write(b"x")
    assert main(["export", str(run), "--checkpoint", "best", "--out", str(tmp_path / "hf")]) == 0
    told = capsys.readouterr().err
    assert f"skipped {path}, whose held-out loss is lower: " in told
    newest, *_ = checkpoint.steps(run / "checkpoints")
    (newest / "state.json").rename(newest / "state")
    assert main(["export", str(run), "--out", str(tmp_path / "newest")]) == 0
    assert f"skipped {newest}: " in capsys.readouterr().err


def test_flops_of_a_run_that_goes_on_are_those_that_were_spent(tiny_recipe: Path, tmp_path: Path, capsys):
    stages = (
        "train.stages=[{sequence_length: 8, batch_size: 8, share: 0.5}, {sequence_length: 32, "
        "batch_size: 8, share: 0.5}]"
    )
    given = ["~train.batch_size", "~train.sequence_length", stages, "save.every=2", "save.keep_last=99"]
    assert train(tiny_recipe, *given, "train.steps=4") == 0
    assert train(tiny_recipe, *given, "train.steps=8", "--resume", "auto") == 0
    told = capsys.readouterr().err
    assert "stages that have begun stay where they began: they begin after step 0, 2" in told
    assert "the learning rate is now 0.0005; it was 0.00025 in the last step" in told
    facts = {f.step: f for f in map(checkpoint.read, checkpoint.steps(tmp_path / "run/checkpoints"))}
    assert [facts[step].tokens for step in (2, 4, 8)] == [2 * 64, 2 * 64 + 2 * 256, 2 * 64 + 6 * 256]
    short, long = facts[2].flops, facts[4].flops - facts[2].flops
    assert facts[8].flops == pytest.approx(short + 3 * long)
    assert facts[8].stages == (0, 2)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    spent = [line["flops"] for line in lines if "flops" in line]
    assert spent == sorted(spent)
    assert spent[-1] == facts[8].flops


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_run_whose_result_cannot_be_shown_is_complete_and_shows_it_when_it_is_resumed(
    tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    with Path("/dev/full").open("w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert train(tiny_recipe, "train.steps=2") == 3
        full.close = lambda: None  # type: ignore[method-assign]
    assert "error: standard output: No space left on device" in capsys.readouterr().err
    assert run_state.has_ended(tmp_path / "run")
    assert train(tiny_recipe, "train.steps=2", "--resume", "auto") == 0
    told = capsys.readouterr()
    assert "is finished, nothing to do" in told.err
    assert str(tmp_path / "run/final") in told.out


def test_speed_leaves_out_the_first_step_of_a_process_and_the_writing_of_checkpoints(
    tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import time

    save = checkpoint.save

    def slowly(*given: object, **named: object) -> None:
        time.sleep(0.5)
        save(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "save", slowly)
    assert train(tiny_recipe) == 0
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    rates = {line["step"]: line.get("tokens_per_second") for line in lines if "mlm" in line}
    assert rates[1] is None
    assert all(rate > 8 * 32 * 4 for step, rate in rates.items() if step > 1)


def test_a_run_needs_no_system_that_tells_how_much_memory_it_takes(
    tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert train(tiny_recipe, "train.steps=2") == 0
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert not any("memory" in line for line in lines)
