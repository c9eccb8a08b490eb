"""Accuracy on pairs of text segments, whichever task the model was trained on."""

# B rows, T tokens

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch

from nlptool.data.pretraining_examples import SegmentPairs
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError
from nlptool.evaluation.metrics.confidence import Proportion
from nlptool.models import heads
from nlptool.models.base import Inputs
from nlptool.models.huggingface import Pretrained
from nlptool.models.kernels.cpu import CPU
from nlptool.models.open_pretrained import open_encoder
from nlptool.text.store import Split

BATCH = 16384  # tokens at once, padding included
SEED = 0  # the same pairs for every model, so that models can be compared


class SegmentPairScorer:
    """An encoder with a two-way head on its pooled state, trained on either task.

    Label 0 means that the segments follow each other in order. So a model trained on sentence order can also predict
    whether B is the next text, and the reverse: "in order" counts as "next". These are the intrinsic accuracies of
    Lan et al. 2020, table 5. No token is masked here.

    Raises DataError when the model has no such head.
    """

    def __init__(
        self, pretrained: Pretrained, special: Mapping[str, int], device: torch.device = CPU
    ) -> None:
        if not {"pooler", "pair"} <= pretrained.heads:
            parts = sorted({"backbone", *pretrained.heads})
            raise DataError(
                f"a model with the parts {', '.join(parts)} has no head for segment pairs",
                hint="objective.pairs=order or next, or objective.next_sentence=true trains one",
            )
        config = pretrained.encoder_config
        self.special, self.positions, self.device = special, config.max_positions, device
        self.pooler, self.pair = heads.Pooler(config.hidden), heads.SegmentPairHead(config.hidden)
        self.model = open_encoder(pretrained, {"pooler": self.pooler, "pair": self.pair}, device)

    @torch.inference_mode()
    def accuracy(
        self, split: Split, pairs: Literal["order", "next"], length: int = 128, most: int = 2000
    ) -> Proportion:
        """The accuracy on at most `most` pairs of a held-out split.

        order: are A and B in order, or swapped? next: does B follow A, or come from another document? Pairs have up
        to `length` tokens. Raises DataError when the split has no such pairs.
        """
        special = {role: self.special[role] for role in ("cls", "sep", "pad")}
        examples = SegmentPairs(split, min(length, self.positions), SEED, pairs, **special)
        total, right = min(most, len(examples)), 0
        # Evenly spaced over the split: neighbours often share a document.
        chosen = np.linspace(0, len(examples) - 1, total).astype(np.int64) if total else np.empty(0, np.int64)
        rows = max(1, BATCH // length)
        for first in range(0, total, rows):
            indices = chosen[first : first + rows]
            batch = examples.take(indices, indices * 0, RandomStreams(SEED, 0, first))
            assert batch.types is not None
            assert batch.lengths is not None
            assert batch.labels is not None
            arrays = (batch.ids, batch.types, batch.lengths)
            ids_BT, types_BT, lengths_B = (torch.from_numpy(array).to(self.device) for array in arrays)
            first_B1 = torch.zeros(len(ids_BT), 1, dtype=torch.long, device=self.device)
            inputs = Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=lengths_B, output_positions=first_B1)
            logits_B2 = self.pair(self.pooler(self.model(inputs)))
            right += int((logits_B2.argmax(1).cpu() == torch.from_numpy(batch.labels)).sum())
        return Proportion(right, total)
