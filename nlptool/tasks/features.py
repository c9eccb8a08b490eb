"""Features of a split's rows by the frozen part of a model: computed once, cached beside the rows, memory-mapped.

OUT/rows/SPLIT.features        float32 [documents, D]
OUT/rows/SPLIT.features.json   the model that computed them
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nlptool import manifests
from nlptool.atomic_files import Shape, notify_recomputed, read_json, read_or_recompute, replacing, write_json
from nlptool.data.batches import Batch
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError
from nlptool.tasks.base import LabelledDataset, TaskObjective

TOKENS = 8192  # rows read at once
AGAIN = "remove the file, and it is made anew"
LIKE: Shape = {"model_digest": str, "rows": int, "width": int, "files?": {str: object}}


def keep(
    objective: TaskObjective,
    rows: LabelledDataset,
    path: Path,
    model_digest: str,
    watch: Callable[[int], None],
) -> None:
    """Write the features of a split, unless the file has them already.

    model_digest: identifies the model. watch: called with the number of finished rows.
    """
    count = len(rows)
    if _known(path, model_digest, count) is not None:
        return
    device = next(objective.parameters()).device
    objective.eval()
    width, at = 0, 0
    with replacing(path, "wb") as file, torch.inference_mode():
        while at < count:
            size = max(1, min(TOKENS // max(int(rows.lengths[at : at + 256].max()), 1), count - at))
            some = np.arange(at, at + size)
            taken = rows.take(some)
            batch: Batch = objective.collate(taken, RandomStreams(0, 0)).to(device)
            found = objective.features(batch).float().cpu().numpy()
            file.write(np.ascontiguousarray(found).data)
            width, at = found.shape[1], at + size
            watch(at)
    facts = {"model_digest": model_digest, "rows": count, "width": width, "files": manifests.recorded([path])}
    write_json(_facts(path), facts)


def kept(path: Path, model_digest: str, rows: LabelledDataset) -> NDArray[np.float32]:
    """The features written by `keep`, memory-mapped, [documents, D]. DataError if missing or another model's."""
    width = _known(path, model_digest, len(rows))
    if width is None:
        raise DataError(f"{path}: is missing, damaged, or was written by another model", hint=AGAIN)
    return np.asarray(np.memmap(path, "<f4", "r")).reshape(-1, width)


def digest_of(folder: Path, block: str) -> str:
    """Identifies a model by the weights of its folder and its config."""
    digests = [manifests.digest(path) for path in sorted(folder.glob("*.safetensors"))]
    return json.dumps([digests, block])


def _facts(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def fault(facts: Path) -> str | None:
    """Why features are damaged; None if they are not. facts: the file that describes them."""
    try:
        found = read_json(facts, dict, AGAIN, LIKE)
    except (FileNotFoundError, DataError) as error:
        return str(error)
    why = manifests.differs(facts.parent, found.get("files", {}))  # missing in folders of older versions
    return None if why is None else str(facts.parent / why)


def _known(path: Path, model_digest: str, rows: int) -> int | None:
    """The width of existing features; None if they are another model's."""
    facts = read_or_recompute(_facts(path), dict, LIKE)
    if facts is None or (facts["model_digest"], facts["rows"]) != (model_digest, rows):
        return None
    why = manifests.differs_at_a_glance(path.parent, facts.get("files", {}))
    width = int(facts["width"])
    size = path.stat().st_size if why is None and path.is_file() else 0
    if why is None and not (width > 0 and size and size % (4 * width * rows) == 0):
        why = f"{path.name} is cut, or missing"
    if why is None:
        return width
    notify_recomputed(str(path.parent / why))
    return None
