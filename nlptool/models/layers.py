"""What Transformers are made of: embeddings, attention, MLP and the layer that joins them.

One layer serves BERT, ALBERT, ELECTRA and DistilBERT (post-LN) and GPT-2 (pre-LN, causal).
"""

# B batch, T tokens, K asked positions per row, D width, H heads, E width of one head

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool.models import cpu

Activation = Literal["gelu", "gelu_tanh"]


def activate(x: Tensor, activation: Activation) -> Tensor:
    """GELU, exact or by its tanh approximation (Hendrycks & Gimpel 2016)."""
    return F.gelu(x, approximate="none" if activation == "gelu" else "tanh")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """F.linear, faster on a CPU."""
    return cpu.linear(x, weight, bias) if cpu.usable(x) else F.linear(x, weight, bias)


class Linear(nn.Linear):
    """nn.Linear, faster on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        return linear(x, self.weight, self.bias)


class Dropout(nn.Module):
    """nn.Dropout, faster on a CPU. `rate` may be changed at any time."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """The shape of x."""
        if not self.training or not self.rate:
            return x
        return cpu.dropout(x, self.rate) if cpu.usable(x) else F.dropout(x, self.rate)


def attend(
    q_BTHE: Tensor, k_BSHE: Tensor, v_BSHE: Tensor, mask: Tensor | None, rate: float, causal: bool
) -> Tensor:
    """softmax(QK'/sqrt(E))V for each head, [B, T, H, E], with dropout on the probabilities.

    mask: bool, broadcast to [B, H, T, S], True where a query may look at a key.
    """
    if rate and cpu.usable(q_BTHE):
        return cpu.attention(q_BTHE, k_BSHE, v_BSHE, mask, rate, causal)
    q, k, v = (x.transpose(1, 2) for x in (q_BTHE, k_BSHE, v_BSHE))
    return F.scaled_dot_product_attention(q, k, v, mask, dropout_p=rate, is_causal=causal).transpose(1, 2)


def padding_mask(lengths_B: Tensor, tokens: int) -> Tensor:
    """[B, 1, 1, T] bool: True where a key is a real token, for rows padded at the end."""
    position_T = torch.arange(tokens, device=lengths_B.device)
    return (position_T < lengths_B[:, None])[:, None, None, :]


def gather_rows(x_BTD: Tensor, at_BK: Tensor) -> Tensor:
    """x_BTD[b, at_BK[b, k]] as [B, K, D]."""
    return x_BTD.gather(1, at_BK[:, :, None].expand(-1, -1, x_BTD.shape[-1]))


class Embeddings(nn.Module):
    """Token, position and segment embeddings, added, normalised, dropped out (BERT, figure 2).

    types 0: no segment embeddings.
    """

    def __init__(
        self, vocab_size: int, width: int, positions: int, types: int, dropout: float, epsilon: float
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(positions, width)
        self.types = nn.Embedding(types, width) if types else None
        self.norm = nn.LayerNorm(width, eps=epsilon)
        self.dropout = Dropout(dropout)

    def forward(self, ids_BT: Tensor, types_BT: Tensor | None = None) -> Tensor:
        """[B, T, D]. types_BT None: every token is of type 0."""
        tokens = ids_BT.shape[1]
        if tokens > self.positions.num_embeddings:
            raise ValueError(
                f"a row of {tokens} tokens, but the net has {self.positions.num_embeddings} positions"
            )
        x_BTD = self.tokens(ids_BT) + self.positions.weight[:tokens]
        if self.types is not None:
            x_BTD = x_BTD + (self.types.weight[0] if types_BT is None else self.types(types_BT))
        return self.dropout(self.norm(x_BTD))  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2).

    One matrix makes queries, keys and values: the first third of `qkv`'s rows all queries, then keys, values.
    """

    def __init__(self, width: int, heads: int, dropout: float, causal: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.rate = dropout
        self.causal = causal
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None, at_BK: Tensor | None = None) -> Tensor:
        """[B, T, D], or [B, K, D] when only the queries at positions at_BK are asked for.

        mask: bool, broadcast to [B, H, T, T], True where a query may look at a key.
        """
        width = x_BTD.shape[-1]
        if at_BK is None:
            q, k, v = self._heads(self.qkv(x_BTD), 3)
        else:
            if self.causal:
                raise ValueError("a causal layer cannot be pruned to some positions")
            weight, bias = self.qkv.weight, self.qkv.bias
            (q,) = self._heads(linear(gather_rows(x_BTD, at_BK), weight[:width], bias[:width]), 1)
            k, v = self._heads(linear(x_BTD, weight[width:], bias[width:]), 2)
        rate = self.rate if self.training else 0.0
        return self.out(attend(q, k, v, mask, rate, self.causal).flatten(2))  # type: ignore[no-any-return]

    def _heads(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        return x.view(*x.shape[:-1], parts, self.heads, -1).unbind(2)


class MLP(nn.Module):
    """Two matrices with an activation between them, for each position by itself."""

    def __init__(self, width: int, intermediate: int, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.up = Linear(width, intermediate)
        self.down = Linear(intermediate, width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return self.down(activate(self.up(x), self.activation))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Attention and MLP, each with dropout, residual and layer normalisation.

    Post-LN (BERT): x = LN(x + attention(x)), then x = LN(x + mlp(x)).
    Pre-LN (GPT-2): x = x + attention(LN(x)), then x = x + mlp(LN(x)).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        intermediate: int,
        activation: Activation,
        dropout: float,
        attention_dropout: float,
        epsilon: float,
        pre_norm: bool = False,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.attention = SelfAttention(width, heads, attention_dropout, causal)
        self.attention_norm = nn.LayerNorm(width, eps=epsilon)
        self.mlp = MLP(width, intermediate, activation)
        self.mlp_norm = nn.LayerNorm(width, eps=epsilon)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None, at_BK: Tensor | None = None) -> Tensor:
        """[B, T, D], or [B, K, D] when only the positions at_BK of this layer's output are asked for.

        Then keys and values are still computed for all positions; queries, attention output and MLP are not.
        """
        asked = x_BTD if at_BK is None else gather_rows(x_BTD, at_BK)
        if self.pre_norm:
            x = asked + self.dropout(self.attention(self.attention_norm(x_BTD), mask, at_BK))
            return x + self.dropout(self.mlp(self.mlp_norm(x)))  # type: ignore[no-any-return]
        x = self.attention_norm(asked + self.dropout(self.attention(x_BTD, mask, at_BK)))
        return self.mlp_norm(x + self.dropout(self.mlp(x)))  # type: ignore[no-any-return]


def init_truncated(module: nn.Module, std: float = 0.02) -> None:
    """Matrices and embeddings from a normal distribution cut at two standard deviations, biases 0, norms 1.

    As tf.truncated_normal in Google's BERT, ALBERT and ELECTRA code; Hugging Face does not cut.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.trunc_normal_(part.weight, std=std, a=-2 * std, b=2 * std)
        if isinstance(part, nn.Linear):
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
