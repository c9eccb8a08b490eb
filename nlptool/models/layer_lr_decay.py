"""Layer-wise decay of the learning rate: what lies deeper changes less."""

import re
from collections.abc import Iterable

LAYER = re.compile(r"backbone\.layers\.(?:attention|mlp)\.(\d+)\.")


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
