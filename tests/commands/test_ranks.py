"""Several ranks under torchrun: the result of a single rank, and a one-line error whenever a rank fails."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.data.batches import Examples
from nlptool.recipe import load
from nlptool.train.distributed import DistributedContext

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
PLAIN = ["model.dropout=0", "model.attention_dropout=0"]
LONG = ["train.steps=50000", "save.every=50000", "evaluate.every=50000"]


def torchrun(ranks: int, *command: str) -> list[str]:
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return [sys.executable, *launch, "-m", "nlptool", *command]


def run(ranks: int, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        torchrun(ranks, *command), capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=300
    )


def logged(folder: Path, name: str) -> dict[int, float]:
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {line["step"]: line[name] for line in lines if name in line}


def started(folder: Path, *command: str) -> subprocess.Popen[str]:
    """Two ranks that train, once they have taken some steps."""
    process = subprocess.Popen(torchrun(2, *command), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    wait(lambda: bool(logged(folder, "mlm")) or process.poll() is not None)
    return process


def wait(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def ranks_of(process: subprocess.Popen[str]) -> list[int]:
    found = subprocess.run(
        ["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


class Few:
    """The first rows of some examples."""

    def __init__(self, examples: Examples, count: int) -> None:
        self.examples, self.count = examples, count

    def __len__(self) -> int:
        return self.count

    def take(self, indices: Any, epochs: Any, draws: Any) -> Any:
        return self.examples.take(indices, epochs, draws)


@pytest.mark.parametrize("rows", [1, 2, 11, 64])
def test_held_out_figures_are_the_same_on_any_number_of_ranks(rows: int, tiny_recipe: Path, monkeypatch):
    """Every row counts once: sums and counts of all ranks, added up as the trainer does, give one figure."""
    recipe = load(tiny_recipe, [*PLAIN, "train.batch_size=64"], Recipe).recipe
    plan = PretrainSetup(recipe)
    torch.manual_seed(0)
    objective = plan.objective().eval()
    whole = type(objective).examples
    monkeypatch.setattr(type(objective), "examples", lambda self, *cut: Few(whole(self, *cut), rows))
    found = []
    for size in (1, 2, 3, 5):
        sums: dict[str, Any] = {}
        counts: dict[str, int] = {}
        for rank in range(size):
            batches = plan.held_out(objective, DistributedContext(rank, size, torch.device("cpu")))
            assert batches is not None
            for batch in [*batches.get(0), *batches.get(1)]:
                for name, value in objective.measure(batch).items():
                    sums[name] = sums.get(name, 0) + value.double()
                for name, count in batch.counts.items():
                    counts[name] = counts.get(name, 0) + count
        found.append(objective.summary(sums, counts)["mlm"])
    assert found == pytest.approx([found[0]] * 4, abs=1e-6)


@pytest.mark.slow
def test_a_time_budget_ends_on_six_ranks(tiny_recipe: Path, tmp_path: Path):
    budget = ["~train.steps", "train.budget=2 seconds", "train.batch_size=12"]
    done = run(6, "pretrain-mlm", str(tiny_recipe), *budget)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "final").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("who", [0, 1])
def test_a_rank_that_is_killed_is_named_in_one_line(who: int, tiny_recipe: Path, tmp_path: Path):
    process = started(tmp_path / "run", "pretrain-mlm", str(tiny_recipe), *LONG)
    os.kill(ranks_of(process)[who], signal.SIGKILL)
    told = process.communicate(timeout=60)[1]
    assert told.count("error: rank ") == 1, told
    assert f"rank {who} (process " in told, told
    assert "defect" not in told
    if who:
        assert "state saved" in told
        (saved,) = (tmp_path / "run" / "checkpoints").iterdir()
        steps = f"train.steps={int(saved.name.removeprefix('step-')) + 1}"
        again = run(2, "pretrain-mlm", str(tiny_recipe), *LONG[1:], steps, "--resume", "auto")
        assert again.returncode == 0, again.stderr
        assert (tmp_path / "run" / "final").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGKILL, signal.SIGHUP])
def test_ranks_do_not_outlive_their_launcher(number: int, tiny_recipe: Path, tmp_path: Path):
    process = started(tmp_path / "run", "pretrain-mlm", str(tiny_recipe), *LONG)
    ranks = ranks_of(process)
    assert len(ranks) == 2
    process.send_signal(number)
    process.wait(timeout=60)
    wait(lambda: not any(map(alive, ranks)), 5)
    assert not any(map(alive, ranks))
    (saved,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert saved.name.startswith("step-")


@pytest.mark.slow
def test_an_error_of_all_ranks_is_shown_once(tiny_recipe: Path, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("x")
    done = run(3, "pretrain-mlm", str(tiny_recipe))
    assert done.stderr.count("error: rank") == 1, done.stderr
    assert "rank 0 of 3 on " in done.stderr
    assert "already holds something" in done.stderr


@pytest.mark.slow
def test_a_disk_that_fails_on_rank_0_is_one_error_and_no_defect(tiny_recipe: Path, tmp_path: Path):
    limited = ["bash", "-c", 'ulimit -f 16; exec "$@"', "-"]
    command = torchrun(2, "pretrain-mlm", str(tiny_recipe), "train.steps=40", "save.every=40")
    done = subprocess.run([*limited, *command], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode != 0
    assert done.stderr.count("error: rank") == 1, done.stderr
    assert "error: rank 0 of 2" in done.stderr
    assert "defect" not in done.stderr


@pytest.mark.slow
def test_a_rank_that_never_comes_is_told(tiny_recipe: Path):
    place = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517"}
    process = subprocess.Popen(
        [sys.executable, "-m", "nlptool", "pretrain-mlm", str(tiny_recipe)],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | place,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    process.terminate()
    process.communicate(timeout=30)
    assert "waits at 127.0.0.1:29517 for rank 1" in line
    assert process.returncode == 143


@pytest.mark.slow
def test_tokenize_and_export_leave_a_whole_folder(tiny_recipe: Path, tiny_run: Path, tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text("The old man went home. The people have work.\n\n" * 200)
    done = run(2, "tokenize", "demo/tokenize", "~source", f"source.files={text}", "tokenizer.vocab_size=300",
               "--out", str(tmp_path / "store"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "store" / "train.bin").exists()
    done = run(2, "export", str(tiny_run), "--out", str(tmp_path / "exported"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "exported" / "model.safetensors").exists()
    assert "rank 0 works alone" in done.stderr


@pytest.mark.slow
def test_compare_with_a_suite_ends_on_two_ranks(tiny_recipe: Path, tmp_path: Path):
    """Ranks join once for all runs; what is no training is rank 0's alone."""
    (tmp_path / "other.yaml").write_text(
        tiny_recipe.read_text().replace("{name: mlm}", "{name: mlm, whole_word: true}")
    )
    rows = "".join(json.dumps({"text": f"row {n}", "label": n % 2}) + "\n" for n in range(8))
    for split in ("train", "validation"):
        (tmp_path / "rows" / "one").mkdir(parents=True, exist_ok=True)
        (tmp_path / "rows" / "one" / f"{split}.jsonl").write_text(rows)
    (tmp_path / "one.yaml").write_text(
        "name: classification\ninputs: [text]\nlabels: [a, b]\nmetrics: [accuracy]\n"
    )
    (tmp_path / "suite.yaml").write_text(
        f"finetune:\n  tasks: [{tmp_path / 'one.yaml'}]\n  seeds: 1\n  train: {{steps: 2, "
        "batch_size: 4, sequence_length: 16}\n"
    )
    suite = ["--suite", str(tmp_path / "suite.yaml"), "--data", str(tmp_path / "rows")]
    for time_ in range(int(os.environ.get("NLPTOOL_TIMES", "2"))):
        out = tmp_path / f"c{time_}"
        done = run(
            2,
            "compare",
            str(tiny_recipe),
            str(tmp_path / "other.yaml"),
            "train.steps=4",
            *suite,
            "--out",
            str(out),
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("parameters") == 1
        found = json.loads((out / "compare.json").read_text())
        assert [len(one["suite"]) for one in found] == [1, 1]
