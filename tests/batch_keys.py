"""Whether the keys of a batch are documented: in the docstring of Batch, or of the `collate` that makes them."""

import inspect
import re

from nlptool.data.batches import Batch
from nlptool.objectives.base import Objective

SHAPE = r"[^\[\].]*\[([^\]]*)\]"


def undocumented(objective: Objective, batch: Batch) -> list[str]:
    """Keys without a shape of as many dimensions as their tensors have."""
    classes = [kind for kind in type(objective).__mro__ if "collate" in vars(kind)]
    texts = [Batch.__doc__ or "", *(inspect.getdoc(vars(kind)["collate"]) or "" for kind in classes)]
    found = []
    for name, tensor in (batch.tensors | batch.shared).items():
        shapes = [shape for text in texts for shape in re.findall(rf"\b{name}\b{SHAPE}", text)]
        if tensor.ndim not in {len(re.findall(r"[^,]+", shape)) for shape in shapes}:
            found.append(f"{name} {list(tensor.shape)}")
    return found
