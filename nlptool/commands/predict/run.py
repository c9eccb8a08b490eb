"""Implementation of `predict`: rows are read, encoded and predicted in chunks, in their order."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from nlptool import weights_record
from nlptool.commands.predict.options import PredictOptions
from nlptool.console import Console, Options
from nlptool.data.length_bucketing import TOKENS
from nlptool.data.pair_inputs import Truncation
from nlptool.errors import DataError, Preempted, UsageError
from nlptool.formatting import counted
from nlptool.launch import ALONE
from nlptool.malloc import give_back_free_memory
from nlptool.models import hub
from nlptool.recipe import digest
from nlptool.tasks import row_chunks, row_source
from nlptool.tasks.base import LabelledDataset, Numbers
from nlptool.tasks.finetuned import FinetunedModel
from nlptool.tasks.prediction_parts import PredictionParts
from nlptool.tasks.predictions import compute_logits, explanations
from nlptool.tasks.row_chunks import EncodedChunk
from nlptool.tasks.row_source import InputRows
from nlptool.text.input_rows import STDIN
from nlptool.text.row_formats import Rows
from nlptool.train import distributed
from nlptool.train.interrupts import SignalHandler

EXPLAINED = 32
"""Rows explained at once."""
ROWS = 512
"""Most rows of a batch."""


class Ensemble:
    """Fine-tuned models that predict by their mean. Raises DataError where their tasks differ."""

    def __init__(self, names: Sequence[str], options: PredictOptions, signals: SignalHandler) -> None:
        self.world, self.signals = distributed.join(ALONE), signals
        self.batch_size = options.batch_size
        self.models = [
            FinetunedModel(name, hub.folder(name), self.world.device, options.task) for name in names
        ]
        first = self.models[0]
        self.task, self.objective = first.task, first.objective
        for model in self.models[1:]:
            alike = model.record._replace(thresholds={}) == first.record._replace(thresholds={})
            if not alike or model.tokenizer.fingerprint != first.tokenizer.fingerprint:
                raise DataError(
                    f"{model.name}: does not read rows as {first.name} does, so they have no mean"
                )
        shared = {
            name: sum(model.objective.thresholds[name] for model in self.models) / len(self.models)
            for name in self.objective.thresholds
        }
        self.objective.thresholds.update(shared)
        self.encode = first.encode
        self.cuts: dict[str, Truncation] = {}
        """Truncations of the rows so far, by the part of a row."""
        if options.explain and not self.objective.explains:
            raise UsageError(f"--explain: a task of kind {self.task.name} has no explanations")
        if options.explain and len(self.models) > 1:
            raise UsageError(
                "--explain: several models answer by their mean, which has no paths of its own",
                hint=f"name one of them, e.g. {names[0]}",
            )

    def count_cuts(self, dataset: LabelledDataset) -> None:
        """Add the truncations of some rows."""
        for cut in dataset.cuts:
            before = self.cuts.get(cut.what, cut._replace(rows=0))
            self.cuts[cut.what] = cut._replace(rows=before.rows + cut.rows)

    def answers(self, dataset: LabelledDataset) -> Iterator[dict[str, Any]]:
        """As TaskObjective.answers."""
        logits = [self._logits(model, dataset) for model in self.models]
        mean = logits[0] if len(logits) == 1 else self.objective.average(logits)
        return self.objective.answers(dataset, mean)

    def explanations(self, dataset: LabelledDataset) -> list[dict[str, Any]]:
        """The explanation of each row's answer."""
        return explanations(self.objective, dataset, self.world.device, EXPLAINED) or []

    def _logits(self, model: FinetunedModel, dataset: LabelledDataset) -> Numbers:
        return compute_logits(
            model.objective,
            dataset,
            model.record.precision,
            self.world,
            self.signals,
            batch_size=self.batch_size or ROWS,
            tokens=TOKENS[self.world.device.type] if self.batch_size is None else None,
        )


def run(request: tuple[Sequence[str], PredictOptions], options: Options, console: Console) -> None:
    """Predict every row, to the end or to a signal."""
    names, question = request
    with SignalHandler(alone=True) as signals:
        ensemble = Ensemble(names, question, signals)
        _answer(ensemble, question, options, console)
    for cut in ensemble.cuts.values():
        if cut.rows:
            console.note(cut.message_of_rows())


def _answer(ensemble: Ensemble, question: PredictOptions, options: Options, console: Console) -> None:
    """Predict the texts of the command line, or the rows of the files."""
    if question.texts:
        rows = row_source.of_texts(ensemble.task, question.texts, one_row=question.one_row)
        _show(
            [line for _, lines, _ in predicted(ensemble, rows, question, 0) for line in lines],
            question,
            options,
            console,
        )
        return
    source = InputRows(ensemble.task, question.files, question.format, question.columns, question.mapped)
    if question.out is None:
        _to_stdout(ensemble, source, question, console)
    else:
        _to_file(question.out, ensemble, source, question, options, console)


def _show(
    answers: list[dict[str, Any]], question: PredictOptions, options: Options, console: Console
) -> None:
    """The answers to texts of the command line."""
    answers = [{name: answer[name] for name in answer if name not in ("row", "id")} for answer in answers]
    if options.json:
        console.json(answers[0] if len(answers) == 1 else answers)
        return
    titles = question.texts if len(answers) > 1 else [" | ".join(question.texts)]
    for title, answer in zip(titles, answers, strict=True):
        console.facts(title, _shown(answer))


def _to_stdout(ensemble: Ensemble, source: InputRows, question: PredictOptions, console: Console) -> None:
    skipped, answers, faults = 0, 0, list[str]()
    for chunk, lines, _ in predicted(ensemble, source.read(), question, 0):
        for line in lines:
            console.json_line(line)
        answers, skipped = answers + len(lines), skipped + len(chunk.faults)
        faults = [*faults, *(fault.message for fault in chunk.faults)][:1]
    _note_skipped(console, skipped, faults)
    _require_answers(answers, question)


def _require_answers(answers: int, question: PredictOptions) -> None:
    """Raise DataError where no row was predicted."""
    if not answers:
        raise DataError(f"{', '.join(question.files)}: no row to predict")


def _to_file(
    out: Path,
    ensemble: Ensemble,
    source: InputRows,
    question: PredictOptions,
    options: Options,
    console: Console,
) -> None:
    parts = PredictionParts(out, _provenance(ensemble, question))
    done = parts.progress()
    if done.rows:
        if STDIN in question.files:
            raise UsageError("standard input cannot be gone back to", hint="name files, or use --overwrite")
        console.note(f"{out}: resuming after {counted(done.rows, 'rows')}")
    try:
        with console.progress("predicting", None, "rows") as bar:
            for chunk, lines, end in predicted(ensemble, source.read(), question, done.rows):
                with ensemble.signals.shield():
                    done = parts.add(lines, done, end, [fault.message for fault in chunk.faults])
                bar.to(end)
                if done.parts == 1:
                    give_back_free_memory()
    except Preempted as stop:
        raise Preempted(
            f"{stop.message} after {counted(done.rows, 'rows')}; they are kept in {parts.folder}",
            hint="the same command with --resume auto continues from there",
        ) from None
    except DataError as error:
        if done.rows:
            error.hint = "; ".join(
                filter(None, (error.hint, f"{counted(done.rows, 'rows')} are kept: --resume auto continues"))
            )
        raise
    _require_answers(done.answers, question)
    with ensemble.signals.shield():
        parts.finish(done)
    _note_skipped(console, done.skipped, done.faults)
    summary: dict[str, Any] = {"out": str(out), "rows": done.answers, "skipped": done.skipped}
    if options.json:
        console.json(summary | {"faults": list(done.faults)})
    else:
        console.facts("predictions", summary)


def predicted(
    ensemble: Ensemble, rows: Rows, question: PredictOptions, start: int
) -> Iterator[tuple[EncodedChunk, list[dict[str, Any]], int]]:
    """Each chunk, its lines, and the number of the row after it."""
    for first, some in row_chunks.chunks(rows, start):
        with row_chunks.encoded(first, some, ensemble.encode, skip=question.skip) as chunk:
            lines: list[dict[str, Any]] = []
            if chunk.dataset is not None:
                ensemble.count_cuts(chunk.dataset)
                answers = list(ensemble.answers(chunk.dataset))
                if question.explain:
                    reasons = ensemble.explanations(chunk.dataset)
                    answers = [answer | why for answer, why in zip(answers, reasons, strict=True)]
                lines = list(_lines(chunk, answers, ensemble, question))
            yield chunk, lines, chunk.end


def _lines(
    chunk: EncodedChunk, answers: list[dict[str, Any]], ensemble: Ensemble, question: PredictOptions
) -> Iterator[dict[str, Any]]:
    """The output of each row: its number, its columns if they are kept, its prediction."""
    if len(answers) != len(chunk.rows):
        if question.keep:
            raise UsageError("--keep: a row of this task has several answers", hint="leave --keep out")
        yield from answers
        return
    for (number, row), given in zip(chunk.rows, answers, strict=True):
        answer = given | ensemble.objective.located(row, given)
        if question.submission:
            yield {"index": number, "prediction": ensemble.objective.submitted(answer)}
        elif question.keep:
            taken = {"row", *answer}
            kept = {f"input.{name}" if name in taken else name: value for name, value in row.values.items()}
            yield {"row": number} | kept | answer
        else:
            yield {"row": number} | answer


def _provenance(ensemble: Ensemble, question: PredictOptions) -> dict[str, Any]:
    """Everything that decides the predictions, with the words that describe a difference."""
    files = [
        [name, Path(name).stat().st_size if name != STDIN and Path(name).exists() else None]
        for name in question.files
    ]
    return {
        "model": [
            [model.name, weights_record.weights(model.folder), model.tokenizer.fingerprint]
            for model in ensemble.models
        ],
        "task": digest(ensemble.task),
        "file": files,
        "format": [question.format, list(question.columns), question.mapped],
        "set of options": [
            question.keep,
            question.skip,
            question.submission,
            *([True] if question.explain else []),
        ],
    }


def _note_skipped(console: Console, skipped: int, faults: Sequence[str]) -> None:
    if skipped:
        (first,) = islice(faults, 1)
        console.note(f"{counted(skipped, 'rows')} that cannot be read left out; the first: {first}")


def _shown(answer: dict[str, Any]) -> dict[str, object]:
    """An answer in a table: probabilities in descending order."""
    found: dict[str, object] = {}
    reasons = {name: answer[name] for name in ("statements", "paths") if name in answer}
    for name, value in answer.items():
        if name in reasons:
            continue
        if isinstance(value, dict):
            ranked = sorted(value.items(), key=lambda one: -one[1])
            found |= {f"  {label}": f"{share:.4f}" for label, share in ranked}
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            found |= {
                f"  {place}": "  ".join(map(str, one.values())) for place, one in enumerate(value[:5], 1)
            }
        else:
            found[name] = " ".join(map(str, value)) if isinstance(value, list) else value
    for label, statement in reasons.get("statements", {}).items():
        paths = reasons["paths"][label]
        found[f"why {label}"] = statement if paths else f"{statement} (no path)"
        found |= {
            f"  {label}.{n}": f"{one['attention']:.4f}  {one['path']}" for n, one in enumerate(paths, 1)
        }
    return found
