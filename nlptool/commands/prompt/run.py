"""Implementation of `prompt`: reads models and tasks, requests responses, writes and shows the metrics."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptool.atomic_files import write_json, write_text
from nlptool.commands.prompt.recipe import Recipe
from nlptool.console import Console, Options
from nlptool.errors import Preempted
from nlptool.formatting import counted, markdown
from nlptool.launch import ALONE
from nlptool.manifests import plain_names
from nlptool.models import hub
from nlptool.progress import Progress
from nlptool.prompting import results
from nlptool.prompting.contamination import Contamination, search_tasks, training_documents
from nlptool.prompting.prompted_model import PromptedModel, require_capable, require_decoders
from nlptool.prompting.requests import TaskRun, fit_fewshot_examples, read_task
from nlptool.prompting.results import shots_text
from nlptool.prompting.task_evaluation import TaskEvaluation
from nlptool.runs import folder, machine
from nlptool.text.store import TokenStore
from nlptool.train import distributed
from nlptool.train.interrupts import SignalHandler

PACKAGES = ("torch", "numpy", "tokenizers", "datasets")
RESULTS = "results.json"
UNLIMITED = 10**9  # tokens shown of a prompt


def dry_run(recipe: Recipe, options: Options, console: Console) -> None:
    """Read all rows; show the number of requests, and the first one of each task as read by a model."""
    shown: list[dict[str, Any]] = []
    runs = _read_tasks(recipe, console)
    _require_models([(name, name, Path(name)) for name in recipe.models if Path(name).is_dir()], runs)
    for run in runs:
        for shots in recipe.num_fewshot:
            batches = fit_fewshot_examples(run, shots, UNLIMITED, lambda texts: [len(text) for text in texts])
            first = run.instances[0]
            shown.append(
                {
                    "task": run.name,
                    "num_fewshot": shots,
                    "questions": len(batches),
                    "requests": sum(len(batch.requests) for batch in batches),
                    "characters": sum(len(c) + len(a) for batch in batches for c, a in batch.requests),
                    "first": batches[0].requests,
                    "right": first.answers[first.gold],
                    "gold": first.gold,
                }
            )
    if options.json:
        console.json(shown)
        return
    for one in shown:
        console.result(
            f"--- {one['task']}, {shots_text(one['num_fewshot'])}: the first question, and the right answer"
        )
        console.result(f"{one['first'][one['gold']][0]}⟦{one['right']}⟧\n")
    names = ("task", "num_fewshot", "questions", "requests", "characters")
    console.table(names, [[one[name] for name in names] for one in shown], title="for each model")


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Evaluate every model on every task, then write and show the metrics."""
    records = evaluate(recipe, options, console)
    out = Path(recipe.out)
    columns, rows = results.results_table(records)
    write_json(out / RESULTS, records)
    write_text(out / "results.md", markdown(columns, rows))
    if options.json:
        console.json(records)
        return
    console.table(
        columns, rows, title=f"± is the standard error; answers and prompts are in {out / 'answers'}"
    )


def evaluate(recipe: Recipe, options: Options, console: Console) -> list[dict[str, Any]]:
    """Evaluate every model on every task, reusing cached responses: results.record of each.

    Raises Preempted with the responses so far in the cache.
    """
    out = Path(recipe.out)
    runs = _read_tasks(recipe, console)
    contaminations: Sequence[Contamination | None] = [None] * len(runs)
    if recipe.contamination is not None:
        contaminations = _search(recipe.contamination, runs, console)
    labels = results.model_labels(recipe.models)
    models = [(name, label, hub.folder(name)) for name, label in zip(recipe.models, labels, strict=True)]
    _require_models(models, runs)
    finished = False
    if options.resume and (out / "recipe.yaml").exists():
        changed = folder.check_resume(out, recipe)
        folder.report_changes(changed, console)
        finished = not changed and (out / RESULTS).exists()
    environment = machine.environment(PACKAGES, distributed.join(ALONE))
    folder.create_run_folder(out, recipe, environment, overwrite=options.overwrite, finished=finished)
    files = plain_names(run.name for run in runs)
    folders = plain_names(label for _, label, _ in models)
    records: list[dict[str, Any]] = []
    try:
        with SignalHandler(alone=True) as interrupts:
            for named, inside in zip(models, folders, strict=True):
                model = PromptedModel(*named, machine.device(), recipe.batch_size)  # one at a time in memory
                for run, file, contamination in zip(runs, files, contaminations, strict=True):
                    for shots in recipe.num_fewshot:
                        path = out / "answers" / inside / f"{file}-{shots}.jsonl"
                        evaluation = TaskEvaluation(model, run, shots, path)
                        entries = _entries(evaluation, shots, interrupts, console)
                        kind = model.score_kind(run.generation)
                        record = results.record(model.label, kind, model.parameters, run, shots, entries)
                        if contamination is not None:
                            record["contamination"] = results.split_by_contamination(
                                run, entries, contamination
                            )
                        records.append(record)
                        console.notes(results.length_remarks(record))
    except Preempted as stopped:
        raise Preempted(
            f"{stopped.message}; the answers so far are in {out / 'answers'}",
            hint="the same command with --resume auto continues",
        ) from None
    return records


def _entries(
    evaluation: TaskEvaluation, shots: int, interrupts: SignalHandler, console: Console
) -> list[Mapping[str, Any]]:
    """The responses of one model to a task, cached or new, in the order of the instances."""
    title = f"{evaluation.model.label}: {evaluation.run.name}, {shots_text(shots)}"
    console.notes(f"{title}: {remark}" for remark in evaluation.remarks)
    with console.progress(title, len(evaluation.batches), "questions") as bar:
        cached = evaluation.cached
        bar.to(cached)
        for done in evaluation.request(interrupts.shield):
            bar.to(cached + done)
    return evaluation.entries(interrupts.shield)


def _read_tasks(recipe: Recipe, console: Console) -> list[TaskRun]:
    """The tasks of a recipe. Raises DataError for an invalid row, UsageError for a missing package."""
    for spec in recipe.tasks:
        spec.task.require_packages()
    data = Path(recipe.data) if recipe.data is not None else None
    runs = []
    for spec in recipe.tasks:
        run = read_task(spec, data, max(recipe.num_fewshot), recipe.limit, recipe.seed)
        console.notes(f"{run.name}: {remark}" for remark in run.remarks)
        runs.append(run)
    return runs


def _search(path: str, runs: Sequence[TaskRun], console: Console) -> list[Contamination]:
    """The contamination of each task by a token store. Raises DataError for a damaged store."""
    store = TokenStore(Path(path))
    with console.progress(f"searching {path}", len(store.split("train")), "documents") as bar:
        found = search_tasks(runs, _counted(training_documents(store), bar))
    for run, one in zip(runs, found, strict=True):
        console.note(
            f"{run.name}: {counted(one.n, 'words')} in a row in common with {path}: "
            f"{sum(one.dirty):,} of {counted(len(one.dirty), 'questions')}"
        )
    return found


def _counted(documents: Iterable[str], bar: Progress) -> Iterator[str]:
    for number, document in enumerate(documents, start=1):
        yield document
        bar.to(number)


def _require_models(models: Sequence[tuple[str, str, Path]], runs: Sequence[TaskRun]) -> None:
    """Raise DataError, before any request, for a model that cannot do a task. models: name, label and folder."""
    require_decoders([PromptedModel(*named, machine.device()) for named in models], runs)
    for named in models:
        require_capable(PromptedModel(*named, machine.device()), runs)  # one at a time in memory
