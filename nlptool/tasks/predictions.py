"""Predictions of a fine-tuned model for each row, and their files.

OUT/predictions/SPLIT.jsonl   row, prediction, label, and more
OUT/submission/               files for a benchmark's program or server, if the task has them
"""

import json
from operator import or_
from pathlib import Path
from typing import Any

import torch

from nlptool.atomic_files import write_text
from nlptool.data.length_bucketing import SequentialBatches
from nlptool.tasks.base import LabelledDataset, Numbers, TaskObjective
from nlptool.train.distributed import DistributedContext
from nlptool.train.interrupts import SignalHandler
from nlptool.train.trainer import predictions


def compute_logits(
    objective: TaskObjective,
    rows: LabelledDataset,
    precision: str,
    world: DistributedContext,
    signals: SignalHandler,
    *,
    batch_size: int,
    tokens: int | None = None,
) -> Numbers:
    """The logits of each decision of some rows, [N, W], in batches of rows of similar length.

    tokens: most tokens of a batch; None: any. The last digits depend on both limits. Raises Preempted.
    """
    source = SequentialBatches(
        rows,
        objective.collate,
        batch=batch_size,
        tokens=tokens,
        rank=world.rank,
        world=world.size,
    )
    shape = (len(rows.labels), objective.num_outputs)
    found = predictions(objective, objective.predict, source, len(source), shape, precision, world, signals)
    return found.numpy()


def explanations(
    objective: TaskObjective, rows: LabelledDataset, device: torch.device, batch_size: int
) -> list[dict[str, Any]] | None:
    """Explanations of the answers, by row; None if the task gives none. device: of the objective."""
    if not objective.explains:
        return None
    source, found = SequentialBatches(rows, objective.collate, batch=batch_size), dict[int, Any]()
    objective.eval()
    with torch.inference_mode():
        for number in range(len(source)):
            for batch in source.get(number):
                reasons = objective.explain(batch.to(device), rows)
                found |= dict(zip(batch["row"].tolist(), reasons, strict=True))
    return [found[row] for row in range(len(found))]


def write_predictions(
    objective: TaskObjective,
    rows: LabelledDataset,
    out: Path,
    split: str,
    logits: Numbers,
    reasons: list[dict[str, Any]] | None = None,
) -> None:
    """Write a line for each row of a split, and the submission files. reasons: explanations by row."""
    answers = list(objective.answers(rows, logits))
    records = answers if reasons is None else map(or_, answers, reasons)
    lines = (json.dumps({"row": row} | answer, ensure_ascii=False) for row, answer in enumerate(records))
    files = {f"predictions/{split}.jsonl": "".join(f"{line}\n" for line in lines)}
    files |= {f"submission/{name}": text for name, text in objective.submission_files(split, answers).items()}
    for name, text in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
