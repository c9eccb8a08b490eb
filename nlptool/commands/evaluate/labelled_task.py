"""`nlptool evaluate MODEL --task TASK --data FOLDER`: scores fine-tuned models on labelled rows, like finetune.

OUT/MODEL/predictions/SPLIT.jsonl, OUT/MODEL/submission/     as in a seed's folder of finetune
OUT/MODEL/confusion-SPLIT.svg, .png                          where there are classes
OUT/evaluate.json, evaluate.md                               all that is shown
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from nlptool import folder_kinds
from nlptool.atomic_files import write_json, write_text
from nlptool.commands.evaluate.options import TaskQuestion
from nlptool.commands.finetune.setup import watched
from nlptool.console import Console, Options
from nlptool.errors import UsageError
from nlptool.evaluation.metrics import generated_text
from nlptool.formatting import counted_each, markdown
from nlptool.launch import ALONE
from nlptool.manifests import plain_names
from nlptool.metric_table import describe
from nlptool.models import hub
from nlptool.prompting.results import model_name
from nlptool.report import confusion_chart
from nlptool.tasks import error_analysis, labelled
from nlptool.tasks.finetuned import FinetunedModel
from nlptool.tasks.labelled import LabelledSource
from nlptool.tasks.predictions import compute_logits, explanations, write_predictions
from nlptool.train import distributed
from nlptool.train.interrupts import SignalHandler

Tables = list[tuple[list[str], list[list[str]], str]]
SHOWN = 200
"""Characters of a text in a table."""


def run(
    models: list[str], question: TaskQuestion, out: Path | None, options: Options, console: Console
) -> None:
    """Evaluate every model on the same rows, write its predictions, and show its errors."""
    names = [one for name in models for one in _finals(name)]
    folders = plain_names(map(model_name, names))
    results, tables = [], Tables()
    with SignalHandler(alone=True) as signals:
        for name, folder in zip(names, folders, strict=True):
            kept = None if out is None else out / folder
            found, shown = _one(name, question, kept, signals, console)
            results.append(found)
            tables += shown
    metrics = list(dict.fromkeys(name for found in results for name in found["figures"]))
    rows = [
        [found["model"], *(describe(name).show(found["figures"][name]) for name in metrics)]
        for found in results
    ]
    counts = counted_each(results[0]["rows"], "rows")
    tables.insert(0, (["model", *(describe(name).title for name in metrics)], rows, counts))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "evaluate.json", results)
        write_text(out / "evaluate.md", "\n".join(f"{title}\n\n{markdown(c, r)}" for c, r, title in tables))
    if options.json:
        console.json(results)
        return
    for columns, lines, title in tables:
        console.table(columns, lines, title=title)


def _finals(name: str) -> list[str]:
    """The models of a name: each seed of a run separately."""
    found = [] if (Path(name) / "config.json").exists() else folder_kinds.finals(Path(name))
    return [str(path) for path in found] or [name]


def _one(
    name: str, question: TaskQuestion, out: Path | None, signals: SignalHandler, console: Console
) -> tuple[dict[str, Any], Tables]:
    world = distributed.join(ALONE)
    model = FinetunedModel(name, hub.folder(name), world.device, question.task)
    task, objective = model.task, model.objective
    generated_text.require_packages(task.metrics)
    splits = question.splits or task.validation
    if question.data is None and not all(map(task.source_of, splits)):
        raise UsageError("the task names no source of its own", hint="--data FOLDER names one with its files")
    source = LabelledSource(task, question.data, splits)
    figures: dict[str, float] = {}
    details: dict[str, Any] = {}
    counts: dict[str, int] = {}
    tables = Tables()
    with tempfile.TemporaryDirectory(prefix="nlptool-rows-") as aside:
        rows_at = Path(aside) / "rows"
        source.prepare(model.tokenizer, objective.encode, rows_at, partial(watched, console), console.note)
        opened = labelled.opened(rows_at)
        for split in splits:
            rows = model.open(opened[split])
            counts[split] = rows.count
            size = question.batch_size or model.record.batch_size
            logits = compute_logits(objective, rows, model.record.precision, world, signals, batch_size=size)
            heading = "" if split == splits[0] else f"{split}/"
            figures |= {f"{heading}{key}": value for key, value in objective.figures(rows, logits).items()}
            if out is not None:
                with signals.shield():
                    reasons = explanations(objective, rows, world.device, size)
                    write_predictions(objective, rows, out, split, logits, reasons)
            errors = error_analysis.confident_errors(objective.answers(rows, logits))
            texts = _texts(source, split, {row for row, _ in errors})
            details[split] = {
                "errors": [{"row": row, "text": texts.get(row, "")} | one for row, one in errors]
            }
            title = f"{name}, {split}"
            if (matrix := error_analysis.confusion_matrix(objective, rows, logits)) is not None:
                details[split]["confusion"] = matrix._asdict()
                tables.append((*matrix.table(), f"{title}: confusion matrix"))
                if out is not None:
                    file = f"confusion-{split.replace('/', '-')}"
                    console.notes(confusion_chart.draw(matrix.classes, matrix.counts, out, file))
            if errors:
                wrong = f"{title}: errors of highest confidence"
                tables.append((*error_analysis.error_table(errors, texts), wrong))
    figures |= objective.total(figures, counts)
    return {"model": name, "rows": counts, "figures": figures, "splits": details}, tables


def _texts(source: LabelledSource, split: str, wanted: set[int]) -> dict[int, str]:
    """The model's inputs for some rows, shortened."""
    if not wanted:
        return {}
    found = dict[int, str]()
    for number, row in enumerate(source.read(split)):
        if number in wanted:
            text = source.task.shown(row)
            found[number] = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return found
