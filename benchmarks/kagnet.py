"""KagNet against its statement encoder on CommonsenseQA 1.0, whose rows are at hand with three choices.

    python -m benchmarks.kagnet WORK --rows train.jsonl.gz --triples train.tsv.gz --init-from MODEL

--triples: relation, head and tail with tabs between them, as ConceptNet100k comes; graph and vectors of 100 numbers
are made in WORK.
A fifth of the rows is the development split. `random`: the two wrong choices are the right ones of other questions, of
the same split. `plain`: the rows as they are. Each arm changes one key of the task; the statement alone is the linear
probe on the encoder's frozen vectors that `finetune` puts beside the score.
"""

import argparse
import gzip
import json
import random
import time
from pathlib import Path

from nlptool.cli import main

ARMS = {
    "KagNet": [],
    "without the GCN": ["task.network.gcn=[]"],
    "without attention": ["task.network.path_attention=false", "task.network.pair_attention=false"],
    "pruned, a fifth": ["task.paths.threshold=null", "task.paths.quantile=0.2"],
    "no path": ["task.paths.threshold=1.0"],
}
SEED = 0


def rows_of(path: Path, limit: int | None) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf8") as file:
        rows = [json.loads(line) for line in file]
    random.Random(SEED).shuffle(rows)
    return rows[:limit]


def right(row: dict) -> str:
    return next(c["text"] for c in row["question"]["choices"] if c["label"] == row["answerKey"])


def with_random_choices(rows: list[dict], seed: int) -> list[dict]:
    draw, made = random.Random(seed), []
    for row in rows:
        texts = [right(row)]
        while len(texts) < 3:
            other = right(draw.choice(rows))
            if other not in texts:
                texts.append(other)
        draw.shuffle(texts)
        choices = [{"label": label, "text": text} for label, text in zip("ABC", texts, strict=True)]
        question = {"stem": row["question"]["stem"], "choices": choices}
        made.append({"question": question, "answerKey": "ABC"[texts.index(right(row))]})
    return made


def write(folder: Path, rows: list[dict], choices: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    cut = len(rows) // 5
    for number, (split, some) in enumerate({"validation": rows[:cut], "train": rows[cut:]}.items()):
        shown = with_random_choices(some, number) if choices == "random" else some
        lines = (json.dumps(row) + "\n" for row in shown)
        (folder / f"{split}.jsonl").write_text("".join(lines))


def graph_and_vectors(work: Path, triples: Path) -> None:
    """The graph with KagNet's relations, and vectors of 19 epochs."""
    work.mkdir(parents=True, exist_ok=True)
    graph = {
        "source": {"files": str(triples), "format": "tsv", "columns": ["relation", "head", "tail"]},
        "relations": {"merge": "conceptnet"},
        "letters_only": True,
        "out": str(work / "graph"),
    }
    transe = {
        "graph": graph["out"],
        "objective": {"name": "transe", "embedding_size": 100, "loss": "self_adversarial", "margin": 6.0}
        | {"num_negatives": 8, "normalize": "none"},
        "train": {"budget": "19 epochs", "batch_size": 512, "lr": 0.01, "warmup": 0, "schedule": "linear"}
        | {"optimizer": {"weight_decay": 0.0}},
        "evaluate": {"every": 10**9, "triples": 1},
        "out": str(work / "transe"),
    }
    for command, recipe in {"knowledge": graph, "pretrain-transe": transe}.items():
        path = work / f"{command}.yaml"
        path.write_text(json.dumps(recipe))
        finished = (Path(recipe["out"]) / "graph.json").exists() or (Path(recipe["out"]) / "final").exists()
        if not finished and main([command, str(path)]):
            raise SystemExit(1)


def run(options: argparse.Namespace) -> None:
    graph_and_vectors(options.work, options.triples)
    data = options.work / f"data-{options.choices}"
    write(data, rows_of(options.rows, options.limit), options.choices)
    for arm in options.arms or ARMS:
        out = options.work / f"{options.choices}-{arm.replace(' ', '-').replace(',', '')}"
        began = time.monotonic()
        changes = [
            "task=csqa/kagnet_v1_0",
            f"task.graph={options.work / 'graph'}",
            f"task.entity_embeddings={options.work / 'transe/final'}",
            f"task.schema_graphs={options.work / 'schema-graphs'}",
            f"task.pooling={options.pooling}",
            *ARMS[arm],
            f"init_from={options.init_from}",
            f"data={data}",
            f"train.epochs={options.epochs}",
            "train.sequence_length=64",
            "~evaluate",
            f"seeds={options.seeds}",
        ]
        code = main(["finetune", "kagnet/csqa", *changes, "--out", str(out), "--resume", "auto"])
        if code:
            raise SystemExit(code)
        told = json.loads((out / "scores.json").read_text())
        line = {
            "choices": options.choices,
            "arm": arm,
            "rows": told["rows"],
            "accuracy": [round(one["figures"]["accuracy"], 4) for one in told["runs"]],
            "statement alone": round(told["baseline"]["accuracy"], 4),
            "seconds of training": [round(one["seconds"], 1) for one in told["runs"]],
            "seconds": round(time.monotonic() - began),
        }
        with (options.work / "results.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    for name in ("rows", "triples", "init-from"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--choices", choices=("random", "plain"), default="random")
    parser.add_argument("--pooling", choices=("cls", "mean"), default="mean")
    parser.add_argument("--arms", nargs="*", choices=list(ARMS))
    parser.add_argument("--limit", type=int, help="rows, both splits together")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    run(parser.parse_args())
