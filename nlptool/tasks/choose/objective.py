"""Multiple choice: which of several texts goes with the question? (Devlin et al. 2019, section 4.4)"""

# B rows, C choices, N rows

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
from nlptool.tasks.choose.config import Config
from nlptool.text.store import Split


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
        self.config, self.vocabulary = config, vocabulary
        self.weights = {"cross_entropy": 1.0}
        self.width, self.metric = len(config.labels), config.metrics[0]
        self.backbone, self.pooler, self.chooser = backbone, pooler, chooser

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

    def cost(self, said: Tensor, labels: Tensor) -> Tensor:
        """Summed cross-entropy in nats. said: [N, C]; labels: [N, 1]."""
        wide = torch.promote_types(said.dtype, torch.float32)
        return F.cross_entropy(said.to(wide), labels[:, 0].long(), reduction="sum")

    def decide(self, said: NDArray[np.float64]) -> NDArray[np.float64]:
        """[N, 1]: the place of the likeliest choice."""
        return np.asarray(said.argmax(1, keepdims=True), np.float64)

    def spell(self, label: list[float]) -> Any:
        """A choice's name."""
        return self.config.labels[int(label[0])]

    def answer(self, said: list[float], decided: list[float]) -> dict[str, Any]:
        """`prediction` and `scores`, the probabilities of all choices."""
        shares = torch.tensor(said, dtype=torch.float64).softmax(0).tolist()
        named = zip(self.config.labels, shares, strict=True)
        return {
            "prediction": self.spell(decided),
            "scores": {name: round(share, 6) for name, share in named},
        }

    def folders(self, model: Block) -> dict[str, Folder]:
        """One."""
        rate = self.chooser.dropout.rate
        settings = {"classifier_dropout": rate, "classifier_dropout_prob": rate}  # BERT's name, ALBERT's
        return {"": Folder(model, self.state_dict(), settings=settings)}


def build(config: Config, model: Block, vocabulary: Vocabulary, dropout: float) -> Choose:
    """An encoder with a head of one output."""
    net, pooler = reading.build_parts(model, vocabulary)
    return Choose(config, vocabulary, net, reading.head(model, 1, dropout), pooler)
