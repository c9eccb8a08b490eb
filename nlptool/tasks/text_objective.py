"""What classifiers of a text or a pair have in common: their rows, and a head over the first token's hidden state."""

# B batch, D width, C columns of labels, W logits of a row

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from nlptool.data import pair_inputs
from nlptool.data.batches import Batch
from nlptool.data.pair_inputs import EncodedBatch, TextPairDataset
from nlptool.data.random_streams import RandomStreams
from nlptool.data.vocabulary import Vocabulary
from nlptool.models import heads
from nlptool.models.base import Encoder
from nlptool.tasks import sequence_heads
from nlptool.tasks.base import TaskObjective
from nlptool.tasks.config import TaskConfig
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer


class TextObjective(TaskObjective):
    """The head of its family's sequence classifier; the last layer is computed at the first token only."""

    architecture = "ForSequenceClassification"
    config: TaskConfig

    def __init__(
        self,
        config: TaskConfig,
        vocabulary: Vocabulary,
        backbone: Encoder,
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
        self.backbone: Encoder = backbone
        self.pooler, self.classifier = pooler, classifier

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """The texts, each a document of one or two sentences, and the labels."""
        examples = (self.config.example(row, labelled=labelled) for row in rows)
        return pair_inputs.write(examples, tokenizer, prefix)

    def dataset(self, split: Split, length: int) -> TextPairDataset:
        """The rows."""
        return sequence_heads.open_rows(split, length, self.vocabulary)

    def collate(self, examples: EncodedBatch, draws: RandomStreams) -> Batch:
        """ids and types [B, T], lengths and row [B], labels [B, C]; nothing is drawn."""
        return sequence_heads.batch_of(examples, self.term)

    def predict(self, batch: Batch) -> Tensor:
        """Logits, or the number, [B, W]."""
        pooled_BD = sequence_heads.first_token(self.backbone, self.pooler, batch)
        return self.classifier(pooled_BD)  # type: ignore[no-any-return]
