"""Layer selection: which teacher layers initialise and supervise the student."""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from nlptool.formatting import counted
from nlptool.models.layer_sharing import SUBLAYER

Map = Literal["uniform", "top", "bottom"] | tuple[int, ...]


def layer_map(teacher: int, student: int, layers: Map = "uniform") -> tuple[int, ...]:
    """The layer g(m) of the teacher, from 1, that layer m of the student learns from (Jiao et al. 2020, section 3).

    teacher, student: their numbers of layers, N and M. uniform: m N / M, every N/M-th and the last; top: the last M;
    bottom: the first M; or a list of M layers. Where M does not divide N, uniform rounds down. Raises ValueError for
    a student with more layers, or an invalid list.
    """
    if isinstance(layers, tuple):
        if len(layers) != student:
            raise ValueError(f"{counted(len(layers), 'layers')} for a student that has {student}")
        if list(layers) != sorted(set(layers)) or not all(1 <= layer <= teacher for layer in layers):
            raise ValueError(f"layers rise from 1 to at most {teacher}, as many as the teacher has")
        return layers
    if student > teacher:
        raise ValueError(
            f"a student of {counted(student, 'layers')} has no {student} to learn from in a teacher of {teacher}"
        )
    if layers == "uniform":
        return tuple(m * teacher // student for m in range(1, student + 1))
    first = teacher - student if layers == "top" else 0
    return tuple(first + m for m in range(1, student + 1))


def evenly_spaced_layers(teacher: int, student: int) -> tuple[int, ...]:
    """The teacher's layers, from 0, that initialise a student; at least two of them, the first and the last
    included.

    One in two of 12 as in DistilBERT's code: 0, 2, 4, 7, 9, 11. Of N to M layers: i (N - 1) / (M - 1),
    rounded down in the first half of the layers and up in the second. One layer is the first.
    Raises ValueError for a student with more layers than its teacher.
    """
    if student > teacher:
        raise ValueError(f"{counted(student, 'layers')} cannot be taken from a teacher that has {teacher}")
    if student == 1:
        return (0,)
    low = [(i * (teacher - 1)) // (student - 1) for i in range(student)]
    return tuple(low[i] if 2 * i < student else teacher - 1 - low[student - 1 - i] for i in range(student))


def select_layers(state: Mapping[str, Tensor], chosen: Sequence[int]) -> dict[str, Tensor]:
    """A state with these layers only, renumbered; the rest is unchanged.

    Raises ValueError where a layer is missing, e.g. because layers share their weights.
    """
    numbers = {str(layer): place for place, layer in enumerate(chosen)}
    result: dict[str, Tensor] = {}
    found = set()
    for key, tensor in state.items():
        layer = SUBLAYER.fullmatch(key)
        if layer is None:
            result[key] = tensor
        elif layer[2] in numbers:
            result[f"backbone.layers.{layer[1]}.{numbers[layer[2]]}.{layer[3]}"] = tensor
            found.add((layer[1], layer[2]))
    if len(found) != 2 * len(numbers):
        raise ValueError("layers that share their weights cannot be taken one by one")
    return result
