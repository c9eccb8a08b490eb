"""The names of everything that nlptool writes into an output folder; --overwrite removes only these.

A test runs every command and compares its output with this list.
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
    "twin",  # baseline_student's name in earlier versions
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
BY_MARK = (  # further content of a folder with a recipe and one of these names; the first match counts
    (("corpus.json", "stretches", "dropped"), CORPUS),
    (("graph.json", "questions"), GRAPH),
    (("store.json", "train.bin", "heldout.bin"), STORE),
    (("task.yaml", "rows", "scores.json", "grid", "start", "intermediate"), (*LABELLED, *DISTILLED)),
    (("answers", "results.json"), PROMPTED),
)
OPENKE = ("*2id.txt", "*2vec.vec")
PYKEEN = ("train", "validation", "test", "entity_vectors.npy", "relation_vectors.npy")
EXPORTED = (("entity2id.txt", OPENKE), ("train/base.pth", PYKEEN))
"""Exported graphs, by a characteristic file."""
RESULTS = {
    "compare.json": ("compare.json", "compare.md", "compare-*.svg", "compare-*.png", "suite"),
    "evaluate.json": ("evaluate.json", "evaluate.md", "suite"),
    "runs.json": ("runs.json", "runs", "result.json", "result.md", "result.html"),
}
"""Further output of compare, evaluate and reproduce, by the file that identifies them."""
RESUMABLE = tuple(RESULTS)
WITHOUT_RECIPE = (*MODEL, *ONNX, *TOKENIZER, *REPORT, *STORE, *GRAPH, *CORPUS)
ALWAYS = (f".*{MARK}", ".nlptool-lock")


_OF_RUN = (*TRAINING, *LABELLED, *DISTILLED, *ALWAYS)
_OF_MODEL = (*MODEL, *TOKENIZER, "run.json", "task.json", *ALWAYS)
GRID, PREDICTIONS, ANSWERS, ROWS = "grid", "predictions", "answers", "rows"
RUNS, FOLDERS = "/runs", "/folders"
"""RUNS matches folders of any name with runs or answers of a model, FOLDERS those of tasks."""
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
"""Output within subfolders, by their names."""


def _names(out: Path) -> tuple[str, ...]:
    """Names that nlptool writes into a folder of this kind; others may be a user's, such as `data` in a run."""
    if not (out / RECIPE).exists():
        if names := next((names for mark, names in RESULTS.items() if (out / mark).exists()), None):
            return (*names, RUNS, *ALWAYS)
        if names := next((names for mark, names in EXPORTED if (out / mark).exists()), None):
            return (*names, *ALWAYS)
        return (*TRAINING, *LABELLED, *DISTILLED, *PROMPTED, *WITHOUT_RECIPE, *ALWAYS)
    own = next((names for marks, names in BY_MARK if any((out / mark).exists() for mark in marks)), ())
    return (*TRAINING, *own, *ALWAYS)


def is_of_kind(out: Path, mark: str) -> bool:
    """Whether a file identifies the kind of a folder; for results, also one that has just been started."""
    return (out / mark).exists() or (mark in RESULTS and not foreign(out, mark))


def _is_ours(path: Path, names: tuple[str, ...]) -> bool:
    if FOLDERS in names and path.is_dir() and not path.is_symlink():
        return True
    if RUNS in names and path.is_dir() and not path.is_symlink() and not list(_foreign(path, _OF_RESULTS)):
        return True
    return any(fnmatch(path.name, name) for name in names) or (path.name == CARD and _is_card(path))


def _is_card(path: Path) -> bool:
    """Whether a README is the card of a model or corpus written by nlptool rather than the user's text."""
    with suppress(OSError, DataError), open_regular(path) as file:
        return file.read(4096).startswith(CARDS)
    return False


def foreign(out: Path, mark: str | None = None) -> list[str]:
    """Sorted paths in a folder that nlptool does not write there, also in subfolders such as final/notes.

    mark: the file that identifies such folders, if it may be missing yet.
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
    """Names written into a subfolder; None if it belongs to another program, or may hold any names."""
    if folder.parent.name == GRID:
        return WITHIN["seed-*"]
    if folder.parent.name in (PREDICTIONS, ANSWERS):
        return WITHIN[folder.parent.name]
    if folder.name == ROWS:
        return _rows(folder)
    return next((names for name, names in WITHIN.items() if fnmatch(folder.name, name)), None)


def _rows(folder: Path) -> tuple[str, ...] | None:
    """The names in rows.json, and features, which are added later; None if it has none."""
    with suppress(OSError, DataError):
        files = read_json(folder / "rows.json", dict).get("files")
        if isinstance(files, dict):
            own = {glob.escape(str(name).partition("/")[0]) for name in files}
            return ("rows.json", *own, "*.features", "*.features.json", *ALWAYS)
    return None


def keep_foreign(folder: Path, aside: Path) -> None:
    """Copy a user's files from a subfolder into its replacement; links stay links."""
    for name in sorted(str(path.relative_to(folder)) for path in _foreign(folder, _within(folder) or ("*",))):
        path, to = folder / name, aside / name
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True)
        elif to.parent.is_dir():
            to.unlink(missing_ok=True)
            try:
                os.link(path, to, follow_symlinks=False)
            except OSError:  # for a disk without hard links
                shutil.copy2(path, to, follow_symlinks=False)


def clear(out: Path) -> None:
    """Remove everything written by nlptool except the lock; other files stay. Links are not followed."""
    names = _names(out)
    for path in list(out.iterdir()):
        if path.name == ".nlptool-lock" or not _is_ours(path, names):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
