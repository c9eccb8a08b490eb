"""TinyBERT's task-specific distillation (Jiao et al. 2020, section 3).

For tasks with one decision a row, among fixed alternatives. Two objectives wrap the task's, one after the other:
`IntermediateDistillation` fits embeddings, hidden states and attention scores to the teacher's, then
`PredictionDistillation` fits the logits. Neither uses labels. Both keep the student's parameter names, so that
weights, learning rates and folders are as in fine-tuning. The teacher has neither dropout nor gradient; TinyBERT's
code leaves its dropout on.
"""

# B rows, T tokens, D width, N rows, W logits of a row

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.data.batches import Batch
from nlptool.data.random_streams import RandomStreams
from nlptool.distill import losses
from nlptool.formatting import counted
from nlptool.models.base import Decoder, Encoder
from nlptool.models.layers import Linear, init_truncated
from nlptool.objectives.base import Objective, inputs_of
from nlptool.tasks.base import TaskObjective


class IntermediateDistillation(Objective):
    """Intermediate-layer distillation: embeddings, hidden states and attention scores (eqs. 7 to 9).

    The loss is a sum over layers: for hidden states and embeddings, the mean over tokens; for scores, the mean over
    pairs of tokens. A narrower student's states pass through one learned matrix, as in TinyBERT's code, where the
    paper has another one for the embeddings; states of equal width are compared directly, where the code has the
    matrix, too. The student's head is not trained.

    layers: the teacher's layer, from 1, for each layer of the student. A decoder's scores are compared for a token and
    those before it. Raises ValueError where the two have different numbers of attention heads.
    """

    def __init__(self, student: TaskObjective, teacher: Encoder | Decoder, layers: Sequence[int]) -> None:
        super().__init__()
        own, theirs = student.backbone.config, teacher.config
        if own.heads != theirs.heads:
            raise ValueError(
                f"the student has {counted(own.heads, 'attention heads')}, the teacher {theirs.heads}; scores are "
                "compared head by head"
            )
        self.weights = {"hidden": 1.0, "attention": 1.0}
        self.backbone, self.layers = student.backbone, tuple(layers)
        self.causal = theirs.kind == "decoder"
        self.projection = None if own.hidden == theirs.hidden else Linear(own.hidden, theirs.hidden)
        if self.projection is not None:
            init_truncated(self.projection, own.init)
        self.learn_from(teacher)
        self._collate = student.collate

    def collate(self, examples: Any, draws: RandomStreams) -> Batch:
        """The task's batch, with counts of tokens and pairs of tokens."""
        batch = self._collate(examples, draws)
        lengths_B = batch["lengths"]
        pairs = int((lengths_B * (lengths_B + 1) // 2 if self.causal else lengths_B.square()).sum())
        return Batch(batch.tensors, {"hidden": batch.tokens, "attention": pairs}, batch.tokens)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sums of both losses."""
        (teacher,), layers, lengths_B = self._teacher, dict(enumerate(self.layers, start=1)), batch["lengths"]
        assert isinstance(teacher, Encoder | Decoder)
        with torch.no_grad(), flops.no_backward():
            theirs = teacher.trace(inputs_of(batch), self.layers)
        own = self.backbone.trace(inputs_of(batch), layers)
        return {
            "hidden": losses.hidden_errors(own, theirs, {0: 0} | layers, self.projection, lengths_B),
            "attention": losses.attention_errors(own, theirs, layers, lengths_B, causal=self.causal),
        }


class PredictionDistillation(Objective):
    """Prediction-layer distillation: the teacher's answers are the labels.

    For several alternatives the cross-entropy with the teacher's probabilities, at temperature 1 (eq. 10; TinyBERT's
    code has the mean over classes, too: 1/W of this); for a number the squared error, where the code takes the label
    instead of the teacher's output.

    answers_NW: the teacher's logits of all rows, by row number; so it reads each row once, not in each epoch.
    """

    def __init__(self, student: TaskObjective, answers_NW: Tensor) -> None:
        super().__init__()
        self.weights = {"prediction": 1.0}
        for name, part in student.named_children():
            self.add_module(name, part)
        self.backbone = student.backbone
        self._student = (student,)  # in a tuple it is not registered as a child; its parts are, above
        self._answers_NW = answers_NW.float()

    def loss(self, figures: dict[str, float]) -> float:
        """The student's metric selects the best checkpoint."""
        return self._student[0].loss(figures)

    def collate(self, examples: Any, draws: RandomStreams) -> Batch:
        """The task's batch with the teacher's answers."""
        batch = self._student[0].collate(examples, draws)
        answers_BW = self._answers_NW[batch["row"]]
        return Batch(batch.tensors | {"answers": answers_BW}, {"prediction": len(answers_BW)}, batch.tokens)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the losses."""
        logits_BW, answers_BW = self._student[0].predict(batch), batch["answers"]
        if logits_BW.shape[1] == 1:
            return {"prediction": F.mse_loss(logits_BW.float(), answers_BW, reduction="sum")}
        return {"prediction": losses.soft_cross_entropy(logits_BW, answers_BW)}
