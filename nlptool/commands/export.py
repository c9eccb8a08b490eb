"""`nlptool export RUN --to hf`: a checkpoint of a run as a folder that Hugging Face transformers loads."""

from pathlib import Path

from nlptool import folder_kinds, weights_record
from nlptool.console import Console, Options
from nlptool.errors import DataError, UsageError
from nlptool.manifests import atomic_folder, verify_manifest
from nlptool.recipe import kept
from nlptool.runs import folder, run_state


def run(run: Path, out: Path, wanted: str, *, overwrite: bool, console: Console) -> None:
    """Write the model of one checkpoint, with its tokenizer, to `out`.

    wanted: `newest` (whole), `best` (lowest held-out loss) or a folder's name such as step-00001000.
    """
    if folder_kinds.is_labelled(run):
        raise _is_exported(run)
    if "objective" not in folder_kinds.keys(run):
        raise UsageError(f"{run}: is no run of a pretraining command: {folder_kinds.describe(run)}")
    folder.prepare_output_folder(out, Options(overwrite=overwrite), holds="config.json", reads=[str(run)])
    from safetensors.torch import load_file

    from nlptool.commands.pretrain.recipe import Recipe
    from nlptool.commands.pretrain.setup import PretrainSetup
    from nlptool.train import checkpoint

    setup = PretrainSetup(kept(run, Recipe))
    chosen = _choose(run / "checkpoints", wanted, console)
    objective = setup.objective()
    tensors = load_file(chosen / "model.safetensors")
    if bad := checkpoint.not_finite(tensors):
        told = ", ".join(bad[:3])
        raise DataError(f"{chosen}: its weights are not finite ({told})", hint="export another checkpoint")
    objective.load_state_dict(tensors)
    step = checkpoint.step_of(chosen)
    with atomic_folder(out) as aside:
        setup.export(objective, aside)
        weights_record.stamp(aside, weights_record.Stamp(step, step))
    facts = {"from": str(chosen), "format": "Hugging Face transformers"}
    if why := run_state.outdated(run):
        console.note(f"{run / 'final'} {why}")
    console.facts(str(out), facts | ({} if run_state.has_ended(run) else {"run": "has not ended"}))


def _is_exported(run: Path) -> UsageError:
    """Why a run on a labelled task is not exported: its results are folders that transformers loads."""
    if found := folder_kinds.finals(run):
        return UsageError(
            f"{run}: is a run of finetune or distill-task, whose result is exported already",
            hint=f"transformers loads {', '.join(map(str, found))}",
        )
    return UsageError(
        f"{run}: is a run of finetune or distill-task, which writes its result when it ends; there is none yet",
        hint="resume it with the command in command.txt and --resume auto",
    )


def _choose(checkpoints: Path, wanted: str, console: Console) -> Path:
    from nlptool.train import checkpoint

    if wanted == "newest":
        path, broken = checkpoint.newest(checkpoints)
        if path is None:
            reasons = "; ".join(f"{bad.folder.name}: {bad.reason}" for bad in broken)
            raise DataError(f"{checkpoints}: no whole checkpoint{reasons and f' ({reasons})'}")
        for bad in broken:
            console.note(f"passed over {bad.folder}: {bad.reason}")
        return path
    named = checkpoint.best(checkpoints) if wanted == "best" else checkpoints / wanted
    if named is None or not named.is_dir():
        known = ", ".join(path.name for path in checkpoint.steps(checkpoints)) or "none"
        raise UsageError(f"{checkpoints}: no checkpoint {wanted}", hint=f"there are: {known}")
    why = verify_manifest(named)
    if why is not None:
        raise DataError(f"{named}: {why}")
    return named
