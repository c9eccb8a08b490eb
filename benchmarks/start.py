"""Start: `--help`, a broken recipe, the time to the first optimiser step, and what it costs to verify digests.

    python benchmarks/start.py STORE [--rounds 5]
    python benchmarks/start.py STORE --before OLD [--rounds 15]     # OLD: a checkout of an earlier commit

`nlptool --help` beside `transformers --help`, or both commits beside each other, in turn; medians. Commits are compared
by processor time (of the process and its children), since other work on the machine moves wall time.

Digests are those that are read along with a store and with a model: of STORE, and of files of 64 MiB, the largest that
are verified without `nlptool doctor`, beside a whole `pretrain-mlm` of one step.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

BIN = Path(sys.executable).parent
HERE = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier commit")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        recipe = Path(scratch) / "recipe.yaml"
        recipe.write_text(
            f"store: {args.store.resolve()}\nmodel: {{name: bert, layers: 4, hidden: 256, heads: 4}}\n"
            f"objective: {{name: mlm}}\ntrain: {{steps: 1, lr: 5e-4}}\nout: {scratch}/run\n"
        )
        if args.before:
            _commits(recipe, args.before.resolve(), args.rounds)
        else:
            _commands(recipe, args.rounds)
        _digests(args.store, recipe, Path(scratch), args.rounds)


def _commands(recipe: Path, rounds: int) -> None:
    """Wall time of this commit, and of transformers' --help."""
    commands = {
        "nlptool --help": ["nlptool", "--help"],
        "transformers --help": ["transformers", "--help"],
        "a broken recipe": ["nlptool", "pretrain-mlm", str(recipe), "train.lrr=1"],
    }
    run = ["pretrain-mlm", str(recipe), "--overwrite"]
    measured: dict[str, Callable[[], float]] = {
        name: lambda line=line: _seconds(line)  # type: ignore[misc]
        for name, line in commands.items()
    } | {"first step": lambda: first_step(run, recipe.parent / "run" / "metrics.jsonl")}
    medians = _medians(measured, rounds)
    for name, seconds in medians.items():
        print(f"{name:24} {seconds:6.2f} s")
    print(f"{'help: ratio':24} {medians['transformers --help'] / medians['nlptool --help']:6.1f}")


def _commits(recipe: Path, before: Path, rounds: int) -> None:
    """Processor time of the commit in `before` and of this one."""
    lines = {"--help": ["--help"], "a broken recipe": ["pretrain-mlm", str(recipe), "train.lrr=1"]}
    measured: dict[str, Callable[[], float]] = {
        f"{name}, {which}": lambda line=line, tree=tree: _processor(line, tree)  # type: ignore[misc]
        for name, line in lines.items()
        for which, tree in (("before", before), ("now", HERE))
    }
    for measure in measured.values():  # which leaves compiled files
        measure()
    medians = _medians(measured, rounds)
    for name in lines:
        old, new = medians[f"{name}, before"], medians[f"{name}, now"]
        print(f"{name:24} before {old:.3f} s, now {new:.3f} s of processor time, ratio {new / old:.3f}")


def _digests(store: Path, recipe: Path, scratch: Path, rounds: int) -> None:
    """Processor time of verifying digests beside that of a run of one step."""
    from nlptool.manifests import differs, recorded

    large = scratch / "large" / "model.safetensors"
    large.parent.mkdir()
    large.write_bytes(os.urandom(2**26))
    start = _medians(
        {"start": lambda: _processor(["pretrain-mlm", str(recipe), "--overwrite"], HERE)}, min(rounds, 5)
    )["start"]
    for name, paths in (("the store", [*store.glob("*.bin"), *store.glob("*.idx")]), ("64 MiB", [large])):
        written = recorded(paths)

        def verify(paths: list[Path] = paths, written: Mapping[str, object] = written) -> float:
            began = time.process_time()
            assert differs(paths[0].parent, written) is None
            return time.process_time() - began

        seconds = _medians({name: verify}, rounds)[name]
        size = sum(path.stat().st_size for path in paths) / 2**20
        print(
            f"digests of {name:13} {size:6.1f} MiB, {seconds:.3f} s of processor time: "
            f"{seconds / start:.1%} of a run of one step, {start:.2f} s"
        )


def _medians(measured: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Each is called once a round, in turn; in every other round the last one first."""
    found: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(rounds):
        for name in list(measured)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(measured[name]())
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def _seconds(command: list[str]) -> float:
    started = time.monotonic()
    subprocess.run([BIN / command[0], *command[1:]], capture_output=True, check=False)
    return time.monotonic() - started


def _processor(command: list[str], tree: Path) -> float:
    """Processor seconds of `python -m nlptool` as it is in `tree`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or all sources are compiled each time
    line = [sys.executable, "-m", "nlptool", *command]
    subprocess.run(line, capture_output=True, check=False, cwd=tree, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_step(command: list[str], metrics: Path) -> float:
    """Seconds from the launch until the figures of step 1 are on the disk."""
    metrics.unlink(missing_ok=True)
    started = time.monotonic()
    with subprocess.Popen(
        [BIN / "nlptool", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not (metrics.exists() and metrics.stat().st_size) and process.poll() is None:
            time.sleep(0.005)
        return time.monotonic() - started


if __name__ == "__main__":
    main()
