"""ERNIE beside BERT on relations of T-REx: Wikipedia's sentences with mentions, and Wikidata's triples.

    python -m benchmarks.trex WORK --data FOLDER [--steps 400] [--labels 2000] [--seeds 0 1 2]

FOLDER holds sentences.jsonl.gz (text, mentions [begin, end, entity], triple), triples.tsv.gz and entity_labels.tsv.gz.
A row is a sentence that mentions both ends of its triple; rows are split by the pair of entities, so that no pair is in
both parts, and all pairs leave the graph. The rows for validation are in no text that is pretrained on. Every arm has
the same tokenizer, sizes, rows and steps; what an arm gives is in WORK/results.jsonl, and a finished one is not run
again.
"""

import argparse
import gzip
import hashlib
import json
import time
from collections import Counter
from pathlib import Path
from statistics import mean, stdev

from nlptool.cli import main

TYPES = ["sim", "sim", "mix", "norm"]
SIZE = {"layers": 4, "hidden": 128, "heads": 2, "max_positions": 64, "init": 0.05, "dropout": 0.1}
PRETRAINED = {"BERT": None, "ERNIE": 1.0, "ERNIE without dEA": 0.0}
ARMS = {
    "BERT": ("BERT", False),
    "ERNIE": ("ERNIE", True),
    "ERNIE, links withheld": ("ERNIE", False),
    "ERNIE without dEA": ("ERNIE without dEA", True),
}
FEWEST = 20  # rows of a relation


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


def rows_of(sentences: list[dict]) -> list[dict]:
    """Labelled rows in the form of ERNIE's released data, each text once."""
    rows, seen = [], set()
    for one in sentences:
        head, relation, tail = one["triple"]
        places = {entity: [begin, end] for begin, end, entity in reversed(one["mentions"])}
        if head != tail and head in places and tail in places and one["text"] not in seen:
            seen.add(one["text"])
            ents = [[entity, *places[entity], 1.0] for entity in (head, tail)]
            rows.append({"text": one["text"], "ents": ents, "label": relation})
    counts = Counter(row["label"] for row in rows)
    return [row for row in rows if counts[row["label"]] >= FEWEST]


def write(path: Path, records: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records))


def prepare(work: Path, data: Path, labels: int, seeds: list[int]) -> None:
    with gzip.open(data / "sentences.jsonl.gz", "rt", encoding="utf8") as file:
        sentences = [json.loads(line) for line in file]
    rows = rows_of(sentences)
    parts: dict[str, list[dict]] = {"train": [], "validation": []}
    for row in rows:
        pair = sorted(entity for entity, *_ in row["ents"])
        parts["validation" if chance(pair) < 1 / 6 else "train"].append(row)
    held = {row["text"] for row in parts["validation"]}
    write(work / "labelled.jsonl", rows)
    write(work / "text.jsonl", [one for one in sentences if one["text"] not in held])
    for seed in seeds:
        drawn = sorted(parts["train"], key=lambda row, seed=seed: chance(seed, row["text"]))[:labels]
        write(work / f"rows-{seed}" / "train.jsonl", drawn)
        write(work / f"rows-{seed}" / "validation.jsonl", parts["validation"])
    names = sorted({row["label"] for row in rows})
    task = {
        "name": "relation_classification",
        "labels": names,
        "metrics": ["accuracy", "macro_f1"],
    }
    (work / "task.yaml").write_text(json.dumps(task))
    print(
        f"{len(rows):,} rows of {len(names)} relations; {len(parts['train']):,} and {len(held):,} for validation"
    )


def call(command: str, out: Path, recipe: dict | str, *changes: str) -> float:
    """Run a command once; seconds of processor time, 0 where it was finished before."""
    if (out / "done").exists():
        return float((out / "done").read_text())
    if isinstance(recipe, dict):
        path = out.with_suffix(".yaml")
        path.write_text(json.dumps({**recipe, "out": str(out)}))
        recipe = str(path)
    began = time.process_time()
    if main([command, recipe, *changes, "--out", str(out), "--overwrite"]):
        raise SystemExit(1)
    seconds = time.process_time() - began
    (out / "done").write_text(str(seconds))
    return seconds


def graph_and_text(work: Path, data: Path) -> None:
    graph = {
        "source": {"files": str(data / "triples.tsv.gz")},
        "labels": str(data / "entity_labels.tsv.gz"),
        "without": [{"files": str(work / "labelled.jsonl"), "head": "ents.0.0", "tail": "ents.1.0"}],
    }
    call("knowledge", work / "graph", graph)
    transe = {
        "graph": str(work / "graph"),
        "objective": {"name": "transe", "embedding_size": 100, "loss": "self_adversarial", "margin": 6.0}
        | {"num_negatives": 8, "normalize": "none"},
        "train": {"budget": "20 epochs", "batch_size": 512, "lr": 0.01, "warmup": 0, "schedule": "linear"}
        | {"optimizer": {"weight_decay": 0.0}},
        "evaluate": {"every": 10**9, "triples": 1},
    }
    call("pretrain-transe", work / "transe", transe)
    tokens = {
        "source": {"files": str(work / "text.jsonl")},
        "tokenizer": {"vocab_size": 8000},
        "heldout": 0.04,
        "links": {"graph": str(work / "graph"), "by": "mentions"},
    }
    call("tokenize", work / "tokens", tokens)


def pretrain(work: Path, name: str, seed: int, steps: int) -> tuple[Path, float]:
    weight = PRETRAINED[name]
    recipe = {
        "store": str(work / "tokens"),
        "model": {"name": "bert", **SIZE},
        "objective": {"name": "mlm"},
        "train": {
            "steps": steps,
            "batch_size": 64,
            "sequence_length": 64,
            "lr": 1e-3,
            "warmup": 0.05,
            "schedule": "linear",
            "optimizer": {"betas": [0.9, 0.98]},
        },
        "evaluate": {"every": steps, "batches": 5},
        "save": {"every": steps, "keep_last": 1},
        "seed": seed,
    }
    if weight is not None:
        recipe |= {
            "entity_embeddings": str(work / "transe/final"),
            "model": {"name": "ernie", **SIZE, "layer_types": TYPES},
            "objective": {"name": "ernie", "next_sentence": False, "dea_weight": weight},
        }
    out = work / f"{name.replace(' ', '-')}-{steps}-{seed}"
    seconds = call("pretrain-mlm" if weight is None else "pretrain-ernie", out, recipe)
    return out / "final", seconds


def finetune(work: Path, arm: str, seed: int, options: argparse.Namespace) -> dict:
    name, linked = ARMS[arm]
    model, seconds = pretrain(work, name, options.pretraining_seed, options.steps)
    changes = [
        f"task={work / 'task.yaml'}",
        f"init_from={model}",
        f"data={work / f'rows-{seed}'}",
        f"train.epochs={options.epochs}",
        "train.lr=5e-4",
        "train.schedule=linear",
        "train.sequence_length=64",
        "train.optimizer.bias_correction=true",
        f"seeds=[{seed}]",
    ]
    if linked:
        changes += [f"task.graph={work / 'graph'}", f"task.entity_embeddings={work / 'transe/final'}"]
    out = work / f"task-{arm.replace(' ', '-').replace(',', '')}-{options.steps}-{options.epochs}-{seed}"
    tuning = call("finetune", out, "finetune/ernie-relations", *changes)
    scores = json.loads((out / "scores.json").read_text())
    figures = scores["runs"][0]["figures"]
    return {
        "arm": arm,
        "steps": options.steps,
        "seed": seed,
        "accuracy": figures["accuracy"],
        "macro_f1": figures["macro_f1"],
        "majority": scores["baseline"],
        "pretraining, cpu seconds": round(seconds),
        "fine-tuning, cpu seconds": round(tuning),
    }


def run(options: argparse.Namespace) -> None:
    work, results = options.work, options.work / "results.jsonl"
    work.mkdir(parents=True, exist_ok=True)
    prepare(work, options.data, options.labels, options.seeds)
    graph_and_text(work, options.data)
    found = []
    for seed in options.seeds:
        for arm in options.arms:
            found.append(finetune(work, arm, seed, options))
            with results.open("a") as file:
                file.write(json.dumps(found[-1]) + "\n")
    for arm in options.arms:
        for metric in ("accuracy", "macro_f1"):
            values = [one[metric] for one in found if one["arm"] == arm]
            spread = f" +- {stdev(values):.4f}" if len(values) > 1 else ""
            print(
                f"{arm:<24} {metric:<9} {mean(values):.4f}{spread}  ({', '.join(f'{v:.4f}' for v in values)})"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--labels", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--pretraining-seed", type=int, default=0, help="seeds draw labels and fine-tuning")
    parser.add_argument("--arms", nargs="*", choices=list(ARMS), default=list(ARMS))
    run(parser.parse_args())
