"""Knowledge graphs: TransE beside PyKEEN, building and opening a graph, and its learning on UMLS and WN18RR.

python -m benchmarks.knowledge speed GRAPH            triples a second beside PyKEEN's, in turns (pip install pykeen)
python -m benchmarks.knowledge size FOLDER            a graph of 10^7 triples: time and memory
python -m benchmarks.knowledge beside RECIPE ...       PyKEEN trained by the same settings: its time and figures
python -m benchmarks.knowledge learn RECIPE OUT ...   filtered figures of several seeds on validation and test
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median, stdev

SIZE = 100  # numbers in a vector
BATCH = 256


def rate(train: Callable[[int], None], triples: int, epochs: int) -> float:
    """Triples a second of processor time, start and end left out: a longer run less a shorter one."""
    times = []
    for number in (epochs, 4 * epochs):
        began = time.process_time()
        train(number)
        times.append(time.process_time() - began)
    return 3 * epochs * triples / (times[1] - times[0])


def ours(graph: Path, negatives: int, epochs: int) -> None:
    """A run: batches made ahead, losses logged, a checkpoint at the end."""
    from nlptool.cli import main

    with tempfile.TemporaryDirectory() as folder:
        recipe = {
            "graph": str(graph),
            "objective": {"name": "transe", "embedding_size": SIZE, "num_negatives": negatives},
            "train": {
                "budget": f"{epochs} epochs",
                "batch_size": BATCH,
                "lr": 1e-3,
                "warmup": 0,
                "schedule": "constant",
                "optimizer": {"weight_decay": 0.0},
            },
            "evaluate": {"every": 10**9, "triples": 1},
            "out": f"{folder}/run",
        }
        (Path(folder) / "recipe.yaml").write_text(json.dumps(recipe))
        assert main(["pretrain-transe", f"{folder}/recipe.yaml"]) == 0


def pykeens(graph: Path, negatives: int, epochs: int) -> None:
    """The same model, loss, batch and optimiser in PyKEEN's training loop."""
    import numpy as np
    import torch
    from pykeen.models import TransE
    from pykeen.sampling import BasicNegativeSampler
    from pykeen.training import SLCWATrainingLoop
    from pykeen.triples import CoreTriplesFactory

    from nlptool.knowledge.graph import Graph

    opened = Graph(graph)
    triples = torch.from_numpy(np.stack(opened.triples(), 1).astype(np.int64))
    factory = CoreTriplesFactory(triples, len(opened.entities), len(opened.relations))
    model = TransE(triples_factory=factory, embedding_dim=SIZE, scoring_fct_norm=1, random_seed=0)
    loop = SLCWATrainingLoop(
        model=model,
        triples_factory=factory,
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-3),
        negative_sampler=BasicNegativeSampler,
        negative_sampler_kwargs={"num_negs_per_pos": negatives},
    )
    loop.train(factory, num_epochs=epochs, batch_size=BATCH, use_tqdm=False)


def speed(options: argparse.Namespace) -> None:
    triples = json.loads((options.graph / "graph.json").read_text())["triples"]["train"]
    for negatives in options.negatives:
        rounds = [
            tuple(
                rate(partial(train, options.graph, negatives), triples, epochs)
                for train, epochs in ((ours, 10 * options.epochs), (pykeens, options.epochs))
            )
            for _ in range(options.rounds)
        ]
        one, other = (median(column) for column in zip(*rounds, strict=True))
        ratio = median(a / b for a, b in rounds)
        print(
            f"{negatives:>3} negatives: {one:>9,.0f} triples/s, PyKEEN {other:>9,.0f}, median ratio {ratio:.1f}"
            f" ({', '.join(f'{a / b:.1f}' for a, b in rounds)})",
            flush=True,
        )


def in_its_own_process(code: str, *arguments: object) -> tuple[float, float]:
    """Seconds and the most memory, in GB, of a piece of Python; the seconds are those that it prints."""
    before = "import resource, sys, time\n"
    after = "\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)"
    command = [sys.executable, "-c", before + code + after, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, memory = done.stdout.split()[-2:]
    return float(seconds), float(memory)


BUILD = """
from nlptool.cli import main
began = time.monotonic()
assert main(["knowledge", sys.argv[1], "--overwrite"]) == 0
print(time.monotonic() - began)
"""
OPEN = """
from pathlib import Path
from nlptool.knowledge.graph import Graph
began = time.monotonic()
graph = Graph(Path(sys.argv[1]))
assert graph.entities.find(graph.entities[len(graph.entities) // 2]) == len(graph.entities) // 2
assert len(graph.triples()) > 0
print(time.monotonic() - began)
"""
READ = """
began = time.monotonic()
with open(sys.argv[1], encoding="utf8") as file:
    rows = sum(len(line.split("\\t")) == 3 for line in file)
assert rows > 0
print(time.monotonic() - began)
"""


def size(options: argparse.Namespace) -> None:
    """Names as Wikidata's: Q and P with numbers; as many entities as ERNIE's graph has for its triples."""
    import numpy as np

    options.folder.mkdir(parents=True, exist_ok=True)
    text = options.folder / "triples.tsv"
    if not text.exists():
        rng, count = np.random.default_rng(0), options.triples
        with text.open("w") as file:
            for first in range(0, count, 100_000):
                number = min(100_000, count - first)
                ends = (rng.random((2, number)) ** 2 * count / 5).astype(int)
                kinds = rng.integers(900, size=number)
                file.writelines(
                    f"Q{h}\tP{k}\tQ{t}\n" for h, k, t in zip(ends[0], kinds, ends[1], strict=True)
                )
    recipe = options.folder / "recipe.yaml"
    recipe.write_text(json.dumps({"source": {"files": str(text)}, "out": str(options.folder / "graph")}))
    print(f"{options.triples:,} triples, {text.stat().st_size / 1e6:,.0f} MB of text")
    built = in_its_own_process(BUILD, recipe)
    print(f"built in {built[0]:.1f} s, at most {built[1]:.2f} GB")
    times = [
        (in_its_own_process(OPEN, options.folder / "graph"), in_its_own_process(READ, text)) for _ in range(5)
    ]
    opened, read = (median(one[place][0] for one in times) for place in (0, 1))
    memory = median(one[0][1] for one in times)
    print(
        f"opened in {opened:.3f} s, {memory:.2f} GB in all; its text read in {read:.2f} s; ratio {opened / read:.4f}"
    )


def learn(options: argparse.Namespace) -> None:
    from nlptool.cli import main

    found: dict[str, list[dict[str, float]]] = {}
    for seed in options.seeds:
        out = options.out / f"seed-{seed}"
        began = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
        changes = [*options.changes, f"seed={seed}", "--out", str(out), "--overwrite"]
        if main(["pretrain-transe", str(options.recipe), *changes]):
            raise SystemExit(1)
        seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - began[1]
        graph = next(
            line for line in (out / "recipe.yaml").read_text().splitlines() if line.startswith("graph:")
        )
        where = graph.partition(":")[2].partition("  #")[0].strip()
        report = options.out / f"seed-{seed}-figures"
        splits = [f"--split={split}" for split in options.splits]
        if main(
            ["evaluate", str(out / "final"), "--graph", where, *splits, "--out", str(report), "--overwrite"]
        ):
            raise SystemExit(1)
        for one in json.loads((report / "evaluate.json").read_text()):
            found.setdefault(one["split"], []).append(one["figures"] | {"cpu_seconds": seconds})
    for split, runs in found.items():
        for name in runs[0]:
            values = [run[name] for run in runs]
            spread = f" +- {stdev(values):.4f}" if len(values) > 1 else ""
            print(
                f"{split:>5} {name:>12}: {mean(values):.4f}{spread}  ({', '.join(f'{v:.4f}' for v in values)})"
            )


def beside(options: argparse.Namespace) -> None:
    """PyKEEN's loop with a recipe's loss, negatives, rate and epochs; figures by nlptool's ranks of its vectors."""
    import numpy as np
    import torch
    from pykeen.losses import MarginRankingLoss, NSSALoss
    from pykeen.models import TransE
    from pykeen.training import SLCWATrainingLoop
    from pykeen.triples import CoreTriplesFactory

    from nlptool.commands.pretrain_transe.recipe import Recipe
    from nlptool.knowledge.graph import Graph
    from nlptool.knowledge.ranking import KnownTriples, rank_figures, rank_sums
    from nlptool.objectives.transe.objective import ranks
    from nlptool.recipe import load

    recipe = load(options.recipe, options.changes, Recipe).recipe
    graph, settings, train = Graph(Path(recipe.graph)), recipe.objective, recipe.train
    triples = torch.from_numpy(np.stack(graph.triples(), 1).astype(np.int64))
    factory = CoreTriplesFactory(triples, len(graph.entities), len(graph.relations))
    temperature = settings.adversarial_temperature
    loss = (
        NSSALoss(margin=settings.margin, adversarial_temperature=temperature)
        if settings.loss == "self_adversarial"
        else MarginRankingLoss(margin=settings.margin)
    )
    model = TransE(
        triples_factory=factory,
        embedding_dim=settings.embedding_size,
        scoring_fct_norm=settings.norm,
        entity_constrainer=None if settings.normalize == "none" else torch.nn.functional.normalize,
        loss=loss,
        random_seed=options.seeds[0],
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=train.lr)
    loop = SLCWATrainingLoop(
        model=model,
        triples_factory=factory,
        optimizer=optimizer,
        lr_scheduler=torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1e-3, options.epochs),
        negative_sampler_kwargs={"num_negs_per_pos": settings.num_negatives},
    )
    began = time.process_time()
    loop.train(factory, num_epochs=options.epochs, batch_size=train.batch_size, use_tqdm=False)
    print(f"PyKEEN: {time.process_time() - began:.1f} s of processor time")
    entities, relations = (
        table[0](None).detach() for table in (model.entity_representations, model.relation_representations)
    )
    for split in options.splits:
        asked = torch.from_numpy(np.stack(graph.triples(split), 1).astype(np.int64))
        if len(asked):
            found = rank_figures(
                rank_sums(ranks(entities, relations, settings.norm, asked, KnownTriples(graph)))
            )
            print(split, {name: round(value, 4) for name, value in found.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("speed")
    part.add_argument("graph", type=Path)
    part.add_argument(
        "--epochs", type=int, default=2, help="of PyKEEN, and four times as many; of ours ten times"
    )
    part.add_argument("--rounds", type=int, default=5)
    part.add_argument("--negatives", type=int, nargs="+", default=[1, 16])
    part.set_defaults(run=speed)
    part = parts.add_parser("size")
    part.add_argument("folder", type=Path)
    part.add_argument("--triples", type=int, default=10**7)
    part.set_defaults(run=size)
    part = parts.add_parser("learn")
    part.add_argument("recipe", type=Path)
    part.add_argument("out", type=Path)
    part.add_argument("changes", nargs="*")
    part.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    part.add_argument("--splits", nargs="+", default=["validation", "test"])
    part.set_defaults(run=learn)
    part = parts.add_parser("beside")
    part.add_argument("recipe", type=Path)
    part.add_argument("changes", nargs="*")
    part.add_argument("--epochs", type=int, required=True)
    part.add_argument("--seeds", type=int, nargs=1, default=[0])
    part.add_argument("--splits", nargs="+", default=["validation", "test"])
    part.set_defaults(run=beside)
    given = parser.parse_args()
    given.run(given)
