"""A checked recipe with its graph: batches, objective, and the needs of the run."""

from functools import cached_property
from math import ceil
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from nlptool.atomic_files import write_json
from nlptool.commands.pretrain_transe.recipe import Recipe
from nlptool.data.batches import Batch, Batches, PrefetchingLoader, Stage
from nlptool.data.length_bucketing import SequentialBatches
from nlptool.knowledge.embeddings import CONFIG, WEIGHTS
from nlptool.knowledge.graph import Graph, Triples
from nlptool.objectives.transe.config import Config
from nlptool.objectives.transe.objective import TransE, TripleExamples
from nlptool.train.distributed import DistributedContext
from nlptool.train.estimate import shapes_only

RANKED_AT_ONCE = 1024  # triples of an evaluation batch
ENDLESS = 1 << 62  # steps of a run with a budget of time
FLOAT = 4  # bytes


class TransESetup:
    """A recipe with its graph. Raises DataError where the graph is damaged."""

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.objective, Config)
        self.train, self.evaluate, self.save = recipe.train, recipe.evaluate, recipe.save
        self.objective_config, self.seed, self.out = recipe.objective, recipe.seed, Path(recipe.out)
        self.graph = Graph(Path(recipe.graph))
        self.examples = TripleExamples(self.graph.triples())
        self.steps, self.seconds = self._duration()

    def objective(self) -> TransE:
        """A new objective with random embeddings, on torch's default device."""
        return self.objective_config.build_on(self.graph)

    def source(self, objective: TransE, world: DistributedContext) -> PrefetchingLoader:
        """The run's batches, prefetched."""
        batch, parts = self.train.batch_size, self.train.gradient_accumulation
        world.require_equal_parts(batch, parts, "triples")
        batches = Batches(
            [Stage(0, batch, self.examples)],
            objective.collate,
            seed=self.seed,
            rank=world.rank,
            world=world.size,
            accumulate=parts,
        )
        return PrefetchingLoader(batches, world.device)

    def held_out(self, objective: TransE, world: DistributedContext) -> SequentialBatches | None:
        """The validation triples, each once; None where the graph has none."""
        return ranking_batches(
            objective, self.graph.triples("validation"), self.evaluate.triples, world.rank, world.size
        )

    def export(self, objective: TransE, path: Path) -> None:
        """Write the embeddings in the form of `EntityEmbeddings`."""
        tensors = {name: table.detach().cpu().contiguous() for name, table in objective.exported().items()}
        save_file(tensors, path / WEIGHTS, {"format": "pt"})
        config = self.objective_config.model_dump(mode="json")
        sizes = {"entities": len(self.graph.entities), "relations": len(self.graph.relations)}
        write_json(
            path / CONFIG,
            {
                "model_type": config.pop("name"),
                **config,
                **sizes,
                "graph_fingerprint": self.graph.fingerprint,
            },
        )

    @cached_property
    def shape(self) -> TransE:
        """The objective without weights."""
        with shapes_only():
            return self.objective()

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.shape.parameters())

    @property
    def memory(self) -> dict[str, int]:
        """Bytes on one rank: embeddings, gradient and two moments; vectors of a micro-batch and their gradients."""
        rows = self.train.batch_size // self.train.gradient_accumulation
        vectors = rows * (3 + 3 * self.objective_config.num_negatives) * self.objective_config.embedding_size
        kinds = {
            "weights": FLOAT * self.parameters,
            "gradients": FLOAT * self.parameters,
            "optimizer": 2 * FLOAT * self.parameters,
            "activations": 2 * FLOAT * vectors,
        }
        return kinds | {"total": sum(kinds.values())}

    def cost(self, batch: Batch) -> float:
        """FLOPs of a training step with a micro-batch: forward and backward."""
        rows, negatives = batch["negatives"].shape
        return 3.0 * 2 * rows * (1 + negatives) * self.objective_config.embedding_size

    @property
    def flops_per_step(self) -> float:
        """FLOPs of a step, over all ranks."""
        return (
            6.0
            * self.train.batch_size
            * (1 + self.objective_config.num_negatives)
            * self.objective_config.embedding_size
        )

    @property
    def epochs_per_step(self) -> float:
        """Passes over the training triples in a step."""
        return self.train.batch_size / len(self.examples)

    def _duration(self) -> tuple[int, float | None]:
        """Steps, and the seconds that end the run if its budget is one of time."""
        budget = self.train.budget
        if budget is None:
            assert self.train.steps is not None  # the recipe has one of the two
            return self.train.steps, None
        if budget.measure == "seconds":
            return ENDLESS, budget.amount
        of_step = {
            "epochs": self.epochs_per_step,
            "tokens": float(self.train.batch_size),
            "flops": self.flops_per_step,
        }
        return max(1, ceil(budget.amount / of_step[budget.measure])), None


def ranking_batches(
    objective: TransE, triples: Triples, most: int | None, rank: int = 0, world: int = 1
) -> SequentialBatches | None:
    """Triples to rank, each once, `most` of them sampled evenly; None if there are none."""
    count = len(triples)
    if not count:
        return None
    if most is not None and most < count:
        chosen = np.sort(np.random.default_rng(0).permutation(count)[:most])
        triples = Triples(*(column[chosen] for column in triples))
    examples = TripleExamples(triples)
    return SequentialBatches(examples, objective.collate, batch=RANKED_AT_ONCE, rank=rank, world=world)
