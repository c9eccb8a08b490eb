"""Memory and FLOPs of a run from shapes; deep models are extrapolated from shallow ones."""

from typing import TYPE_CHECKING

from nlptool.data.batches import Batches, Stage
from nlptool.train.estimate import SHALLOW, Estimate, by_depth, estimate, shapes_only

if TYPE_CHECKING:
    from nlptool.commands.pretrain.setup import PretrainSetup


def shallow(depth: int) -> int:
    """Number of layers, reduced where none of them is needed."""
    return min(depth, SHALLOW[-1])


def estimate_of(setup: "PretrainSetup", rows: int, length: int) -> Estimate:
    """The estimate for a micro-batch of `rows` rows of `length` tokens."""
    examples = next(examples for stage, examples in setup.stages if stage.sequence_length == length)
    (batch,) = Batches([Stage(0, rows, examples)], setup.shape.collate, seed=0).get(0)

    def at(depth: int) -> Estimate:
        precision, vocab_size = setup.train.precision, setup.vocabulary.rows
        return estimate(lambda: setup.objective(depth), batch, precision, vocab_size, lambda one: one.teacher)

    depth = setup.model.layers
    return (
        by_depth(at, depth) if setup.teacher is None else at(depth)
    )  # the teacher's layers are paired with its own


def final_bytes(setup: "PretrainSetup") -> int:
    """Bytes of the tensors of final/ on disk."""

    def at(depth: int) -> int:
        model = setup.model.model_copy(update={"layers": depth})
        with shapes_only():
            folders = setup.objective(depth).folders(model)
        tensors = [tensor for spec in folders.values() for tensor in spec.state.values()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    depth = setup.model.layers
    return by_depth(at, depth) if setup.teacher is None else at(depth)
