"""What a model knows of how two segments of text follow each other, whatever it was trained to tell of them."""

# B rows, T tokens

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from nlptool.data.pretraining_examples import SegmentPairs
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError
from nlptool.evaluation.metrics.confidence import Proportion
from nlptool.models import heads, huggingface
from nlptool.models.config import EncoderConfig, ModelConfig
from nlptool.models.kernels.cpu import CPU
from nlptool.text.store import Split

BATCH = 16384  # tokens at once, padding included
SEED = 0  # the same pairs for every model, so that models can be compared


class SegmentPairScorer:
    """An encoder with a two-way head on its pooled state, trained on either task.

    The head says 0 of segments that follow each other as they stand. So one that was trained on sentence order also
    answers whether B is the next text, and the reverse: "in order" is taken for "next". These are the intrinsic
    accuracies of Lan et al. 2020, table 5. No token is masked here.

    Raises DataError when the model has no such head.
    """

    def __init__(
        self,
        config: ModelConfig,
        state: Mapping[str, Tensor],
        special: Mapping[str, int],
        device: torch.device = CPU,
    ) -> None:
        parts = {key.partition(".")[0] for key in state}
        if not isinstance(config, EncoderConfig) or not {"pooler", "pair"} <= parts:
            raise DataError(
                f"a model with the parts {', '.join(sorted(parts))} has no head that judges pairs",
                hint="objective.pairs=order or next, or objective.next_sentence=true trains one",
            )
        self.special, self.positions, self.device = special, config.positions, device
        self.net = config.build(state["backbone.embeddings.tokens.weight"].shape[0])
        self.pooler, self.pair = heads.Pooler(config.hidden), heads.SegmentPairHead(config.hidden)
        module = nn.ModuleDict({"backbone": self.net, "pooler": self.pooler, "pair": self.pair}).eval()
        huggingface.load(module, state)
        module.to(device)

    @torch.inference_mode()
    def accuracy(
        self, split: Split, pairs: Literal["order", "next"], length: int = 128, most: int = 2000
    ) -> Proportion:
        """How many of at most `most` pairs of a held-out split are judged right.

        order: are A and B in order, or swapped? next: does B follow A, or come from another document? Pairs have up
        to `length` tokens. Raises DataError when the split has no such pairs.
        """
        special = {role: self.special[role] for role in ("cls", "sep", "pad")}
        examples = SegmentPairs(split, min(length, self.positions), SEED, pairs, **special)
        total, right = min(most, len(examples)), 0
        # Spread over the split: neighbours often share a document.
        chosen = np.linspace(0, len(examples) - 1, total).astype(np.int64) if total else np.empty(0, np.int64)
        rows = max(1, BATCH // length)
        for first in range(0, total, rows):
            indices = chosen[first : first + rows]
            made = examples.take(indices, indices * 0, RandomStreams(SEED, 0, first))
            assert made.types is not None
            assert made.lengths is not None
            assert made.labels is not None
            arrays = (made.ids, made.types, made.lengths)
            ids_BT, types_BT, lengths_B = (torch.from_numpy(array).to(self.device) for array in arrays)
            first_B1 = torch.zeros(len(ids_BT), 1, dtype=torch.long, device=self.device)
            logits_B2 = self.pair(self.pooler(self.net(ids_BT, types_BT, lengths_B, first_B1)))
            right += int((logits_B2.argmax(1).cpu() == torch.from_numpy(made.labels)).sum())
        return Proportion(right, total)
