"""The base of tasks on marked mentions: rows with links, and a classifier on the first token's hidden state."""

# B rows, D width

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nlptool.data.linked_texts import Link, LinkedText, LinkedTextDataset
from nlptool.data.vocabulary import Vocabulary
from nlptool.models import heads
from nlptool.models.base import Encoder
from nlptool.models.config import ModelConfig
from nlptool.objectives.base import ExportSpec
from nlptool.tasks import linked_rows, sequence_heads
from nlptool.tasks.marked_text import MarkedText, MarkedTextConfig
from nlptool.tasks.text_objective import TextObjective
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer


class MarkedTextObjective(TextObjective):
    """A classifier of marked texts, which gives entities to models that read them."""

    config: MarkedTextConfig
    term: str
    """Name of the loss."""
    problem_type: str
    """Its name in transformers."""

    def __init__(
        self,
        config: MarkedTextConfig,
        vocabulary: Vocabulary,
        backbone: Encoder,
        classifier: heads.Classifier,
        pooler: heads.Pooler | None,
    ) -> None:
        classes = len(config.labels)
        super().__init__(
            config, vocabulary, backbone, classifier, pooler, term=self.term, num_outputs=classes
        )
        if config.label_width == 1:
            self.class_names = config.labels

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """The marked texts, their links to the graph, and the labels."""
        tally = dict.fromkeys(linked_rows.TALLY, 0)
        texts = (self._linked(row, tally, labelled=labelled) for row in rows)
        return linked_rows.write(texts, tally, tokenizer, prefix, self.knowledge)

    def _linked(self, row: Row, tally: dict[str, int], *, labelled: bool) -> LinkedText:
        marked = self.config.marked(row)
        label = self.config.label_of(row) if labelled else (np.nan,) * self.config.label_width
        return LinkedText((marked.text,), (self._links(marked, tally),), label, marked.needed)

    def _links(self, marked: MarkedText, tally: dict[str, int]) -> tuple[Link, ...]:
        """The mentions whose entities are in the graph."""
        if self.knowledge is None:
            return ()
        if marked.pair is not None:
            head, tail = map(self.knowledge.find, marked.pair)
            if head is not None and tail is not None:
                tally["pairs"] += 1
                tally["related"] += self.knowledge.related(head, tail)
        return linked_rows.known(marked.mentions, self.knowledge, tally)

    def dataset(self, split: Split, length: int) -> LinkedTextDataset:
        """The rows, with marks whether or not there are links."""
        return linked_rows.open_rows(split, length, self.vocabulary)

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """One folder, with the names of the classes."""
        rate, names = self.classifier.dropout.rate, self.config.labels
        settings = sequence_heads.settings_of(names, self.problem_type, rate)
        return {"": ExportSpec(model, self.state_dict(), self.architecture, settings=settings)}
