"""The recipe block of KagNet. No torch here."""

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nlptool.formatting import counted
from nlptool.models.config import ModelConfig
from nlptool.recipe import RecipeBlock
from nlptool.tasks.choices import ChoiceConfig

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.kagnet.objective import KagNetTask


class Grounding(RecipeBlock):
    """How concepts are found in texts (section 3.1 of the paper)."""

    language: str | None = Field(
        "en",
        description="of lemmas, as simplemma names it; ko: words without their particles; null: words must stand as "
        "the graph has them",
    )
    stop_words: bool = Field(
        True,
        description="whether stop words and unspecific concepts are left out, of texts and of paths: English ones, as "
        "for ConceptNet; false for a graph of names",
    )


class Paths(RecipeBlock):
    """Which paths between concepts are used (section 3.2)."""

    hops: int = Field(2, ge=1, le=4, description="most relations of a path; the released loader keeps 2")
    max_paths: int = Field(
        100, gt=0, description="most paths of a pair of concepts: the shortest, then the most probable"
    )
    drop: tuple[str, ...] = Field(("hascontext",), description="relations that paths do not use")
    threshold: float | None = Field(
        0.15,
        ge=0,
        le=1,
        description="paths that TransE holds less likely are pruned (section 3.3); null: none",
    )
    quantile: float | None = Field(
        None, gt=0, lt=1, description="in place of threshold: the share of the training paths that is pruned"
    )

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.quantile is not None and "threshold" in self.model_fields_set and self.threshold is not None:
            raise ValueError("give either threshold or quantile")
        return self


class Network(RecipeBlock):
    """The network over schema graphs (section 4); sizes are those of the released code."""

    gcn: tuple[int, ...] = Field((50, 25), description="widths of the GCN's layers; []: no GCN")
    path_size: int = Field(128, gt=0, description="width of the LSTM over a path")
    pair_size: int = Field(128, gt=0, description="width of a pair of concepts with its statement")
    path_attention: bool = Field(True, description="attention over the paths of a pair; false: their mean")
    pair_attention: bool = Field(
        True, description="attention over the pairs of a statement; false: their mean"
    )
    pairs: Literal["connected", "all"] = Field(
        "connected", description="pairs of concepts that are read: those that a path joins, or all"
    )
    concepts: Literal["frozen", "tuned"] = Field(
        "frozen",
        description="concept embeddings: fixed, or fine-tuned as in the released code",
    )


class Config(ChoiceConfig):
    """KagNet (Lin et al. 2019): scores a choice by the paths from its concepts to the question's."""

    folders: ClassVar[tuple[str, ...]] = ("graph", "entity_embeddings")

    name: Literal["kagnet"] = Field("kagnet", description="kind of task")
    graph: str = Field(description="the graph: a folder that `nlptool knowledge` has written")
    entity_embeddings: str = Field(
        description="vectors of its entities and relations: the final/ of pretrain-transe"
    )
    grounding: Grounding = Field(Grounding(), description="how concepts are found in a text")
    paths: Paths = Field(Paths(), description="which paths are read")
    network: Network = Field(Network(), description="the network over schema graphs")
    statement: Literal["frozen", "tuned"] = Field(
        "frozen",
        description="encoder of question and choice: frozen, with cached vectors, or fine-tuned",
    )
    pooling: Literal["cls", "mean"] = Field(
        "cls",
        description="the vector of a statement: the last hidden state of [CLS], or the mean over all tokens",
    )
    loss: Literal["cross_entropy", "margin"] = Field(
        "cross_entropy",
        description="over the choices; margin: the right one's probability above each other's, as the released code",
    )
    margin: float = Field(0.2, gt=0, le=1, description="how far above, with loss: margin")
    schema_graphs: str | None = Field(
        None,
        description="cache folder of schema graphs, for resumed and other runs; null: none",
    )

    @model_validator(mode="after")
    def _widths(self) -> Self:
        if min(self.network.gcn, default=1) < 1:
            raise ValueError(f"network.gcn: {counted(len(self.network.gcn), 'widths')}, each at least 1")
        return self

    def of_model(self) -> Self:
        """Without the cache folder: a model builds the schema graphs of its rows on demand."""
        return self.model_copy(update={"schema_graphs": None})

    def build(self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None) -> "KagNetTask":
        """A statement encoder with a network over schema graphs. Raises DataError for a missing graph."""
        from nlptool.tasks.kagnet.objective import build

        return build(self, model, vocabulary, dropout)
