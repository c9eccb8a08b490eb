"""The recipe block of TransE. No torch here."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nlptool.objectives.config import ObjectiveConfig

if TYPE_CHECKING:
    from nlptool.knowledge.graph import Graph
    from nlptool.objectives.transe.objective import TransE


class Config(ObjectiveConfig):
    """TransE (Bordes et al. 2013): a relation is a translation, head + relation ≈ tail.

    It trains triples of the graph to have smaller distances than corrupted ones, whose head or tail is another
    entity.
    """

    reads: ClassVar[Literal["tokens", "graph"]] = "graph"
    only_command: ClassVar[str | None] = "pretrain-transe"

    name: Literal["transe"] = Field("transe", description="objective")
    embedding_size: int = Field(100, gt=0, le=2**14, description="numbers in a vector")
    norm: Literal[1, 2] = Field(1, description="distance: L1 or L2")
    loss: Literal["margin", "self_adversarial"] = Field(
        "margin",
        description="margin: hinge between a triple and each corrupted one (Bordes et al. 2013, eq. 1); "
        "self_adversarial: log-sigmoid loss in which nearer corrupted triples weigh more (Sun et al. 2019, eq. 5)",
    )
    margin: float = Field(
        1.0,
        gt=0,
        description="by how much nearer a triple is to be; self_adversarial: the distance at which the sigmoid is 1/2",
    )
    adversarial_temperature: float = Field(
        1.0, ge=0, description="self_adversarial: how much more nearer ones weigh; 0: all alike"
    )
    num_negatives: int = Field(1, ge=1, le=2**12, description="corrupted triples for each triple")
    negative_sampling: Literal["uniform", "bernoulli"] = Field(
        "uniform",
        description="whether head or tail is replaced: as often the one as the other, or by how many tails a head of "
        "the relation has and how many heads a tail (Wang et al. 2014, section 4.1)",
    )
    normalize: Literal["entities", "all", "none"] = Field(
        "entities",
        description="vectors of length 1: those of entities (Bordes et al. 2013), of relations too (OpenKE), or none; "
        "the division is part of the model, not a step after the update",
    )

    def idle(self) -> dict[str, str]:
        """Only self_adversarial has a temperature."""
        why = "objective.loss is margin, in which all corrupted triples weigh alike"
        return {"adversarial_temperature": why} if self.loss == "margin" else {}

    def build_on(self, graph: "Graph") -> "TransE":
        """The objective with random embeddings for a graph, on torch's default device."""
        from nlptool.objectives.transe.objective import TransE

        return TransE(self, graph)
