"""Converts between shared sub-layers and one set per layer, for file formats without sharing.

Layer i of L has sub-layer i * n // L of the n distinct ones, as in models/layers.py.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from nlptool.models.config import ModelConfig

SUBLAYER = re.compile(r"backbone\.layers\.(attention|mlp)\.(\d+)\.(.+)")


def unshare_layers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with as many attentions as MLPs: shared sub-layers are copied for each layer that uses them."""
    counts = _counts(state)
    layers = max(counts.values())
    result: dict[str, Tensor] = {}
    for key, tensor in state.items():
        found = SUBLAYER.fullmatch(key)
        if found is None or counts[found[1]] == layers:
            result[key] = tensor
            continue
        kind, number, rest = found.groups()
        for layer in range(layers):
            if layer * counts[kind] // layers == int(number):
                result[f"backbone.layers.{kind}.{layer}.{rest}"] = tensor.clone()
    return result


def share_layers(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The state with as many attentions and MLPs as the model of `config` has; undoes `unshare_layers`.

    Raises ValueError when layers that should share a sub-layer differ in it.
    """
    wanted = {"attention": config.attentions, "mlp": config.mlps}
    counts = _counts(state)
    result: dict[str, Tensor] = {}
    for key, tensor in state.items():
        found = SUBLAYER.fullmatch(key)
        if found is None or counts[found[1]] != config.layers:
            result[key] = tensor
            continue
        kind, layer, rest = found[1], int(found[2]), found[3]
        shared = f"backbone.layers.{kind}.{layer * wanted[kind] // config.layers}.{rest}"
        if not torch.equal(result.setdefault(shared, tensor), tensor):
            raise ValueError(
                f"config.json says that layers share their {kind}, but layer {layer} has another one; "
                "without the key nlptool_share each has its own"
            )
    return result


def _counts(state: Mapping[str, Tensor]) -> dict[str, int]:
    numbers: dict[str, set[str]] = {"attention": set(), "mlp": set()}
    for found in filter(None, map(SUBLAYER.fullmatch, state)):
        numbers[found[1]].add(found[2])
    return {kind: len(seen) for kind, seen in numbers.items()}
