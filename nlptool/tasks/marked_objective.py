"""What tasks of marked mentions share: their rows with links, and classes by the first token's hidden state."""

# B rows, T tokens, D width, L links of the row that has most, M links of all rows, W width of an entity, C classes

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nlptool.data import linked_texts
from nlptool.data.batches import Batch
from nlptool.data.linked_texts import LinkedBatch, LinkedText, LinkedTextDataset
from nlptool.data.random_streams import RandomStreams
from nlptool.data.vocabulary import Vocabulary
from nlptool.models import heads
from nlptool.models.base import Encoder
from nlptool.models.config import ModelConfig
from nlptool.objectives.base import ExportSpec
from nlptool.tasks import sequence_heads
from nlptool.tasks.base import LabelledDataset, TaskObjective
from nlptool.tasks.marked_text import MarkedText, MarkedTextConfig
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

TALLY = ("mentions", "links", "unknown", "inside", "pairs", "related")
"""What PREFIX.tally counts: mentions of entities; those that are linked, that the graph does not know, that begin
inside a token; rows whose head and tail the graph knows, and those in which a triple joins the two."""


class MarkedTextObjective(TaskObjective):
    """A classifier of marked texts that shows the model the entities of their mentions, where it reads some."""

    architecture = "ForSequenceClassification"
    config: MarkedTextConfig
    term: str
    """The loss."""
    problem_type: str
    """As transformers calls it."""

    def __init__(
        self,
        config: MarkedTextConfig,
        vocabulary: Vocabulary,
        backbone: Encoder,
        classifier: heads.Classifier,
        pooler: heads.Pooler | None,
    ) -> None:
        super().__init__()
        self.config: MarkedTextConfig = config
        self.vocabulary = vocabulary
        self.weights = {self.term: 1.0}
        self.num_outputs = len(config.labels)
        if config.label_width == 1:
            self.class_names = config.labels
        self.backbone: Encoder = backbone
        self.pooler, self.classifier = pooler, classifier

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """The marked texts, their links to the graph, and the labels."""
        tally = dict.fromkeys(TALLY, 0)
        graph = None if self.knowledge is None else self.knowledge.graph.fingerprint
        written = linked_texts.write(self._texts(rows, tally, labelled=labelled), tokenizer, prefix, graph)
        tally |= {"links": written.links, "inside": written.inside}
        with prefix.with_suffix(".tally").open("wb") as file:
            file.write(np.array([tally[name] for name in TALLY], "<i8").data)
        return written.rows

    def _texts(self, rows: Iterable[Row], tally: dict[str, int], *, labelled: bool) -> Iterator[LinkedText]:
        for row in rows:
            marked = self.config.marked(row)
            hidden = (np.nan,) * self.config.label_width
            links = self._links(marked, tally)
            yield LinkedText(
                marked.text, marked.needed, links, self.config.label_of(row) if labelled else hidden
            )

    def _links(self, marked: MarkedText, tally: dict[str, int]) -> tuple[tuple[int, int, int], ...]:
        """The mentions whose entities the graph knows."""
        if self.knowledge is None:
            return ()
        found = list[tuple[int, int, int]]()
        for one in marked.mentions:
            number = None if one.entity is None else self.knowledge.find(one.entity)
            tally["mentions"] += 1
            if number is None:
                tally["unknown"] += 1
            else:
                found.append((one.begin, one.end, number))
        if marked.pair is not None:
            head, tail = map(self.knowledge.find, marked.pair)
            if head is not None and tail is not None:
                tally["pairs"] += 1
                tally["related"] += self.knowledge.related(head, tail)
        return tuple(found)

    def dataset(self, split: Split, length: int) -> LinkedTextDataset:
        """The rows."""
        special = self.vocabulary.special
        return LinkedTextDataset(split, length, cls=special["cls"], sep=special["sep"], pad=special["pad"])

    def data_warnings(self, rows: LabelledDataset) -> list[str]:
        """Mentions that are not linked, and rows whose relation the graph tells."""
        assert isinstance(rows, LinkedTextDataset)
        if self.knowledge is None:
            reads = self.backbone.config.reads_entities
            return ["no mention is linked: the task names no graph and no entity_embeddings"] if reads else []
        numbers = np.fromfile(rows.split.prefix.with_suffix(".tally"), "<i8").tolist()
        tally = dict(zip(TALLY, numbers, strict=True))
        warnings = []
        if tally["links"] < tally["mentions"] or not tally["mentions"]:
            warnings.append(
                f"{tally['links']:,} of {tally['mentions']:,} mentions are linked: {tally['unknown']:,} name an entity "
                f"without a triple in the graph, {tally['inside']:,} begin inside a token"
            )
        if tally["related"]:
            warnings.append(
                f"in {tally['related']:,} of {tally['pairs']:,} rows whose head and tail the graph knows one of its "
                "triples joins the two, so their vectors tell the relation; knowledge's without takes such pairs out"
            )
        return warnings

    def collate(self, examples: LinkedBatch, draws: RandomStreams) -> Batch:
        """As sequence_heads.batch_of; with a graph also entity_at [B, L] and entity_vectors [B, L, W]."""
        batch = sequence_heads.batch_of(examples.encoded, self.term)
        if self.knowledge is None:
            return batch
        vectors = self.knowledge.embeddings.entities
        row_M, rows = examples.row, len(examples.encoded.rows)
        slot_M = np.arange(len(row_M)) - np.searchsorted(row_M, row_M)
        shape = (rows, int(slot_M.max(initial=0)) + 1)
        at_BL = np.full(shape, -1)
        at_BL[row_M, slot_M] = examples.at
        vectors_BLW = np.zeros((*shape, vectors.shape[1]), np.float32)
        vectors_BLW[row_M, slot_M] = vectors[examples.entity]
        entities = {"entity_at": torch.from_numpy(at_BL), "entity_vectors": torch.from_numpy(vectors_BLW)}
        return Batch(batch.tensors | entities, batch.counts, batch.tokens)

    def sizes(self, batch: Batch) -> list[int]:
        """How many links there are."""
        return [int((batch["entity_at"] >= 0).sum())] if "entity_at" in batch else []

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the losses."""
        return {self.term: self.cost(self.predict(batch), batch["labels"])}

    def predict(self, batch: Batch) -> Tensor:
        """Logits, [B, C]."""
        pooled_BD = sequence_heads.first_token(self.backbone, self.pooler, batch)
        return self.classifier(pooled_BD)  # type: ignore[no-any-return]

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """One, with the names of the classes."""
        rate, names = self.classifier.dropout.rate, self.config.labels
        settings = sequence_heads.settings_of(names, self.problem_type, rate)
        return {"": ExportSpec(model, self.state_dict(), self.architecture, settings=settings)}
