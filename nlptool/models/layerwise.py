"""Layer-wise fine-tuning: frozen parts, and learning rates that decay towards the embeddings."""

import re
from collections.abc import Collection, Iterable

from torch import nn

from nlptool.errors import UsageError
from nlptool.formatting import counted
from nlptool.models.layers import Attention, Dropout, Layers

BACKBONE, EMBEDDINGS = "backbone", "embeddings"
OF_EMBEDDINGS = ("backbone.embeddings.", "backbone.layers.projection.")
LAYER = re.compile(r"backbone\.layers\.(?:attention|mlp)\.(\d+)\.")


def freeze(module: nn.Module, parts: Collection[str | int]) -> None:
    """Freeze parts of `module.backbone`: no gradient and no dropout (Devlin et al. 2019, section 5.3).

    Their outputs for a row are the same each time.

    parts: `backbone`, all of it; `embeddings`; numbers of layers from 0. Heads are trained, a pooler among them.
    Raises UsageError for a layer number out of range, and for a layer that shares its weights with others.
    """
    if not parts:
        return
    stacks = [part for part in module.modules() if isinstance(part, Layers)]
    numbers = sorted(part for part in parts if isinstance(part, int))
    depth = max(stack.depth for stack in stacks)
    if numbers and numbers[-1] >= depth:
        raise UsageError(
            f"train.freeze: there is no layer {numbers[-1]}; the model has {counted(depth, 'layers')}, from 0",
            hint=f"train.freeze=[embeddings, 0] to train.freeze=[embeddings, {depth - 1}], or train.freeze=backbone",
        )
    shared = any(len(stack.attention) < stack.depth or len(stack.mlp) < stack.depth for stack in stacks)
    if numbers and shared:
        raise UsageError(
            "train.freeze: the layers of this model share their weights, so none can be frozen by itself",
            hint="train.freeze=backbone, or train.freeze=embeddings",
        )
    frozen = [name for name, _ in module.named_parameters() if _is_frozen(name, parts)]
    named = dict(module.named_parameters())
    if len(frozen) == len(named):
        raise UsageError(
            "train.freeze: nothing is left to train, since the model has no head of its own",
            hint="freeze the embeddings or some layers: train.freeze=[embeddings, 0]",
        )
    for name in frozen:
        named[name].requires_grad_(False)
    for name, part in module.named_modules():
        if isinstance(part, Dropout | Attention) and _is_frozen(f"{name}.", parts):
            part.rate = 0.0
    if BACKBONE in parts or EMBEDDINGS in parts:
        first = next((n for n in range(depth) if n not in numbers), depth)
        for stack in stacks:
            stack.frozen = stack.depth if BACKBONE in parts else first


def _is_frozen(name: str, parts: Collection[str | int]) -> bool:
    """Whether a name in the state dict belongs to a frozen part."""
    if not name.startswith("backbone."):
        return False
    if BACKBONE in parts:
        return True
    if layer := LAYER.match(name):
        return int(layer[1]) in parts
    return EMBEDDINGS in parts and name.startswith(OF_EMBEDDINGS)


def layer_lr_factors(names: Iterable[str], layers: int, decay: float) -> dict[str, float]:
    """Share of the learning rate for each parameter of an encoder with heads, by its name in the state dict.

    1 for heads, `decay` for the last layer, decay^L for the first of L, decay^(L + 1) for the embeddings: each layer
    has `decay` times the rate of the one above it, as Clark et al. 2020 describe it (appendix B). Google's ELECTRA
    code gives every layer one power more, so that its last layer has decay^2
    (github.com/google-research/electra/issues/51).
    """
    rates = {}
    for name in names:
        layer = LAYER.match(name)
        depth = int(layer[1]) + 1 if layer else 0 if name.startswith("backbone.") else layers + 1
        rates[name] = decay ** (layers + 1 - depth)
    return rates
