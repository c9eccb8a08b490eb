"""ERNIE's encoder (Zhang et al. 2019, section 3), as in the released code, github.com/thunlp/ERNIE.

There each token of a row has an entity beside it, mostly zeros that are masked, and what is computed for an unlinked
token never reaches the output. Here only the links of a row and [CLS] are computed: a few slots of width 100.
"""

# B batch, T tokens, N tokens of all rows, K output positions per row, D hidden width, F width of the MLP
# S slots for entities per row, W width of an entity

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nlptool import flops
from nlptool.models.base import Encoder, Inputs
from nlptool.models.embeddings import Embeddings
from nlptool.models.encoder import shape
from nlptool.models.kernels import cpu, unpadded
from nlptool.models.kernels.unpadded import UnpaddedBatch
from nlptool.models.layers import (
    MLP,
    Attention,
    Dropout,
    HiddenStates,
    LayerConfig,
    Layers,
    Linear,
    activate,
    init_truncated,
    linear,
    padding_mask,
)

if TYPE_CHECKING:
    from nlptool.models.ernie.config import Config


class Slots(NamedTuple):
    """Slots of the entities of a batch, the same in all layers."""

    at: Tensor
    """[B, S], positions within rows; 0 for unused slots."""
    filled: Tensor
    """[B, S] bool."""
    place: Tensor
    """[B, S], positions within the flattened tokens that the model computes."""

    @property
    def mask(self) -> Tensor:
        """[B, 1, 1, S], True where a slot is used; a row without entities attends to its first slot."""
        filled = self.filled.clone()
        filled[:, 0] |= ~filled.any(1)
        return filled[:, None, None, :]

    def clear(self, z_BSW: Tensor) -> Tensor:
        """Zero the unused slots; no gradient flows back from them."""
        return torch.where(self.filled[..., None], z_BSW, 0.0)


class Fixed(nn.Module):
    """A weight and bias that a checkpoint has and no computation uses, so they are not trained.

    The last layer's entities are not used; the released files have tensors for them all the same.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, *size: int, std: float | None) -> None:
        """std: of a matrix; None: a norm's weight, ones."""
        super().__init__()
        self.register_buffer("weight", torch.ones(size) if std is None else torch.empty(size).normal_(0, std))
        self.register_buffer("bias", torch.zeros(size[0]))


class Aggregator(nn.Module):
    """The entity part of a layer (equations 3 to 5): attention among entities, and their way into and out of the
    MLP.

    As in the released code, entities and tokens have residuals and norms where the paper has activations.
    """

    def __init__(self, config: "Config", *, attends: bool, last: bool) -> None:
        super().__init__()
        width, inner = config.entity_size, config.mlp_width
        self.attention = Attention(_among_entities(config), pre_norm=False, causal=False) if attends else None
        self.up = Linear(width, inner)
        self.down: nn.Module = Fixed(width, inner, std=config.init) if last else Linear(inner, width)
        self.norm: nn.Module = Fixed(width, std=None) if last else nn.LayerNorm(width, eps=config.epsilon)
        self.dropout, self.last = Dropout(config.dropout), last

    def attend(self, z_BSW: Tensor, slots: Slots) -> Tensor:
        """Entities after attention among them, or unchanged."""
        return slots.clear(z_BSW if self.attention is None else self.attention(z_BSW, slots.mask))

    def leave(self, z_BSW: Tensor, inner_BSF: Tensor) -> Tensor:
        """Entities, from the state fused with their tokens."""
        return self.norm(z_BSW + self.dropout(self.down(inner_BSF)))  # type: ignore[no-any-return]


class ErnieEncoder(Encoder):
    """Embeddings and post-LN layers, the upper ones with entities; without heads."""

    config: "Config"

    def __init__(self, config: "Config", vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(
            vocab_size,
            config.embedding_width,
            config.max_positions,
            config.type_vocab_size,
            config.dropout,
            config.epsilon,
        )
        self.layers = Layers(shape(config))
        fused = config.fused_layers
        self.entities = nn.ModuleDict(
            {
                str(number): Aggregator(
                    config, attends=config.layer_types[number] == "norm", last=number == fused[-1]
                )
                for number in fused
            }
        )
        init_truncated(self, config.init)

    @property
    def word_embeddings(self) -> Tensor:
        """[V, E]: the matrix that a masked-LM head shares."""
        return self.embeddings.tokens.weight

    def forward(self, inputs: Inputs) -> Tensor:
        """Hidden states of the last layer, [B, T, D], or [B, K, D] of the output positions."""
        x, mask = self._embed(inputs)
        z_BSW, slots = self._entities(inputs, mask)
        at_BK = inputs.output_positions
        query_positions = at_BK
        if at_BK is not None and isinstance(mask, UnpaddedBatch):
            query_positions = mask.at(at_BK)
        for number in range(self.config.layers):
            pruned = (query_positions, at_BK) if number == self.config.layers - 1 else (None, None)
            call = (number, x, z_BSW, mask, slots, *pruned)
            x, z_BSW = self._checkpointed(self._layer, *call)
        if at_BK is not None:
            return x.view(*at_BK.shape, -1)
        return mask.pad(x) if isinstance(mask, UnpaddedBatch) else x

    def trace(self, inputs: Inputs, scores: Collection[int] = ()) -> HiddenStates:
        """The hidden states of all layers at all positions."""
        lengths_B = inputs.lengths
        mask = None if lengths_B is None else padding_mask(lengths_B, inputs.ids.shape[1])
        x = self.embeddings(inputs.ids, inputs.token_type_ids)
        z_BSW, slots = self._entities(inputs, mask)
        states, kept = [x], {}
        for number in range(self.config.layers):
            x, z_BSW, found = self._checkpointed(
                self._traced, number, x, z_BSW, mask, slots, number + 1 in scores
            )
            states.append(x)
            if found is not None:
                kept[number + 1] = found
        return HiddenStates(tuple(states), kept)

    def _embed(self, inputs: Inputs) -> tuple[Tensor, Tensor | UnpaddedBatch | None]:
        """Embeddings, [B, T, D] or [1, N, D], and the mask or UnpaddedBatch."""
        ids_BT, types_BT, lengths_B = inputs.ids, inputs.token_type_ids, inputs.lengths
        tokens = ids_BT.shape[1]
        if lengths_B is None:
            return self.embeddings(ids_BT, types_BT), None
        if inputs.compute_padding or not unpadded.usable(self.word_embeddings, lengths_B, tokens):
            return self.embeddings(ids_BT, types_BT), padding_mask(lengths_B, tokens)
        rows = UnpaddedBatch.of(lengths_B, tokens)
        types_1N = None if types_BT is None else rows.pack(types_BT)
        return self.embeddings(rows.pack(ids_BT), types_1N, rows.positions), rows

    def _entities(self, inputs: Inputs, mask: Tensor | UnpaddedBatch | None) -> tuple[Tensor, Slots]:
        """The entities before the first layer, [B, S, W], and their slots; with cls_entity [CLS] comes first."""
        given, rows = inputs.entities, len(inputs.ids)
        weight = self.word_embeddings
        z_BSW = weight.new_zeros(rows, 0, self.config.entity_size)
        at_BS = inputs.ids.new_zeros(rows, 0)
        if given is not None:
            z_BSW, at_BS = given.vectors.to(weight.dtype), given.at
        if self.config.cls_entity or not at_BS.shape[1]:
            first = inputs.ids.new_full((rows, 1), 0 if self.config.cls_entity else -1)
            z_BSW = torch.cat((z_BSW.new_zeros(rows, 1, z_BSW.shape[-1]), z_BSW), 1)
            at_BS = torch.cat((first, at_BS), 1)
        filled_BS, at_BS = at_BS >= 0, at_BS.clamp(min=0)
        if isinstance(mask, UnpaddedBatch):
            place_BS = mask.at(at_BS).view_as(at_BS)
        else:
            row_B = torch.arange(rows, device=at_BS.device)
            place_BS = at_BS + inputs.ids.shape[1] * row_B[:, None]
        return z_BSW, Slots(at_BS, filled_BS, place_BS)

    def _checkpointed(self, function: Callable[..., Any], *given: Any) -> Any:
        if self.layers.recompute and self.training:
            return checkpoint(function, *given, use_reentrant=False)
        return function(*given)

    def _layer(
        self,
        number: int,
        x: Tensor,
        z_BSW: Tensor,
        mask: Tensor | UnpaddedBatch | None,
        slots: Slots,
        query_positions: Tensor | None,
        at_BK: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """query_positions: as indices of x; at_BK: the same within rows; None: all."""
        return self._fused(number, self._attention(number)(x, mask, query_positions), z_BSW, slots, at_BK)

    def _traced(
        self, number: int, x: Tensor, z_BSW: Tensor, mask: Tensor | None, slots: Slots, scored: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        attention, scores_BHTT = self._attention(number), None
        if scored:
            x, scores_BHTT = attention.traced(x, mask)
        else:
            x = attention(x, mask)
        return *self._fused(number, x, z_BSW, slots, None), scores_BHTT

    def _attention(self, number: int) -> Attention:
        return self.layers.attention[number]  # type: ignore[return-value]

    def _fused(
        self, number: int, x: Tensor, z_BSW: Tensor, slots: Slots, at_BK: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """A layer after its attention: tokens and entities, fused in an aggregator."""
        mlp: MLP = self.layers.mlp[number]  # type: ignore[assignment]
        name = str(number)
        if name not in self.entities:
            return mlp(x), z_BSW
        own: Aggregator = self.entities[name]  # type: ignore[assignment]
        z_BSW = own.attend(z_BSW, slots)
        added_BSF = linear(z_BSW, own.up.weight, None)
        place_M = slots.place.reshape(-1)
        if at_BK is not None:
            added_BSF = _at_positions(added_BSF, slots, at_BK)
            place_M = torch.arange(at_BK.numel(), device=x.device)
        y, inner_MF = _mlp(mlp, x, own.up.bias, added_BSF.reshape(len(place_M), -1), place_M)
        x = mlp.norm(x + mlp.dropout(y))
        if own.last:
            return x, z_BSW
        return x, own.leave(z_BSW, inner_MF.view(*z_BSW.shape[:2], -1))


def _among_entities(config: "Config") -> LayerConfig:
    return LayerConfig(
        layers=config.layers,
        hidden=config.entity_size,
        heads=config.entity_heads,
        intermediate=config.mlp_width,
        activation=config.activation,
        dropout=config.dropout,
        attention_output_dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        epsilon=config.epsilon,
    )


def _at_positions(added_BSF: Tensor, slots: Slots, at_BK: Tensor) -> Tensor:
    """[B, K, F]: entity contributions at the output positions, zeros where none is linked."""
    same_BKS = (at_BK[:, :, None] == slots.at[:, None, :]) & slots.filled[:, None, :]
    slot_BK = same_BKS.int().argmax(-1)
    found = added_BSF.gather(1, slot_BK[..., None].expand(-1, -1, added_BSF.shape[-1]))
    return torch.where(same_BKS.any(-1)[..., None], found, 0.0)


def _mlp(mlp: MLP, x: Tensor, bias_F: Tensor, added_MF: Tensor, place_M: Tensor) -> tuple[Tensor, Tensor]:
    """The MLP with `added` before its activation at some places; and the activation there, [M, F].

    bias_F: of the entities' projection, which is added to every token.
    """
    up, down, bias = mlp.up, mlp.down, mlp.up.bias + bias_F
    if cpu.usable(x) and torch.is_grad_enabled():
        flops.product(2 * x.numel() // x.shape[-1], x.shape[-1], len(up.weight))
        tanh = mlp.activation == "gelu_tanh"
        return cpu.fused_mlp(x, up.weight, bias, down.weight, down.bias, added_MF, place_M, tanh)
    h = linear(x, up.weight, bias)
    inner = activate(h.view(-1, h.shape[-1]).index_add(0, place_M, added_MF.to(h.dtype)), mlp.activation)
    return down(inner.view(h.shape)), inner[place_M]
