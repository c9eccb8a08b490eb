"""The layers of Transformers: attention, MLP and the stack that joins them.

One stack serves BERT, ALBERT, ELECTRA and DistilBERT (post-LN) and GPT-2 (pre-LN, causal).
"""

# B batch, T tokens, K output positions per row, D width, H heads, E width of one head

from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from nlptool import flops
from nlptool.models.kernels import cpu, row_attention
from nlptool.models.kernels.unpadded import UnpaddedBatch
from nlptool.models.kv_cache import KVCacheProtocol

if TYPE_CHECKING:
    from nlptool.models.config import Activation


def activate(x: Tensor, activation: "Activation") -> Tensor:
    """GELU, exact or by its tanh approximation (Hendrycks & Gimpel 2016)."""
    return F.gelu(x, approximate="none" if activation == "gelu" else "tanh")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """F.linear, faster on a CPU."""
    flops.product(x.numel() // x.shape[-1], x.shape[-1], weight.shape[0])
    return cpu.linear(x, weight, bias) if cpu.usable(x) else F.linear(x, weight, bias)


class Linear(nn.Linear):
    """nn.Linear, faster on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        return linear(x, self.weight, self.bias)

    def activated(self, x: Tensor, activation: "Activation") -> Tensor:
        """`activate` of `forward`; on a CPU without gradient, in one pass over memory."""
        if torch.is_grad_enabled() or not cpu.usable(x):
            return activate(self(x), activation)
        flops.product(x.numel() // x.shape[-1], x.shape[-1], len(self.weight))
        return cpu.product(x, self.weight, self.bias, "none" if activation == "gelu" else "tanh")


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
    q_BTHE: Tensor,
    k_BSHE: Tensor,
    v_BSHE: Tensor,
    mask: Tensor | UnpaddedBatch | None,
    rate: float,
    causal: bool,
) -> Tensor:
    """softmax(QK'/sqrt(E))V for each head, [B, T, H, E], with dropout on the probabilities.

    mask: bool, broadcast to [B, H, T, S], True where a query attends to a key; or an UnpaddedBatch.
    """
    batch, queries, heads, width = q_BTHE.shape
    if isinstance(mask, UnpaddedBatch):
        return row_attention.attention_of_rows(
            q_BTHE[0], k_BSHE[0], v_BSHE[0], mask.queries, mask.lengths, rate
        )[None]
    flops.product(2 * batch * heads * queries, width, k_BSHE.shape[1])
    if (rate and cpu.usable(q_BTHE)) or cpu.faster_than_flash(q_BTHE, k_BSHE):
        return cpu.attention(q_BTHE, k_BSHE, v_BSHE, mask, rate, causal)
    q, k, v = (x.transpose(1, 2) for x in (q_BTHE, k_BSHE, v_BSHE))
    return F.scaled_dot_product_attention(q, k, v, mask, dropout_p=rate, is_causal=causal).transpose(1, 2)


def padding_mask(lengths_B: Tensor, tokens: int) -> Tensor:
    """[B, 1, 1, T] bool: True where a key is a real token, for rows padded at the end."""
    position_T = torch.arange(tokens, device=lengths_B.device)
    return (position_T < lengths_B[:, None])[:, None, None, :]


def _mask_of_positions(at_BK: Tensor, tokens: int) -> Tensor:
    """[B, 1, K, T] bool: True for keys that a causal query at each position attends to."""
    return (torch.arange(tokens, device=at_BK.device) <= at_BK[:, :, None])[:, None]


def gather_rows(x_BTD: Tensor, at_BK: Tensor) -> Tensor:
    """x_BTD[b, at_BK[b, k]] as [B, K, D]."""
    return x_BTD.gather(1, at_BK[:, :, None].expand(-1, -1, x_BTD.shape[-1]))


@dataclass(frozen=True)
class LayerConfig:
    """The shape that all layers of a Transformer share."""

    layers: int
    hidden: int
    heads: int
    intermediate: int
    activation: "Activation"
    dropout: float
    """Rate on an MLP's output."""
    attention_output_dropout: float
    """Rate on an attention's output."""
    attention_dropout: float
    """Rate on attention probabilities."""
    epsilon: float
    """Epsilon of every layer norm."""


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2) as a sub-layer.

    Post-LN (BERT): LN(x + dropout(attention(x))). Pre-LN (GPT-2): x + dropout(attention(LN(x))).
    One matrix makes queries, keys and values: the first third of `qkv`'s rows all queries, then keys, values.
    """

    def __init__(self, shape: LayerConfig, *, pre_norm: bool, causal: bool) -> None:
        super().__init__()
        self.heads, self.rate = shape.heads, shape.attention_dropout
        self.pre_norm, self.causal = pre_norm, causal
        self.qkv = Linear(shape.hidden, 3 * shape.hidden)
        self.out = Linear(shape.hidden, shape.hidden)
        self.norm = nn.LayerNorm(shape.hidden, eps=shape.epsilon)
        self.dropout = Dropout(shape.attention_output_dropout)

    def forward(
        self,
        x_BTD: Tensor,
        mask: Tensor | UnpaddedBatch | None = None,
        at_BK: Tensor | None = None,
        cache: KVCacheProtocol | None = None,
        layer: int = 0,
    ) -> Tensor:
        """[B, T, D], or [B, K, D] for output positions at_BK.

        mask: bool, broadcast to [B, H, T, T], True where a query attends to a key; or an UnpaddedBatch. cache: keys
        and values of the tokens before x, by layer; its mask is used.
        """
        normed_BTD = self.norm(x_BTD) if self.pre_norm else x_BTD
        if at_BK is None:
            residual = x_BTD
            q, k, v = self._heads(self.qkv(normed_BTD), 3)
        else:
            if self.causal:
                mask = _mask_of_positions(at_BK, x_BTD.shape[1])
            residual, width = gather_rows(x_BTD, at_BK), x_BTD.shape[-1]
            weight, bias = self.qkv.weight, self.qkv.bias
            (q,) = self._heads(linear(gather_rows(normed_BTD, at_BK), weight[:width], bias[:width]), 1)
            if isinstance(mask, UnpaddedBatch):
                mask = mask.of_queries(at_BK.shape[1])
                if mask.query_count == 1 and not torch.is_grad_enabled():
                    given = (q[0], normed_BTD[0], weight, bias, mask.lengths[:-1])
                    return self._ended(residual, row_attention.attention_of_first(*given)[None])
            k, v = self._heads(linear(normed_BTD, weight[width:], bias[width:]), 2)
        if cache is not None:
            k, v = cache.put(layer, k, v)
            mask = cache.mask_B1TS
        return self._joined(residual, q, k, v, mask, self.causal and cache is None and at_BK is None)

    def traced(self, x_BTD: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The output of `forward`, and QK'/sqrt(E) before the softmax, [B, H, T, T], of all pairs, whatever the
        mask.

        Costs one more product, since attention kernels do not return their scores.
        """
        q, k, v = self._heads(self.qkv(self.norm(x_BTD) if self.pre_norm else x_BTD), 3)
        batch, tokens, heads, width = q.shape
        flops.product(batch * heads * tokens, width, tokens)
        scores_BHTT = (q * width**-0.5).transpose(1, 2) @ k.permute(0, 2, 3, 1)
        return self._joined(x_BTD, q, k, v, mask, self.causal), scores_BHTT

    def _joined(
        self,
        residual: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | UnpaddedBatch | None,
        causal: bool,
    ) -> Tensor:
        rate = self.rate if self.training else 0.0
        return self._ended(residual, attend(q, k, v, mask, rate, causal).flatten(2))

    def _ended(self, residual: Tensor, attended_BTD: Tensor) -> Tensor:
        x = residual + self.dropout(self.out(attended_BTD))
        return x if self.pre_norm else self.norm(x)  # type: ignore[no-any-return]

    def _heads(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        return x.view(*x.shape[:-1], parts, self.heads, -1).unbind(2)


class MLP(nn.Module):
    """Two matrices with an activation between them, at each position independently, as a sub-layer.

    Post-LN: LN(x + dropout(mlp(x))). Pre-LN: x + dropout(mlp(LN(x))).
    """

    def __init__(self, shape: LayerConfig, *, pre_norm: bool) -> None:
        super().__init__()
        self.activation, self.pre_norm = shape.activation, pre_norm
        self.up = Linear(shape.hidden, shape.intermediate)
        self.down = Linear(shape.intermediate, shape.hidden)
        self.norm = nn.LayerNorm(shape.hidden, eps=shape.epsilon)
        self.dropout = Dropout(shape.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        x = x + self.dropout(self._mlp(self.norm(x) if self.pre_norm else x))
        return x if self.pre_norm else self.norm(x)

    def _mlp(self, x: Tensor) -> Tensor:
        up, down = self.up, self.down
        if not cpu.usable(x) or not torch.is_grad_enabled():
            return down(up.activated(x, self.activation))  # type: ignore[no-any-return]
        flops.product(2 * x.numel() // x.shape[-1], x.shape[-1], len(up.weight))
        return cpu.mlp(x, up.weight, up.bias, down.weight, down.bias, self.activation == "gelu_tanh")


class HiddenStates(NamedTuple):
    """Hidden states and attention scores of a model, for distillation."""

    states: tuple[Tensor, ...]
    """[B, T, D] each: the input of the first layer, then the output of each layer."""
    scores: dict[int, Tensor]
    """By layer, from 1: scores before the softmax, [B, H, T, T], of all pairs, whatever the mask."""


class Layers(nn.Module):
    """`shape.layers` layers of attention and MLP, one after the other.

    inputs: width of the input, which a matrix projects to the hidden width; None: the hidden width. attentions,
    mlps: numbers of distinct sub-layers; None: one a layer. Fewer are shared: layer i of L uses number i *
    attentions // L, as the groups in ALBERT's code. recompute: activation checkpointing. Each layer stores only its
    input and runs again in the backward pass, with the same dropout.
    """

    def __init__(
        self,
        shape: LayerConfig,
        *,
        inputs: int | None = None,
        attentions: int | None = None,
        mlps: int | None = None,
        pre_norm: bool = False,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.depth, self.recompute = shape.layers, False
        self.frozen = 0  # number of first layers without a backward pass
        self.projection = None if inputs is None else Linear(inputs, shape.hidden)
        self.attention = nn.ModuleList(
            Attention(shape, pre_norm=pre_norm, causal=causal) for _ in range(attentions or shape.layers)
        )
        self.mlp = nn.ModuleList(MLP(shape, pre_norm=pre_norm) for _ in range(mlps or shape.layers))

    def forward(
        self,
        x_BTD: Tensor,
        mask: Tensor | UnpaddedBatch | None = None,
        at_BK: Tensor | None = None,
        cache: KVCacheProtocol | None = None,
    ) -> Tensor:
        """[B, T, D], or [B, K, D] for positions at_BK of the last layer's output.

        Then only keys and values of that layer are computed for all positions; queries, attention output and MLP are
        not. cache, for causal layers: x continues it, `cache.extend` has made room, and at_BK is None.
        """
        x = x_BTD if self.projection is None else self.projection(x_BTD)
        for number in range(self.depth):
            at = at_BK if number == self.depth - 1 else None
            with flops.no_backward() if number < self.frozen else nullcontext():
                if self.recompute and self.training:
                    x = checkpoint(self._layer, number, x, mask, at, use_reentrant=False)
                else:
                    x = self._layer(number, x, mask, at, cache)
        return x

    def trace(self, x_BTD: Tensor, mask: Tensor | None = None, scores: Collection[int] = ()) -> HiddenStates:
        """All intermediate states of `forward`, the same numbers. scores: layers, from 1, whose scores are returned."""
        x = x_BTD if self.projection is None else self.projection(x_BTD)
        states, kept = [x], {}
        for number in range(self.depth):
            call = (number, x, mask, number + 1 in scores)
            once_more = self.recompute and self.training
            x, found = (
                checkpoint(self._traced, *call, use_reentrant=False) if once_more else self._traced(*call)
            )
            states.append(x)
            if found is not None:
                kept[number + 1] = found
        return HiddenStates(tuple(states), kept)

    def _traced(
        self, number: int, x: Tensor, mask: Tensor | None, scored: bool
    ) -> tuple[Tensor, Tensor | None]:
        attention, mlp = self._sublayers(number)
        if not scored:
            return mlp(attention(x, mask)), None
        x, scores_BHTT = attention.traced(x, mask)
        return mlp(x), scores_BHTT

    def _sublayers(self, number: int) -> tuple[Attention, MLP]:
        attention = self.attention[number * len(self.attention) // self.depth]
        mlp = self.mlp[number * len(self.mlp) // self.depth]
        return attention, mlp  # type: ignore[return-value]

    def _layer(
        self,
        number: int,
        x: Tensor,
        mask: Tensor | UnpaddedBatch | None,
        at_BK: Tensor | None,
        cache: KVCacheProtocol | None = None,
    ) -> Tensor:
        attention, mlp = self._sublayers(number)
        return mlp(attention(x, mask, at_BK, cache, number))  # type: ignore[no-any-return]


def init_truncated(module: nn.Module, std: float = 0.02) -> None:
    """Matrices and embeddings from a normal distribution cut at two standard deviations, biases 0, norms 1.

    As tf.truncated_normal in Google's BERT, ALBERT and ELECTRA code; Hugging Face does not cut.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.trunc_normal_(part.weight, std=std, a=-2 * std, b=2 * std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
