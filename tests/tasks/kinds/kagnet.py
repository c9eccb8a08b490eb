"""What the conformance suite needs to know of KagNet: choices as of multiple choice, over a graph of the words."""

import atexit
import json
import math
import shutil
import tempfile
from pathlib import Path

import numpy as np
from kinds.multiple_choice import row
from safetensors.numpy import save_file

from nlptool.knowledge.build import GraphBuilder
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.readers import Columns

TRIPLES = (
    ("river", "atlocation", "town"),
    ("bell", "partof", "house"),
    ("bell", "madeof", "stone"),
    ("house", "atlocation", "town"),
    ("house", "madeof", "wood"),
    ("winter", "relatedto", "light"),
    ("light", "atlocation", "house"),
    ("stone", "atlocation", "river"),
    ("stone", "relatedto", "wood"),
    ("wood", "usedfor", "light"),
    ("winter", "relatedto", "river"),
    ("wood", "relatedto", "stone"),
)
WIDTH = 12


def graph(folder: Path, width: int = WIDTH, triples: tuple = TRIPLES) -> tuple[str, str]:
    """A graph with random vectors, as `nlptool knowledge` and `pretrain-transe` leave them."""
    (folder / "graph").mkdir(parents=True)
    (folder / "vectors").mkdir()
    builder = GraphBuilder()
    builder.add(Columns(*map(list, zip(*triples, strict=True))))
    builder.write(folder / "graph")
    made = Graph(folder / "graph")
    rng = np.random.default_rng(0)
    tables = {
        "entity.weight": rng.normal(size=(len(made.entities), width)).astype(np.float32),
        "relation.weight": rng.normal(size=(len(made.relations), width)).astype(np.float32),
    }
    save_file(tables, folder / "vectors" / "model.safetensors")
    (folder / "vectors" / "config.json").write_text(json.dumps({"graph_fingerprint": made.fingerprint}))
    return str(folder / "graph"), str(folder / "vectors")


_FOLDER = Path(tempfile.mkdtemp(prefix="nlptool-kagnet-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
GRAPH, VECTORS = graph(_FOLDER)

BASE = {
    "inputs": ["question"],
    "metrics": ["accuracy"],
    "graph": GRAPH,
    "entity_embeddings": VECTORS,
    "grounding": {"language": None},
    "statement": "tuned",
    "paths": {"hops": 3, "threshold": 0.02},
    "network": {"gcn": (8, 6), "path_size": 16, "pair_size": 16},
}
VARIANTS = {
    "two-columns": BASE | {"choices": ["a", "b"], "labels": ["a", "b"]},
    "margin-of-three": BASE
    | {
        "choices": ["listed.text"],
        "labels": ["A", "B", "C"],
        "loss": "margin",
        "pooling": "mean",
        "network": BASE["network"] | {"concepts": "tuned", "pairs": "all"},
    },
}
AT_INIT = {
    "cross_entropy": lambda objective, batch: math.log(objective.num_outputs),
    "margin": lambda objective, batch: objective.config.margin,
}
HEAD = "kagnet.out.weight"

__all__ = ["AT_INIT", "HEAD", "VARIANTS", "graph", "row"]
