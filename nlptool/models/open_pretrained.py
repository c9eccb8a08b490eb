"""A pretrained model ready for inference: built, its weights loaded, without dropout, on a device."""

from collections.abc import Mapping

import torch
from torch import nn

from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.base import Decoder, Encoder
from nlptool.models.huggingface import Pretrained
from nlptool.models.kernels.cpu import CPU


def open_encoder(
    pretrained: Pretrained, heads: Mapping[str, nn.Module], device: torch.device = CPU
) -> Encoder:
    """The encoder. heads: modules by the names of their weights, e.g. mlm, which are loaded, too.

    Raises DataError for a decoder, and for weights that do not fit.
    """
    encoder = pretrained.config.build(pretrained.vocab_size)
    if not isinstance(encoder, Encoder):
        raise DataError(f"{pretrained.config.name} is a decoder; an encoder is expected, such as bert")
    _load(pretrained, {"backbone": encoder, **heads}, device)
    return encoder


def open_decoder(pretrained: Pretrained, device: torch.device = CPU) -> Decoder:
    """The decoder, whose head is its word embeddings. Raises DataError for an encoder."""
    decoder = pretrained.config.build(pretrained.vocab_size)
    if not isinstance(decoder, Decoder):
        raise DataError("the model is not a decoder", hint="name the final/ of a pretrain-clm run")
    _load(pretrained, {"backbone": decoder}, device)
    return decoder


def open_backbone(pretrained: Pretrained, device: torch.device = CPU) -> Encoder | Decoder:
    """The model without heads, of either kind."""
    backbone = pretrained.config.build(pretrained.vocab_size)
    _load(pretrained, {"backbone": backbone}, device)
    return backbone


def _load(pretrained: Pretrained, parts: Mapping[str, nn.Module], device: torch.device) -> None:
    module = nn.ModuleDict(parts)
    huggingface.load(module, pretrained.state)
    module.eval().to(device)
