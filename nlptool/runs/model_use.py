"""How to use a finished model: code for its card, runnable once the capital letters are replaced.

Classes and pipelines are those of transformers 5, which has no question-answering pipeline any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PIPELINE = """from transformers import pipeline

pipe = pipeline("{task}", model="PATH_OR_ID"{options})
print(pipe({call}))"""
CLASS = """import torch
from transformers import AutoTokenizer, {name}

tokenizer = AutoTokenizer.from_pretrained("PATH_OR_ID")
model = {name}.from_pretrained("PATH_OR_ID")
inputs = tokenizer({call}, return_tensors="pt")
with torch.inference_mode():
    {body}"""
OURS = """import nlptool

model = nlptool.load("PATH_OR_ID")
print(model.{call})"""
SPAN = """outputs = model(**inputs)
start, end = outputs.start_logits.argmax(), outputs.end_logits.argmax()
print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))"""
CHOICE = """logits = model(**{name: ids[None] for name, ids in inputs.items()}).logits
print(logits.softmax(-1))"""
REPLACED = """probabilities = model(**inputs).logits.sigmoid()  # of each token, that it was replaced
print(list(zip(inputs.tokens(), probabilities[0].tolist())))"""
HIDDEN = """hidden = model(**inputs).last_hidden_state
print(hidden.shape)"""
DECODER = "LMHeadModel"
MASKED = 'f"TEXT {pipe.tokenizer.mask_token} TEXT"'


@dataclass(frozen=True)
class Use:
    """How a model is used."""

    code: str
    """Python."""
    command: str
    """The equivalent command of nlptool."""
    hub_task: str | None
    """The hub's name of the task, if it has one."""
    in_transformers: bool
    """Whether transformers has a class with the head."""


def of(architecture: str, task: Mapping[str, Any], *, in_transformers: bool) -> Use:
    """The use of a model with the class `architecture` in its config.json, e.g. BertForMaskedLM.

    task: the recipe's block of a labelled task, or empty. in_transformers: whether transformers has the family. A
    task whose model is a plain BertModel, such as KagNet, has a head of nlptool's own.
    """
    if not architecture.isidentifier():  # from a file of unknown origin; it becomes code
        architecture = "AutoModel"
    own_head = bool(task) and architecture.endswith("Model") and not architecture.endswith(DECODER)
    if in_transformers and not own_head:
        code, hub_task = _code(architecture, task)
        return Use(code, _command(architecture, task), hub_task, in_transformers=True)
    call = 'predict([{"COLUMN": "TEXT"}])' if task else 'fill_mask("TEXT [MASK] TEXT")'
    return Use(OURS.format(call=call), _command(architecture, task), None, in_transformers=False)


def _code(architecture: str, task: Mapping[str, Any]) -> tuple[str, str | None]:
    if architecture.endswith("ForSequenceClassification"):
        pair = len(task.get("inputs") or ()) == 2
        call = '{"text": "TEXT", "text_pair": "TEXT"}' if pair else '"TEXT"'
        return _pipeline("text-classification", f"{call}, top_k=None")
    if architecture.endswith("ForTokenClassification"):
        return _pipeline("token-classification", '"TEXT"', _aggregation(task))
    if architecture.endswith("ForQuestionAnswering"):
        return _class(architecture, '"QUESTION", "TEXT"', SPAN), "question-answering"
    if architecture.endswith("ForMultipleChoice"):
        call = '["QUESTION", "QUESTION"], ["CHOICE", "CHOICE"], padding=True'
        return _class(architecture, call, CHOICE), "multiple-choice"
    if architecture.endswith(DECODER):
        return _pipeline("text-generation", '"TEXT", max_new_tokens=50')
    if architecture == "ElectraForPreTraining":
        return _class(architecture, '"TEXT"', REPLACED), None
    if architecture.endswith(("ForMaskedLM", "ForPreTraining")):
        return _pipeline("fill-mask", MASKED)
    return _class(architecture, '"TEXT"', HIDDEN), "feature-extraction"


def _command(architecture: str, task: Mapping[str, Any]) -> str:
    if task:
        return "nlptool predict PATH ROWS.jsonl"
    if architecture.endswith(DECODER):
        return 'nlptool generate PATH --text "TEXT"'
    if architecture.endswith("ForMaskedLM") or architecture in (
        "BertForPreTraining",
        "AlbertForPreTraining",
        "ErnieInformativeForPreTraining",
    ):
        return 'nlptool fill-mask PATH "TEXT [MASK] TEXT"'
    return 'nlptool embed PATH --text "TEXT"'


def _aggregation(task: Mapping[str, Any]) -> str:
    """Words have the tag of their first token, characters each their own; parts of speech are not aggregated."""
    if task.get("scheme") == "none":
        return ""
    return f', aggregation_strategy="{"simple" if task.get("characters") else "first"}"'


def _pipeline(task: str, call: str, options: str = "") -> tuple[str, str]:
    return PIPELINE.format(task=task, options=options, call=call), task


def _class(name: str, call: str, body: str) -> str:
    return CLASS.format(name=name, call=call, body=body.replace("\n", "\n    "))


GRAPH = """{imports}import onnxruntime
from transformers import {classes}AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PATH")
session = onnxruntime.InferenceSession("PATH/model.onnx")
inputs = tokenizer({call}, return_tensors="np")
feeds = {{one.name: inputs[one.name]{choices} for one in session.get_inputs()}}
{body}"""
LABELS = 'labels = AutoConfig.from_pretrained("PATH").id2label\n'
OUTPUT = "(logits,) = session.run(None, feeds)\n"
GRAPHS = {
    "ForTokenClassification": (
        '["TEXT"]',
        OUTPUT
        + LABELS
        + "print([(token, labels[n]) for token, n in zip(inputs.tokens(), logits[0].argmax(-1).tolist())])",
    ),
    "ForQuestionAnswering": (
        '["QUESTION"], ["TEXT"]',
        "starts, ends = session.run(None, feeds)\nstart, end = starts[0].argmax(), ends[0].argmax()\n"
        'print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))',
    ),
    "ForMultipleChoice": (
        '["QUESTION", "QUESTION"], ["CHOICE", "CHOICE"], padding=True',
        f"{OUTPUT}print(logits.argmax(-1))",
    ),
    "ForMaskedLM": (
        'f"TEXT {tokenizer.mask_token} TEXT"',
        OUTPUT
        + 'place = inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)\n'
        + "print(tokenizer.decode(logits[0, place].argmax()))",
    ),
    "LMHeadModel": ('"TEXT"', f"{OUTPUT}print(tokenizer.decode(logits[0, -1].argmax()))"),
    "Model": ('["TEXT"]', "(hidden,) = session.run(None, feeds)\nprint(hidden.shape)"),
}
"""By suffix of a class: inputs, and meaning of the graph's outputs."""


def of_graph(architecture: str, *, labels: int, multi_label: bool, pair: bool) -> str:
    """Python code that runs a graph with onnxruntime. labels: number of named classes; pair: of texts."""
    end = next((end for end in GRAPHS if architecture.endswith(end)), None)
    if end is None:
        call = '["TEXT", "TEXT"], ["TEXT", "TEXT"]' if pair else '["TEXT", "A LONGER TEXT"]'
        if multi_label:
            shown = (
                f"{LABELS}print([[labels[n] for n in np.flatnonzero(row > 0).tolist()] for row in logits])"
            )
        else:
            shown = f"{LABELS}print([labels[n] for n in logits.argmax(-1).tolist()])"
        call, body = f"{call}, padding=True", OUTPUT + (shown if labels > 1 else "print(logits[:, 0])")
    else:
        call, body = GRAPHS[end]
    return GRAPH.format(
        imports="import numpy as np\n" if "np." in body else "",
        classes="AutoConfig, " if LABELS in body else "",
        call=call,
        choices="[None]" if end == "ForMultipleChoice" else "",
        body=body,
    )
