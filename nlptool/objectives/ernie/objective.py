"""ERNIE's pretraining (Zhang et al. 2019): a masked LM that also predicts the entities of mentions."""

# B batch, T tokens, K slots for masked positions, L links of the row with most of them in the step, D hidden width
# W width of an entity, C candidates, of which number 0 is "none"

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.data.batches import Batch, Examples
from nlptool.data.pretraining_examples import (
    LinkedRows,
    PackedBatch,
    PackedRows,
    Pairs,
    RowLinks,
    SegmentPairs,
)
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import ENTITY, Mark, RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.errors import DataError
from nlptool.models import heads
from nlptool.models.config import ModelConfig
from nlptool.models.ernie.config import Config as ErnieConfig
from nlptool.models.kernels.cross_entropy import IGNORED
from nlptool.objectives import masked
from nlptool.objectives.base import ExportSpec, inputs_of
from nlptool.objectives.ernie.as_bert import as_bert
from nlptool.text.links import LinkFile
from nlptool.text.store import Split

if TYPE_CHECKING:
    from nlptool.objectives.ernie.config import Config

ENTITIES = 24  # stream of random numbers: which links are replaced or dropped
SHOWN, DROPPED, REPLACED = range(3)
CORRUPTIONS = ("", " (not shown)", " (another is shown)")


class Ernie(masked.MaskedLM):
    """Masked LM, next sentence, and denoising entities: each with weight 1, as in the released code.

    The last layer is computed at [CLS], at masked and at linked positions only.
    """

    config: "Config"

    def __init__(self, config: "Config", model: ErnieConfig, vocabulary: Vocabulary) -> None:
        pairs: Pairs | None = "next" if config.next_sentence else None
        nsp_heads = (heads.Pooler(model.hidden, model.init), heads.SegmentPairHead(model.hidden, model.init))
        super().__init__(
            config,
            vocabulary,
            model.build(vocabulary.rows),
            heads.MaskedLM.of(model, vocabulary.rows),
            pairs,
            *(nsp_heads if config.next_sentence else ()),
        )
        if config.dea_weight:
            self.weights["dea"] = config.dea_weight
            self.dea = heads.EntityHead(model.hidden, model.entity_size, model.init)

    def examples(self, split: Split, length: int, seed: int) -> Examples:
        """Packed rows, or pairs of segments, with their links."""
        cut = super().examples(split, length, seed)
        assert isinstance(cut, PackedRows | SegmentPairs)
        return LinkedRows(cut, LinkFile(split.prefix), self.config.links)

    def left_out(self, examples: Examples) -> list[str]:
        """As for a masked LM; and a note on tokens without links."""
        assert isinstance(examples, LinkedRows)
        cut, links = examples.cut, examples.links
        assert isinstance(cut, PackedRows | SegmentPairs)
        return super().left_out(cut) + ([] if len(links) else [f"{links.path}: no token is linked"])

    def collate(self, examples: PackedBatch, draws: RandomStreams) -> Batch:
        """As for a masked LM, at [B, ..., K + L]; and entity_at [B, L], entity_vectors [B, L, W] of the links kept.

        For denoising dea_labels and dea_corruption [B, L]; in `shared` candidates [C, W], commonest []
        and candidate_ids [C - 1], their numbers in the graph.
        """
        batch = super().collate(examples, draws)
        links, entities = examples.links, self.entities
        assert links is not None
        if entities is None:
            raise DataError("entity embeddings are missing")
        slot_M, shape = _slots(links), (len(examples), max(links.most, 1))
        corruption_M, shown_M = self._denoised(links, draws, examples.ids.shape)
        at_BL = np.full(shape, -1)
        at_BL[links.row, slot_M] = np.where(corruption_M == DROPPED, -1, links.at)
        vectors_BLW = np.zeros((*shape, entities.width), np.float32)
        seen = corruption_M != DROPPED
        vectors_BLW[links.row[seen], slot_M[seen]] = entities.entities[shown_M[seen]]
        tensors = {"entity_at": at_BL, "entity_vectors": vectors_BLW}
        shared, counts = {}, batch.counts
        if self.config.dea_weight:
            linked_BL = np.zeros(shape, np.int64)
            linked_BL[links.row, slot_M] = links.at
            labels_BL, corruption_BL = np.full(shape, IGNORED), np.zeros(shape, np.int64)
            labels_BL[links.row, slot_M] = 1 + np.searchsorted(links.candidates, links.entity)
            corruption_BL[links.row, slot_M] = corruption_M
            tensors |= {"dea_labels": labels_BL, "dea_corruption": corruption_BL}
            tensors["at"] = np.concatenate((batch["at"].numpy(), linked_BL), axis=1)
            none = np.zeros((1, entities.width), np.float32)
            shared["candidates"] = np.concatenate((none, entities.entities[links.candidates]))
            shared["candidate_ids"] = links.candidates
            shared["commonest"] = np.array(1 + links.commonest)
            counts = counts | {"dea": len(links.row)}
        return Batch(
            batch.tensors | {name: torch.from_numpy(array) for name, array in tensors.items()},
            counts,
            batch.tokens,
            {name: torch.from_numpy(array) for name, array in shared.items()},
        )

    def _denoised(
        self, links: RowLinks, draws: RandomStreams, shape: tuple[int, int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The corruption of each link, [M], and its input entity; a replacement may be the true entity by chance."""
        rows, tokens = shape
        u = draws.uniform(ENTITIES, rows, 2 * tokens)
        what_M, which_M = u[links.row, links.at], u[links.row, tokens + links.at]
        _, dropped, replaced = self.config.entity_split
        corruption_M = np.where(
            what_M < replaced, REPLACED, np.where(what_M < replaced + dropped, DROPPED, SHOWN)
        )
        other_M = links.candidates[(which_M * len(links.candidates)).astype(np.int64)]
        return corruption_M, np.where(corruption_M == REPLACED, other_M, links.entity)

    def row_views(self, batch: Batch) -> list[RowView]:
        """As for a masked LM; and the links with the labels of their entities, where these are denoised."""
        views = super().row_views(batch)
        if not self.config.dea_weight:
            for view, places in zip(views, batch["entity_at"].tolist(), strict=True):
                view.facts["linked_tokens"] = sum(place >= 0 for place in places)
            return views
        assert self.entities is not None  # the batch was made with them
        names = [self.entities.label(number) for number in batch.shared["candidate_ids"].tolist()]
        first = int(self.term is not None) + batch["labels"].shape[1]
        linked = (batch["at"][:, first:], batch["dea_labels"], batch["dea_corruption"])
        for view, *links in zip(views, *(tensor.tolist() for tensor in linked), strict=True):
            known = [
                (at, label, corruption)
                for at, label, corruption in zip(*links, strict=True)
                if label != IGNORED
            ]
            for at, label, corruption in known:
                before = view.marks.get(at)
                entity = f"{names[label - 1]}{CORRUPTIONS[corruption]}"
                view.facts[f"linked_at_{at}"] = entity
                if before is None:
                    view.marks[at] = Mark(ENTITY, entity)
            view.facts["linked_tokens"] = len(known)
        return views

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Sums of the cross-entropies."""
        masked_BKD, first_BD, linked_BLD = self._parts(batch)
        terms = self.terms(masked_BKD, first_BD, batch)
        if self.config.dea_weight:
            terms["dea"] = _cost(self._scores(linked_BLD, batch), batch["dea_labels"])
        return terms

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """The terms, and correct predictions of each; dropped and replaced links also separately."""
        masked_BKD, first_BD, linked_BLD = self._parts(batch)
        sums = self.measured(masked_BKD, first_BD, batch)
        if self.config.dea_weight:
            labels_BL, corruption_BL = batch["dea_labels"], batch["dea_corruption"]
            scores_BLC = self._scores(linked_BLD, batch)
            right_BL = scores_BLC.argmax(-1) == labels_BL
            sums |= {"dea": _cost(scores_BLC, labels_BL), "dea_correct": right_BL.sum()}
            sums["dea_commonest"] = (labels_BL == batch.shared["commonest"]).sum()
            for name, corruption in (("dropped", DROPPED), ("replaced", REPLACED)):
                chosen_BL = (labels_BL != IGNORED) & (corruption_BL == corruption)
                sums[f"dea_{name}"] = chosen_BL.sum()
                sums[f"dea_{name}_right"] = (right_BL & chosen_BL).sum()
        return sums

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        """Means and accuracies; the accuracy on links that were corrupted, and that of a constant answer.

        Accuracies without any link are left out.
        """
        figures = super().summary(totals, counts)
        if "dea_commonest" in totals:
            shares = {
                "dea_accuracy": ("dea_correct", counts["dea"]),
                "dea_majority": ("dea_commonest", counts["dea"]),
            }
            for name in ("dropped", "replaced"):
                shares[f"dea_{name}_accuracy"] = f"dea_{name}_right", int(totals[f"dea_{name}"].item())
            figures.pop("dea_accuracy")
            figures |= {
                name: totals[right].item() / count for name, (right, count) in shares.items() if count
            }
        return figures

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """The model; and if it is equivalent to a BERT on texts without entities, that BERT, for transformers."""
        assert isinstance(model, ErnieConfig)
        specs = super().folders(model)
        if model.cls_entity:
            return specs
        bert, state = as_bert(model, specs[""].state)
        return specs | {"bert": ExportSpec(bert, state, self.architecture)}

    def _parts(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Last hidden states of masked positions, [B, K, D], of [CLS] for next sentence, and of linked positions."""
        hidden = self.backbone(inputs_of(batch, batch["at"]))
        first = int(self.term is not None)
        stop = first + batch["labels"].shape[1]
        return hidden[:, first:stop], hidden[:, :first], hidden[:, stop:]

    def _scores(self, linked_BLD: Tensor, batch: Batch) -> Tensor:
        """Logits [B, L, C]."""
        candidates_CW = batch.shared["candidates"].to(linked_BLD.dtype)
        return self.dea(linked_BLD, candidates_CW)  # type: ignore[no-any-return]


def _cost(scores_BLC: Tensor, labels_BL: Tensor) -> Tensor:
    """Cross-entropy in nats, summed over links."""
    wide = torch.promote_types(scores_BLC.dtype, torch.float32)
    flat = scores_BLC.flatten(0, 1).to(wide), labels_BL.flatten()
    return F.cross_entropy(*flat, ignore_index=IGNORED, reduction="sum")


def _slots(links: RowLinks) -> NDArray[np.int64]:
    """The index of each link within its row, [M]."""
    first_M = np.searchsorted(links.row, links.row)
    slots: NDArray[np.int64] = np.arange(len(links.row)) - first_M
    return slots


def build(config: "Config", model: ModelConfig, vocabulary: Vocabulary) -> Ernie:
    """An ERNIE with its heads."""
    assert isinstance(model, ErnieConfig)  # the recipe's check has made sure
    return Ernie(config, model, vocabulary)
