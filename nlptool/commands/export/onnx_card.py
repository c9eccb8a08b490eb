"""README.md beside an ONNX graph: description, comparison with the model, and code that runs it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlptool.atomic_files import read_json, write_text
from nlptool.formatting import markdown, markdown_name
from nlptool.models import hf_family, huggingface
from nlptool.runs import model_use
from nlptool.tasks import task_record

MATTER = "---\nlibrary_name: onnx\n"
REMEDY = "export the model again"


def write(
    folder: Path, name: str, facts: Mapping[str, Any], table: tuple[list[str], list[list[str]]]
) -> None:
    """Write it into a folder with the graph, its config.json and, for a task, task.json.

    name: the model's, as given by the user. facts: opset, and the rows of the comparison. table: of the graphs.
    """
    settings = huggingface.read_config(folder)
    architecture = hf_family.architecture(settings, "Model")
    record = folder / task_record.FILE
    task = read_json(record, dict, REMEDY).get("task", {}) if record.is_file() else {}
    use = model_use.of(architecture, task, in_transformers=True)
    code = model_use.of_graph(
        architecture,
        labels=len(huggingface.class_names(settings)),
        multi_label=settings.get("problem_type") == "multi_label_classification",
        pair=len(task.get("inputs") or ()) == 2,
    )
    axes = "batch, choices, tokens" if architecture.endswith("ForMultipleChoice") else "batch, tokens"
    tag = f"pipeline_tag: {use.hub_task}\n" if use.hub_task else ""
    write_text(
        folder / "README.md",
        f"{MATTER}{tag}---\n\n"
        f"`{markdown_name(architecture)}` of `{markdown_name(name)}` as an ONNX graph (opset {facts['opset']}), "
        f"compared with the model on {markdown_name(facts['compared on'])}:\n\n"
        f"{markdown(*table)}\n"
        f"Inputs are int64 `[{axes}]`, of any size; padding stands at the end of rows.\n\n"
        f"```python\n{code}\n```\n",
    )
