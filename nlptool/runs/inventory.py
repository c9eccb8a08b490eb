"""What nlptool writes into an output folder, by name: --overwrite removes that, and nothing else.

A test runs every command and holds what it leaves against this list.
"""

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from nlptool.atomic_files import MARK, open_regular, read_json
from nlptool.errors import DataError

RUN = ("recipe.yaml", "command.txt", "environment.json", "run.json", "metrics.jsonl", "checkpoints", "final")
TRAINING = (*RUN, "abandoned-*", "tensorboard", "wandb", "teacher", "probes.json")
LABELLED = (
    "rows",
    "grid",
    "task.yaml",
    "seed-*",
    "scores.json",
    "predictions",
    "submission",
    "nbest",
    "*.tsv",
)
DISTILLED = (
    "start",
    "intermediate",
    "prediction",
    "baseline_student",
    "teacher.npy",
    "teacher.json",
    "retention.md",
    "twin",  # as earlier versions called baseline_student
)
PROMPTED = ("answers", "results.json", "results.md")
STORE = (
    "store.json",
    "report.json",
    "tokenizer",
    "train.bin",
    "train.idx",
    "heldout.bin",
    "heldout.idx",
    "*.links",
)
GRAPH = (
    "graph.json",
    "entities.*",
    "relations.*",
    "labels.*",
    "train.npy",
    "validation.npy",
    "valid.npy",
    "test.npy",
    "questions",
)
MODEL = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", "generator")
ONNX = ("*.onnx", "onnx.json", "task.json")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.*", "merges.txt")
CARD = "README.md"
CORPUS = ("corpus.json", "data", "dropped", "stretches", "report.json", "report.html", "quality", "index")
CARDS = (
    b"---\nlibrary_name: transformers\n",
    b"---\nlibrary_name: nlptool\n",
    b"---\nlibrary_name: onnx\n",
    b"---\n# nlptool corpus\n",
)
REPORT = ("index.html", "*.svg", "*.png")
RECIPE = "recipe.yaml"
BY_MARK = (  # what a folder with a recipe and one of these names holds besides; the first that fits
    (("corpus.json", "stretches", "dropped"), CORPUS),
    (("graph.json", "questions"), GRAPH),
    (("store.json", "train.bin", "heldout.bin"), STORE),
    (("task.yaml", "rows", "scores.json", "grid", "start", "intermediate"), (*LABELLED, *DISTILLED)),
    (("answers", "results.json"), PROMPTED),
)
OPENKE = ("*2id.txt", "*2vec.vec")
PYKEEN = ("train", "validation", "test", "entity_vectors.npy", "relation_vectors.npy")
EXPORTED = (("entity2id.txt", OPENKE), ("train/base.pth", PYKEEN))
"""Graphs for other programs, by a file that they have."""
RESULTS = {
    "compare.json": ("compare.json", "compare.md", "compare-*.svg", "compare-*.png", "suite"),
    "evaluate.json": ("evaluate.json", "evaluate.md", "suite"),
    "runs.json": ("runs.json", "runs", "result.json", "result.md", "result.html"),
}
"""What compare, evaluate and reproduce write besides folders of runs and models, by the file that tells theirs."""
RESUMABLE = tuple(RESULTS)
WITHOUT_RECIPE = (*MODEL, *ONNX, *TOKENIZER, *REPORT, *STORE, *GRAPH, *CORPUS)
ALWAYS = (f".*{MARK}", ".nlptool-lock")


_OF_RUN = (*TRAINING, *LABELLED, *DISTILLED, *ALWAYS)
_OF_MODEL = (*MODEL, *TOKENIZER, "run.json", "task.json", *ALWAYS)
GRID, PREDICTIONS, ANSWERS, ROWS = "grid", "predictions", "answers", "rows"
RUNS, FOLDERS = "/runs", "/folders"
"""RUNS stands for folders of any name with runs, or with what a model has answered, FOLDERS for those of tasks."""
_OF_RESULTS = (*_OF_RUN, "confusion*.svg", "confusion*.png", "*.tsv")
WITHIN = {
    "final": _OF_MODEL,
    "start": _OF_MODEL,
    "generator": _OF_MODEL,
    "tokenizer": (*TOKENIZER, *ALWAYS),
    "checkpoints": ("step-*", *ALWAYS),
    "step-*": ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"),
    **dict.fromkeys(
        ("seed-*", "intermediate", "prediction", "baseline_student", "twin", "abandoned-*"), _OF_RUN
    ),
    GRID: ("*",),
    PREDICTIONS: ("*.jsonl", FOLDERS, *ALWAYS),
    ANSWERS: ("*.jsonl", FOLDERS, *ALWAYS),
    "teacher": ("*.topk_ids", "*.topk_logprobs", "*.known", *ALWAYS),
}
"""What nlptool writes into folders of its own, by their names."""


def _names(out: Path) -> tuple[str, ...]:
    """What nlptool writes into a folder of this kind: what is none of it may be a user's, such as `data` in a run."""
    if not (out / RECIPE).exists():
        if names := next((names for mark, names in RESULTS.items() if (out / mark).exists()), None):
            return (*names, RUNS, *ALWAYS)
        if names := next((names for mark, names in EXPORTED if (out / mark).exists()), None):
            return (*names, *ALWAYS)
        return (*TRAINING, *LABELLED, *DISTILLED, *PROMPTED, *WITHOUT_RECIPE, *ALWAYS)
    own = next((names for marks, names in BY_MARK if any((out / mark).exists() for mark in marks)), ())
    return (*TRAINING, *own, *ALWAYS)


def is_of_kind(out: Path, mark: str) -> bool:
    """Whether a folder is one that a file tells; of what holds results, also one that has only begun."""
    return (out / mark).exists() or (mark in RESULTS and not foreign(out, mark))


def _is_ours(path: Path, names: tuple[str, ...]) -> bool:
    if FOLDERS in names and path.is_dir() and not path.is_symlink():
        return True
    if RUNS in names and path.is_dir() and not path.is_symlink() and not list(_foreign(path, _OF_RESULTS)):
        return True
    return any(fnmatch(path.name, name) for name in names) or (path.name == CARD and _is_card(path))


def _is_card(path: Path) -> bool:
    """Whether a README is the card of a model or corpus that nlptool wrote, and no text of the user's."""
    with suppress(OSError, DataError), open_regular(path) as file:
        return file.read(4096).startswith(CARDS)
    return False


def foreign(out: Path, mark: str | None = None) -> list[str]:
    """Paths in a folder that nlptool does not write there, sorted; also in folders of its own, such as final/notes.

    mark: the file that tells such folders, where it may not be there yet.
    """
    names = (*RESULTS[mark], RUNS, *ALWAYS) if mark in RESULTS else _names(out)
    return sorted(str(path.relative_to(out)) for path in _foreign(out, names))


def _foreign(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    for path in folder.iterdir():
        if not _is_ours(path, names):
            yield path
        elif path.is_dir() and not path.is_symlink() and (inner := _within(path)) is not None:
            yield from _foreign(path, inner)


def _within(folder: Path) -> tuple[str, ...] | None:
    """What nlptool writes into a folder in one of its own; None where names are another program's, or any."""
    if folder.parent.name == GRID:
        return WITHIN["seed-*"]
    if folder.parent.name in (PREDICTIONS, ANSWERS):
        return WITHIN[folder.parent.name]
    if folder.name == ROWS:
        return _rows(folder)
    return next((names for name, names in WITHIN.items() if fnmatch(folder.name, name)), None)


def _rows(folder: Path) -> tuple[str, ...] | None:
    """What rows.json names, and features, which come later; None where it does not tell."""
    with suppress(OSError, DataError):
        files = read_json(folder / "rows.json", dict).get("files")
        if isinstance(files, dict):
            own = {glob.escape(str(name).partition("/")[0]) for name in files}
            return ("rows.json", *own, "*.features", "*.features.json", *ALWAYS)
    return None


def keep_foreign(folder: Path, aside: Path) -> None:
    """Put what is not nlptool's in one of its own folders into that which takes its place, too; links as links."""
    for name in sorted(str(path.relative_to(folder)) for path in _foreign(folder, _within(folder) or ("*",))):
        path, to = folder / name, aside / name
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True)
        elif to.parent.is_dir():
            to.unlink(missing_ok=True)
            try:
                os.link(path, to, follow_symlinks=False)
            except OSError:  # of a disk without hard links
                shutil.copy2(path, to, follow_symlinks=False)


def clear(out: Path) -> None:
    """Remove what nlptool has written; the lock stays, and so does whatever else lies there. Links are not followed."""
    names = _names(out)
    for path in list(out.iterdir()):
        if path.name == ".nlptool-lock" or not _is_ours(path, names):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
