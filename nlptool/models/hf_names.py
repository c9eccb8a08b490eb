"""One table of tensor names per family, read both ways: nlptool's state dicts and Hugging Face's."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nlptool.formatting import json_value

GELU = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
}
"""Their names of activations -> ours."""

NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


def activation(family: str, key: str, value: object) -> str:
    """Our name of an activation. Raises ValueError for one that nlptool does not have."""
    if not isinstance(value, str) or value not in GELU:
        raise ValueError(
            f"config.json: {key} is {json_value(value)}; nlptool's {family} has {', '.join(GELU)}"
        )
    return GELU[value]


@dataclass(frozen=True)
class Names:
    """Which of our modules is which of theirs.

    In all names {i} is the number of a layer. A tensor's last name (weight, bias) is the same on both sides.
    """

    family: str
    """As messages call it."""
    modules: Mapping[str, str]
    """Own module -> theirs."""
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Own module -> theirs whose rows it holds one after the other, such as queries, keys and values."""
    transposed: frozenset[str] = frozenset()
    """Own modules whose matrix is stored [inputs, outputs] there."""
    tied: Mapping[str, str] = field(default_factory=dict)
    """Second names of their tensors -> first; only the first is kept, and both must be equal."""

    def to_hf(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under their names."""
        tensors: dict[str, Tensor] = {}
        for key, tensor in state.items():
            module, _, kind = key.rpartition(".")
            pattern, number = _pattern(module)
            if pattern in self.split:
                theirs = self.split[pattern]
                parts = tensor.chunk(len(theirs))
            else:
                theirs = (self.modules[pattern],)
                parts = (self._turned(pattern, tensor),)
            for name, part in zip(theirs, parts, strict=True):
                tensors[f"{name.format(i=number)}.{kind}"] = part
        return tensors

    def from_hf(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Their tensors under our names; parts that are not there stay away.

        Raises ValueError for names that are in no table, for tied tensors that differ and for a missing part of
        a split one.
        """
        given = self._untied(tensors)
        own = {theirs: pattern for pattern, theirs in self.modules.items()}
        pieces = {theirs: pattern for pattern, all_ in self.split.items() for theirs in all_}
        state: dict[str, Tensor] = {}
        unknown = []
        for key in sorted(given):
            module, _, kind = key.rpartition(".")
            pattern, number = _pattern(module)
            if pattern in own:
                ours = own[pattern]
                state[f"{ours.format(i=number)}.{kind}"] = self._turned(ours, given[key])
            elif pattern in pieces:
                ours = pieces[pattern]
                name = f"{ours.format(i=number)}.{kind}"
                if name not in state:
                    state[name] = torch.cat(list(self._pieces(given, ours, number, kind)))
            else:
                unknown.append(key)
        if unknown:
            raise ValueError(
                f"tensors that nlptool's {self.family} has no place for: {', '.join(unknown[:8])}"
            )
        return state

    def _turned(self, pattern: str, tensor: Tensor) -> Tensor:
        return tensor.t() if pattern in self.transposed and tensor.ndim == 2 else tensor

    def _pieces(self, given: Mapping[str, Tensor], pattern: str, number: str, kind: str) -> Iterator[Tensor]:
        first = f"{self.split[pattern][0].format(i=number)}.{kind}"
        for theirs in self.split[pattern]:
            key = f"{theirs.format(i=number)}.{kind}"
            if key not in given:
                raise ValueError(f"{key} is missing")
            if not given[key].ndim or given[key].shape[1:] != given[first].shape[1:]:
                shapes = f"{list(given[key].shape)}, and {first} has {list(given[first].shape)}"
                raise ValueError(f"{key} has shape {shapes}")
            yield given[key]

    def _untied(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        given = dict(tensors)
        for second, first in self.tied.items():
            if second in given:
                tensor = given.pop(second)
                if not torch.equal(given.setdefault(first, tensor), tensor):
                    raise ValueError(
                        f"{second} differs from {first}; nlptool's {self.family} has a tied decoder only"
                    )
        return given


def _pattern(module: str) -> tuple[str, str]:
    """A module's name with {i} for the first number in it, and the number."""
    found = NUMBER.search(module)
    return (NUMBER.sub("{i}", module, count=1), found[0]) if found else (module, "")
