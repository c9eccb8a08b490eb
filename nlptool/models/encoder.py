"""The encoder of BERT (Devlin et al. 2019, section 3), of which ALBERT and ELECTRA are variants."""

# B batch, T tokens, K asked positions per row, E width of the embeddings, D hidden width

from collections.abc import Collection
from typing import TYPE_CHECKING

from torch import Tensor, nn

from nlptool.models.kernels import unpadded
from nlptool.models.kernels.unpadded import UnpaddedBatch
from nlptool.models.layers import (
    Embeddings,
    HiddenStates,
    LayerConfig,
    Layers,
    init_truncated,
    padding_mask,
)

if TYPE_CHECKING:
    from nlptool.models.config import EncoderConfig


def shape(config: "EncoderConfig") -> LayerConfig:
    """The layers that a recipe block asks for."""
    return LayerConfig(
        layers=config.layers,
        hidden=config.hidden,
        heads=config.heads,
        intermediate=config.intermediate,
        activation=config.activation,
        dropout=config.dropout,
        attention_output_dropout=config.attention_output_dropout,
        attention_dropout=config.attention_dropout,
        epsilon=config.epsilon,
    )


class Encoder(nn.Module):
    """Embeddings and post-LN layers, without heads; all that tells families apart is in the config."""

    def __init__(self, config: "EncoderConfig", vocab_size: int) -> None:
        super().__init__()
        self.config = config
        width = config.embedding_width
        self.embeddings = Embeddings(
            vocab_size, width, config.positions, config.types, config.dropout, config.epsilon
        )
        self.layers = Layers(
            shape(config),
            inputs=width if config.projected else None,
            attentions=config.attentions,
            mlps=config.mlps,
        )
        init_truncated(self, config.init)

    @property
    def word_embeddings(self) -> Tensor:
        """[V, E]: the matrix that a masked-LM head shares."""
        return self.embeddings.tokens.weight

    def forward(
        self,
        ids_BT: Tensor,
        types_BT: Tensor | None = None,
        lengths_B: Tensor | None = None,
        at_BK: Tensor | None = None,
    ) -> Tensor:
        """Hidden states of the last layer, [B, T, D]; with at_BK those at the asked positions, [B, K, D].

        types_BT: segment of each token; None: all 0.
        lengths_B: real tokens per row, the rest is padding that no token looks at; None: no row has padding.
        at_BK: positions within each row; the last layer then skips what the other positions do not need.
        """
        return encode(self.embeddings, self.layers, ids_BT, types_BT, lengths_B, at_BK)

    def trace(
        self,
        ids_BT: Tensor,
        types_BT: Tensor | None = None,
        lengths_B: Tensor | None = None,
        scores: Collection[int] = (),
    ) -> HiddenStates:
        """What `forward` computes at all positions, layer by layer; with the attention scores of these layers.

        As output_hidden_states of transformers, and output_attentions before the softmax.
        """
        mask = None if lengths_B is None else padding_mask(lengths_B, ids_BT.shape[1])
        return self.layers.trace(self.embeddings(ids_BT, types_BT), mask, scores)


def encode(
    embeddings: Embeddings,
    layers: Layers,
    ids_BT: Tensor,
    types_BT: Tensor | None,
    lengths_B: Tensor | None,
    at_BK: Tensor | None,
) -> Tensor:
    """`Encoder.forward` of these embeddings and layers, which need not belong to one net."""
    tokens = ids_BT.shape[1]
    if lengths_B is None or not unpadded.usable(embeddings.tokens.weight, lengths_B, tokens):
        mask = None if lengths_B is None else padding_mask(lengths_B, tokens)
        return layers(embeddings(ids_BT, types_BT), mask, at_BK)  # type: ignore[no-any-return]
    rows = UnpaddedBatch.of(lengths_B, tokens)
    types_1N = None if types_BT is None else rows.pack(types_BT)
    x_1ND = embeddings(rows.pack(ids_BT), types_1N, rows.positions)
    if at_BK is None:
        return rows.pad(layers(x_1ND, rows))
    return layers(x_1ND, rows, rows.at(at_BK)).view(*at_BK.shape, -1)  # type: ignore[no-any-return]
