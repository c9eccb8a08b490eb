"""TransE: embeddings of the entities and relations of a knowledge graph."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from nlptool import folder_kinds
from nlptool.objectives.config import ObjectiveConfig
from nlptool.recipe import RESUMABLE, Problem, RecipeBlock
from nlptool.registry import DiscriminatedBy, objectives
from nlptool.runs.metrics_file import Tracker
from nlptool.train.config import PretrainConfig, Save, micro_batch_problems


class TripleTrainConfig(PretrainConfig):
    """The training block; rows of a batch are triples."""

    def idle(self) -> dict[str, str]:
        """Keys for rows of tokens alone."""
        why = "a triple is not a sequence of tokens"
        return super().idle() | {
            "sequence_length": why,
            "stages": why,
            "activation_checkpointing": "vectors have no layers",
        }


class RankingEvaluation(RecipeBlock):
    """Ranks of the graph's validation triples during training."""

    every: int = Field(
        1000,
        gt=0,
        description="steps between evaluations; the last step always has one",
        json_schema_extra=RESUMABLE,
    )
    triples: int | None = Field(
        None,
        gt=0,
        description="how many validation triples are ranked, drawn evenly; all when not given",
        json_schema_extra=RESUMABLE,
    )
    select: Literal["best", "last"] = Field(
        "last", description="the result: the vectors of the last step, or of the best MRR on these triples"
    )


class Recipe(RecipeBlock):
    """A run that trains embeddings of a graph."""

    graph: str = Field(description="knowledge graph, a folder made by nlptool knowledge")
    objective: Annotated[ObjectiveConfig, DiscriminatedBy("objectives", *objectives("graph"))] = Field(
        description="training objective"
    )
    train: TripleTrainConfig = Field(description="how the objective is minimised")
    evaluate: RankingEvaluation = Field(RankingEvaluation(), description="filtered ranks during training")
    save: Save = Field(Save(), description="checkpoints")
    track: tuple[Tracker, ...] = Field(
        (), description="also log to: tensorboard, wandb", json_schema_extra=RESUMABLE
    )
    seed: int = Field(0, ge=0, description="seed of embeddings, order and corrupted triples")
    out: str = Field(description="run folder", json_schema_extra=RESUMABLE)


def check(recipe: Recipe, command: str = "pretrain-transe") -> list[Problem]:
    """Rules across blocks; nothing heavy is imported."""
    problems = []
    if not (Path(recipe.graph) / "graph.json").exists():
        problems.append(
            Problem(
                "graph",
                f"no knowledge graph at {recipe.graph}: {folder_kinds.describe(Path(recipe.graph))}; "
                "make one with nlptool knowledge",
            )
        )
    problems += micro_batch_problems(recipe.train.batch_size, recipe.train.gradient_accumulation, "triples")
    return problems
