"""Implementation of `export`: models as Hugging Face folders or ONNX, uploads to the hub, graphs for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlptool import folder_kinds, registry, weights_record
from nlptool.commands.export import graph, onnx
from nlptool.commands.export.onnx import Graphs
from nlptool.commands.export.options import ExportOptions
from nlptool.console import Console, Options
from nlptool.errors import DataError, UsageError
from nlptool.manifests import atomic_folder, verify_manifest
from nlptool.metric_table import objective_of
from nlptool.models import hub
from nlptool.recipe import kept, kept_source
from nlptool.runs import folder, model_card, run_state
from nlptool.runs.model_card import Publication

if TYPE_CHECKING:
    from nlptool.commands.pretrain.setup import PretrainSetup
    from nlptool.commands.pretrain_transe.setup import TransESetup


def run(options: ExportOptions, output: Options, console: Console) -> None:
    """Export the model of a checkpoint, or a finished model; upload it if requested."""
    source = Path(options.source)
    if why := _superseded(options):
        raise UsageError(why)
    if options.of_graph:
        _finish(graph.export(options, console), options, output, console)
        return
    if options.to == "onnx":
        _finish(onnx.export(options, console), options, output, console)
        return
    publication = Publication(options.license, options.languages)
    if (source / "config.json").exists():
        facts = _finished(source, options, publication)
    else:
        facts = _of_checkpoint(source, options, publication, console)
    _finish(facts, options, output, console)


def _superseded(options: ExportOptions) -> str | None:
    """Why a model should not be published: its run has continued since."""
    if options.to == "onnx":
        return hub.origin_problem(options.source)
    models = (options.vectors,) if options.of_graph else (Path(options.source),)
    return next(
        filter(None, (weights_record.superseded_final(model) for model in models if model is not None)), None
    )


def _finish(
    result: dict[str, str] | Graphs, options: ExportOptions, output: Options, console: Console
) -> None:
    """Upload the result if requested, and report."""
    facts: dict[str, Any] = dict(result.facts if isinstance(result, Graphs) else result)
    folder = Path(facts["folder"])
    if options.repository is not None:
        with console.progress(f"uploading to {options.repository}", None, "files"):
            facts["uploaded"] = hub.upload(folder, options.repository, private=options.private)
    if output.json:
        console.json(facts | ({"graphs": result.measured} if isinstance(result, Graphs) else {}))
        return
    console.facts(facts.pop("folder"), facts)
    if isinstance(result, Graphs):
        console.table(*result.table())


def _finished(model: Path, options: ExportOptions, publication: Publication) -> dict[str, str]:
    """A finished model folder, with a new card if the options add to it."""
    if options.out is not None or options.checkpoint is not None:
        raise UsageError(
            f"{model}: is a model of transformers already, so --out and --checkpoint have no effect",
            hint="--push-to-hub OWNER/NAME uploads it; --license and --language write its card again",
        )
    if publication != Publication():
        run = model.parent
        stamp = weights_record.read(model)
        if stamp is None or not (run / "recipe.yaml").is_file():
            raise UsageError(
                f"{model}: is not in a run folder, so there is no information for a card",
                hint=f"change the front matter of {model / model_card.NAME} by hand",
            )
        model_card.write(model, run, int(stamp["step"]), publication)
    elif options.repository is None:
        raise UsageError(
            f"{model}: is a model of transformers already",
            hint="--push-to-hub OWNER/NAME uploads it; --license and --language write its card again",
        )
    return {"folder": str(model), "format": "Hugging Face transformers"}


def _of_checkpoint(
    run: Path, options: ExportOptions, publication: Publication, console: Console
) -> dict[str, str]:
    """Export the model of a checkpoint of a pretraining run, with its tokenizer and card."""
    if folder_kinds.is_labelled(run):
        raise _is_exported(run)
    if "objective" not in folder_kinds.keys(run):
        raise UsageError(f"{run}: is not a run of a pretraining command: {folder_kinds.describe(run)}")
    out = options.out or run / "hf"
    folder.prepare_output_folder(
        out, Options(overwrite=options.overwrite), holds="config.json", reads=[str(run)]
    )
    from safetensors.torch import load_file

    from nlptool.train import checkpoint

    of_graph = objective_of(kept_source(run).data) in registry.objectives("graph")
    setup = _graph_setup(run) if of_graph else _setup(run)
    chosen = _choose(run / "checkpoints", options.checkpoint or "newest", console)
    objective: Any = setup.objective()
    tensors = load_file(chosen / "model.safetensors")
    if bad := checkpoint.not_finite(tensors):
        names = ", ".join(bad[:3])
        raise DataError(f"{chosen}: its weights are not finite ({names})", hint="export another checkpoint")
    objective.load_state_dict(tensors)
    step = checkpoint.step_of(chosen)
    with atomic_folder(out) as aside:
        setup.export(objective, aside)
        weights_record.stamp(aside, weights_record.Stamp(step, step))
        if not of_graph:
            model_card.write(aside, run, step, publication)
    if why := run_state.outdated(run):
        console.note(f"{run / 'final'} {why}")
    ended = {} if run_state.has_ended(run) else {"run": "has not ended"}
    kind = "vectors of a graph" if of_graph else "Hugging Face transformers"
    return {"folder": str(out), "from": str(chosen), "format": kind} | ended


def _setup(run: Path) -> "PretrainSetup":
    from nlptool.commands.pretrain.recipe import Recipe
    from nlptool.commands.pretrain.setup import PretrainSetup

    recipe = kept(run, Recipe)
    for store in recipe.stores:
        if not Path(store.path).exists():
            raise UsageError(
                f"{run}: its token store is no longer at {store.path}, and an export needs its tokenizer",
                hint=f"if it has moved, link to it: ln -s PATH {store.path}",
            )
    return PretrainSetup(recipe)


def _graph_setup(run: Path) -> "TransESetup":
    from nlptool.commands.pretrain_transe.recipe import Recipe
    from nlptool.commands.pretrain_transe.setup import TransESetup

    return TransESetup(kept(run, Recipe))


def _is_exported(run: Path) -> UsageError:
    """The error for a run on a labelled task: its results are Hugging Face folders already."""
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
            console.note(f"skipped {bad.folder}: {bad.reason}")
        return path
    named: Path | None = checkpoints / wanted
    if wanted == "best":
        named, broken = checkpoint.best(checkpoints)
        for bad in broken:
            console.note(f"skipped {bad.folder}, whose held-out loss is lower: {bad.reason}")
    if named is None or not named.is_dir():
        known = ", ".join(path.name for path in checkpoint.steps(checkpoints)) or "none"
        raise UsageError(f"{checkpoints}: no checkpoint {wanted}", hint=f"there are: {known}")
    why = verify_manifest(named)
    if why is not None:
        raise DataError(f"{named}: {why}")
    return named
