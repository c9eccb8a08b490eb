"""Describes folders that a command does not accept. Imports nothing heavy."""

import re
from pathlib import Path

from nlptool.atomic_files import read_json
from nlptool.errors import DataError

HELD = 4  # number of files named in a message
RUNS = {"models": "prompt", "task": "finetune or distill-task", "objective": "pretraining or distill"}
PICKLE = re.compile(r"\.(pt|pth|ckpt)$|^pytorch_model.*\.bin$")
NO_TEXT = re.compile(r"config|^(vocab|dict|merges|tokenizer|special_tokens|README)\b|_map\.json$")
TEXT = (".txt", ".jsonl", ".json", ".csv", ".tsv", ".parquet", ".gz", ".xz", ".zst", ".bz2")


def is_output(path: Path) -> bool:
    """Whether a folder is an output of nlptool (a store, a run, an unfinished corpus), without text to read."""
    kept = ("recipe.yaml", "environment.json")
    return (path / "store.json").exists() or all((path / name).exists() for name in kept)


def describe(path: Path) -> str:
    """Describe a path and name the command that reads it, for the end of an error message."""
    if not path.exists():
        return "nothing is there"
    if not path.is_dir():
        beside = (path.parent / "config.json").exists()
        return f"that is a file; name its folder, {path.parent}" if beside else "that is a file"
    if (path / "store.json").exists():
        return "that is a token store, which the pretraining commands read: store=" + str(path)
    if (path / "graph.json").exists():
        return "that is a knowledge graph, which pretrain-transe reads: graph=" + str(path)
    if (path / "corpus.json").exists():
        return f"that is a corpus, which nlptool tokenize reads: source.files={path}"
    if (path / "config.json").exists():
        uses = "nlptool fill-mask, generate, evaluate and prompt ask it"
        return f"that is a model: {uses}, finetune begins from it (init_from={path})"
    if (path / "compare.json").exists():
        runs = sorted(str(one.parent) for way in ("*", "*/seed-*") for one in path.glob(f"{way}/recipe.yaml"))
        return f"that is a folder of compare, whose runs are {', '.join(runs)}"
    if (path / "evaluate.json").exists():
        return f"that is a folder of evaluate, whose scores are in {path / 'evaluate.md'}"
    if (path / "model.safetensors").exists():
        return f"that is a checkpoint; nlptool export RUN --checkpoint {path.name} makes a model of it"
    if (path / "recipe.yaml").exists():
        return _of_run(path)
    held = sorted(one.name for one in path.iterdir() if not one.name.startswith("."))
    if not held:
        return "that folder is empty"
    names = ", ".join(held[:HELD]) + (", ..." if held[HELD:] else "")
    return f"that folder holds {names}{_of_others(path, held)}"


def _of_others(path: Path, held: list[str]) -> str:
    """How to use the files of another program: weights that are not read, or text."""
    if any(".ckpt" in name and name.endswith(".index") for name in held):
        return (
            "; a TensorFlow checkpoint is not read, transformers 4 converts one of BERT, ALBERT or ELECTRA, and "
            "save_pretrained writes the folder"
        )
    if pickles := [name for name in held if PICKLE.search(name)]:
        return (
            f"; {pickles[0]} is a pickle, which can run any program and is not read: load it where it was written, "
            "into a model of transformers, whose save_pretrained writes the folder"
        )
    texts = [name for name in held if name.endswith(TEXT) and not NO_TEXT.search(name)]
    suffixes = {Path(name).suffix for name in texts}
    if not texts:
        return ""
    files = path if len(suffixes) > 1 else f"'{path}/*{suffixes.pop()}'"
    return f"; nlptool tokenize reads text: source.files={files}"


def _of_run(path: Path) -> str:
    found = keys(path)
    if "sources" in found:
        return "that is a corpus that is not whole; nlptool corpus --resume auto resumes it"
    if "source" in found:
        return "that is a token store that is not whole; begin again with nlptool tokenize"
    began = (path / "checkpoints").is_dir()
    kind = next((kind for key, kind in RUNS.items() if key in found), RUNS["objective"] if began else None)
    if kind is None:
        return "that folder has a recipe.yaml that no command has written"
    if kind == RUNS["models"]:
        return f"that is a run of prompt, whose scores are in {path / 'results.md'}"
    if models := finals(path):
        return f"that is a run of {kind}; its result is {', '.join(map(str, models))}"
    more = f", or take a checkpoint of it with nlptool export {path}" if began else ""
    return f"that is a run of {kind} that has no final/ yet; resume it{'' if is_labelled(path) else more}"


def keys(run: Path) -> set[str]:
    """The keys of a folder's recipe, as far as it is readable; empty without one."""
    written = run / "recipe.yaml"
    text = written.read_text("utf8", errors="replace") if written.is_file() else ""
    return {line.partition(":")[0] for line in text.splitlines() if line[:1].isalpha() and ":" in line}


def is_labelled(run: Path) -> bool:
    """Whether a folder is a run of finetune or distill-task, by its recipe."""
    return "task" in keys(run)


def finals(run: Path) -> list[Path]:
    """The models of a run: its final/, or those of its seeds; the students of distill-task, the best of a grid."""
    patterns = ("final", "seed-*/final", "prediction/seed-*/final")
    found = [path for pattern in patterns for path in sorted(run.glob(pattern))]
    models = [path for path in found if (path / "config.json").exists()]
    return models if models or not (run / "grid").is_dir() else _of_best(run)


def _of_best(run: Path) -> list[Path]:
    """The models of a grid's best combination; empty before it is known."""
    try:
        best = read_json(run / "scores.json", dict).get("out")
    except (FileNotFoundError, DataError):
        return []
    return finals(run / "grid" / Path(best).name) if isinstance(best, str) else []
