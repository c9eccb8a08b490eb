"""GPT-2's decoder (Radford et al. 2019, section 2.3), without its head, which is the word embeddings."""

# B batch, T tokens, D width, V vocabulary

from collections.abc import Collection
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nlptool.models.base import Decoder, Inputs
from nlptool.models.embeddings import Embeddings
from nlptool.models.kernels.onednn_packed import PackedLinear, pack, packable
from nlptool.models.kv_cache import KVCache, KVCacheProtocol
from nlptool.models.layers import HiddenStates, LayerConfig, Layers, Linear, gather_rows, linear

if TYPE_CHECKING:
    from nlptool.models.gpt2.config import Config


class GPT2(Decoder):
    """Token and position embeddings, causal pre-LN layers and a last norm."""

    def __init__(self, config: "Config", vocab_size: int) -> None:
        super().__init__()
        self.config = config
        shape = LayerConfig(
            layers=config.layers,
            hidden=config.hidden,
            heads=config.heads,
            intermediate=config.mlp_width,
            activation="gelu_tanh",
            dropout=config.dropout,
            attention_output_dropout=config.dropout,
            attention_dropout=config.attention_dropout,
            epsilon=config.epsilon,
        )
        self.embeddings = Embeddings(vocab_size, config.hidden, config.max_positions, 0, config.dropout, None)
        self.layers = Layers(shape, pre_norm=True, causal=True)
        self.norm = nn.LayerNorm(config.hidden, eps=config.epsilon)
        self.head: PackedLinear | None = None
        """A packed copy of the word embeddings, once `pack` was called."""
        self._init()

    @property
    def word_embeddings(self) -> Tensor:
        """[V, D]: the word embeddings, which are the head's matrix, too; it has no bias."""
        return self.embeddings.tokens.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., V]."""
        return linear(hidden, self.word_embeddings, None) if self.head is None else self.head(hidden)

    def pack(self) -> None:
        """Repack the weights for faster inference; the model can no longer be trained, nor its matrices saved."""
        pack(self)
        if packable(self.word_embeddings):
            self.head = PackedLinear(self.word_embeddings, None)

    def cache(self, rows: int, tokens: int) -> KVCache:
        """An empty cache for `rows` rows of up to `tokens` tokens, or as many as there are positions."""
        config, words = self.config, self.word_embeddings
        shape = (
            config.layers,
            rows,
            config.heads,
            min(tokens, config.max_positions),
            config.hidden // config.heads,
        )
        return KVCache(words.new_zeros(shape), words.new_zeros(shape))

    def forward(self, inputs: Inputs, cache: KVCacheProtocol | None = None) -> Tensor:
        """Hidden states, [B, T, D], or [B, K, D] of the output positions."""
        positions_BT = None if cache is None else cache.extend(inputs.ids.shape[1])
        x_BTD, at_BK = self.embeddings(inputs.ids, positions_BT=positions_BT), inputs.output_positions
        if cache is None:
            return self.norm(self.layers(x_BTD, at_BK=at_BK))  # type: ignore[no-any-return]
        hidden_BTD: Tensor = self.norm(self.layers(x_BTD, cache=cache))
        return hidden_BTD if at_BK is None else gather_rows(hidden_BTD, at_BK)

    def trace(self, inputs: Inputs, scores: Collection[int] = ()) -> HiddenStates:
        """The hidden states of all layers; only the last one has passed the last norm."""
        trace = self.layers.trace(self.embeddings(inputs.ids), None, scores)
        return HiddenStates((*trace.states[:-1], self.norm(trace.states[-1])), trace.scores)

    @torch.no_grad()
    def _init(self) -> None:
        """Normal weights, not truncated; biases 0, norms 1.

        Standard deviations: 0.02 of matrices and word embeddings, 0.01 of positions (openai/gpt-2, model.py;
        Hugging Face takes 0.02 there too). Matrices that write to the residual stream, two a layer, start
        1/sqrt(2 * layers) as large: the paper's "factor of 1/sqrt(N) where N is the number of residual
        layers" (section 2.3), as Hugging Face reads it. The released code has no such factor.
        """
        by_place = {
            "embeddings.positions": 0.5,
            "out": (2 * self.config.layers) ** -0.5,
            "down": (2 * self.config.layers) ** -0.5,
        }
        for name, part in self.named_modules():
            if isinstance(part, Linear | nn.Embedding):
                factor = next((f for end, f in by_place.items() if name.endswith(end)), 1.0)
                nn.init.normal_(part.weight, std=self.config.init * factor)
            if isinstance(part, Linear):
                nn.init.zeros_(part.bias)
