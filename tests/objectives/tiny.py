"""A store, a vocabulary and models small enough to try every objective in seconds."""

import json
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from nlptool import registry
from nlptool.data.batches import Batch, Batches, Stage
from nlptool.data.vocabulary import Vocabulary
from nlptool.knowledge.embeddings import EntityEmbeddings
from nlptool.objectives.base import Objective
from nlptool.text.links import Links, LinkWriter
from nlptool.text.store import DTYPES, Split, SplitWriter

SIZE = 60
SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4, "eos": 5}
LENGTH = 24

# Ids come in pairs of the same character classes: even pairs begin with a space, odd ones continue a word.
CONTINUES = np.arange(SIZE) // 2 % 2
VOCABULARY = Vocabulary(SIZE, SPECIAL, (1 + CONTINUES).astype(np.int8), np.full(SIZE, 2, np.int8))


def facts(name: str) -> ModuleType:
    """What must be known of an objective to try it: facts/NAME.py."""
    return import_module(f"facts.{name}")


def twin(ids: np.ndarray) -> np.ndarray:
    """The other id of each pair."""
    return ids ^ 1


GRAPH, TOKENIZER = "a" * 64, "b" * 64  # fingerprints
ENTITIES = 6


def links(
    prefix: Path, tokens: int, *, every: int = 8, graph: str = GRAPH, tokenizer: str = TOKENIZER
) -> None:
    """A file of links beside a split: about every eighth token begins a mention of one to four, by its own number."""
    rng = np.random.default_rng(1)
    positions = np.flatnonzero(rng.random(tokens) < 1 / every)
    entities = rng.integers(0, ENTITIES, len(positions))
    lengths = np.minimum(rng.integers(1, 5, len(positions)), np.diff(positions, append=tokens))
    writer = LinkWriter(prefix, graph, tokenizer)
    writer.add(Links(positions, lengths.astype(np.uint16), entities.astype(np.int32)))
    writer.close()


def entity_embeddings(folder: Path, width: int, std: float = 1.0, graph: str = GRAPH) -> Path:
    """Random vectors of the entities, as a run of TransE leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    vectors = torch.randn(ENTITIES + 1, width, generator=torch.Generator().manual_seed(0)) * std
    tables = {"entity.weight": vectors[:ENTITIES].clone(), "relation.weight": vectors[ENTITIES:].clone()}
    save_file(tables, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"graph_fingerprint": graph}))
    return folder


@cache
def _entities(width: int, std: float) -> EntityEmbeddings:
    return EntityEmbeddings(entity_embeddings(Path(tempfile.mkdtemp()), width, std))


def store(folder: Path) -> Split:
    """40 documents of 1 to 6 sentences of random ordinary tokens, some of them linked."""
    rng = np.random.default_rng(0)
    writer = SplitWriter(folder / "train", DTYPES[8])
    for _ in range(40):
        lengths = rng.integers(2, 9, rng.integers(1, 7)).astype(np.int32)
        writer.add(rng.integers(6, SIZE, lengths.sum()), lengths)
    writer.close()
    split = Split(folder / "train")
    links(split.prefix, split.tokens)
    return split


def build(name: str, settings: dict[str, Any], seed: int = 0) -> Objective:
    """An objective over a tiny model without dropout, random weights from `seed`; its teacher is always the same."""
    config = registry.config("objectives", name).model_validate({"name": name, **settings})
    if hasattr(facts(name), "GRAPH"):
        torch.manual_seed(seed)
        on_graph = facts(name).build(config)
        on_graph.examples = lambda *_: facts(name).examples()
        return on_graph
    blocks = [facts(name).MODEL, *([facts(name).TEACHER] if hasattr(facts(name), "TEACHER") else [])]
    model, *teacher = [
        registry.config("models", block["name"]).model_validate(
            {"dropout": 0.0, "attention_dropout": 0.0} | block
        )
        for block in blocks
    ]
    torch.manual_seed(seed)
    made = config.build(model, VOCABULARY, *teacher)
    if config.reads_entities:
        made.entities = _entities(facts(name).MODEL["entity_size"], facts(name).ENTITY_STD)
    if made.teacher is not None:
        torch.manual_seed(facts(name).TEACHER_SEED)
        made.teacher.load_state_dict(config.build(model, VOCABULARY, *teacher).teacher.state_dict())
    return made


def batches(objective: Objective, split: Split, rows: int = 8, seed: int = 0, **cut: int) -> Batches:
    """Numbered batches of `rows` rows, cut for ranks and micro-batches."""
    return Batches(
        [Stage(0, rows, objective.examples(split, LENGTH, seed))], objective.collate, seed=seed, **cut
    )


def rows_of(batch: Batch) -> list[dict[str, list[Any]]]:
    """Each row of a batch by itself, with what it shares with the others."""
    size, shared = len(batch["ids"]), {name: t.tolist() for name, t in batch.shared.items()}
    return [{name: t[row].tolist() for name, t in batch.tensors.items()} | shared for row in range(size)]
