"""Classification and regression of a text or a pair (Devlin et al. 2019, section 4.1)."""

# B batch, T tokens, D width, N rows, W numbers said of a row: one a class, or one

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool.data.batches import Batch
from nlptool.data.draws import Draws
from nlptool.data.inputs import Encoded, Inputs
from nlptool.data.vocabulary import Vocabulary
from nlptool.models import heads
from nlptool.objectives.base import Folder
from nlptool.recipe import Block
from nlptool.tasks import reading
from nlptool.tasks.base import TaskObjective
from nlptool.tasks.classify.config import Config
from nlptool.text.store import Split


class Classify(TaskObjective):
    """The first token's last hidden state says the class, or the number.

    The loss is the cross-entropy, or for numbers the squared error on their own scale (ELECTRA's code divides
    STS-B's by 5). The last layer is computed at the first token only.
    """

    def __init__(
        self,
        config: Config,
        vocabulary: Vocabulary,
        backbone: nn.Module,
        classifier: heads.Classifier,
        pooler: heads.Pooler | None,
    ) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.term = "cross_entropy" if config.labels else "squared_error"
        self.weights = {self.term: 1.0}
        self.width, self.metric = config.width, config.metrics[0]
        self.backbone, self.pooler, self.classifier = backbone, pooler, classifier

    def examples(self, split: Split, length: int, seed: int) -> Inputs:
        """The rows; no seed changes them."""
        return reading.open_rows(split, length, self.vocabulary)

    def collate(self, examples: Encoded, draws: Draws) -> Batch:
        """ids and types [B, T], lengths and row [B], labels [B, 1]; nothing is drawn."""
        return reading.batch_of(examples, self.term)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the losses."""
        return {self.term: self.cost(self.predict(batch), batch["labels"])}

    def predict(self, batch: Batch) -> Tensor:
        """Logits, or the number, [B, W]."""
        pooled_BD = reading.first_token(self.backbone, self.pooler, batch)
        return self.classifier(pooled_BD)  # type: ignore[no-any-return]

    def cost(self, said: Tensor, labels: Tensor) -> Tensor:
        """Summed cross-entropy in nats, or squared error. said: [N, W]; labels: [N, 1]."""
        wide = torch.promote_types(said.dtype, torch.float32)
        if self.config.labels:
            return F.cross_entropy(said.to(wide), labels[:, 0].long(), reduction="sum")
        return F.mse_loss(said.to(wide), labels.to(wide), reduction="sum")

    def decide(self, said: NDArray[np.float64]) -> NDArray[np.float64]:
        """[N, 1]: the likeliest class, or the number."""
        if not self.config.labels:
            return said
        return np.asarray(said.argmax(1, keepdims=True), np.float64)

    def spell(self, label: list[float]) -> Any:
        """A class's name, or the number."""
        return self.config.labels[int(label[0])] if self.config.labels else label[0]

    def answer(self, said: list[float], decided: list[float]) -> dict[str, Any]:
        """`prediction`, and for classes also `scores`, their probabilities."""
        answer = {"prediction": self.spell(decided)}
        if self.config.labels:
            shares = torch.tensor(said, dtype=torch.float64).softmax(0).tolist()
            answer["scores"] = {
                name: round(share, 6) for name, share in zip(self.config.labels, shares, strict=True)
            }
        return answer

    def folders(self, model: Block) -> dict[str, Folder]:
        """One, with the names of the classes."""
        names = self.config.labels or ("LABEL_0",)
        rate = self.classifier.dropout.rate
        settings = {
            "id2label": {str(number): name for number, name in enumerate(names)},
            "label2id": {name: number for number, name in enumerate(names)},
            "problem_type": "single_label_classification" if self.config.labels else "regression",
            "classifier_dropout": rate,
            "classifier_dropout_prob": rate,  # as ALBERT calls it
            "seq_classif_dropout": rate,  # as DistilBERT does
        }
        return {"": Folder(model, self.state_dict(), settings=settings)}


def build(config: Config, model: Block, vocabulary: Vocabulary, dropout: float) -> Classify:
    """An encoder with the head of its family."""
    net, pooler = reading.build_parts(model, vocabulary)
    return Classify(config, vocabulary, net, reading.head(model, config.width, dropout), pooler)
