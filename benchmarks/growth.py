"""Does anything grow with the store? Start and step time with 10^5 and with 10^9 tokens.

    python benchmarks/growth.py STORE [--rounds 5]

STORE lends its tokenizer. Both stores are made here, sparse, of equal sentences and documents. Interleaved medians.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from start import BIN, first_step

from nlptool.text.store import DTYPES, SplitWriter

SIZES = (10**5, 10**9)
SENTENCE, DOCUMENT = 25, 40  # tokens, sentences


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    args = parser.parse_args()
    starts: dict[int, list[float]] = {size: [] for size in SIZES}
    steps: dict[int, list[float]] = {size: [] for size in SIZES}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for size in SIZES:
            make(args.store, folder / str(size), size)
            (folder / f"{size}.yaml").write_text(
                f"store: {folder / str(size)}\nmodel: {{name: bert, layers: 2, hidden: 128, heads: 2}}\n"
                f"objective: {{name: mlm}}\ntrain: {{steps: {args.steps}, lr: 1e-4}}\nout: {folder}/run\n"
            )
        for _ in range(args.rounds):
            for size in SIZES:
                command = ["pretrain-mlm", str(folder / f"{size}.yaml"), "--overwrite"]
                starts[size].append(first_step(command, folder / "run" / "metrics.jsonl"))
                subprocess.run([BIN / "nlptool", *command], capture_output=True, check=True)
                lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
                logged = [line for line in map(json.loads, lines) if "seconds" in line]
                first, last = logged[0], logged[-1]
                steps[size].append((last["seconds"] - first["seconds"]) / (last["step"] - first["step"]))
    for size in SIZES:
        start, step = statistics.median(starts[size]), statistics.median(steps[size])
        spread = max(starts[size]) - min(starts[size])
        print(
            f"{size:13,} tokens   first step after {start:.2f} s (spread {spread:.2f})   step {1000 * step:.1f} ms"
        )


def make(lender: Path, folder: Path, tokens: int) -> None:
    """A store of zeros that takes almost no disk."""
    folder.mkdir()
    shutil.copytree(lender / "tokenizer", folder / "tokenizer")
    shutil.copy(lender / "store.json", folder)
    for split, size in (("train", tokens), ("heldout", 10**5)):
        writer = SplitWriter(folder / "other", DTYPES[8])
        for start in range(0, size // SENTENCE, 1 << 20):
            count = min(1 << 20, size // SENTENCE - start)
            lengths = np.full(count, SENTENCE, np.int32)
            counts = np.full(count // DOCUMENT, DOCUMENT, np.int64)
            writer.add_many(np.empty(0, np.uint16), lengths, counts)
        writer.close()
        (folder / "other.idx").rename(folder / f"{split}.idx")
        (folder / "other.bin").unlink()
        with (folder / f"{split}.bin").open("wb") as data:
            data.truncate(2 * size)


if __name__ == "__main__":
    sys.exit(main())
