"""Rows a second of `nlptool predict` and of transformers' text-classification pipeline; memory over many rows.

    python benchmarks/predict.py TOKENIZER TEXT [--rows 2000] [--lines 8] [--rounds 5] [--threads 1] [--clock process]
                                 [--memory 0]

TOKENIZER: a folder with one. TEXT: a file whose lines, one to --lines of them joined, make rows of mixed lengths.
The model has 4 layers of 256 and random weights, and both sides compute in float32. The pipeline is given the texts
sorted by length, at batch 1, 8, 32 and 64, of which the fastest counts; nlptool reads a file of JSON lines in their
order and makes its lines of output. Rounds are interleaved, medians are printed, and labels and scores are compared.
--clock: `process`, seconds of this process on one thread, whatever else runs; `wall` for several threads, on a machine
where nothing else runs. --memory N: predict N rows and print how memory grows.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
BATCHES = (1, 8, 32, 64)
CLOCKS = {"process": time.process_time, "wall": time.perf_counter}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="process")
    parser.add_argument("--lines", type=int, default=8)
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        final = make(args.tokenizer, folder / "final", args.layers, args.hidden)
        texts = mixed(args.text, args.rows, args.lines)
        if args.memory:
            growth(final, texts, args.memory, folder)
        else:
            compare(final, texts, args.rounds, CLOCKS[args.clock], folder)


def make(tokenizer: Path, final: Path, layers: int, hidden: int) -> Path:
    """A classifier with random weights, as finetune leaves it."""
    import torch

    from nlptool import registry
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.task_record import TaskRecord
    from nlptool.text.tokenizer import Tokenizer

    torch.manual_seed(0)
    known = Tokenizer.load(tokenizer)
    block = {"name": "bert", "layers": layers, "hidden": hidden, "heads": hidden // 64, "max_positions": 512}
    model = registry.config("models", "bert").model_validate(block | {"init": 0.1})
    task = registry.config("tasks", registry_name()).model_validate(
        {"name": registry_name(), "inputs": ("text",), "labels": ("no", "yes"), "metrics": ("accuracy",)}
    )
    objective = task.build(model, Vocabulary.of(known), 0.0)
    final.mkdir()
    objective.folders(model)[""].save(final, known, 512)
    TaskRecord(task, 512, 32).write(final)
    return final


def registry_name() -> str:
    """What classification is called."""
    from nlptool import registry

    return next(name for name in registry.names("tasks") if name.startswith("classif"))


def mixed(path: Path, rows: int, most: int) -> list[str]:
    """Texts of one line to `most` lines, evenly."""
    lines = cycle(line for line in path.read_text("utf8").splitlines() if line.strip())
    return [" ".join(islice(lines, 1 + row * 5 % most)) for row in range(rows)]


def predicted(final: Path, source: Path, out: Path) -> list[dict[str, Any]]:
    """What `nlptool predict` does behind its imports, but for loading the model, which the pipeline has loaded, too."""
    from nlptool.commands.predict import run
    from nlptool.tasks.row_source import InputRows

    ensemble, question = final  # type: ignore[misc]
    rows = InputRows(ensemble.task, (str(source),)).read()
    lines = [line for _, some, _ in run.predicted(ensemble, rows, question, 0) for line in some]
    out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return lines


def compare(final: Path, texts: list[str], rounds: int, clock: Callable[[], float], folder: Path) -> None:
    """Both in turn."""
    import transformers

    from nlptool.commands.predict.options import PredictOptions
    from nlptool.commands.predict.run import Ensemble
    from nlptool.train.interrupts import SignalHandler

    source = folder / "rows.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    question = PredictOptions(str(final), (str(source),))
    ensemble = Ensemble([str(final)], question, SignalHandler(alone=True))
    pipe = transformers.pipeline("text-classification", model=str(final), device=-1)
    lengths = [len(pipe.tokenizer(text).input_ids) for text in texts]
    order = sorted(range(len(texts)), key=lambda row: lengths[row])
    tokens = [min(lengths), statistics.median(lengths), max(lengths)]
    print(f"{len(texts):,} rows of {tokens[0]} to {tokens[2]} tokens, {tokens[1]:.0f} in the middle")
    ordered = [texts[row] for row in order]
    times: dict[str, list[float]] = {"nlptool": [], **{f"batch {size}": [] for size in BATCHES}}
    for _ in range(rounds):
        began = clock()
        ours = predicted((ensemble, question), source, folder / "out.jsonl")  # type: ignore[arg-type]
        times["nlptool"].append(clock() - began)
        for size in BATCHES:
            began = clock()
            theirs = pipe(ordered, batch_size=size, top_k=None, truncation=True, max_length=512)
            times[f"batch {size}"].append(clock() - began)
    worst, other = 0.0, 0
    for row, found in zip(order, theirs, strict=True):
        scores = {one["label"]: one["score"] for one in found}
        other += max(scores, key=lambda label: scores[label]) != ours[row]["prediction"]
        worst = max(worst, *(abs(scores[name] - ours[row]["scores"][name]) for name in scores))
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:9} {len(texts) / median:8,.0f} rows a second")
    fastest = min(median for name, median in medians.items() if name != "nlptool")
    print(f"nlptool is {fastest / medians['nlptool']:.2f} times as fast as the fastest pipeline")
    print(f"labels that differ: {other}; largest difference of a score: {worst:.1e}")


def growth(final: Path, texts: list[str], rows: int, folder: Path) -> None:
    """Resident memory at each tenth of the rows."""
    from nlptool.cli import main as nlptool
    from nlptool.tasks.prediction_parts import PredictionParts

    source = folder / "rows.jsonl"
    with source.open("w") as file:
        for text in islice(cycle(texts), rows):
            file.write(json.dumps({"text": text[:40]}) + "\n")
    seen: list[tuple[int, int]] = []
    add = PredictionParts.add

    def watched(self: PredictionParts, *arguments: Any) -> Any:
        done = add(self, *arguments)
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        seen.append((done.rows, resident))
        return done

    PredictionParts.add = watched  # type: ignore[method-assign]
    assert nlptool(["predict", str(final), str(source), "--out", str(folder / "out.csv")]) == 0
    for rows_done, resident in seen[:: max(1, len(seen) // 10)]:
        print(f"{rows_done:10,} rows   {resident / 1e6:8.1f} MB")
    peak = max(resident for _, resident in seen)
    print(f"largest growth since the second chunk: {(peak - seen[min(1, len(seen) - 1)][1]) / 1e6:.1f} MB")
    last = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"peak of the process, with the output's writing: {last:,.0f} MB")


if __name__ == "__main__":
    main()
