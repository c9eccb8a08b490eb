"""Text embeddings: pooled hidden states of a pretrained model."""

# B rows of a batch, T tokens, K positions, D hidden width

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlptool.data.batch_threads import for_each_batch
from nlptool.data.length_bucketing import TOKENS, batches_by_length
from nlptool.errors import DataError, UsageError
from nlptool.models import huggingface
from nlptool.models.base import Encoder, Inputs
from nlptool.models.kernels.cpu import CPU
from nlptool.models.open_pretrained import open_backbone
from nlptool.text.row_template import RowTemplate
from nlptool.text.tokenizer import Tokenizer

Pooling = Literal["cls", "mean", "last"]


class Embedder:
    """Embeds texts with an encoder or decoder of a Hugging Face folder.

    pooling: `cls`, the state of the first token, [CLS]; `mean`, of all tokens of the row, [CLS] and [SEP] included,
    as in sentence-transformers; `last`, the state of the last token, which in a decoder attends to all others.
    layers: those whose states are averaged, numbered as transformers' hidden_states: 0 the embeddings, -1 the last.
    batch_size: texts read at once; None: as many as have TOKENS. Raises DataError for a folder without model or
    tokenizer, UsageError for what its model does not support.
    """

    def __init__(
        self,
        folder: Path,
        pooling: Pooling,
        layers: Sequence[int] = (-1,),
        device: torch.device = CPU,
        batch_size: int | None = None,
    ) -> None:
        if pooling not in get_args(Pooling):
            raise UsageError(f"pooling {pooling}: one of {', '.join(get_args(Pooling))} is expected")
        pretrained = huggingface.load_pretrained(folder)
        self.tokenizer = Tokenizer.of_model(folder, pretrained.vocab_size)
        self.model = open_backbone(pretrained, device)
        self.pooling, self.device, self.batch_size = pooling, device, batch_size
        if pooling == "cls" and not isinstance(self.model, Encoder):
            raise UsageError(
                f"{folder}: is a decoder, which has no [CLS]", hint="--pooling last, or --pooling mean"
            )
        if pooling == "last" and isinstance(self.model, Encoder):
            raise UsageError(
                f"{folder}: is an encoder, whose last token is [SEP]", hint="--pooling cls, or --pooling mean"
            )
        self.layers = _checked(layers, pretrained.config.layers)
        self.last_layer = self.layers == [pretrained.config.layers]
        self.width = pretrained.config.hidden
        self.positions = pretrained.config.max_positions
        if isinstance(self.model, Encoder):
            special = self.tokenizer.ids_of("cls", "sep", where=str(folder))
            self._begin, self._end, self._empty = [special["cls"]], [special["sep"]], []
        else:
            begin, end = RowTemplate.read(self.tokenizer.content).single
            self._begin, self._end, self._empty = [*begin], [*end], huggingface.end_tokens(folder)[:1]

    @staticmethod
    def natural_pooling(folder: Path) -> Pooling:
        """The mean for an encoder, the last token for a decoder, which alone attends to the whole text."""
        return "mean" if huggingface.read_model_config(folder).kind == "encoder" else "last"

    def encode(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """The token ids of each text, and how many texts are truncated to the model's positions.

        A decoder's rows have the special tokens that its tokenizer adds, mostly none; an empty text then becomes an
        end-of-text token. Raises DataError where its tokenizer has none.
        """
        room = self.positions - len(self._begin) - len(self._end)
        every = self.tokenizer.encode_batch(texts)
        rows = [[*self._begin, *ids[:room], *self._end] or self._empty for ids in every]
        if not all(rows):
            raise DataError("an empty text, and the tokenizer has no end-of-text token to replace it")
        return rows, sum(len(ids) > room for ids in every)

    def vectors(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The embedding of each row of ids, [N, D]. Rows of similar length share a batch."""
        found = np.empty((len(rows), self.width), np.float32)
        lengths = np.array([len(row) for row in rows], np.int64)
        limit = TOKENS[self.device.type] if self.batch_size is None else None
        batches = batches_by_length(lengths, self.batch_size, limit)

        def read(number: int) -> None:
            batch = batches[number]
            found[batch] = self._pooled([rows[at] for at in batch]).float().cpu().numpy()

        for_each_batch(read, len(batches), self.device)
        return found

    def _pooled(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """[B, D]."""
        longest = max(map(len, rows))
        padded = [[*row, *[0] * (longest - len(row))] for row in rows]
        ids_BT = torch.tensor(padded, device=self.device)
        lengths_B = torch.tensor([len(row) for row in rows], device=self.device)
        if self.pooling == "mean":
            states_BTD = self._states(Inputs(ids=ids_BT, lengths=lengths_B))
            real_BT1 = (torch.arange(longest, device=self.device) < lengths_B[:, None])[:, :, None]
            return (states_BTD * real_BT1).sum(1) / lengths_B[:, None]
        at_B1 = torch.zeros_like(lengths_B)[:, None] if self.pooling == "cls" else lengths_B[:, None] - 1
        return self._states(Inputs(ids=ids_BT, lengths=lengths_B, output_positions=at_B1))[:, 0]

    def _states(self, inputs: Inputs) -> Tensor:
        """The mean of the layers' hidden states, [B, T, D], or [B, K, D] of the output positions."""
        if self.last_layer:
            return self.model(inputs)
        states = self.model.trace(inputs).states
        mean_BTD = torch.stack([states[layer] for layer in self.layers]).mean(0)
        if inputs.output_positions is None:
            return mean_BTD
        at_BKD = inputs.output_positions[:, :, None].expand(-1, -1, self.width)
        return mean_BTD.gather(1, at_BKD)


def _checked(layers: Sequence[int], count: int) -> list[int]:
    """Layer numbers from 0. Raises UsageError for none, for one that the model lacks, and for one given twice."""
    if not layers:
        raise UsageError(f"layers: none is given; the model has 1 to {count}, and 0, its embeddings")
    for layer in layers:
        if not -count - 1 <= layer <= count:
            raise UsageError(f"layers {layer}: the model has layers 1 to {count}, and 0, its embeddings")
    found = [layer % (count + 1) for layer in layers]
    if len(set(found)) < len(found):
        raise UsageError(f"layers {','.join(map(str, layers))}: a layer is named twice")
    return found
