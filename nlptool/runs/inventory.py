"""What nlptool writes into an output folder, by name: --overwrite removes that, and nothing else.

A test runs every command and holds what it leaves against this list.
"""

import shutil
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from nlptool.atomic_files import MARK

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
CARDS = (b"---\nlibrary_name: transformers\n", b"---\nlibrary_name: nlptool\n", b"---\n# nlptool corpus\n")
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
WITHOUT_RECIPE = (*MODEL, *ONNX, *TOKENIZER, *REPORT, *STORE, *GRAPH, *CORPUS)
ALWAYS = (f".*{MARK}", ".nlptool-lock")


def _names(out: Path) -> tuple[str, ...]:
    """What nlptool writes into a folder of this kind: what is none of it may be a user's, such as `data` in a run."""
    if not (out / RECIPE).exists():
        if names := next((names for mark, names in EXPORTED if (out / mark).exists()), None):
            return (*names, *ALWAYS)
        return (*TRAINING, *LABELLED, *DISTILLED, *PROMPTED, *WITHOUT_RECIPE, *ALWAYS)
    own = next((names for marks, names in BY_MARK if any((out / mark).exists() for mark in marks)), ())
    return (*TRAINING, *own, *ALWAYS)


def _is_ours(path: Path, names: tuple[str, ...]) -> bool:
    return any(fnmatch(path.name, name) for name in names) or (path.name == CARD and _is_card(path))


def _is_card(path: Path) -> bool:
    """Whether a README is the card of a model or corpus that nlptool wrote, and no text of the user's."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(4096).startswith(CARDS)
    return False


def foreign(out: Path) -> list[str]:
    """Names in a folder that nlptool does not write there, sorted."""
    names = _names(out)
    return sorted(path.name for path in out.iterdir() if not _is_ours(path, names))


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
