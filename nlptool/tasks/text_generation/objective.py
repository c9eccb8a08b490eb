"""Generated answers (McCann et al. 2018; as a language model, Radford et al. 2019, section 3)."""

# B batch, T tokens, D width, M tokens of answers, N rows, W = 2 + most tokens of an answer

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nlptool.data import prompt_completion, row_view
from nlptool.data.batches import Batch
from nlptool.data.prompt_completion import Prompt, PromptBatch, PromptDataset
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import ANSWER, Mark, RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.generation.generate import continuations
from nlptool.evaluation.metrics import generated_text, text_overlap
from nlptool.models.base import Decoder, Inputs
from nlptool.models.config import ModelConfig
from nlptool.models.kernels.cross_entropy import linear_cross_entropy, linear_scores
from nlptool.objectives.base import ExportSpec
from nlptool.tasks.base import LabelledDataset, Numbers, TaskObjective
from nlptool.tasks.text_generation.decanlp_formats import DecaNLPExample
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from nlptool.tasks.text_generation.config import Config, SubtaskConfig

GUESS = "majority"


class TextGeneration(TaskObjective):
    """Each token of the answer, and the end of the text, is predicted from the prompt and the answer before it.

    The loss is the cross-entropy of these tokens alone. decaNLP's own model has pointers into question and context;
    here the decoder learns to copy. Answers are generated greedily. The outputs of a row, [W], are its loss in nats,
    the number of its tokens, and the generated ids, padded with -1.
    """

    architecture = "ForCausalLM"

    def __init__(self, config: "Config", vocabulary: Vocabulary, backbone: Decoder) -> None:
        super().__init__()
        self.config: Config = config
        self.vocabulary = vocabulary
        self.weights = {"clm": 1.0}
        self.num_outputs, self.baseline_name = 2 + config.max_new_tokens, GUESS
        self.backbone: Decoder = backbone
        self.end = prompt_completion.end_of_text(vocabulary.special)

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Each question of a row separately."""
        task = self._task_of(prefix)
        examples = (one for row in rows for one in task.examples(row, labelled=labelled))
        return prompt_completion.write((prompt(one) for one in examples), tokenizer, prefix)

    def dataset(self, split: Split, length: int) -> PromptDataset:
        """The rows."""
        return PromptDataset(split, length, self._task_of(split.prefix).max_new_tokens)

    def data_warnings(self, rows: LabelledDataset) -> list[str]:
        """Notes on metrics that ignore words of the references of a validation split."""
        if not isinstance(rows, PromptDataset) or not rows.labelled:
            return []
        task = self._task_of(rows.split.prefix)
        if rows.split.prefix.name not in task.validation:
            return []
        return text_overlap.remarks(task.metrics, rows.references, task.tokenize)

    def collate(self, examples: PromptBatch, draws: RandomStreams) -> Batch:
        """ids [B, T], lengths [B] of the prompts, row [B], most [B] tokens of an answer.

        For each token of an answer: labels [M], the token; at [M], the place before it in all rows of ids;
        owner [M], the row of the batch.
        """
        places_T = np.arange(examples.ids.shape[1])
        written_BT = (places_T >= examples.prompts[:, None]) & (places_T < examples.lengths[:, None])
        owner_M, place_M = written_BT.nonzero()
        ids_BT = examples.ids[:, :-1]
        arrays = {
            "ids": ids_BT,
            "lengths": examples.prompts,
            "most": examples.most,
            "row": examples.rows,
            "labels": examples.ids[written_BT],
            "at": owner_M * ids_BT.shape[1] + place_M - 1,
            "owner": owner_M,
        }
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return Batch(tensors, {"clm": len(owner_M)}, int((examples.lengths - 1).sum()))

    def read(self, batch: Batch) -> Tensor:
        """Number of tokens of prompt and answer, without the last token, which is only a label."""
        answers_B = torch.bincount(batch["owner"], minlength=len(batch["lengths"]))
        return batch["lengths"] + answers_B - 1

    def row_views(self, batch: Batch) -> list[RowView]:
        """The prompt and its answer, each token of which is predicted."""
        views = row_view.of_batch(batch)
        for view, row in zip(views, batch["row"].tolist(), strict=True):
            view.row, view.padding = row, 0
        for owner, label in zip(batch["owner"].tolist(), batch["labels"].tolist(), strict=True):
            view = views[owner]
            view.marks[len(view.ids)] = Mark(ANSWER)
            view.ids.append(label)
        for view in views:
            view.facts["to_predict"] = len(view.marks)
        return views

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the cross-entropies."""
        return {
            "clm": linear_cross_entropy(
                self._before(batch), self.backbone.word_embeddings, None, batch["labels"]
            )
        }

    @torch.no_grad()
    def predict(self, batch: Batch) -> Tensor:
        """Loss, number of its tokens and generated answer, [B, W]."""
        loss_M, _ = linear_scores(self._before(batch), self.backbone.word_embeddings, None, batch["labels"])
        outputs_BW = torch.full(
            (len(batch["row"]), self.num_outputs), -1.0, dtype=torch.float64, device=loss_M.device
        )
        outputs_BW[:, :2] = 0
        outputs_BW[:, 0].index_add_(0, batch["owner"], loss_M.double())
        outputs_BW[:, 1].index_add_(0, batch["owner"], torch.ones_like(loss_M, dtype=torch.float64))
        prompts = [
            ids[:length] for ids, length in zip(batch["ids"].tolist(), batch["lengths"].tolist(), strict=True)
        ]
        written: list[list[int]] = [[] for _ in prompts]
        with torch.autocast(loss_M.device.type, enabled=False):
            for number, token in continuations(self.backbone, prompts, int(batch["most"].max()), (self.end,)):
                written[number].append(token)
        for row, ids in enumerate(written):
            outputs_BW[row, 2 : 2 + len(ids)] = torch.tensor(ids, dtype=torch.float64)
        return outputs_BW

    def cost(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, summed over the tokens of all answers. logits: [N, W]."""
        return logits[:, 0].sum()

    def average(self, logits: Sequence[Numbers]) -> Numbers:
        """The answer that most of several models give, [N, W]; the first of them on a tie."""
        chosen = logits[0].copy()
        for row in range(len(chosen)):
            answers = [tuple(one[row, 2:].tolist()) for one in logits]
            ((answer, _),) = Counter(answers).most_common(1)
            chosen[row] = logits[answers.index(answer)][row]
        return chosen

    def figures(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """Mean loss of a token, and the metrics of generated answers. A model that has diverged scores 0."""
        scores = self.score(rows, logits)
        if not np.isfinite(logits[:, 0]).all():
            scores = dict.fromkeys(scores, 0.0)
        return {"clm": float(logits[:, 0].sum() / logits[:, 1].sum())} | scores

    def score(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """The task's metrics."""
        assert isinstance(rows, PromptDataset)
        task = self._task_of(rows.split.prefix)
        return generated_text.compute(task.metrics, self._texts(logits), rows.references, task.tokenize)

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """The metrics of the task's most frequent answer."""
        assert isinstance(rows, PromptDataset)
        ((answer, _),) = Counter(self._training_answers(train, rows)).most_common(1)
        task = self._task_of(rows.split.prefix)
        return generated_text.compute(task.metrics, [answer] * len(rows), rows.references, task.tokenize)

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """`prediction`, and as `label` the target."""
        assert isinstance(rows, PromptDataset)
        for text, label in zip(self._texts(logits), rows.answers, strict=True):
            yield {"prediction": text} | ({"label": label} if rows.labelled else {})

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """One folder, as a causal language model; the tokenizer adds no special tokens, since prompts are continued."""
        return {"": ExportSpec(model, self.state_dict(), self.architecture, template=False)}

    def _task_of(self, prefix: Path) -> "SubtaskConfig":
        """The task of a split."""
        return self.config.parts[""]

    def _training_answers(self, train: LabelledDataset, rows: PromptDataset) -> list[str]:
        """Answers to the training rows of the same task as `rows`."""
        assert isinstance(train, PromptDataset)
        return train.answers

    def _texts(self, logits: Numbers) -> list[str]:
        decode = self.vocabulary.decode
        assert decode is not None
        return [decode([int(token) for token in row if token >= 0]).strip() for row in logits[:, 2:]]

    def _before(self, batch: Batch) -> Tensor:
        """The hidden state before each token of an answer, [M, D]."""
        hidden_BTD = self.backbone(Inputs(ids=batch["ids"]))
        return hidden_BTD.flatten(0, 1)[batch["at"]]


def prompt(example: DecaNLPExample) -> Prompt:
    """decaNLP's `Context: ... Question: ...` (generic.py, get_context_question), and ` Answer:` for a decoder.

    Without a context only the question. An answer begins with a space, like the words of a text.
    """
    before, question = (
        ("Question:", "") if not example.context else (f"Context: {example.context}", " Question:")
    )
    return Prompt(before, f"{question} {example.question} Answer:", f" {example.answer}", example.references)
