"""Multiple choice: which of several texts goes with the question? (Devlin et al. 2019, section 4.4)"""

# B rows, C choices, N rows

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nlptool.data import pair_inputs
from nlptool.data.batches import Batch
from nlptool.data.pair_inputs import EncodedBatch, TextPairDataset
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.metrics import classification
from nlptool.models import heads
from nlptool.models.base import Encoder
from nlptool.models.config import ModelConfig
from nlptool.objectives.base import ExportSpec
from nlptool.tasks import sequence_heads
from nlptool.tasks.base import LabelledDataset, Numbers, TaskObjective
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from nlptool.tasks.multiple_choice.config import Config


class MultipleChoice(TaskObjective):
    """Each choice, read with the question, gets one number; a softmax over the choices says which is right."""

    architecture = "ForMultipleChoice"

    def __init__(
        self,
        config: "Config",
        vocabulary: Vocabulary,
        backbone: Encoder,
        chooser: heads.Classifier,
        pooler: heads.Pooler | None,
    ) -> None:
        super().__init__()
        self.config: Config = config
        self.vocabulary = vocabulary
        self.weights = {"cross_entropy": 1.0}
        self.class_names = config.labels
        self.width, self.guess = len(config.labels), "majority"
        self.backbone: Encoder = backbone
        self.pooler, self.chooser = pooler, chooser

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Each row as many documents as it has choices."""
        examples = (self.config.example(row, labelled=labelled) for row in rows)
        return pair_inputs.write(examples, tokenizer, prefix)

    def dataset(self, split: Split, length: int) -> TextPairDataset:
        """The rows."""
        return sequence_heads.open_rows(split, length, self.vocabulary, self.width)

    def collate(self, examples: EncodedBatch, draws: RandomStreams) -> Batch:
        """ids and types [B * C, T], lengths [B * C], row [B], labels [B, 1]; nothing is drawn."""
        return sequence_heads.batch_of(examples, "cross_entropy")

    def row_views(self, batch: Batch) -> list[RowView]:
        """Each choice by itself."""
        return sequence_heads.choice_views(batch, self.config.labels)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the losses."""
        return {"cross_entropy": self.cost(self.predict(batch), batch["labels"])}

    def predict(self, batch: Batch) -> Tensor:
        """Logits, [B, C]."""
        logits: Tensor = self.chooser(sequence_heads.first_token(self.backbone, self.pooler, batch))
        return logits.view(-1, self.width)

    def score(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """Accuracy."""
        return classification.scores(self.config.metrics, self.decide(logits)[:, 0], rows.labels[:, 0])

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """What the place at which the right choice stands most often scores."""
        return sequence_heads.baseline(self.config, train, rows, classes=True)

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """`prediction`, `scores`, the probabilities of all choices, and `label`."""
        return sequence_heads.answers(rows, logits, self.decide(logits), self._spell, self.config.labels)

    def submitted(self, answer: dict[str, Any]) -> Any:
        """The choice as the server has it."""
        return sequence_heads.submitted(self.config, answer, self.config.labels)

    def submission_files(self, split: str, answers: list[dict[str, Any]]) -> dict[str, str]:
        """The server's file of a test split."""
        return sequence_heads.index_and_prediction(self.config, split, map(self.submitted, answers))

    def _spell(self, label: float) -> str:
        return self.config.labels[int(label)]

    def from_folders(self, states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The state, with the head by its own name."""
        return sequence_heads.with_head(states[""], "chooser")

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """One."""
        rate = self.chooser.dropout.rate
        names = (
            "classifier_dropout",
            "classifier_dropout_prob",
            "summary_last_dropout",
            "seq_classif_dropout",
        )
        settings = dict.fromkeys(names, rate)  # as BERT, ALBERT, ELECTRA and DistilBERT call it
        return {"": ExportSpec(model, self.state_dict(), self.architecture, settings=settings)}


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> MultipleChoice:
    """An encoder with a head of one output."""
    encoder, net, pooler = sequence_heads.build_parts(model, vocabulary)
    return MultipleChoice(config, vocabulary, net, heads.Classifier.chooser(encoder, dropout), pooler)
