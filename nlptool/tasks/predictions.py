"""What a fine-tuned model predicts for each row, as files.

OUT/predictions/SPLIT.jsonl   row, prediction, label, and more
OUT/submission/               files for a benchmark's program or server, where the task has them
"""

import json
from pathlib import Path

from nlptool.atomic_files import write_text
from nlptool.tasks.base import LabelledDataset, Numbers, TaskObjective


def write_predictions(
    objective: TaskObjective, rows: LabelledDataset, out: Path, split: str, logits: Numbers
) -> None:
    """Write a line for each row of a split, and the files to submit."""
    answers = list(objective.answers(rows, logits))
    lines = (json.dumps({"row": row} | answer, ensure_ascii=False) for row, answer in enumerate(answers))
    files = {f"predictions/{split}.jsonl": "".join(f"{line}\n" for line in lines)}
    files |= {f"submission/{name}": text for name, text in objective.handed_in(split, answers).items()}
    for name, text in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
