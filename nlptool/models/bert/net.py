"""BERT's encoder (Devlin et al. 2019, section 3), without heads."""

# B batch, T tokens, K asked positions per row, D width

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nlptool.models.bert.config import Config
from nlptool.models.layers import Embeddings, Layer, init_truncated, padding_mask

EPSILON = 1e-12  # of every layer norm: variance_epsilon in Google's code, layer_norm_eps in Hugging Face's


class Net(nn.Module):
    """Embeddings and `config.layers` post-LN Transformer layers.

    recompute: activation checkpointing, set by the trainer. Each layer keeps only its input and runs
    again in the backward pass, with the same dropout.
    """

    def __init__(self, config: Config, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        self.embeddings = Embeddings(
            vocab_size, config.hidden, config.positions, config.types, config.dropout, EPSILON
        )
        self.layers = nn.ModuleList(
            Layer(
                config.hidden,
                config.heads,
                config.intermediate,
                config.activation,
                config.dropout,
                config.attention_dropout,
                EPSILON,
            )
            for _ in range(config.layers)
        )
        init_truncated(self, config.init)

    @property
    def word_embeddings(self) -> Tensor:
        """[V, D]: the matrix that a masked-LM head shares."""
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
        mask = None if lengths_B is None else padding_mask(lengths_B, ids_BT.shape[1])
        x = self.embeddings(ids_BT, types_BT)
        for number, layer in enumerate(self.layers, start=1):
            at = at_BK if number == len(self.layers) else None
            recompute = self.recompute and self.training
            x = checkpoint(layer, x, mask, at, use_reentrant=False) if recompute else layer(x, mask, at)
        return x  # type: ignore[no-any-return]
