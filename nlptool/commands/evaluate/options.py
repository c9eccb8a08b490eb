"""`nlptool evaluate MODEL ...`: perplexity on held-out text, minimal-pair accuracy, and suites of tasks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from nlptool import folder_kinds
from nlptool.commands.suite import recipe as suite
from nlptool.commands.suite.recipe import ResolvedSuite
from nlptool.errors import UsageError
from nlptool.models import hub
from nlptool.recipe import Named
from nlptool.registry import DiscriminatedBy
from nlptool.tasks import inference
from nlptool.tasks.config import TaskConfig


class EvaluationOptions(NamedTuple):
    """Evaluations of every model."""

    store: Path | None
    """A token store whose held-out documents are scored as text."""
    max_chars: int
    """Most characters of each document, from its beginning."""
    minimal_pairs: Path | None
    """A folder of minimal pairs, JSON lines."""
    limit: int
    """Pairs of each file."""
    suite: str | None
    """Tasks to fine-tune each model on: the path or name of a suite."""
    data: str | None
    """The rows of these tasks, in place of the suite's own."""
    stride: int | None = None
    """Tokens from one window of a text to the next; None: as little overlap as possible."""
    pll: Literal["original", "within_word_l2r"] = "original"
    """How a masked LM scores minimal pairs."""
    batch_size: int | None = None
    """Rows that an encoder reads at once; None: as many as have 16,384 tokens."""


class TaskQuestion(NamedTuple):
    """Labelled rows that fine-tuned models are scored on."""

    task: TaskConfig | None
    """None: each model's own."""
    data: str | None
    """A folder with a file for each split, or one file of rows; None: the hub."""
    splits: tuple[str, ...] = ()
    """None: the task's validation splits, or the file."""
    batch_size: int | None = None
    """Rows of a batch; None: as in fine-tuning's evaluation."""


class GraphRanking(NamedTuple):
    """Triples of a graph to rank by entity embeddings."""

    graph: Path
    splits: tuple[str, ...]


class Evaluation(NamedTuple):
    """What to evaluate, and the output folder."""

    models: Sequence[str]
    options: EvaluationOptions
    suite: ResolvedSuite | None
    out: Path | None


def resolve(models: Sequence[str], options: EvaluationOptions, out: Path | None) -> Evaluation:
    """Read and check everything before a model is read.

    Raises UsageError when there is nothing to evaluate, or a suite has no output folder.
    """
    if options.store is None and options.minimal_pairs is None and options.suite is None:
        raise UsageError(
            "nothing to evaluate the models on",
            hint="--store STORE scores its held-out text, --minimal-pairs FOLDER minimal pairs, --suite SUITE tasks",
        )
    if options.suite is not None and out is None:
        raise UsageError("the results of a suite are written to a folder", hint="name one with --out")
    for model in models:
        if wrong := hub.problem(model):
            raise UsageError(wrong)
    return Evaluation(
        models, options, None if options.suite is None else suite.read(options.suite, options.data), out
    )


def graph_ranking(folders: Sequence[str], graph: Path, splits: Sequence[str]) -> GraphRanking:
    """The triples of the splits, by default of validation. Raises UsageError."""
    for folder in folders:
        if not Path(folder).is_dir():
            raise UsageError(f"{folder}: no such folder", hint="name the final/ of a run of pretrain-transe")
    if wrong := [name for name in splits if name not in ("train", "validation", "test")]:
        raise UsageError(f"--split {wrong[0]}: a graph has train, validation and test")
    return GraphRanking(graph, tuple(splits) or ("validation",))


def task_question(
    models: Sequence[str],
    task: str | None,
    data: str | None,
    splits: Sequence[str],
    batch_size: int | None = None,
) -> TaskQuestion:
    """The rows of a task's name or file. Raises UsageError and RecipeError before anything heavy is imported.

    A file or folder of rows in place of a task is the data, and the task is the model's.
    """
    if task is not None and data is None and inference.is_data(task):
        task, data = None, task
    found = None if task is None else Named(DiscriminatedBy("tasks"), "tasks", "task").block(task)
    if data is not None and not Path(data).exists():
        raise UsageError(f"--data: no folder or file {data}")
    if data is not None and Path(data).is_file():
        if splits:
            raise UsageError(
                f"--split: {data} is one file", hint="leave out --split, or name the folder with --data"
            )
        splits = (Path(data).name.partition(".")[0],)
    for model in models:
        path = Path(model)
        if (wrong := hub.problem(model)) and not folder_kinds.finals(path):
            raise UsageError(wrong)
    return TaskQuestion(found, data, tuple(splits), batch_size)
