"""ELECTRA's generator: a small masked LM whose samples the discriminator has to detect."""

# B batch, T tokens, K slots for masked positions, D width, E width of the embeddings, V vocabulary

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nlptool.data.batches import Batch
from nlptool.models import heads
from nlptool.models.config import EncoderConfig
from nlptool.models.embeddings import Embeddings
from nlptool.models.encoder import TransformerEncoder, encode, shape
from nlptool.models.kernels.cross_entropy import IGNORED
from nlptool.models.layers import Layers, init_truncated
from nlptool.objectives.base import inputs_of


class GeneratorOutput(NamedTuple):
    """Output of the generator for a batch."""

    sums: dict[str, Tensor]
    """The loss in nats as "mlm", and further sums."""
    samples: Tensor
    """[B, K], a token for each slot, unused ones too; they have no gradient."""


class Generator(nn.Module):
    """Predicts masked tokens, and replaces them with samples (Clark et al. 2020, section 3.1).

    Layers, and a masked LM's head tied to their word embeddings. What `tie` shares is not stored here, but taken
    from the discriminator's model at each call: the embeddings (token, position and type tables and their layer
    norm, as in Google's code), or embeddings and layers.
    """

    def __init__(self, config: EncoderConfig, vocab_size: int, tie: str, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        width = config.embedding_width
        self.embeddings = self.layers = None
        if tie == "none":
            tables = (vocab_size, width, config.max_positions, config.type_vocab_size)
            self.embeddings = Embeddings(*tables, config.dropout, config.epsilon)
        if tie != "all":
            self.layers = Layers(shape(config), inputs=width if width != config.hidden else None)
        init_truncated(self, config.init)
        self.mlm = heads.MaskedLM.of(config, vocab_size)

    def forward(self, batch: Batch, backbone: TransformerEncoder) -> GeneratorOutput:
        """The loss over the used slots, and samples, from the same logits."""
        hidden_BKD, embeddings_VE = self._hidden(batch, backbone)
        sampled = (batch["labels"], batch["uniform"], self.temperature)
        loss, samples_BK = self.mlm.loss_and_samples(hidden_BKD, embeddings_VE, *sampled)
        return GeneratorOutput({"mlm": loss}, samples_BK)

    @torch.no_grad()
    def measure(self, batch: Batch, backbone: TransformerEncoder) -> GeneratorOutput:
        """The same, and the number of slots where the most probable token (mlm_correct) or the sample (sampled) is
        right.

        labels: [V], counts of the labels.
        """
        hidden_BKD, embeddings_VE = self._hidden(batch, backbone)
        labels_BK = batch["labels"]
        sampled = (labels_BK, batch["uniform"], self.temperature)
        losses_BK, correct_BK, samples_BK = self.mlm.scores_and_samples(hidden_BKD, embeddings_VE, *sampled)
        sums = {"mlm": losses_BK.sum(), "mlm_correct": correct_BK.sum()}
        sums["sampled"] = (samples_BK == labels_BK).sum()
        sums["labels"] = torch.bincount(labels_BK[labels_BK != IGNORED], minlength=len(embeddings_VE))
        return GeneratorOutput(sums, samples_BK)

    def state(self, backbone: TransformerEncoder) -> dict[str, Tensor]:
        """The generator as a separate model: `backbone.*` and `mlm.*`, with a copy of what it shares."""
        parts: dict[str, nn.Module] = {
            "backbone.embeddings": self.embeddings or backbone.embeddings,
            "backbone.layers": self.layers or backbone.layers,
            "mlm": self.mlm,
        }
        return {f"{name}.{key}": t for name, part in parts.items() for key, t in part.state_dict().items()}

    def own(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `state`: the parameters that are not shared, under their names here."""
        names = {key.removeprefix("backbone."): tensor for key, tensor in state.items()}
        parts = {name for name, _ in self.named_children()}
        return {key: tensor for key, tensor in names.items() if key.partition(".")[0] in parts}

    def _hidden(self, batch: Batch, backbone: TransformerEncoder) -> tuple[Tensor, Tensor]:
        """Last hidden states at the slots, [B, K, D], and the word embeddings, [V, E]."""
        embeddings = self.embeddings or backbone.embeddings
        layers = self.layers or backbone.layers
        hidden_BKD = encode(embeddings, layers, inputs_of(batch, batch["at"]))
        return hidden_BKD, embeddings.tokens.weight
