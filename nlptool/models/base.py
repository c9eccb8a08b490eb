"""What objectives, tasks and evaluation may ask of a model without its heads, the same for every family.

`ModelConfig.build` makes one. These are modules and not protocols of typing, since whoever holds a model also moves it,
saves it, sets its mode and looks for its layers.
"""

# B batch, T tokens, K positions, D hidden width, E width of the embeddings, V vocabulary

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from nlptool.models.kv_cache import KVCache, KVCacheProtocol
from nlptool.models.layers import HiddenStates, Layers

if TYPE_CHECKING:
    from nlptool.models.config import EncoderConfig, ModelConfig


@dataclass(frozen=True)
class LinkedEntities:
    """Entities of a knowledge graph that tokens of a batch are linked to. L: links of the row that has most."""

    at: Tensor
    """[B, L], positions within rows; -1: a row has fewer links."""
    vectors: Tensor
    """[B, L, W], embeddings of the entities; zeros where there is none."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a model reads: rows of tokens, padded at the end. A further input of a family is a further field."""

    ids: Tensor
    """[B, T]."""
    token_type_ids: Tensor | None = None
    """[B, T], the segment of each token; None: all 0. A model with one type of segment does not look at it."""
    lengths: Tensor | None = None
    """[B], tokens of each row; the rest is padding, which no token looks at. None: no row has padding."""
    output_positions: Tensor | None = None
    """[B, K], places within rows whose hidden states are wanted; None: all. What others do not need is not computed."""
    entities: LinkedEntities | None = None
    """Entities, for a model that reads them; others ignore them. None: no token is linked."""
    compute_padding: bool = False
    """Whether padding is computed, too, as FLOPs are counted: they are to be the same on any machine."""


class Encoder(nn.Module):
    """A model in which each token sees the whole row."""

    config: "EncoderConfig"
    layers: Layers

    if TYPE_CHECKING:

        def __call__(self, inputs: Inputs) -> Tensor:
            """`forward`, with hooks."""

    @property
    def word_embeddings(self) -> Tensor:
        """[V, E]: the matrix that a masked-LM head shares."""
        raise NotImplementedError

    def forward(self, inputs: Inputs) -> Tensor:
        """Hidden states of the last layer, [B, T, D], or [B, K, D] of the output positions."""
        raise NotImplementedError

    def trace(self, inputs: Inputs, scores: Collection[int] = ()) -> HiddenStates:
        """What `forward` computes at all positions, layer by layer; with the attention scores of these layers, from 1.

        As output_hidden_states of transformers, and output_attentions before the softmax.
        """
        raise NotImplementedError


class Decoder(nn.Module):
    """A model in which each token sees those before it; its head is its word embeddings."""

    config: "ModelConfig"
    layers: Layers

    if TYPE_CHECKING:

        def __call__(self, inputs: Inputs, cache: KVCacheProtocol | None = None) -> Tensor:
            """`forward`, with hooks."""

    @property
    def word_embeddings(self) -> Tensor:
        """[V, D]: the head's matrix, too; it has no bias."""
        raise NotImplementedError

    def forward(self, inputs: Inputs, cache: KVCacheProtocol | None = None) -> Tensor:
        """Hidden states, [B, T, D]: what stands at t has seen tokens 0 to t; or [B, K, D] of the output positions.

        cache: what each row has read before; the ids go on from there, and are kept in it. Rows padded at the end need
        no lengths, since nothing looks at what comes later.
        """
        raise NotImplementedError

    def trace(self, inputs: Inputs, scores: Collection[int] = ()) -> HiddenStates:
        """As `Encoder.trace`; a score of a later token counts for nothing."""
        raise NotImplementedError

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., V]."""
        raise NotImplementedError

    def cache(self, rows: int, tokens: int) -> KVCache:
        """An empty cache for `rows` rows of up to `tokens` tokens; more than the positions are not kept."""
        raise NotImplementedError

    def pack(self) -> None:
        """Make answers faster and training impossible; state_dict has no matrices any more."""
        raise NotImplementedError
