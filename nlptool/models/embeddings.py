"""Token, position and segment embeddings."""

# B batch, T tokens, D width

from torch import Tensor, nn

from nlptool.models.layers import Dropout


class Embeddings(nn.Module):
    """Token, position and segment embeddings, added, normalised, dropped out (BERT, figure 2).

    types 0: no segment embeddings. epsilon None: no norm, as pre-LN layers have their own.
    """

    def __init__(
        self, vocab_size: int, width: int, positions: int, types: int, dropout: float, epsilon: float | None
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(positions, width)
        self.types = nn.Embedding(types, width) if types else None
        self.norm = None if epsilon is None else nn.LayerNorm(width, eps=epsilon)
        self.dropout = Dropout(dropout)

    def forward(
        self, ids_BT: Tensor, types_BT: Tensor | None = None, positions_BT: Tensor | None = None
    ) -> Tensor:
        """[B, T, D]. types_BT None: every token is of type 0. positions_BT None: rows begin at position 0."""
        tokens = ids_BT.shape[1]
        if positions_BT is None and tokens > self.positions.num_embeddings:
            raise ValueError(
                f"a row of {tokens} tokens, but the model has {self.positions.num_embeddings} positions"
            )
        positions = self.positions.weight[:tokens] if positions_BT is None else self.positions(positions_BT)
        x_BTD = self.tokens(ids_BT) + positions
        if self.types is not None:
            first = types_BT is None or self.types.num_embeddings == 1
            x_BTD = x_BTD + (self.types.weight[0] if first else self.types(types_BT))
        if self.norm is not None:
            x_BTD = self.norm(x_BTD)
        return self.dropout(x_BTD)  # type: ignore[no-any-return]
