"""The task of a model fine-tuned elsewhere, from the class in its config.json."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nlptool import registry
from nlptool.models import hf_family, huggingface
from nlptool.tasks.config import TaskConfig

TEXT = "text"
"""The column of the text, named as in transformers' pipelines."""
SEQUENCE = "ForSequenceClassification"
CLASSIFIER = re.compile(r"classifier\.(out\.)?weight")
DEFAULT = "LABEL_{}"
"""transformers' name of an unnamed class."""


def task_of_class(settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> TaskConfig | None:
    """The task of a model's class; None where the class does not determine it, as for multiple choice.

    settings: config.json. state: the weights, whose last matrix has a row for each class if none are named.
    """
    architecture = hf_family.architecture(settings)
    if architecture.endswith("ForQuestionAnswering"):
        return _task("extractive_qa")
    outputs = [len(tensor) for key, tensor in state.items() if CLASSIFIER.fullmatch(key)]
    if len(outputs) != 1:
        return None
    names = huggingface.class_names(settings)
    if len(names) != outputs[0]:
        names = tuple(map(DEFAULT.format, range(outputs[0])))
    if architecture.endswith("ForTokenClassification"):
        return _tags(names)
    return _classes(names, settings.get("problem_type")) if architecture.endswith(SEQUENCE) else None


def _classes(names: tuple[str, ...], problem: Any) -> TaskConfig:
    if len(names) == 1:
        return _task("classification", inputs=(TEXT,), metrics=("pearson", "spearman"))
    if problem == "multi_label_classification":
        return _task("multi_label_classification", inputs=(TEXT,), labels=names)
    return _task("classification", inputs=(TEXT,), labels=names, metrics=("accuracy", "macro_f1"))


def _tags(names: tuple[str, ...]) -> TaskConfig | None:
    kinds = {name.partition("-")[2] for name in names if name != "O"}
    if set(names) == {"O", *(f"{side}-{kind}" for kind in kinds for side in "BI")}:
        return _task("token_classification", labels=names)
    keys: dict[str, Any] = {"scheme": "none", "metrics": ("accuracy", "tag_macro_f1")}
    return _task("token_classification", labels=names, **keys) if len(names) > 1 else None


def _task(kind: str, **keys: Any) -> TaskConfig:
    return registry.config("tasks", kind).model_validate({"name": kind, **keys})
