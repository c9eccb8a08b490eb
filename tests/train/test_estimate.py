import torch
from torch import Tensor, nn

from nlptool.data.batches import Batch
from nlptool.train.estimate import Estimate, estimate, parts

ROWS, INPUTS, CLASSES = 5, 8, 100


class Scores(nn.Module):
    """Scores of 100 classes from 8 numbers, by a matrix; the loss is the sum of the scores' squares."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(INPUTS, CLASSES, bias=False)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {"squares": self.scores(batch["x"]).square().sum()}


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(3, 4)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = Model(), nn.Linear(4, 2)
        self.shared = self.backbone.embeddings


def estimated(rows: int = ROWS, precision: str = "fp32") -> Estimate:
    return estimate(
        Scores, Batch({"x": torch.zeros(rows, INPUTS)}, {"squares": rows}, rows), precision, CLASSES
    )


def test_a_parameter_has_a_gradient_and_two_moments():
    found = estimated()
    assert found.parameters == INPUTS * CLASSES
    assert (found.weights, found.gradients, found.optimizer) == (3200, 3200, 6400)


def test_scores_of_a_vocabulary_are_told_apart_and_add_up():
    """Scores, their squares' gradient and its two factors: 5 x 100 numbers each, three or four at once."""
    found = estimated()
    assert found.logits % (4 * ROWS * CLASSES) == 0
    assert 2 <= found.logits // (4 * ROWS * CLASSES) <= 4
    assert found.activations < 4 * ROWS * CLASSES, "the rest are sums and the batch is not made here"
    assert (
        found.memory == found.weights + found.gradients + found.optimizer + found.activations + found.logits
    )


def test_scores_grow_with_the_rows_and_weights_do_not():
    assert estimated(3 * ROWS).logits == 3 * estimated().logits
    assert estimated(3 * ROWS).weights == estimated().weights
    assert estimated(3 * ROWS).rows == 3 * ROWS


def test_a_model_is_told_apart_into_its_parts_and_a_head_is_one():
    assert parts(Whole()) == {"backbone.embeddings": 12, "backbone.layers": 40, "head": 10}
