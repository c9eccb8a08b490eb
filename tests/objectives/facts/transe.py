"""What the conformance suite needs to know of TransE, which reads triples of a graph."""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from nlptool.knowledge.build import GraphBuilder
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.readers import Columns
from nlptool.objectives.transe.objective import TripleExamples

GRAPH = True
SPARSE = {"embedding_size": 32, "num_negatives": 3, "margin": 0.2}
VARIANTS = [
    SPARSE,
    SPARSE | {"norm": 2, "negative_sampling": "bernoulli", "normalize": "all"},
    SPARSE | {"loss": "self_adversarial", "margin": 6.0, "normalize": "none"},
]
HIDES = False


def write_graph(folder: Path) -> Graph:
    """40 entities, three relations; some triples are set aside."""
    rng = np.random.default_rng(0)
    rows = {(f"e{a}", f"r{(a + b) % 3}", f"e{b}") for a, b in rng.integers(0, 40, (300, 2)).tolist()}
    ordered = sorted(rows)
    builder = GraphBuilder(keep_loops=True)
    for split, part in (("train", ordered), ("validation", ordered[::9]), ("test", ordered[::11])):
        builder.add(Columns(*map(list, zip(*part, strict=True))), split)
    folder.mkdir(exist_ok=True)
    builder.write(folder)
    return Graph(folder)


KNOWN = write_graph(Path(mkdtemp(prefix="nlptool-graph-")))


def build(config) -> object:
    """The objective on a small graph."""
    return config.build_on(KNOWN)


def examples() -> TripleExamples:
    """The training triples of the small graph."""
    return TripleExamples(KNOWN.triples())


def recipe(folder: Path, settings: dict) -> dict:
    """A run of 12 steps."""
    write_graph(folder / "graph")
    return {
        "graph": str(folder / "graph"),
        "objective": {"name": "transe", **settings},
        "train": {"steps": 12, "batch_size": 8, "lr": 1e-2, "gradient_accumulation": 2},
        "evaluate": {"every": 6},
        "save": {"every": 4, "keep_last": 2},
        "out": "told on the command line",
    }


BY_HEART = {"normalize": "none"}  # vectors of any length are sooner where they are to be
AT_INIT = {"transe": 1.0}  # what is learnt by heart is to cost less than a tenth of a margin
