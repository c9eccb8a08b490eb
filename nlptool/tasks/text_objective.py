"""The base of classifiers of a text or a pair, with links to a graph if the task names one."""

# B batch, D width, C columns of labels, L links of the row with most of them, E width of an entity, W logits of a row

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nlptool.data import pair_inputs
from nlptool.data.batches import Batch
from nlptool.data.linked_texts import LinkedBatch, LinkedTextDataset
from nlptool.data.pair_inputs import EncodedBatch, TextPairDataset
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.models import heads
from nlptool.models.base import Decoder, Encoder
from nlptool.models.config import ModelConfig
from nlptool.objectives.base import ExportSpec
from nlptool.tasks import linked_rows, sequence_heads
from nlptool.tasks.base import LabelledDataset, TaskObjective
from nlptool.tasks.config import TaskConfig
from nlptool.tasks.linked_inputs import LinkedInputsConfig
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer


class TextObjective(TaskObjective):
    """The head of its family's sequence classifier; the last layer is computed at the token that decides only."""

    architecture = "ForSequenceClassification"
    config: TaskConfig

    def __init__(
        self,
        config: TaskConfig,
        vocabulary: Vocabulary,
        backbone: Encoder | Decoder,
        classifier: heads.Classifier,
        pooler: heads.Pooler | None,
        *,
        term: str,
        num_outputs: int,
    ) -> None:
        """term: the loss's name. num_outputs: logits of a row."""
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.term = term
        self.weights = {term: 1.0}
        self.num_outputs = num_outputs
        self.backbone: Encoder | Decoder = backbone
        self.pooler, self.classifier = pooler, classifier

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """The texts, each a document of one or two sentences, their links to the graph if any, and the labels."""
        if self.knowledge is None:
            examples = (self.config.example(row, labelled=labelled) for row in rows)
            return pair_inputs.write(examples, tokenizer, prefix)
        assert isinstance(self.config, LinkedInputsConfig)  # no other task names a graph
        tally = dict.fromkeys(linked_rows.TALLY, 0)
        read = ((row, self.config.example(row, labelled=labelled)) for row in rows)
        texts = linked_rows.texts_with_links(self.config, read, self.knowledge, tally)
        return linked_rows.write(texts, tally, tokenizer, prefix, self.knowledge)

    def dataset(self, split: Split, length: int) -> TextPairDataset | LinkedTextDataset:
        """The rows."""
        if self.knowledge is None:
            return sequence_heads.open_rows(split, length, self.vocabulary)
        return linked_rows.open_rows(split, length, self.vocabulary)

    def data_warnings(self, rows: LabelledDataset) -> list[str]:
        """Notes on mentions without links."""
        if self.knowledge is None:
            return [linked_rows.UNLINKED] if self.backbone.config.reads_entities else []
        assert isinstance(rows, LinkedTextDataset)
        return linked_rows.data_warnings(rows)

    def collate(self, examples: EncodedBatch | LinkedBatch, draws: RandomStreams) -> Batch:
        """ids and types [B, T], lengths and row [B], labels [B, C]; `draws` is not used.

        With a graph also entity_at and entity_ids [B, L] and entity_vectors [B, L, E].
        """
        if not isinstance(examples, LinkedBatch):
            return sequence_heads.batch_of(examples, self.term)
        batch = sequence_heads.batch_of(examples.encoded, self.term)
        if self.knowledge is None:
            return batch
        return linked_rows.with_entities(batch, examples, self.knowledge)

    def row_views(self, batch: Batch) -> list[RowView]:
        """Each row with its linked tokens."""
        return linked_rows.with_marks(super().row_views(batch), batch, self.knowledge)

    def sizes(self, batch: Batch) -> list[int]:
        """Number of links."""
        return [int((batch["entity_at"] >= 0).sum())] if "entity_at" in batch else []

    def export_spec(self, model: ModelConfig, settings: Mapping[str, Any]) -> ExportSpec:
        """The model with its head. settings: further settings of config.json, such as the names of classes."""
        own_template = self.vocabulary.template is not None
        return ExportSpec(
            model, self.state_dict(), self.architecture, own_template=own_template, settings=settings
        )

    def predict(self, batch: Batch) -> Tensor:
        """Logits, or the number, [B, W]."""
        state_BD = sequence_heads.text_state(self.backbone, self.pooler, batch)
        return self.classifier(state_BD)  # type: ignore[no-any-return]
