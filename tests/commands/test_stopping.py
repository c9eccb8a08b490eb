"""Runs that are stopped, killed or moved to other ranks: the resumed run must be identical."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nlptool.cli import main
from nlptool.errors import Preempted
from nlptool.train.optim import Adam

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def command(recipe: Path, *arguments: str, ranks: int = 1) -> list[str]:
    launch = [sys.executable]
    if ranks > 1:
        launch += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return [*launch, "-m", "nlptool", "pretrain-mlm", str(recipe), *arguments]


def run(recipe: Path, *arguments: str, ranks: int = 1) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(recipe, *arguments, ranks=ranks), capture_output=True, text=True, check=False, env=ENVIRONMENT
    )


def weights(run_folder: Path) -> dict[str, torch.Tensor]:
    return load_file(run_folder / "final" / "model.safetensors")


def logged(run_folder: Path, name: str) -> dict[int, float]:
    path = run_folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {line["step"]: line[name] for line in lines if name in line}


def wait_for(condition, process: subprocess.Popen, seconds: float = 60) -> None:
    started = time.monotonic()
    while not condition() and process.poll() is None and time.monotonic() - started < seconds:
        time.sleep(0.01)


def test_a_signal_saves_exits_75_and_the_run_goes_on_to_the_same_bits(tiny_recipe: Path, tmp_path: Path):
    long = ["train.steps=80", "save.every=1000", "evaluate.every=1000"]
    process = subprocess.Popen(
        command(tiny_recipe, *long), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    wait_for(lambda: logged(tmp_path / "run", "mlm"), process)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 75, told
    assert "SIGTERM" in told
    assert "--resume auto" in told
    assert "Traceback" not in told
    (saved,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert 0 < int(saved.name[5:]) < 150
    assert main(["pretrain-mlm", str(tiny_recipe), *long, "--resume", "auto"]) == 0
    assert main(["pretrain-mlm", str(tiny_recipe), *long, "--out", str(tmp_path / "straight")]) == 0
    a, b = weights(tmp_path / "run"), weights(tmp_path / "straight")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_signal_while_evaluating_is_honoured(tiny_recipe: Path, tmp_path: Path, monkeypatch, capsys):
    from nlptool.objectives.masked import MaskedLM

    plain = MaskedLM.measure

    def signalled(self, batch):
        os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, batch)

    monkeypatch.setattr(MaskedLM, "measure", signalled)
    assert main(["pretrain-mlm", str(tiny_recipe), "save.every=1000"]) == 75
    assert "after step 6" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000006"]


def test_a_signal_that_code_in_c_takes_for_an_error_of_its_own_stops_the_run_all_the_same(
    tiny_recipe: Path, tmp_path: Path, monkeypatch, capsys
):
    from nlptool.objectives.masked import MaskedLM

    plain, taken = MaskedLM.forward, []  # a step has two micro-batches

    def signalled(self, batch):
        taken.append(batch)
        if len(taken) == 3:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except Preempted:
                raise ValueError("could not determine the shape of object type") from None
        return plain(self, batch)

    monkeypatch.setattr(MaskedLM, "forward", signalled)
    assert main(["pretrain-mlm", str(tiny_recipe), "save.every=1000", "evaluate.every=1000"]) == 75
    assert "stopped by SIGTERM after step 1" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000001"]


def test_a_run_that_is_stopped_has_written_down_its_last_step(tiny_recipe: Path, tmp_path: Path, monkeypatch):
    """The signal comes while the third step changes the weights, of which no line is due."""
    plain, taken = Adam.step, []

    def signalled(self, *given):
        plain(self, *given)
        taken.append(given)
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Adam, "step", signalled)
    assert main(["pretrain-mlm", str(tiny_recipe), "save.every=1000", "evaluate.every=1000"]) == 75
    tokens = logged(tmp_path / "run", "tokens")
    assert list(tokens) == [1, 3]
    assert tokens[3] == 3 * tokens[1]


def test_a_signal_before_the_first_step_says_that_nothing_is_saved(
    tiny_recipe: Path, tmp_path: Path, monkeypatch, capsys
):
    from nlptool.objectives.masked import MaskedLM

    def signalled(self, batch):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(MaskedLM, "forward", signalled)
    assert main(["pretrain-mlm", str(tiny_recipe)]) == 75
    assert "no step was taken" in capsys.readouterr().err
    assert not list((tmp_path / "run" / "checkpoints").glob("*"))


def test_two_ranks_take_the_same_steps_as_one(tiny_recipe: Path, tmp_path: Path):
    plain = ["model.dropout=0", "model.attention_dropout=0"]
    assert main(["pretrain-mlm", str(tiny_recipe), *plain]) == 0
    two = run(tiny_recipe, *plain, "--out", str(tmp_path / "two"), ranks=2)
    assert two.returncode == 0, two.stderr
    for name in ("mlm", "heldout/mlm", "tokens"):
        assert logged(tmp_path / "two", name) == pytest.approx(logged(tmp_path / "run", name), abs=1e-5)


@pytest.mark.slow
def test_a_batch_that_ranks_cannot_share_is_one_clear_error(tiny_recipe: Path):
    done = run(tiny_recipe, "train.batch_size=7", ranks=2)
    assert done.returncode != 0
    assert "7 sequences cannot be shared out evenly to 2 ranks" in done.stderr


@pytest.mark.slow
def test_torchrun_hands_a_signal_on_and_the_ranks_save_one_state(tiny_recipe: Path, tmp_path: Path):
    long = ["train.steps=2000", "save.every=5000", "evaluate.every=5000"]
    process = subprocess.Popen(
        command(tiny_recipe, *long, ranks=2), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    wait_for(lambda: logged(tmp_path / "run", "mlm"), process)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=60)[1]
    assert "stopped by SIGTERM" in told
    assert process.returncode != 0
    (saved,) = (tmp_path / "run" / "checkpoints").iterdir()
    again = run(tiny_recipe, *long, f"train.steps={int(saved.name[5:]) + 3}", "--resume", "auto", ranks=2)
    assert again.returncode == 0, again.stderr
    assert f"resuming from {saved}" in again.stderr


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_no_bit(tiny_recipe: Path, tmp_path: Path):
    steps = ["train.steps=60", "save.every=7", "evaluate.every=10"]
    straight = run(tiny_recipe, *steps, "--out", str(tmp_path / "straight"))
    assert straight.returncode == 0, straight.stderr
    chance = random.Random(0)
    kills = 0
    while kills < 20:
        arguments = [*steps, "--resume", "auto"]
        process = subprocess.Popen(command(tiny_recipe, *arguments), stderr=subprocess.PIPE, env=ENVIRONMENT)
        before = len(logged(tmp_path / "run", "mlm"))
        wait_for(lambda n=before: len(logged(tmp_path / "run", "mlm")) != n, process)
        time.sleep(chance.random() * 0.3)
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        if (tmp_path / "run" / "final").exists():  # it was faster than the kill: go on from an earlier step
            import shutil

            shutil.rmtree(tmp_path / "run" / "final")
            for path in sorted((tmp_path / "run" / "checkpoints").iterdir())[1:]:
                shutil.rmtree(path)
    ended = run(tiny_recipe, *steps, "--resume", "auto")
    assert ended.returncode == 0, ended.stderr
    a, b = weights(tmp_path / "run"), weights(tmp_path / "straight")
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
def test_one_rank_then_two_then_one_is_the_same_run(tiny_recipe: Path, tmp_path: Path):
    plain = ["model.dropout=0", "model.attention_dropout=0", "save.keep_last=9"]
    assert run(tiny_recipe, *plain, "--out", str(tmp_path / "straight")).returncode == 0
    for ranks, steps in ((1, 4), (2, 8), (1, 12)):
        part = run(
            tiny_recipe,
            *plain,
            f"train.steps={steps}",
            "train.schedule=constant",
            "--resume",
            "auto",
            ranks=ranks,
        )
        assert part.returncode == 0, part.stderr
    straight = run(tiny_recipe, *plain, "train.schedule=constant", "--out", str(tmp_path / "constant"))
    assert straight.returncode == 0, straight.stderr
    a, b = logged(tmp_path / "run", "mlm"), logged(tmp_path / "constant", "mlm")
    assert a[12] == pytest.approx(b[12], abs=1e-5)
    assert logged(tmp_path / "run", "heldout/mlm")[12] == pytest.approx(
        logged(tmp_path / "constant", "heldout/mlm")[12], abs=1e-5
    )


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts a small tmpfs")
def test_a_full_disk_names_the_newest_whole_checkpoint(tiny_recipe: Path, tmp_path: Path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(small)], check=False
    ).returncode:
        pytest.skip("may not mount a tmpfs here")
    try:
        done = run(
            tiny_recipe, "--out", str(small / "run"), "save.keep_last=9", "train.steps=200", "save.every=10"
        )
        assert done.returncode == 3, done.stderr
        assert "No space left" in done.stderr
        assert "newest whole checkpoint" in done.stderr
        assert "Traceback" not in done.stderr
        named = done.stderr.rpartition("newest whole checkpoint: ")[2].strip()
        again = run(tiny_recipe, "train.steps=200", "--resume", named)
        assert "resuming from" in again.stderr
        assert again.returncode == 0, again.stderr
    finally:
        subprocess.run(["umount", str(small)], check=True)
