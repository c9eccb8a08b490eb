"""How fast batches are made on one core: cutting rows from a store, masking, collating.

The store is random tokens with sentences of 5 to 44 tokens and documents of 20 sentences; the model is not touched.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from nlptool import registry
from nlptool.data.batches import Batches, Stage
from nlptool.data.vocabulary import Vocabulary
from nlptool.text.store import Split, SplitWriter, dtype_for

SIZE = 16_384
SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4, "eos": 5}
SETTINGS: dict[str, dict[str, Any]] = {
    "packed rows, single tokens": {},
    "packed rows, whole words": {"whole_word": True},
    "packed rows, 3-grams of words": {"whole_word": True, "ngram": 3},
    "segment pairs, single tokens": {"next_sentence": True},
}
SHAPES = ((128, 32), (128, 256), (512, 8), (512, 64))


def store(folder: Path) -> Split:
    """About 25 million tokens."""
    rng = np.random.default_rng(0)
    writer = SplitWriter(folder / "train", dtype_for(SIZE))
    for _ in range(20):
        lengths = rng.integers(5, 45, 50_000).astype(np.int32)
        writer.add_many(rng.integers(6, SIZE, lengths.sum()), lengths, np.full(2_500, 20, np.int64))
    writer.close()
    return Split(folder / "train")


def speed(batches: Batches, steps: int) -> float:
    """Real tokens per second of CPU time, best of five stretches of `steps` batches."""
    batches.get(0)
    best = 0.0
    for stretch in range(5):
        started = time.process_time()
        tokens = sum(batches.get(1 + stretch * steps + n)[0].tokens for n in range(steps))
        best = max(best, tokens / (time.process_time() - started))
    return best


def main() -> None:
    first = (
        np.random.default_rng(1).choice([-1, 1], SIZE, p=[0.75, 0.25]).astype(np.int8)
    )  # most begin a word
    vocabulary = Vocabulary(SIZE, SPECIAL, first, np.ones(SIZE, np.int8))
    config = registry.config("objectives", "mlm")
    model = registry.config("models", "bert").model_validate({"layers": 1, "hidden": 64, "heads": 1})
    print(f"{'million tokens per CPU second':32}" + "".join(f"{r:>6} x {t:<4}" for t, r in SHAPES))
    with tempfile.TemporaryDirectory() as folder:
        split = store(Path(folder))
        for name, settings in SETTINGS.items():
            with torch.device("meta"):
                made = config.model_validate(settings).build(model, vocabulary)
            speeds = [
                speed(
                    Batches([Stage(0, rows, made.examples(split, length, 0))], made.collate, seed=0),
                    200_000 // (rows * length),
                )
                for length, rows in SHAPES
            ]
            print(f"{name:32}" + "".join(f"{s / 1e6:10.1f} " for s in speeds), flush=True)


if __name__ == "__main__":
    main()
