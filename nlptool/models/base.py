"""The interface of models without heads, which objectives, tasks and evaluation use.

`ModelConfig.build` builds one. These are modules rather than typing protocols, since their users also move, save and
traverse them.
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
    """Entities of a knowledge graph linked to tokens of a batch. L: links of the row with most of them."""

    at: Tensor
    """[B, L], positions within rows; -1: a row has fewer links."""
    vectors: Tensor
    """[B, L, W], embeddings of the entities; zeros where there is none."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Inputs of a model: rows of tokens, padded at the end. A family may add fields."""

    ids: Tensor
    """[B, T]."""
    token_type_ids: Tensor | None = None
    """[B, T], the segment of each token; None: all 0. A model with one type of segment ignores it."""
    lengths: Tensor | None = None
    """[B], tokens of each row; the rest is padding, which no token attends to. None: no row has padding."""
    output_positions: Tensor | None = None
    """[B, K], positions of the hidden states to return; None: all. Unneeded ones are not computed."""
    entities: LinkedEntities | None = None
    """Entities, for a model that reads them; others ignore them. None: no token is linked."""
    compute_padding: bool = False
    """Whether to compute padding, too, so that FLOPs are the same on any machine."""


class Encoder(nn.Module):
    """A model in which each token attends to the whole row."""

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
        """The hidden states of all layers at all positions, and the attention scores of these layers, from 1.

        Like output_hidden_states of transformers, and output_attentions before the softmax.
        """
        raise NotImplementedError


class Decoder(nn.Module):
    """A model in which each token attends to the tokens before it; its head is its word embeddings."""

    config: "ModelConfig"
    layers: Layers

    if TYPE_CHECKING:

        def __call__(self, inputs: Inputs, cache: KVCacheProtocol | None = None) -> Tensor:
            """`forward`, with hooks."""

    @property
    def word_embeddings(self) -> Tensor:
        """[V, D]: the word embeddings, which are the head's matrix, too; it has no bias."""
        raise NotImplementedError

    def forward(self, inputs: Inputs, cache: KVCacheProtocol | None = None) -> Tensor:
        """Hidden states, [B, T, D], of which position t depends on tokens 0 to t; or [B, K, D] of the output
        positions.

        cache: keys and values of earlier tokens, which ids continue; it is extended. Rows padded at the end need no
        lengths, since attention is causal.
        """
        raise NotImplementedError

    def trace(self, inputs: Inputs, scores: Collection[int] = ()) -> HiddenStates:
        """As `Encoder.trace`; scores of later tokens are meaningless."""
        raise NotImplementedError

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., V]."""
        raise NotImplementedError

    def cache(self, rows: int, tokens: int) -> KVCache:
        """An empty cache for `rows` rows of up to `tokens` tokens, or as many as there are positions."""
        raise NotImplementedError

    def pack(self) -> None:
        """Repack the weights for faster inference; the model can no longer be trained, nor its matrices saved."""
        raise NotImplementedError
