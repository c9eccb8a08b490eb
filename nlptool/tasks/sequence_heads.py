"""Shared by tasks with one decision a row: batches, the first token's hidden state, and metrics."""

# B documents, T tokens, D width, N rows, W logits of a row

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlptool.data import pair_inputs, row_view
from nlptool.data.batches import Batch
from nlptool.data.pair_inputs import EncodedBatch, TextPairDataset
from nlptool.data.row_view import RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.metrics import classification
from nlptool.models import heads
from nlptool.models.base import Decoder, Encoder
from nlptool.models.config import EncoderConfig, ModelConfig
from nlptool.objectives.base import inputs_of
from nlptool.tasks.base import LabelledDataset, Numbers
from nlptool.tasks.config import TaskConfig
from nlptool.text.row_template import RowTemplate
from nlptool.text.store import Split

INDEX_AND_PREDICTION = "index\tprediction"
"""The header of GLUE's submission files."""
CLASSIFIERS = ("classifier", "chooser", "tagger")
"""Heads that transformers calls a classifier."""


def with_head(state: Mapping[str, Tensor], head: str) -> dict[str, Tensor]:
    """A state read from a folder of transformers, with its classifier named `head`."""
    parts = ((name.partition("."), tensor) for name, tensor in state.items())
    return {f"{head if part in CLASSIFIERS else part}.{rest}": tensor for (part, _, rest), tensor in parts}


def open_rows(split: Split, length: int, vocabulary: Vocabulary, choices: int = 1) -> TextPairDataset:
    """The rows of a split, each with `choices` documents."""
    special, template = vocabulary.special, vocabulary.template
    if template is None:
        template = RowTemplate.of(special["cls"], special["sep"], special["sep"])
    return TextPairDataset(split, length, template=template, pad=special["pad"], choices=choices)


def batch_of(examples: EncodedBatch, term: str) -> Batch:
    """ids and types [B, T], lengths [B]; for each decision row [N], its number, and labels [N, 1]."""
    arrays = {
        "ids": examples.ids,
        "types": examples.types,
        "lengths": examples.lengths,
        "row": examples.rows,
        "labels": examples.labels.astype(np.float32),
    }
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return Batch(tensors, {term: len(examples.rows)}, int(examples.lengths.sum()))


def row_views(batch: Batch, spell: Callable[[float], Any]) -> list[RowView]:
    """Rows of one document each, with their labels."""
    views = row_view.of_batch(batch)
    for view, row, number in zip(views, batch["row"].tolist(), batch["labels"][:, 0].tolist(), strict=True):
        label = spell(number)
        view.row, view.facts["label"] = row, f"{label:.6g}" if isinstance(label, float) else str(label)
    return views


def choice_views(batch: Batch, names: Sequence[str]) -> list[RowView]:
    """The documents of rows with one for each choice."""
    views, choices = row_view.of_batch(batch), len(names)
    rows = zip(batch["row"].tolist(), batch["labels"][:, 0].tolist(), strict=True)
    for number, (row, right) in enumerate(rows):
        for choice, view in enumerate(views[number * choices : (number + 1) * choices]):
            view.row = row
            view.facts["choice"] = f"{names[choice]}, {'the right one' if choice == right else 'wrong'}"
    return views


def build_parts(
    model: ModelConfig, vocabulary: Vocabulary
) -> tuple[EncoderConfig, Encoder, heads.Pooler | None]:
    """An encoder with its Config and its pooler, if it has one. Raises DataError for a decoder's tokenizer."""
    pair_inputs.special_ids(vocabulary)
    assert isinstance(model, EncoderConfig)  # the task's `check` has made sure
    encoder = model.build(vocabulary.rows)
    return model, encoder, heads.Pooler(model.hidden, model.init) if model.pooled else None


def build_backbone(
    model: ModelConfig, vocabulary: Vocabulary
) -> tuple[Encoder | Decoder, heads.Pooler | None]:
    """An encoder with its pooler, if it has one, or a decoder. Raises DataError for a tokenizer of no encoder."""
    if model.kind == "decoder":
        return model.build(vocabulary.rows), None
    _, encoder, pooler = build_parts(model, vocabulary)
    return encoder, pooler


def first_token(backbone: Encoder, pooler: heads.Pooler | None, batch: Batch) -> Tensor:
    """The first token's hidden state, pooled if there is a pooler, [B, D]. The last layer is computed there only.

    Models with one segment type distinguish the two texts by [SEP] alone.
    """
    first_B1 = torch.zeros_like(batch["lengths"])[:, None]
    hidden_B1D = backbone(inputs_of(batch, first_B1))
    return hidden_B1D[:, 0] if pooler is None else pooler(hidden_B1D)


def text_state(backbone: Encoder | Decoder, pooler: heads.Pooler | None, batch: Batch) -> Tensor:
    """The hidden state that is classified, [B, D]: an encoder's first token, or a decoder's last.

    The latter is the last token that is not padding, as in transformers' GPT2ForSequenceClassification.
    """
    if isinstance(backbone, Encoder):
        return first_token(backbone, pooler, batch)
    last_B1 = batch["lengths"][:, None] - 1
    return backbone(inputs_of(batch, last_B1))[:, 0]


def baseline(
    config: TaskConfig, train: LabelledDataset, rows: LabelledDataset, *, classes: bool
) -> dict[str, float]:
    """The metrics of the most frequent training label, or of the mean."""
    known = classification.baseline(train.labels[:, 0], classes=classes)
    labels = rows.labels[:, 0]
    return classification.scores(config.metrics, np.full_like(labels, known), labels)


def answers(
    rows: LabelledDataset,
    logits: Numbers,
    decided: Numbers,
    spell: Callable[[float], Any],
    names: tuple[str, ...],
) -> Iterator[dict[str, Any]]:
    """For each row the prediction and the label as `spell` writes them; with names also their probabilities."""
    shares_NW = torch.from_numpy(logits).softmax(1).tolist()
    for row, number in enumerate(decided[:, 0].tolist()):
        line: dict[str, Any] = {"prediction": spell(number)}
        if names:
            named = zip(names, shares_NW[row], strict=True)
            line["scores"] = {name: round(share, 6) for name, share in named}
        if rows.labelled:
            line["label"] = spell(float(rows.labels[row, 0]))
        yield line


def settings_of(names: Sequence[str], problem_type: str, dropout: float) -> dict[str, Any]:
    """The config.json settings of a classifier, in the terms of transformers' families."""
    return {
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
        "problem_type": problem_type,
        "classifier_dropout": dropout,
        "classifier_dropout_prob": dropout,  # ALBERT's name
        "seq_classif_dropout": dropout,  # DistilBERT's name
    }


def submitted(config: TaskConfig, answer: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The prediction of a row in the form of the benchmark's server: its name, or its index in `names`."""
    by_place = config.submission is None or config.submission.write == "ids"
    return names.index(answer["prediction"]) if names and by_place else answer["prediction"]


def index_and_prediction(config: TaskConfig, split: str, submitted: Iterable[Any]) -> dict[str, str]:
    """The server's file of a test split, if the task has one: tab-separated, with a header."""
    if config.submission is None or split not in config.test:
        return {}
    lines = [f"{row}\t{what}\n" for row, what in enumerate(submitted)]
    return {config.submission.files[config.test.index(split)]: f"{INDEX_AND_PREDICTION}\n" + "".join(lines)}
