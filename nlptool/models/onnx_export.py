"""A pretrained or fine-tuned model as an ONNX file: the graph of its class in transformers, padding at the end of rows.

Inputs are those of the class: input_ids, attention_mask and, where the model tells segments apart, token_type_ids, all
int64 [B, T], of multiple choice [B, N, T]; outputs are named as transformers names them. Batch and length are free, and
the number of choices. ONNX: https://onnx.ai/onnx/intro.
"""

# B batch, T tokens, D hidden width, V vocabulary, C classes, N choices

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nlptool.errors import DataError, UsageError
from nlptool.extras import install
from nlptool.models import heads, huggingface
from nlptool.models.base import Decoder, Inputs
from nlptool.models.huggingface import Pretrained

OPSET = 18
FILE, QUANTIZED = "model.onnx", "model_int8.onnx"
Feeds = Mapping[str, NDArray[np.int64]]


class Exported(nn.Module):
    """A model with the head of its class. Raises DataError for a class that has no graph here."""

    def __init__(self, pretrained: Pretrained, architecture: str) -> None:
        super().__init__()
        self.architecture, config = architecture, pretrained.config
        self.backbone = config.build(pretrained.vocab_size)
        self.head, self.pooler = _head(pretrained, architecture)
        parts: dict[str, nn.Module] = {"backbone": self.backbone}
        own = nn.ModuleDict(parts | _named(architecture, self.head, self.pooler))
        fresh = huggingface.load(own, _one_head(pretrained.state)).fresh
        if fresh:
            raise DataError(f"the weights have no {', '.join(fresh)}, which {architecture} has")
        self.eval()
        self.of_choices = _kind(architecture) == "ForMultipleChoice"
        """Whether a row is several documents, each of which gets a number."""
        types = config.segment_types
        self.input_names = ["input_ids", "attention_mask", *(["token_type_ids"] if types > 1 else [])]
        self.output_names = {
            "ForQuestionAnswering": ["start_logits", "end_logits"],
            "Model": ["last_hidden_state"],
        }.get(_kind(architecture), ["logits"])

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """What the class answers: logits [B, C], [B, T, C] or [B, T, V], [B, T] twice, or hidden states [B, T, D].

        Rows of N choices: ids and the rest [B, N, T], logits [B, N].
        """
        if self.of_choices and input_ids.ndim > 2:
            count = input_ids.shape[1]
            given = (input_ids, attention_mask, token_type_ids)
            logits = self(*(None if one is None else one.flatten(0, 1) for one in given))
            return logits.view(-1, count)  # type: ignore[no-any-return]
        lengths_B = attention_mask.sum(1)
        inputs = Inputs(ids=input_ids, token_type_ids=token_type_ids, lengths=lengths_B)
        if isinstance(self.backbone, Decoder):
            if self.head is None:
                return self.backbone.logits(self.backbone(inputs))
            last_B1 = lengths_B[:, None] - 1
            return self.head(self.backbone(replace(inputs, output_positions=last_B1))[:, 0])  # type: ignore[no-any-return]
        hidden_BTD = self.backbone(inputs)
        if self.head is None:
            return hidden_BTD
        if isinstance(self.head, heads.MaskedLM):
            return self.head(hidden_BTD, self.backbone.word_embeddings)  # type: ignore[no-any-return]
        if isinstance(self.head, heads.Classifier):
            first_BD = hidden_BTD[:, 0] if self.pooler is None else self.pooler(hidden_BTD)
            return self.head(first_BD)  # type: ignore[no-any-return]
        logits_BTC = self.head(hidden_BTD)
        return logits_BTC.unbind(-1) if len(self.output_names) == 2 else logits_BTC  # type: ignore[no-any-return]


def require_packages() -> None:
    """Raise UsageError where onnx, onnxruntime or onnxscript is not installed."""
    from importlib.util import find_spec

    if missing := [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]:
        raise UsageError(
            f"--to onnx needs {', '.join(missing)}, which is not installed", hint=install("onnx")
        )


def write(model: Exported, path: Path) -> None:
    """Write the graph, with its weights, to one file, which ONNX bounds at 2 GB."""
    tokens = min(8, model.backbone.config.max_positions)
    choices = (3,) * model.of_choices
    example = tuple(torch.ones(2, *choices, tokens, dtype=torch.long) for _ in model.input_names)
    batch = torch.export.Dim("batch", min=1, max=2**20)
    length = torch.export.Dim("tokens", min=2, max=model.backbone.config.max_positions)
    axes = {0: batch, 1: length}
    if model.of_choices:
        axes = {0: batch, 1: torch.export.Dim("choices", min=2, max=2**10), 2: length}
    with _quiet():
        torch.onnx.export(
            model,
            example,
            path,
            input_names=model.input_names,
            output_names=model.output_names,
            dynamic_shapes=tuple(axes for _ in example),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def quantize(path: Path, out: Path) -> None:
    """Weights as 8-bit integers, each column of a matrix by a scale of its own; activations quantized as they come.

    Embeddings, too, which are most of a small model: onnxruntime's dynamic quantization.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        quantize_dynamic(
            path,
            out,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        )


class OnnxModel:
    """An ONNX file opened by onnxruntime on the CPU, with as many threads as torch has."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self.session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = {one.name for one in self.session.get_inputs()}

    def __call__(self, feeds: Feeds) -> list[NDArray[np.float32]]:
        """The outputs, in the order of the graph."""
        return list(self.session.run(None, {name: feeds[name] for name in self.inputs}))


@torch.inference_mode()
def outputs(model: Exported, feeds: Feeds) -> list[NDArray[np.float32]]:
    """What the model itself answers, as `OnnxModel` does."""
    result = model(*(torch.from_numpy(feeds[name]) for name in model.input_names))
    return [one.numpy() for one in (result if isinstance(result, tuple) else (result,))]


def feeds_of(model: Exported, rows: list[list[int]], types: list[list[int]] | None = None) -> Feeds:
    """Rows of ids, padded at the end, as the graph takes them; of choices two are a row.

    types: their segments; None: all 0.
    """
    longest = max(map(len, rows))
    shape = (len(rows), longest)
    feeds = {name: np.zeros(shape, np.int64) for name in model.input_names}
    for at, row in enumerate(rows):
        feeds["input_ids"][at, : len(row)] = row
        feeds["attention_mask"][at, : len(row)] = 1
        if types is not None and "token_type_ids" in feeds:
            feeds["token_type_ids"][at, : len(row)] = types[at]
    return of_choices(feeds, 2) if model.of_choices else feeds


def of_choices(feeds: Feeds, count: int) -> Feeds:
    """Documents that stand one after the other as rows of `count` choices each, [B, N, T]."""
    return {name: array.reshape(-1, count, array.shape[-1]) for name, array in feeds.items()}


def _kind(architecture: str) -> str:
    """How the name of a class ends: what it is for."""
    known = (
        "ForMaskedLM",
        "ForSequenceClassification",
        "ForMultipleChoice",
        "ForTokenClassification",
        "ForQuestionAnswering",
        "LMHeadModel",
        "Model",
    )
    return next((end for end in known if architecture.endswith(end)), "")


def _head(pretrained: Pretrained, architecture: str) -> tuple[nn.Module | None, heads.Pooler | None]:
    """The head and pooler of a class, with random weights."""
    kind, state = _kind(architecture), pretrained.state
    if kind in ("Model", "LMHeadModel"):
        return None, None
    if not kind:
        raise DataError(
            f"{architecture} has no graph here",
            hint="those that there are end in ForMaskedLM, ForSequenceClassification, ForMultipleChoice, "
            "ForTokenClassification, ForQuestionAnswering, LMHeadModel and Model",
        )
    if kind == "ForSequenceClassification":
        config = pretrained.config
        pooler = heads.Pooler(config.hidden) if config.pooled else None
        return heads.Classifier.of(config, _outputs(state, "classifier"), 0.0), pooler
    config = pretrained.encoder_config
    if kind == "ForMaskedLM":
        return heads.MaskedLM.of(config, pretrained.vocab_size), None
    if kind == "ForMultipleChoice":
        return heads.Classifier.chooser(config, 0.0), heads.Pooler(config.hidden) if config.pooled else None
    name = "span" if kind == "ForQuestionAnswering" else "classifier"  # as both heads are read from a folder
    return heads.TokenClassificationHead.of(config, _outputs(state, name), 0.0), None


def _one_head(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state whose head of choices, which ELECTRA alone calls otherwise than a classifier, is called one."""
    return {
        name.replace("chooser.", "classifier.", 1) if name.startswith("chooser.") else name: one
        for name, one in state.items()
    }


def _outputs(state: Mapping[str, Tensor], head: str) -> int:
    weight = state.get(f"{head}.out.weight")
    if weight is None:
        raise DataError(f"the weights have no {head}")
    return len(weight)


def _named(architecture: str, head: nn.Module | None, pooler: heads.Pooler | None) -> dict[str, nn.Module]:
    names = {
        "ForMaskedLM": "mlm",
        "ForSequenceClassification": "classifier",
        "ForMultipleChoice": "classifier",
        "ForTokenClassification": "classifier",
        "ForQuestionAnswering": "span",
    }
    found: dict[str, nn.Module] = {} if head is None else {names[_kind(architecture)]: head}
    return found if pooler is None else found | {"pooler": pooler}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters log and warn of on their way."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
