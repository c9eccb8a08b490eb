"""Multiple choice: which of several texts answers the question (Devlin et al. 2019, section 4.4)."""

# B rows, C choices, N rows

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from nlptool.data import pair_inputs
from nlptool.data.batches import Batch
from nlptool.data.pair_inputs import EncodedBatch, TextPairDataset
from nlptool.data.random_streams import RandomStreams
from nlptool.data.vocabulary import Vocabulary
from nlptool.models import heads
from nlptool.models.base import Encoder
from nlptool.models.config import ModelConfig
from nlptool.objectives.base import ExportSpec
from nlptool.tasks import sequence_heads
from nlptool.tasks.choice_objective import ChoiceObjective
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from nlptool.tasks.multiple_choice.config import Config


class MultipleChoice(ChoiceObjective):
    """Each choice, read with the question, gets one logit; a softmax over the choices."""

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
        self.num_outputs, self.baseline_name = len(config.labels), "majority"
        self.backbone: Encoder = backbone
        self.pooler, self.chooser = pooler, chooser

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """One document for each choice of a row."""
        examples = (self.config.example(row, labelled=labelled) for row in rows)
        return pair_inputs.write(examples, tokenizer, prefix)

    def dataset(self, split: Split, length: int) -> TextPairDataset:
        """The rows."""
        return sequence_heads.open_rows(split, length, self.vocabulary, self.num_outputs)

    def collate(self, examples: EncodedBatch, draws: RandomStreams) -> Batch:
        """ids and types [B * C, T], lengths [B * C], row [B], labels [B, 1]; `draws` is not used."""
        return sequence_heads.batch_of(examples, "cross_entropy")

    def predict(self, batch: Batch) -> Tensor:
        """Logits, [B, C]."""
        logits: Tensor = self.chooser(sequence_heads.first_token(self.backbone, self.pooler, batch))
        return logits.view(-1, self.num_outputs)

    def from_folders(self, states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The state, with the head by its own name."""
        return sequence_heads.with_head(states[""], "chooser")

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """One folder."""
        rate = self.chooser.dropout.rate
        names = (
            "classifier_dropout",
            "classifier_dropout_prob",
            "summary_last_dropout",
            "seq_classif_dropout",
        )
        settings = dict.fromkeys(names, rate)  # its name in BERT, ALBERT, ELECTRA and DistilBERT
        return {"": ExportSpec(model, self.state_dict(), self.architecture, settings=settings)}


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> MultipleChoice:
    """An encoder with a head of one output."""
    encoder_config, encoder, pooler = sequence_heads.build_parts(model, vocabulary)
    return MultipleChoice(
        config, vocabulary, encoder, heads.Classifier.chooser(encoder_config, dropout), pooler
    )
