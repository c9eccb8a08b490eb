"""Text to token store against `datasets.map` with the same tokenizer, interleaved, at identical ids.

    python benchmarks/text_to_store.py TEXT [--mb 20] [--rounds 3] [--vocab 16384]

TEXT is a text file with blank lines between documents. Both sides read the same JSON lines and leave ids on the
disk; ours also cuts sentences, counts and holds documents apart. The other side runs with one process (whose fast
tokenizer uses all cores) and with one process a core; the better of the two counts.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

import numpy as np

from nlptool.commands.tokenize import recipe as tokenize
from nlptool.commands.tokenize import run as tokenizing
from nlptool.console import Console, Options
from nlptool.recipe import loads
from nlptool.text.store import TokenStore
from nlptool.text.tokenizer import Tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--mb", type=float, default=20, help="how much of the text")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vocab", type=int, default=16384)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm_up()
        size = prepare(asked.text, int(asked.mb * 1e6), asked.vocab, folder)
        cores = len(os.sched_getaffinity(0))
        sides: dict[str, Callable[[], Any]] = {
            "nlptool tokenize": lambda: ours(folder, cores),
            "datasets.map, 1 process": lambda: theirs(folder, None),
            f"datasets.map, {cores} processes": lambda: theirs(folder, cores),
        }
        rounds = []
        for number in range(asked.rounds):
            rounds.append([timed(side) for side in sides.values()])
            print(f"round {number + 1}:", *(f"{wall:.1f} s" for wall, _ in rounds[-1]), flush=True)
        same(folder / "store", theirs(folder, None))
    load = os.getloadavg()[0]
    print(f"{size / 1e6:.1f} MB, vocabulary {asked.vocab:,}, {cores} cores, load {load:.1f}, identical ids")
    for label, taken in zip(sides, zip(*rounds, strict=True), strict=True):
        wall, cpu = (size / 1e6 / statistics.median(column) for column in zip(*taken, strict=True))
        print(f"{label:28} {wall:6.2f} MB/s   {cpu:6.2f} MB per second of processor time")
    for column, unit in enumerate(("wall time", "processor time")):
        ratios = [min(other[column] for other in others) / mine[column] for mine, *others in rounds]
        print(f"ratio to the better of the two, {unit}: {statistics.median(ratios):.1f}")


def warm_up() -> None:
    """Import the other side's libraries: here, not at the top, which every worker process of ours would repeat."""
    import datasets
    import transformers  # noqa: F401

    datasets.disable_progress_bars()


def timed(side: Callable[[], Any]) -> tuple[float, float]:
    """Seconds on the clock, and of all processors; the latter do not depend on what else the machine does."""
    start, before = time.perf_counter(), processor()
    side()
    return time.perf_counter() - start, processor() - before


def processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def prepare(text: Path, size: int, vocab: int, folder: Path) -> int:
    """Documents as JSON lines, and a tokenizer trained on them; bytes of the text."""
    raw = text.open("rb").read(size).decode("utf8", "ignore").replace("\r\n", "\n")
    documents = [" ".join(part.split()) for part in raw.split("\n\n") if part.strip()]
    with (folder / "corpus.jsonl").open("w", encoding="utf8") as file:
        file.writelines(json.dumps({"text": document}) + "\n" for document in documents)
    Tokenizer.train(documents, vocab).save(folder / "tokenizer")
    return sum(len(document.encode()) for document in documents)


def ours(folder: Path, workers: int) -> None:
    """What `nlptool tokenize` does once its recipe is read."""
    recipe = loads(
        f"source: {{files: {folder / 'corpus.jsonl'}}}\ntokenizer: {{load: {folder / 'tokenizer'}}}\n"
        f"normalise: {{unicode: none}}\nheldout: 0\nworkers: {workers}\nout: {folder / 'store'}\n",
        tokenize.Recipe,
    )
    tokenizing.run(recipe, Options(overwrite=True), Console(io.StringIO(), io.StringIO()))


def theirs(folder: Path, processes: int | None) -> Any:
    """Reading into Arrow and `map`, ids only, as fast as its documentation says."""
    import datasets
    from transformers import AutoTokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "true" if processes is None else "false"
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")

    def encode(batch: dict[str, list[str]]) -> Any:
        return tokenizer(
            batch["text"],
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )

    with contextlib.redirect_stderr(io.StringIO()):
        read = datasets.load_dataset(
            "json",
            data_files=str(folder / "corpus.jsonl"),
            split="train",
            cache_dir=str(folder / "cache"),
            download_mode="force_redownload",
        )
        return read.map(
            encode, batched=True, num_proc=processes, remove_columns=["text"], load_from_cache_file=False
        )


def same(store: Path, encoded: Any) -> None:
    """Stop unless both sides hold the same ids."""
    split = TokenStore(store).split("train")
    rows = encoded.with_format("numpy").iter(1000)
    ids = np.concatenate([row for batch in rows for row in batch["input_ids"]])
    if not np.array_equal(split.read(0, split.tokens), ids):
        raise SystemExit("the ids differ")


if __name__ == "__main__":
    main()
