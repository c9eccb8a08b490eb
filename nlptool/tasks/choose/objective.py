"""Multiple choice: which of several texts goes with the question? (Devlin et al. 2019, section 4.4)"""

# B rows, C choices, N rows

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nlptool.data import inputs
from nlptool.data.batches import Batch
from nlptool.data.draws import Draws
from nlptool.data.inputs import Encoded, Inputs
from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluate import metrics
from nlptool.models import heads
from nlptool.objectives.base import Folder
from nlptool.recipe import Block
from nlptool.tasks import reading
from nlptool.tasks.base import Numbers, Rows, TaskObjective
from nlptool.tasks.choose.config import Config
from nlptool.text.rows import Row
from nlptool.text.store import Split
from nlptool.text.tokenizer import Tokenizer


class Choose(TaskObjective):
    """Each choice, read with the question, gets one number; a softmax over the choices says which is right."""

    def __init__(
        self,
        config: Config,
        vocabulary: Vocabulary,
        backbone: nn.Module,
        chooser: heads.Classifier,
        pooler: heads.Pooler | None,
    ) -> None:
        super().__init__()
        self.config: Config = config
        self.vocabulary = vocabulary
        self.weights = {"cross_entropy": 1.0}
        self.width, self.guess = len(config.labels), "majority"
        self.backbone, self.pooler, self.chooser = backbone, pooler, chooser

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Each row as many documents as it has choices."""
        examples = (self.config.example(row, labelled=labelled) for row in rows)
        return inputs.write(examples, tokenizer, prefix)

    def examples(self, split: Split, length: int, seed: int) -> Inputs:
        """The rows; no seed changes them."""
        return reading.open_rows(split, length, self.vocabulary, self.width)

    def collate(self, examples: Encoded, draws: Draws) -> Batch:
        """ids and types [B * C, T], lengths [B * C], row [B], labels [B, 1]; nothing is drawn."""
        return reading.batch_of(examples, "cross_entropy")

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the losses."""
        return {"cross_entropy": self.cost(self.predict(batch), batch["labels"])}

    def predict(self, batch: Batch) -> Tensor:
        """Logits, [B, C]."""
        logits: Tensor = self.chooser(reading.first_token(self.backbone, self.pooler, batch))
        return logits.view(-1, self.width)

    def score(self, rows: Rows, said: Numbers) -> dict[str, float]:
        """Accuracy."""
        return metrics.scores(self.config.metrics, self.decide(said)[:, 0], rows.labels[:, 0])

    def baseline(self, train: Rows, rows: Rows) -> dict[str, float]:
        """What the place at which the right choice stands most often scores."""
        return reading.baseline(self.config, train, rows, classes=True)

    def answers(self, rows: Rows, said: Numbers) -> Iterator[dict[str, Any]]:
        """`prediction`, `scores`, the probabilities of all choices, and `label`."""
        return reading.answers(rows, said, self.decide(said), self._spell, self.config.labels)

    def handed_in(self, split: str, answers: list[dict[str, Any]]) -> dict[str, str]:
        """The server's file of a test split."""
        return reading.index_and_prediction(self.config, split, answers, self.config.labels)

    def _spell(self, label: float) -> str:
        return self.config.labels[int(label)]

    def folders(self, model: Block) -> dict[str, Folder]:
        """One."""
        rate = self.chooser.dropout.rate
        names = (
            "classifier_dropout",
            "classifier_dropout_prob",
            "summary_last_dropout",
            "seq_classif_dropout",
        )
        settings = dict.fromkeys(names, rate)  # as BERT, ALBERT, ELECTRA and DistilBERT call it
        return {"": Folder(model, self.state_dict(), settings=settings)}


def build(config: Config, model: Block, vocabulary: Vocabulary, dropout: float | None) -> Choose:
    """An encoder with a head of one output."""
    net, pooler = reading.build_parts(model, vocabulary)
    return Choose(config, vocabulary, net, reading.chooser(model, dropout), pooler)
