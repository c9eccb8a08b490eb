"""Start: `--help`, a broken recipe, and the time to the first optimiser step.

    python benchmarks/start.py STORE [--rounds 5]

`nlptool --help` beside `transformers --help`, interleaved; medians of wall time.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        recipe = Path(scratch) / "recipe.yaml"
        recipe.write_text(
            f"tokens: {args.store}\nmodel: {{name: bert, layers: 4, hidden: 256, heads: 4}}\n"
            f"objective: {{name: mlm}}\ntrain: {{steps: 1, lr: 5e-4}}\nout: {scratch}/run\n"
        )
        commands = {
            "nlptool --help": ["nlptool", "--help"],
            "transformers --help": ["transformers", "--help"],
            "a broken recipe": ["nlptool", "pretrain-mlm", str(recipe), "train.lrr=1"],
        }
        times: dict[str, list[float]] = {name: [] for name in [*commands, "first step"]}
        for _ in range(args.rounds):
            for name, (program, *rest) in commands.items():
                started = time.monotonic()
                subprocess.run([BIN / program, *rest], capture_output=True, check=False)
                times[name].append(time.monotonic() - started)
            run = ["pretrain-mlm", str(recipe), "--overwrite"]
            times["first step"].append(first_step(run, Path(scratch) / "run" / "metrics.jsonl"))
    for name, seconds in times.items():
        print(f"{name:24} {statistics.median(seconds):6.2f} s")
    ratio = statistics.median(times["transformers --help"]) / statistics.median(times["nlptool --help"])
    print(f"{'help: ratio':24} {ratio:6.1f}")


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
