"""KagNet (Lin et al. 2019): multiple choice by the paths between the concepts of question and choice."""

# B rows, C choices, S statements, B * C, D width of a statement, E of a concept, V nodes, N rows

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool import flops, launch, manifests
from nlptool.atomic_files import read_json, write_json
from nlptool.data import pair_inputs
from nlptool.data.batches import Batch
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.errors import DataError
from nlptool.evaluation.metrics import classification
from nlptool.knowledge.embeddings import WEIGHTS, EntityEmbeddings
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.names import Names, NamesWriter
from nlptool.knowledge.schema_graphs import (
    AGAIN,
    SchemaGraphBuilder,
    SchemaGraphStore,
    SchemaGraphWriter,
    SchemaJob,
    folder_of,
)
from nlptool.models.base import Encoder
from nlptool.models.config import EncoderConfig, ModelConfig
from nlptool.objectives.base import ExportSpec, inputs_of
from nlptool.tasks import sequence_heads
from nlptool.tasks.base import LabelledDataset
from nlptool.tasks.choice_objective import ChoiceObjective
from nlptool.tasks.kagnet import explanation, linear_probe
from nlptool.tasks.kagnet.network import Attention, KagNet, SchemaGraphs
from nlptool.tasks.kagnet.schema_batches import KagNetDataset, StatementBatch
from nlptool.text.store import Split
from nlptool.text.tabular import Example, Row
from nlptool.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from nlptool.tasks.kagnet.config import Config

FACTS = "schema.json"
TEXTS = "statements.txt"
MIN_SCORE = "min_path_score"


class KagNetTask(ChoiceObjective):
    """A statement encoder, frozen or not, under a network over schema graphs, with a softmax over the choices."""

    def __init__(
        self,
        config: "Config",
        vocabulary: Vocabulary,
        backbone: Encoder,
        network: KagNet,
        graph: Graph,
        embeddings: EntityEmbeddings,
    ) -> None:
        super().__init__()
        self.config: Config = config
        self.vocabulary = vocabulary
        self.weights = {config.loss: 1.0}
        self.frozen = config.statement == "frozen"
        self.num_outputs = len(config.labels)
        self.baseline_name = "majority"  # until the statement vectors are computed
        self.backbone: Encoder = backbone
        self.kagnet = network
        self.graph, self.embeddings = graph, embeddings
        self.concepts: nn.Embedding | None = None
        with torch.no_grad():
            none = np.zeros((1, embeddings.width), np.float32)
            table = np.concatenate(
                [none, embeddings.relations, embeddings.relations]
            )  # as in the released code
            network.relations.weight.copy_(torch.from_numpy(table))
            if config.network.concepts == "tuned":
                self.concepts = nn.Embedding(*embeddings.entities.shape)
                self.concepts.weight.copy_(torch.from_numpy(np.array(embeddings.entities)))
        if self.frozen:
            backbone.requires_grad_(False)
        self.keeps_features = self.frozen
        # Builds schema graphs; set when the first rows are encoded.
        self._builder: SchemaGraphBuilder | None = None

    def train(self, mode: bool = True) -> "KagNetTask":
        """A frozen encoder has no dropout."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    # ---- rows ----

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """One statement for each choice: its tokens and its schema graph."""
        config, cache = self.config, self.config.schema_graphs
        if self._builder is None:
            self._builder = SchemaGraphBuilder(
                SchemaJob(
                    config.graph,
                    config.entity_embeddings,
                    config.grounding.language,
                    config.grounding.stop_words,
                    config.paths.drop,
                    config.paths.hops,
                    config.paths.max_paths,
                )
            )
        writer = SchemaGraphWriter(
            self._builder, prefix, None if cache is None else Path(cache), launch.cpus()
        )

        texts = NamesWriter(folder_of(prefix) / TEXTS)

        def passed() -> Iterator[Example]:
            for row in rows:
                example = config.example(row, labelled=labelled)
                writer.add((question, choice) for question, choice in example.inputs)
                for question, choice in example.inputs:
                    texts.add(" ".join(f"{question} {choice}".split()))
                yield example

        try:
            count = pair_inputs.write(passed(), tokenizer, prefix)
            writer.close()
        finally:
            writer.abandon()
            texts.close()
        write_json(folder_of(prefix) / FACTS, self._provenance() | {"unfinished": writer.unfinished})
        return count

    def _provenance(self) -> dict[str, Any]:
        return {
            "graph": self.graph.fingerprint,
            "embeddings": manifests.digest(self.embeddings.path / WEIGHTS),
        }

    def dataset(self, split: Split, length: int) -> KagNetDataset:
        """The rows. Raises DataError where they were built with another graph or other embeddings."""
        rows = sequence_heads.open_rows(split, length, self.vocabulary, self.num_outputs)
        folder = folder_of(split.prefix)
        facts = read_json(folder / FACTS, dict, AGAIN)
        self.graph.require(facts.get("graph"), str(folder))
        if facts.get("embeddings") != self._provenance()["embeddings"]:
            raise DataError(
                f"{folder}: was made with other embeddings than {self.embeddings.path}",
                hint="put these back, or start again with --overwrite",
            )
        store = SchemaGraphStore(split.prefix, self.config.paths.hops)
        if len(store) != len(rows) * self.num_outputs:
            raise DataError(f"{folder}: has not a schema graph for each statement", hint=AGAIN)
        if not (folder / TEXTS).is_file():
            raise DataError(f"{folder / TEXTS}: is missing", hint=AGAIN)
        texts = Names(folder / TEXTS, is_sorted=False)
        found = KagNetDataset(rows, store, texts, all_pairs=self.config.network.pairs == "all")
        found.min_score = self.thresholds.get(MIN_SCORE, self.config.paths.threshold or 0.0)
        found.unfinished = int(facts.get("unfinished", 0))
        return found

    def prepare_splits(self, splits: dict[str, LabelledDataset]) -> dict[str, LabelledDataset]:
        """The splits; a share of paths to prune becomes a score, computed on the training paths."""
        share = self.config.paths.quantile
        train = splits[self.config.train]
        assert isinstance(train, KagNetDataset)
        if share is not None and len(train.store.scores):
            self.thresholds[MIN_SCORE] = least = float(np.quantile(train.store.scores, share))
            for rows in splits.values():
                assert isinstance(rows, KagNetDataset)
                rows.min_score = least
        return splits

    def data_warnings(self, rows: LabelledDataset) -> list[str]:
        """Numbers of statements without concepts or paths, or with unfinished paths."""
        assert isinstance(rows, KagNetDataset)
        return explanation.data_warnings(rows)

    def collate(self, examples: StatementBatch, draws: RandomStreams) -> Batch:
        """ids and types [S, T], or features [S, D] in their place; and schema graphs, network.SchemaGraphs.

        These have entities [V] of the nodes; edges [2, M]; pairs [P, 2]; statements [P]; paths and relations [K, T];
        path_lengths and owners [K]; and concepts [V + 1, E], their embeddings, unless the network has them.
        """
        batch = sequence_heads.batch_of(examples.encoded, self.config.loss)
        graphs = examples.graphs
        tensors = {name: torch.from_numpy(array) for name, array in graphs._asdict().items()}
        if self.concepts is None:
            vectors_VE = np.zeros((len(graphs.entities) + 1, self.embeddings.width), np.float32)
            vectors_VE[:-1] = self.embeddings.entities[graphs.entities]
            tensors["concepts"] = torch.from_numpy(vectors_VE)
        if examples.vectors is not None:
            tensors["features"] = torch.from_numpy(examples.vectors)
        return replace(batch, tensors=batch.tensors | tensors)

    # ---- network ----

    def row_views(self, batch: Batch) -> list[RowView]:
        """Each statement; those of a frozen encoder are not in the batch."""
        return [] if "features" in batch else super().row_views(batch)

    def predict(self, batch: Batch) -> Tensor:
        """Logits, [B, C]."""
        return self._explained(batch)[0]

    def _explained(self, batch: Batch) -> tuple[Tensor, Attention]:
        statements_SD = batch["features"] if "features" in batch else self._statements(batch)
        dtype = self.kagnet.out.weight.dtype
        if self.concepts is None:
            concepts_VE = batch["concepts"].to(dtype)
        else:
            concepts_VE = F.pad(self.concepts(batch["entities"]), (0, 0, 0, 1))
        graphs = SchemaGraphs(*(batch[name] for name in SchemaGraphs._fields))
        scores_S, attention = self.kagnet.explained(concepts_VE, graphs, statements_SD.to(dtype))
        return scores_S.view(-1, self.num_outputs), attention

    def _statements(self, batch: Batch) -> Tensor:
        """Vectors of the statements, [S, D]."""
        if not self.frozen:
            return self._pooled(batch)
        with torch.no_grad(), flops.no_backward():
            return self._pooled(batch)

    def _pooled(self, batch: Batch) -> Tensor:
        if self.config.pooling == "cls":
            return sequence_heads.first_token(self.backbone, None, batch)
        hidden_STD = self.backbone(inputs_of(batch))
        places_T = torch.arange(hidden_STD.shape[1], device=hidden_STD.device)
        real_ST = places_T < batch["lengths"][:, None]
        total_SD = hidden_STD.masked_fill(~real_ST[:, :, None], 0).sum(1)
        return total_SD / batch["lengths"][:, None]

    def features(self, batch: Batch) -> Tensor:
        """A frozen encoder's vector of each statement, [S, D]."""
        return self._statements(batch)

    def use_features(self, rows: LabelledDataset, features: NDArray[np.float32]) -> None:
        """The cached vectors of a split's statements, [S, D]."""
        assert isinstance(rows, KagNetDataset)
        rows.vectors, self.baseline_name = features, "statement alone"

    def assume_features(self, rows: LabelledDataset) -> None:
        """Statements are not encoded: zeros replace their vectors."""
        assert isinstance(rows, KagNetDataset)
        rows.assumed = self.kagnet.statement_size

    def cost(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy in nats; or the mean over wrong choices of max(0, margin - p(right) + p(wrong))."""
        if self.config.loss == "cross_entropy":
            return super().cost(logits, labels)
        shares_NC = logits.to(torch.promote_types(logits.dtype, torch.float32)).sigmoid()
        right_N1 = labels.long()
        ahead_NC = shares_NC.gather(1, right_N1) - shares_NC
        wrong_NC = torch.ones_like(shares_NC).scatter(1, right_N1, 0.0)
        return ((self.config.margin - ahead_NC).clamp(min=0) * wrong_NC).sum() / (self.num_outputs - 1)

    def read(self, batch: Batch) -> Tensor:
        """Tokens of each statement; none where its vector is cached."""
        return batch["lengths"] * int("features" not in batch)

    def sizes(self, batch: Batch) -> list[int]:
        """Numbers of nodes, pairs and paths, which decide the cost of the network."""
        return [len(batch["entities"]), len(batch["pairs"]), len(batch["owners"]) - 1]

    # ---- answers ----

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """A linear probe on the statement vectors, without a graph; the majority for a fine-tuned encoder."""
        assert isinstance(train, KagNetDataset)
        assert isinstance(rows, KagNetDataset)
        if train.vectors is None or rows.vectors is None:
            return super().baseline(train, rows)
        choices = linear_probe.chosen(train.vectors, train.labels[:, 0], rows.vectors, self.num_outputs)
        return classification.scores(self.config.metrics, choices, rows.labels[:, 0])

    def explain(self, batch: Batch, rows: LabelledDataset) -> list[dict[str, Any]]:
        """For each choice of a row its `statements`, and in words the `paths` of highest attention."""
        assert isinstance(rows, KagNetDataset)
        _, attention = self._explained(batch)
        return explanation.of_rows(batch, attention, self.graph, self.config.labels, rows.texts)

    explains = True

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """The encoder as transformers has it, with the network's tensors under names of its own."""
        return {"": ExportSpec(model, self.state_dict(), self.architecture)}


def build(config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None) -> KagNetTask:
    """A statement encoder with a network over schema graphs; dropout: None for 0.0, that of the released code."""
    graph = Graph(Path(config.graph))
    embeddings = EntityEmbeddings(Path(config.entity_embeddings), graph)
    assert isinstance(model, EncoderConfig)  # the task's `check` has made sure
    _, encoder, _ = sequence_heads.build_parts(model, vocabulary)
    network = KagNet(
        2 * len(graph.relations) + 1,
        embeddings.width,
        model.hidden,
        gcn=config.network.gcn,
        path_size=config.network.path_size,
        pair_size=config.network.pair_size,
        dropout=dropout or 0.0,
        path_attention=config.network.path_attention,
        pair_attention=config.network.pair_attention,
    )
    return KagNetTask(config, vocabulary, encoder, network, graph, embeddings)
