"""What tasks that read whole texts share: their rows as batches, and what the first token says of each text."""

# B documents, T tokens, D width

import numpy as np
import torch
from torch import Tensor, nn

from nlptool import registry
from nlptool.data.batches import Batch
from nlptool.data.inputs import Encoded, Inputs
from nlptool.data.vocabulary import Vocabulary
from nlptool.models import heads
from nlptool.models.config import EncoderConfig
from nlptool.recipe import Block
from nlptool.text.store import Split


def open_rows(split: Split, length: int, vocabulary: Vocabulary, choices: int = 1) -> Inputs:
    """The rows of a split, each of `choices` documents."""
    special = vocabulary.special
    return Inputs(split, length, cls=special["cls"], sep=special["sep"], pad=special["pad"], choices=choices)


def batch_of(examples: Encoded, term: str) -> Batch:
    """ids and types [B, T], lengths [B]; for each row its number in row and its label in labels."""
    arrays = {
        "ids": examples.ids,
        "types": examples.types,
        "lengths": examples.lengths,
        "row": examples.rows,
        "labels": examples.labels.astype(np.float32),
    }
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return Batch(tensors, {term: len(examples.rows)}, int(examples.lengths.sum()))


def build_parts(model: Block, vocabulary: Vocabulary) -> tuple[nn.Module, heads.Pooler | None]:
    """The net of a family, and its pooler where it has one."""
    assert isinstance(model, EncoderConfig)  # as the task's `check` has made sure
    net = registry.load("models", str(model.model_dump()["name"]), "net").Net(model, vocabulary.size)
    return net, heads.Pooler(model.hidden, model.init) if model.pooled else None


def head(model: Block, outputs: int, dropout: float) -> heads.Classifier:
    """The classifier of a family."""
    assert isinstance(model, EncoderConfig)
    return heads.Classifier.of(model, outputs, dropout)


def first_token(backbone: nn.Module, pooler: nn.Module | None, batch: Batch) -> Tensor:
    """What the first token says of each document, [B, D]. The last layer is computed there only.

    Nets with one type of segment do not tell the two texts apart but by [SEP].
    """
    first_B1 = torch.zeros_like(batch["lengths"])[:, None]
    types = batch["types"] if backbone.config.types > 1 else None  # type: ignore[union-attr, operator]
    hidden_B1D: Tensor = backbone(batch["ids"], types, batch["lengths"], first_B1)
    return hidden_B1D[:, 0] if pooler is None else pooler(hidden_B1D)
