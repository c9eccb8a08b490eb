"""The run folder: never overwritten by accident, and a complete record of the run.

OUT/recipe.yaml        the recipe with every default written out
OUT/command.txt        the command lines that wrote to it
OUT/environment.json   versions, device, threads; digests of models that every step reads
OUT/metrics.jsonl      figures by step
OUT/checkpoints/       state to resume from
OUT/final/             the result, a Hugging Face folder
"""

import hashlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nlptool.atomic_files import MARK, append_line, aside_of, read_json, refused, write_json, write_text
from nlptool.console import Console, Options
from nlptool.errors import DataError, UsageError
from nlptool.manifests import digest, remove_leftovers
from nlptool.notices import notify
from nlptool.recipe import KEPT, Change, RecipeBlock, difference, dump, is_resumable, kept, kept_source
from nlptool.runs import inventory, lock

COMMANDS = "command.txt"
REMEDY = "restore the file, or start the run again with --overwrite"


def prepare_output_folder(
    out: Path,
    options: Options,
    *,
    recipe: RecipeBlock | None = None,
    holds: str | None = None,
    reads: Iterable[str] = (),
) -> Path | None:
    """Check and lock the output folder; returns the run folder or checkpoint to resume, or None.

    Raises UsageError when `out` holds something that neither --resume nor --overwrite accounts for: a run is resumed
    in its own folder, or in an empty one. With --dry-run nothing is written, and `out` may hold anything. It may be
    called again.
    recipe: of the run; what is resumed or replaced must be a run with such a recipe. holds: for folders that are no
    run, a file that what is replaced must hold. reads: paths, besides those in the recipe, that must not be
    replaced.
    """
    if out.name in ("", ".."):
        raise UsageError(f"{out}: is not a folder of its own", hint="name one with --out, e.g. runs/mine")
    if os.path.lexists(out) and not out.is_dir():
        what = "is a broken link" if out.is_symlink() else "is a file, not a folder"
        raise UsageError(f"{out}: {what}", hint="choose another folder with --out")
    real = Path(os.path.realpath(out))
    if any(path.name == "checkpoints" and (path.parent / KEPT).exists() for path in (real, *real.parents)):
        raise UsageError(
            f"{out}: lies among the checkpoints of a run", hint="choose another folder with --out"
        )
    used = out.is_dir() and not options.dry_run and any(map(_is_kept, out.iterdir()))
    kind = holds if recipe is None else type(recipe)
    source = _source(out, used, options, kind, reads if recipe is None else recipe.model_dump(mode="json"))
    if not options.dry_run:
        lock.hold(out)
    return source


def _is_kept(path: Path) -> bool:
    """Whether a run has content there: more than a lock, unfinished files and command lines."""
    return path.name not in (lock.NAME, COMMANDS) and not path.name.endswith(MARK)


def _source(
    out: Path, used: bool, options: Options, kind: type[RecipeBlock] | str | None, reads: Any
) -> Path | None:
    resume, overwrite = options.resume, options.overwrite
    if resume and overwrite:
        raise UsageError(
            "--resume and --overwrite contradict each other",
            hint="to continue the run, leave out --overwrite; to start again, leave out --resume",
        )
    if used and kind is not None and (overwrite or resume == "auto"):
        _require_own(out, kind, replaced=overwrite)
    if used and overwrite:
        _require_unread(out, reads)
    if resume and resume != "auto":
        source = Path(resume)
        if not (source / "recipe.yaml").exists() and not (source / "state.json").exists():
            raise UsageError(f"--resume {source}: neither a run folder nor a checkpoint")
        run = source if (source / "recipe.yaml").exists() else source.parent.parent
        if used and run.resolve() != out.resolve():
            raise UsageError(
                f"{out}: already holds something, and is not the run that {source} belongs to",
                hint=f"--resume auto resumes what {out} holds; --out {run} goes back there; a new folder "
                "leaves both as they are",
            )
        if used and kind is not None:
            _require_own(out, kind, replaced=False)
        return source
    if resume:
        return out if used else None
    if used and not overwrite:
        raise UsageError(
            f"{out}: already holds something",
            hint="--overwrite replaces it, --out names another folder"
            if isinstance(kind, str) and kind not in inventory.RESUMABLE
            else "--resume auto resumes it, --overwrite starts again, --out names another folder",
        )
    return None


def require_auto(resume: str | None) -> None:
    """Raise UsageError where --resume names a run, but the command resumes in its output folder only."""
    if resume not in (None, "auto"):
        raise UsageError(
            f"--resume {resume}: this command resumes in its own output folder only", hint="--resume auto"
        )


def _require_own(out: Path, kind: type[RecipeBlock] | str, *, replaced: bool) -> None:
    """Raise UsageError for a folder of another kind."""
    other = "choose another folder with --out"
    if replaced and Path.cwd().resolve().is_relative_to(out.resolve()):
        raise UsageError(f"{out}: is where you are, and is not replaced", hint=other)
    written = out / "recipe.yaml"
    if isinstance(kind, str):
        fits = inventory.is_of_kind(out, kind) and not written.exists()
    elif written.exists():
        is_run = any((out / name).exists() for name in (COMMANDS, "store.json", "graph.json"))
        fits = is_run and kept_source(out, kind).data.keys() <= kind.model_fields.keys()
    else:  # of a run without its recipe
        fits = not replaced and (out / COMMANDS).exists()
    others = (
        inventory.foreign(out, kind if isinstance(kind, str) else None)
        if fits
        else sorted(path.name for path in out.iterdir())
    )
    if not fits or (replaced and others):
        held = ", ".join(others[:4]) + (", ..." if others[4:] else "")
        raise UsageError(
            f"{out}: holds what this command has not written ({held})",
            hint=f"{other}, or remove it yourself" if replaced else other,
        )


def _require_unread(out: Path, read: Any) -> None:
    """Raise UsageError where a folder to be replaced holds something that is read."""
    if isinstance(read, Mapping):
        read = [value for key, value in read.items() if key != "out"]
    if isinstance(read, str):
        path = Path(read)
        if read and path.exists() and path.resolve().is_relative_to(out.resolve()):
            raise UsageError(
                f"{out}: holds {read}, which is read, and is not replaced",
                hint="choose another folder with --out",
            )
    elif isinstance(read, Iterable):
        for value in read:
            _require_unread(out, value)


def create_run_folder(
    out: Path, recipe: RecipeBlock, environment: dict[str, Any], *, overwrite: bool, finished: bool = False
) -> None:
    """Create the folder and record the run; does nothing if the run is finished, with this recipe.

    Raises DataError where the disk refuses; each file is then unchanged.
    """
    shutil.rmtree(aside_of(out), ignore_errors=True)  # of a run that was killed at its start
    if finished and not overwrite:
        return
    _write_down(out, recipe, environment, overwrite=overwrite)


def _write_down(out: Path, recipe: RecipeBlock, environment: dict[str, Any], *, overwrite: bool) -> None:
    if overwrite and out.exists():
        inventory.clear(out)
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    # First, since it identifies a folder that a kill leaves with little more.
    append_line(out / COMMANDS, shlex.join(["nlptool", *sys.argv[1:]]).replace("\n", " "))
    write_text(out / KEPT, dump(recipe))
    write_json(out / "environment.json", environment)


def create_run_folder_with(
    out: Path,
    recipe: RecipeBlock,
    environment: dict[str, Any],
    make: Callable[[Path], None],
    *,
    overwrite: bool,
) -> None:
    """`create_run_folder`, with initial content written by `make`: if that fails, nothing is created or replaced."""
    aside = aside_of(out)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        make(aside)
        _write_down(out, recipe, environment, overwrite=overwrite)
        for path in aside.iterdir():
            path.rename(Path(os.path.realpath(out)) / path.name)
    except OSError as error:
        raise refused(out, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_resume(
    run: Path,
    recipe: RecipeBlock,
    models: Mapping[str, Path] = MappingProxyType({}),
    ahead: Collection[str] = (),
    known: Mapping[str, str] = MappingProxyType({}),
) -> list[Change]:
    """Changes in the recipe of a resumed run.

    models: folders that it reads, by the recipe's key. ahead: blocks that no step of the run depends on yet. known:
    the models' digests from a checkpoint, which take precedence over environment.json. Raises UsageError where a
    changed key's field is not marked RESUMABLE, DataError where a model differs.
    """
    recorded, found = recorded_digests(run, known), digests(models)
    changed = without_moved(changed_keys(kept(run, type(recipe)), recipe), recorded, found)
    values = recipe.model_dump(mode="python")
    fixed = [
        change
        for change in changed
        if change.path.partition(".")[0] not in ahead
        and not is_resumable(type(recipe), _keys(change.path), values)
    ]
    if fixed:
        gone = [change.old for change in fixed if _is_path(change) and not Path(change.old).exists()]
        link = f" (where {gone[0]} has moved, a symbolic link there is enough)" if gone else ""
        raise UsageError(
            f"{run}: was made with another recipe:{format_changes(fixed)}",
            hint=f"put these back{link}, start again with --overwrite, or choose another --out",
        )
    if known:  # a checkpoint has replaced the weights that the run began with
        found.pop("init_from", None)
    _require_same_models(run, models, recorded, found)
    return changed


def without_moved(
    changed: Iterable[Change], recorded: Mapping[str, str], found: Mapping[str, str]
) -> list[Change]:
    """The changes, except moved stores and models with the recorded digests, which are reported to the user."""
    left = []
    for change in changed:
        if _is_moved(change, recorded, found):
            notify(f"resuming with another path of the same files, {change}")
        else:
            left.append(change)
    return left


def _is_moved(change: Change, recorded: Mapping[str, str], found: Mapping[str, str]) -> bool:
    """Whether a key names a store or model at another path, with the digest that the run has recorded."""
    store = change.path.removesuffix(".path") if change.path.startswith("store.") else change.path
    key = "tokens" if store == "store" else store
    return key in recorded and recorded[key] == found.get(key)


def _is_path(change: Change) -> bool:
    """Whether a key that differs names a file or folder that exists now."""
    return isinstance(change.old, str) and isinstance(change.new, str) and Path(change.new).exists()


def _keys(path: str) -> list[str | int]:
    return [int(key) if key.isdigit() else key for key in path.split(".")]


def report_changes(changed: Iterable[Change], console: Console) -> None:
    """Report settings that differ from the resumed run."""
    for change in changed:
        console.note(f"resuming with another {change}")


def format_changes(changed: Iterable[Change]) -> str:
    """A heading and a line for each change."""
    return "".join(f"\n  {change}" for change in changed)


def changed_keys(old: RecipeBlock, new: RecipeBlock) -> list[Change]:
    """Differences between the recipes of two runs, apart from their paths.

    A model that one starts from may have the same path relative to both runs, as that of an earlier stage.
    """
    found = [change for change in difference(old, new) if change.path != "out"]
    outs = [str(getattr(recipe, "out", ".")) for recipe in (old, new)]
    return [change for change in found if change.path != "init_from" or not _beside(change, outs)]


def _beside(change: Change, outs: Sequence[str]) -> bool:
    paths = (change.old, change.new)
    if not all(isinstance(path, str) for path in paths):
        return False
    before, now = (os.path.relpath(path, out) for path, out in zip(paths, outs, strict=True))
    return before == now


def digests(models: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of each model's settings and weights, of each token store's tokenizer and contents, of each graph."""
    return {key: _of_store(path) or _of_graph(path) or _of_model(path) for key, path in models.items()}


def _of_model(path: Path) -> str:
    files = sorted([path / "config.json", *path.glob("*.safetensors")])
    return hashlib.sha256("".join(digest(file) for file in files).encode()).hexdigest()


def _of_store(path: Path) -> str | None:
    """None where there is no store; its record has the digests of its files."""
    written = path / "store.json"
    if not written.exists():
        return None
    facts = read_json(written, dict, "make the store again with nlptool tokenize")
    identity = json.dumps([facts.get(key) for key in ("fingerprint", "corpus", "files")], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()


def _of_graph(path: Path) -> str | None:
    """None where there is no graph; its fingerprint is that of its files."""
    written = path / "graph.json"
    if not written.exists():
        return None
    return str(read_json(written, dict, "build the graph again with nlptool knowledge").get("fingerprint"))


def recorded_digests(run: Path, known: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Digests of the models that a run began with. known: those of a checkpoint, which take precedence."""
    written = run / "environment.json"
    facts = read_json(written, dict, REMEDY, {"models?": {str: str}}) if written.exists() else {}
    return (facts.get("models") or {}) | dict(known)


def _require_same_models(
    run: Path, models: Mapping[str, Path], recorded: Mapping[str, str], found: Mapping[str, str]
) -> None:
    for key, digest_now in found.items():
        if recorded.get(key, digest_now) != digest_now:
            called = {"init_from": "initial model"}.get(key, key)
            what = "token store" if (models[key] / "store.json").exists() else called
            raise DataError(
                f"{models[key]}: is not the {what} that {run} began with: it was made anew, or replaced",
                hint=f"put the {what} back that was there, or start a new run with another --out",
            )
