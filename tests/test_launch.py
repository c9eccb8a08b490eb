"""The rank of a process from its launcher's variables, and errors for inconsistent ones."""

import os
from pathlib import Path

import pytest

from nlptool import launch
from nlptool.cli import main
from nlptool.errors import UsageError

TORCHRUN = {
    "RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "7",
}  # fmt: skip


def test_torchruns_variables_are_taken_as_they_are():
    this = launch.read(TORCHRUN)
    assert (this.rank, this.size, this.local_rank, this.address, this.port) == (1, 4, 1, "a", 7)
    assert launch.read({}) == launch.read({"WORLD_SIZE": "1"}) == launch.ALONE


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: expected a whole number"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0"),
        ({"RANK": "-1"}, "RANK=-1"),
        ({"RANK": "4"}, "with WORLD_SIZE=4 ranks go from 0 to 3"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT=http"),
    ],
)
def test_values_that_are_wrong_are_named(wrong: dict[str, str], told: str):
    with pytest.raises(UsageError, match=told):
        launch.read(TORCHRUN | wrong)


@pytest.mark.parametrize("name", ["RANK", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE"])
def test_a_variable_that_is_missing_is_named(name: str):
    with pytest.raises(UsageError, match=f"{name} is not set"):
        launch.read({key: value for key, value in TORCHRUN.items() if key != name})


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"WORLD_SIZE": "2"}, "RANK is not set"),
        ({"WORLD_SIZE": "two", "RANK": "0"}, "WORLD_SIZE=two"),
        (
            {"SLURM_NTASKS": "2", "SLURM_NNODES": "1"},
            "torchrun --standalone --nproc-per-node=2 -m nlptool pretrain-mlm",
        ),
        ({"SLURM_NTASKS": "8", "SLURM_NNODES": "2"}, "RANK=$SLURM_PROCID"),
    ],
)
def test_training_does_not_run_as_one_rank_of_several(
    variables: dict[str, str], told: str, tiny_recipe: Path, tmp_path: Path, monkeypatch, capsys
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    command = ["pretrain-mlm", str(tiny_recipe), "--out", str(tmp_path / "my run")]
    monkeypatch.setattr("sys.argv", ["nlptool", *command])
    assert main(command) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not (tmp_path / "my run").exists()


def test_with_one_rank_asked_for_slurms_tasks_do_not_matter(monkeypatch):
    launch.require_launcher({"SLURM_NTASKS": "4", "WORLD_SIZE": "1"}, [])
    launch.require_launcher({"SLURM_NTASKS": "1"}, [])


def test_threads_that_the_user_set_are_kept_and_cpus_are_shared_otherwise(monkeypatch):
    assert launch.read(TORCHRUN | {"OMP_NUM_THREADS": "3"}).threads is None
    assert launch.read(TORCHRUN | {"OMP_NUM_THREADS": "1"}).threads is None
    monkeypatch.setattr(launch, "cpus", lambda: 6)
    assert launch.read(TORCHRUN).threads == 3
    assert launch.read(TORCHRUN | {"LOCAL_WORLD_SIZE": "8"}).threads == 1


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="CPUs cannot be given away here")
def test_cpus_are_those_that_the_process_may_use():
    assert 1 <= launch.cpus() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "command", [["recipes", "ls"], ["schema", "tokenize"], ["pretrain-mlm", "demo/bert", "--dry-run"]]
)
def test_what_has_no_use_for_ranks_is_left_to_rank_0(command: list[str], monkeypatch, capsys):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert main(command) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("RANK", "0")
    if "--dry-run" not in command:  # which needs the demo's tokens
        assert main(command) == 0
        assert "WORLD_SIZE" not in os.environ
        shown = capsys.readouterr()
        assert shown.out
        assert "rank 0 works alone" in shown.err


def test_only_the_first_rank_of_a_host_shows_what_is_wrong_with_a_recipe(monkeypatch, capsys):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert main(["pretrain-mlm", "demo/bert", "train.lrr=1"]) == 2
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert main(["pretrain-mlm", "demo/bert", "train.lrr=1"]) == 2
    assert "rank 1 of 4 on " in capsys.readouterr().err
