"""Extractive question answering (Devlin et al. 2019, sections 4.2 and 4.3)."""

# B windows, T tokens, N decisions: the start and the end in each window; W positions, the length of the longest window

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.data import qa_windows, row_view
from nlptool.data.batches import Batch
from nlptool.data.pair_inputs import EncodedBatch
from nlptool.data.qa_windows import Limits, QAWindowDataset
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import ANSWER, Mark, RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.errors import DataError
from nlptool.evaluation.metrics import qa
from nlptool.formatting import json_value
from nlptool.models import heads
from nlptool.models.base import Encoder
from nlptool.models.config import ModelConfig
from nlptool.objectives.base import ExportSpec, inputs_of
from nlptool.tasks import sequence_heads
from nlptool.tasks.base import LabelledDataset, Numbers, TaskObjective
from nlptool.tasks.extractive_qa.search import no_answer, search
from nlptool.text.store import Split
from nlptool.text.tabular import Question, Row
from nlptool.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from nlptool.tasks.extractive_qa.config import Config

NOWHERE = -10_000.0  # logit of a padding position
NULL_ODDS = "null_odds"
"""The threshold: logits by which the null answer must exceed the best one to be predicted."""


class ExtractiveQA(TaskObjective):
    """Two logits for each token, for the answer's start and its end; a softmax over the window's tokens.

    The loss is the mean of both cross-entropies. Padding is not an alternative, unlike in Google's code, so that
    predictions do not depend on the batch.
    """

    architecture = "ForQuestionAnswering"

    def __init__(
        self,
        config: "Config",
        vocabulary: Vocabulary,
        backbone: Encoder,
        span: heads.TokenClassificationHead,
        positions: int,
    ) -> None:
        super().__init__()
        self.config: Config = config
        self.vocabulary = vocabulary
        self.weights = {"cross_entropy": 1.0}
        self.num_outputs, self.baseline_name = positions, "no answer"
        self.thresholds = {NULL_ODDS: 0.0} if config.unanswerable else {}
        self.backbone: Encoder = backbone
        self.span = span
        self._limits = Limits(
            config.max_query_length, config.max_answer_length, config.doc_stride, config.n_best_size
        )

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Questions and contexts, not truncated."""
        questions = (self.config.question(row, labelled=labelled) for row in rows)
        return qa_windows.write(_different(questions), tokenizer, prefix)

    def dataset(self, split: Split, length: int) -> QAWindowDataset:
        """Windows of the contexts."""
        return QAWindowDataset(split, length, self._limits, self.vocabulary.special)

    def data_warnings(self, rows: LabelledDataset) -> list[str]:
        """A note on a stride too long for the windows."""
        assert isinstance(rows, QAWindowDataset)
        if len(rows) == rows.count or rows.stride >= self._limits.stride:
            return []
        return [
            f"windows begin {rows.stride:,} tokens after each other, half a window, where task.doc_stride is "
            f"{self._limits.stride:,}; a larger train.sequence_length has longer ones"
        ]

    def collate(self, examples: EncodedBatch, draws: RandomStreams) -> Batch:
        """ids and types [B, T], lengths [B], row [2B], labels [2B, 1]; `draws` is not used."""
        return sequence_heads.batch_of(examples, "cross_entropy")

    def row_views(self, batch: Batch) -> list[RowView]:
        """Each window with its answer."""
        views = row_view.of_batch(batch)
        for view, ends in zip(views, batch["labels"].view(-1, 2).int().tolist(), strict=True):
            view.marks = {at: Mark(ANSWER) for at in range(ends[0], ends[1] + 1)} if ends[0] else {}
            view.facts["answer"] = f"tokens {ends[0]} to {ends[1]}" if ends[0] else "none in this window"
        return views

    def predict(self, batch: Batch) -> Tensor:
        """Logits of positions, [2B, W]."""
        logits_BT2 = self.span(self.backbone(inputs_of(batch)))
        tokens = logits_BT2.shape[1]
        padding_BT = torch.arange(tokens, device=logits_BT2.device) >= batch["lengths"][:, None]
        logits_BT2 = logits_BT2.masked_fill(padding_BT[..., None], NOWHERE)
        return F.pad(logits_BT2.mT.flatten(0, 1), (0, self.num_outputs - tokens), value=NOWHERE)

    def score(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """The official scripts' figures; with unanswerable questions, squad2_f1 is that at threshold 0."""
        found = list(self._found(rows, logits))
        given, right, odds = ([one[key] for one in found] for key in ("text", "answers", "null_odds"))
        if not self.config.unanswerable:
            return {name: qa.METRICS[name](given, right) for name in self.config.metrics}
        figures = {f"squad2_{k}": v for k, v in qa.squad2(given, right, odds, threshold=0.0).items()}
        (top, *_) = [name for name in ("squad2_best_f1", "squad2_best_exact") if name in figures]
        return {name: figures[name] for name in (*self.config.metrics, f"{top}_threshold")}

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """The figures of answering no question."""
        assert isinstance(rows, QAWindowDataset)
        right = [question.answers or [] for question, _, _ in rows.texts()]
        given = [""] * len(right)
        if not self.config.unanswerable:
            return {name: qa.METRICS[name](given, right) for name in self.config.metrics}
        figures = qa.squad2(given, right, [0.0] * len(right), threshold=0.0)
        return {name: figures[name.removeprefix("squad2_")] for name in self.config.metrics}

    def fit_thresholds(self, rows: LabelledDataset, logits: Numbers) -> None:
        """Choose the threshold with the best F1, like evaluate-v2.0.py (best_f1_thresh)."""
        if self.config.unanswerable:
            found = list(self._found(rows, logits))
            given, right, odds = ([one[key] for one in found] for key in ("text", "answers", "null_odds"))
            self.thresholds[NULL_ODDS] = qa.squad2(given, right, odds)["best_f1_threshold"]

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """`id`, `prediction`, its characters `start` to `end`, `null_odds`, the `best`, and the first right answer."""
        for one in self._found(rows, logits):
            line = {"id": one["id"], "prediction": one["text"]}
            if self.config.unanswerable:
                line["null_odds"] = round(one["null_odds"], 6)
                if one["null_odds"] > self.thresholds[NULL_ODDS]:
                    line["prediction"] = ""
            (first, *_) = one["best"]
            line |= {key: first[key] if line["prediction"] else None for key in ("start", "end")}
            line["best"] = one["best"]
            if rows.labelled:
                line["label"] = (one["answers"] or [""])[0]
            yield line

    def average(self, logits: Sequence[Numbers]) -> Numbers:
        """The mean logits: windows of a text are compared by these, not by probabilities."""
        return np.asarray(np.mean(np.stack(logits), 0), np.float64)

    def submission_files(self, split: str, answers: list[dict[str, Any]]) -> dict[str, str]:
        """Files of SQuAD's scripts: the text for each id, and the null odds."""
        files = {"predictions": {one["id"]: one["prediction"] for one in answers}}
        if self.config.unanswerable:
            files["null_odds"] = {one["id"]: one["null_odds"] for one in answers}
        return {
            f"{split}/{name}.json": json.dumps(values, ensure_ascii=False, indent=1) + "\n"
            for name, values in files.items()
        }

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """One folder."""
        settings = {"qa_dropout": self.span.dropout.rate}
        return {"": ExportSpec(model, self.state_dict(), self.architecture, settings=settings)}

    def _found(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """For each question the best text, even if it may be unanswerable, its probability and the null odds."""
        assert isinstance(rows, QAWindowDataset)
        for question, of_row, places in rows.texts():
            found = search(rows, logits, of_row, number=self._limits.best, longest=self._limits.answer)
            texts: dict[str, tuple[float, int]] = {}
            for one in found:
                begin, end = int(places[one.first, 0]), int(places[one.last, 1])
                text = question.context[begin:end]
                start = begin + len(text) - len(text.lstrip())
                texts.setdefault(text.strip(), (one.logit, start))
            best = np.array([logit for logit, _ in texts.values()])
            shares = np.exp(best - best.max())
            best_texts = [
                {"text": text, "probability": round(share, 6), "start": start, "end": start + len(text)}
                for (text, (_, start)), share in zip(
                    texts.items(), (shares / shares.sum()).tolist(), strict=True
                )
            ]
            yield {
                "id": question.id,
                "text": next(iter(texts)),
                "answers": question.answers or [],
                "null_odds": no_answer(logits, of_row) - found[0].logit,
                "best": best_texts,
            }


def _different(questions: Iterable[Question]) -> Iterator[Question]:
    """The questions. Raises DataError for a duplicate id."""
    seen = set()
    for one in questions:
        if one.id in seen:
            raise DataError(
                f"{one.place}: another question has the id {json_value(one.id)} as well",
                hint="give each its own: predictions.json has one answer for each id",
            )
        seen.add(one.id)
        yield one


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> ExtractiveQA:
    """An encoder with a matrix for starts and ends."""
    encoder_config, encoder, _ = sequence_heads.build_parts(model, vocabulary)
    return ExtractiveQA(
        config,
        vocabulary,
        encoder,
        heads.TokenClassificationHead.of(encoder_config, 2, dropout),
        model.max_positions,
    )
