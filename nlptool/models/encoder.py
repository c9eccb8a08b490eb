"""The encoder of BERT (Devlin et al. 2019, section 3), of which ALBERT and ELECTRA are variants."""

# B batch, T tokens, K output positions per row, E width of the embeddings, D hidden width

from collections.abc import Collection
from typing import TYPE_CHECKING

from torch import Tensor

from nlptool.models.base import Encoder, Inputs
from nlptool.models.embeddings import Embeddings
from nlptool.models.kernels import unpadded
from nlptool.models.kernels.unpadded import UnpaddedBatch
from nlptool.models.layers import HiddenStates, LayerConfig, Layers, init_truncated, padding_mask

if TYPE_CHECKING:
    from nlptool.models.config import EncoderConfig


def shape(config: "EncoderConfig") -> LayerConfig:
    """The shape of the layers, from a recipe block."""
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


class TransformerEncoder(Encoder):
    """Embeddings and post-LN layers, without heads; families differ in the config alone."""

    def __init__(self, config: "EncoderConfig", vocab_size: int) -> None:
        super().__init__()
        self.config = config
        width = config.embedding_width
        self.embeddings = Embeddings(
            vocab_size, width, config.max_positions, config.type_vocab_size, config.dropout, config.epsilon
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

    def forward(self, inputs: Inputs) -> Tensor:
        """Hidden states of the last layer, [B, T, D], or [B, K, D] of the output positions."""
        return encode(self.embeddings, self.layers, inputs)

    def trace(self, inputs: Inputs, scores: Collection[int] = ()) -> HiddenStates:
        """The hidden states of all layers at all positions."""
        lengths_B = inputs.lengths
        mask = None if lengths_B is None else padding_mask(lengths_B, inputs.ids.shape[1])
        return self.layers.trace(self.embeddings(inputs.ids, inputs.token_type_ids), mask, scores)


def encode(embeddings: Embeddings, layers: Layers, inputs: Inputs) -> Tensor:
    """`forward` of these embeddings and layers, which need not belong to one model."""
    ids_BT, types_BT, lengths_B = inputs.ids, inputs.token_type_ids, inputs.lengths
    at_BK, tokens = inputs.output_positions, ids_BT.shape[1]
    if (
        lengths_B is None
        or inputs.compute_padding
        or not unpadded.usable(embeddings.tokens.weight, lengths_B, tokens)
    ):
        mask = None if lengths_B is None else padding_mask(lengths_B, tokens)
        return layers(embeddings(ids_BT, types_BT), mask, at_BK)  # type: ignore[no-any-return]
    rows = UnpaddedBatch.of(lengths_B, tokens)
    types_1N = None if types_BT is None else rows.pack(types_BT)
    x_1ND = embeddings(rows.pack(ids_BT), types_1N, rows.positions)
    if at_BK is None:
        return rows.pad(layers(x_1ND, rows))
    return layers(x_1ND, rows, rows.at(at_BK)).view(*at_BK.shape, -1)  # type: ignore[no-any-return]
