"""Token classification, such as named-entity recognition (Devlin et al. 2019, section 5.3)."""

# B sentences, T pieces, D width, A tokens of all rows, N decisions, C tags

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlptool.data import row_view, token_labels
from nlptool.data.batches import Batch
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import TAG, Mark, RowView
from nlptool.data.token_labels import TokenLabelBatch, TokenLabelDataset
from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.metrics import ner
from nlptool.models import heads
from nlptool.models.base import Encoder
from nlptool.models.config import ModelConfig
from nlptool.objectives.base import ExportSpec, inputs_of
from nlptool.tasks import sequence_heads
from nlptool.tasks.base import LabelledDataset, Numbers, TaskObjective
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from nlptool.tasks.token_classification.config import Config


NO_TAG = ""
"""Tag of a word without a decision, if the labels have no O."""


class TokenClassification(TaskObjective):
    """The hidden state of a word's first piece gives its tag.

    Words without a decision have the tag O, or none if there is no O: truncated words, so that a score is over all
    words, and words that the tokenizer drops.
    """

    architecture = "ForTokenClassification"

    def __init__(
        self,
        config: "Config",
        vocabulary: Vocabulary,
        backbone: Encoder,
        tagger: heads.TokenClassificationHead,
    ) -> None:
        super().__init__()
        self.config: Config = config
        self.vocabulary = vocabulary
        self.weights = {"cross_entropy": 1.0}
        self.class_names = config.labels
        self.num_outputs = len(config.labels)
        self.baseline_name = "majority" if config.scheme == "none" else "all O"
        self.backbone: Encoder = backbone
        self.tagger = tagger
        self._names = np.array([*config.labels, NO_TAG])
        self._outside = config.labels.index("O") if "O" in config.labels else len(config.labels)
        self._inside = np.array(
            [config.labels.index(label.replace("B-", "I-", 1)) for label in config.labels]
        )

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Sentences, not truncated, and the places of their words."""
        sentences = (self.config.sentence(row, labelled=labelled) for row in rows)
        return token_labels.write(sentences, tokenizer, prefix)

    def dataset(self, split: Split, length: int) -> TokenLabelDataset:
        """The sentences."""
        special = self.vocabulary.special
        return TokenLabelDataset(split, length, cls=special["cls"], sep=special["sep"], pad=special["pad"])

    def data_warnings(self, rows: LabelledDataset) -> list[str]:
        """A note on entities that begin with I-NAME, as in IOB1."""
        assert isinstance(rows, TokenLabelDataset)
        if not rows.labelled:
            return []
        found = [
            len(self.config.without_beginning(tags))
            for tags in _by_row(rows, self._names[rows.tags.astype(int)])
        ]
        if not any(found):
            return []
        return [
            f"in {sum(map(bool, found)):,} of {rows.count:,} rows {sum(found):,} entities begin with I-NAME, not "
            "B-NAME; if the tags are IOB1, set scheme: iob1 in the task"
        ]

    def collate(self, examples: TokenLabelBatch, draws: RandomStreams) -> Batch:
        """ids and types [B, T], lengths [B], labels [N, 1] and row [N]; documents and positions [N] of tags."""
        batch = sequence_heads.batch_of(examples.encoded, "cross_entropy")
        places = {"documents": examples.documents, "positions": examples.positions}
        tensors = {name: torch.from_numpy(array) for name, array in places.items()}
        return Batch(batch.tensors | tensors, batch.counts, batch.tokens)

    def row_views(self, batch: Batch) -> list[RowView]:
        """The first token of each word with its tag."""
        views = row_view.of_batch(batch)
        places = (batch["documents"], batch["positions"], batch["labels"][:, 0].int())
        for document, position, label in zip(*(tensor.tolist() for tensor in places), strict=True):
            views[document].marks[position] = Mark(TAG, self.config.labels[label])
        return views

    def predict(self, batch: Batch) -> Tensor:
        """Logits of tags, [N, C]."""
        hidden_BTD = self.backbone(inputs_of(batch))
        return self.tagger(hidden_BTD[batch["documents"], batch["positions"]])  # type: ignore[no-any-return]

    def score(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """The metrics of the task; white space does not count."""
        assert isinstance(rows, TokenLabelDataset)
        return self._scores(rows, self._tags(rows, logits))

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """The metrics of tagging no entity; for other tags, of the most frequent one."""
        assert isinstance(rows, TokenLabelDataset)
        assert isinstance(train, TokenLabelDataset)
        known = self._outside
        if self.config.scheme == "none":
            known = int(np.bincount(train.tags.astype(int)).argmax())
        return self._scores(rows, np.full(len(rows.tags), known))

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """`prediction` and `label`: a tag for each token of a row."""
        assert isinstance(rows, TokenLabelDataset)
        given = _by_row(rows, self._names[self._tags(rows, logits)])
        right = _by_row(rows, self._names[rows.tags.astype(int)]) if rows.labelled else given
        for one, two in zip(given, right, strict=True):
            yield {"prediction": one, "label": two} if rows.labelled else {"prediction": one}

    def located(self, row: Row, answer: dict[str, Any]) -> dict[str, Any]:
        """`entities`: label, text, start and end, the first of its tokens and the one after its last."""
        if self.config.scheme == "none":
            return {}
        tokens = self.config.sentence(row, labelled=False)
        found = ner.entities(answer["prediction"], strict=False)
        return {
            "entities": [
                {"label": name, "text": tokens.text(start, end), "start": start, "end": end}
                for name, start, end in found
            ]
        }

    def from_folders(self, states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The state, with the head by its own name."""
        return sequence_heads.with_head(states[""], "tagger")

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """One folder, with the names of the tags."""
        rate, names = self.tagger.dropout.rate, self.config.labels
        settings = {
            "id2label": {str(number): name for number, name in enumerate(names)},
            "label2id": {name: number for number, name in enumerate(names)},
            "classifier_dropout": rate,
            "classifier_dropout_prob": rate,  # ALBERT's name
        }
        return {"": ExportSpec(model, self.state_dict(), self.architecture, settings=settings)}

    def _tags(self, rows: TokenLabelDataset, logits: Numbers) -> NDArray[np.int64]:
        """[A], the tag of each token, by number."""
        decided = self.decide(logits)[:, 0].astype(int)[rows.decision]
        found = np.where(rows.begins, decided, self._inside[decided])
        return np.where(rows.decision < 0, self._outside, found)

    def _scores(self, rows: TokenLabelDataset, given_A: NDArray[Any]) -> dict[str, float]:
        given, right = (
            _by_row(rows, self._names[tags.astype(int)], ~rows.spaces) for tags in (given_A, rows.tags)
        )
        return {name: ner.METRICS[name](given, right, self.config.labels) for name in self.config.metrics}


def _by_row(
    rows: TokenLabelDataset, values_A: NDArray[Any], kept_A: NDArray[np.bool_] | None = None
) -> list[list[str]]:
    """Values of tokens, of those kept, as a list for each row."""
    row_A = np.repeat(np.arange(rows.count), rows.counts)
    if kept_A is not None:
        row_A, values_A = row_A[kept_A], values_A[kept_A]
    ends = np.cumsum(np.bincount(row_A, minlength=rows.count))[:-1]
    return [part.tolist() for part in np.split(values_A, ends)]


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> TokenClassification:
    """An encoder with a matrix for tags."""
    encoder_config, encoder, _ = sequence_heads.build_parts(model, vocabulary)
    return TokenClassification(
        config,
        vocabulary,
        encoder,
        heads.TokenClassificationHead.of(encoder_config, len(config.labels), dropout),
    )
