"""The heavy half of `prompt`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlptool.atomic_files import write_json, write_text
from nlptool.commands.prompt import replies, sheets
from nlptool.commands.prompt.recipe import Recipe
from nlptool.commands.prompt.respondent import Respondent
from nlptool.commands.prompt.scoreboard import apart, labels, record, table
from nlptool.commands.prompt.sheets import Asking, Contamination, Sheet
from nlptool.console import Console, Options
from nlptool.errors import DataError, Preempted
from nlptool.formatting import counted, markdown
from nlptool.manifests import plain_names
from nlptool.models import hub
from nlptool.prompting.config import Response
from nlptool.runs import folder, machine
from nlptool.train.interrupts import SignalHandler

AT_ONCE = 64  # answers that are written together


def dry_run(recipe: Recipe, options: Options, console: Console) -> None:
    """Read all rows; show how many questions there are, and the first one of each task as it would be read."""
    told: list[dict[str, Any]] = []
    read = sheets.read(recipe, console)
    _require_able([(name, name, Path(name)) for name in recipe.models if Path(name).is_dir()], read)
    for sheet in read:
        for shots in recipe.shots:
            asked = sheets.fitted(sheet, shots, 10**9, lambda texts: [len(text) for text in texts])
            first = sheet.questions[0]
            told.append(
                {
                    "task": sheet.name,
                    "shots": shots,
                    "questions": len(asked),
                    "requests": sum(len(one.requests) for one in asked),
                    "characters": sum(len(context) + len(a) for one in asked for context, a in one.requests),
                    "first": asked[0].requests,
                    "right": first.answers[first.gold],
                    "gold": first.gold,
                }
            )
    if options.json:
        console.json(told)
        return
    for one in told:
        console.result(
            f"--- {one['task']}, {shots_of(one['shots'])}: the first question, and the right answer"
        )
        console.result(f"{one['first'][one['gold']][0]}⟦{one['right']}⟧\n")
    names = ("task", "shots", "questions", "requests", "characters")
    console.table(names, [[one[name] for name in names] for one in told], title="for each model")


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Ask every model every task, then write and show the scores."""
    records = ask(recipe, options, console)
    out = Path(recipe.out)
    columns, rows = table(records)
    write_json(out / "results.json", records)
    write_text(out / "results.md", markdown(columns, rows))
    if options.json:
        console.json(records)
        return
    console.table(
        columns, rows, title=f"± is the standard error; answers and prompts are in {out / 'answers'}"
    )


def ask(recipe: Recipe, options: Options, console: Console) -> list[dict[str, Any]]:
    """Ask every model every task, but for what has been answered already: scoreboard.record of each.

    Raises Preempted with the answers so far kept.
    """
    out = Path(recipe.out)
    read = sheets.read(recipe, console)
    seen: list[Contamination | None] = [None] * len(read)
    if recipe.contamination is not None:
        seen = [*sheets.contamination(recipe.contamination, read, console)]
    named = zip(recipe.models, labels(recipe.models), strict=True)
    models = [(name, label, hub.folder(name)) for name, label in named]
    _require_able(models, read)
    if options.resume and (out / "recipe.yaml").exists():
        folder.report_changes(folder.check_resume(out, recipe), console)
    packages = ("torch", "numpy", "tokenizers", "datasets")
    folder.create_run_folder(
        out,
        recipe,
        folder.environment(packages, machine.device_name(machine.device()), 1),
        overwrite=options.overwrite,
    )
    files = plain_names(sheet.name for sheet in read)
    folders = plain_names(label for _, label, _ in models)
    records: list[dict[str, Any]] = []
    try:
        with SignalHandler(alone=True) as interrupts:
            for given, kept in zip(models, folders, strict=True):
                model = Respondent(*given)  # one at a time in memory
                for sheet, file, contamination in zip(read, files, seen, strict=True):
                    for shots in recipe.shots:
                        path = out / "answers" / kept / f"{file}-{shots}.jsonl"
                        entries = _asked(model, sheet, shots, path, interrupts, console)
                        kind = model.kind(sheet.writing)
                        told = record(model.label, kind, model.parameters, sheet, shots, entries)
                        if contamination is not None:
                            told["contamination"] = apart(sheet, entries, contamination)
                        records.append(told)
                        _tell_of_length(told, console)
    except Preempted as stopped:
        raise Preempted(
            f"{stopped.message}; the answers so far are in {out / 'answers'}",
            hint="the same command with --resume auto goes on",
        ) from None
    return records


def _asked(
    model: Respondent, sheet: Sheet, shots: int, path: Path, interrupts: SignalHandler, console: Console
) -> list[dict[str, Any]]:
    """One model's answers to a task, those known already and those asked for now, in the order of the questions."""
    writing = sheet.writing
    asked = sheets.fitted(sheet, shots, model.room(writing), model.count)
    for remark in model.beyond([one.requests for one in asked], writing):
        console.note(f"{model.label}: {sheet.name}, {shots_of(shots)}: {remark}")
    if lost := sheets.not_spelled(asked, model.tokenizer):
        console.note(f"{model.label}: {sheet.name}, {shots_of(shots)}: {lost}")
    draws = writing is not None and writing.top_k is not None
    digests = [
        replies.of_question(model.digest, [one.requests, writing, *([number] if draws else [])])
        for one, number in zip(asked, sheet.numbers, strict=True)
    ]
    known = replies.read(path)
    missing = list({digest: at for at, digest in enumerate(digests) if digest not in known}.values())
    with console.progress(f"{model.label}: {sheet.name}, {shots_of(shots)}", len(asked), "questions") as bar:
        before = sum(digest in known for digest in digests)
        bar.to(before)
        waiting: list[dict[str, Any]] = []
        for done, (number, made) in enumerate(
            model.replies(
                [asked[at].requests for at in missing],
                writing,
                [sheet.numbers[at] for at in missing],
                [sheet.questions[at].place for at in missing],
            ),
            start=1,
        ):
            at = missing[number]
            waiting.append(_entry(sheet, at, asked[at], digests[at], made))
            if len(waiting) == AT_ONCE or done == len(missing):
                with interrupts.shield():
                    replies.add(path, waiting)
                    known |= {entry["digest"]: entry for entry in waiting}
                    waiting = []
            bar.to(before + done)
    entries = []
    for at, (one, digest) in enumerate(zip(asked, digests, strict=True)):
        made = replies.of_line(known[digest])
        if len(made) != len(one.requests):
            raise DataError(
                f"{path}: {counted(len(made), 'replies')} to {sheet.questions[at].place}, which "
                f"has {len(one.requests)}",
                hint="remove the file, and only its answers are asked for again",
            )
        entries.append(_entry(sheet, at, one, digest, made))
    with interrupts.shield():
        replies.replace(path, entries, known)
    return entries


def _require_able(models: Sequence[tuple[str, str, Path]], read: Sequence[Sheet]) -> None:
    """Raise DataError, before anything is asked, where a model cannot be asked what it is to be asked.

    models: name, label and folder of each.
    """
    _require_writers([Respondent(*given) for given in models], read)  # which reads settings only
    for given in models:
        model = Respondent(*given)  # one at a time in memory
        _require_room(model, read)
        if any(sheet.writing is None for sheet in read) and (lack := model.lacks):
            raise DataError(
                f"{model.name}: {lack}",
                hint="name a model with its language-model head, as pretraining leaves it",
            )


def _require_writers(models: Sequence[Respondent], read: Sequence[Sheet]) -> None:
    """Raise DataError where a model is no decoder and a task wants an answer written."""
    free = [sheet.name for sheet in read if sheet.writing is not None]
    unable = [model.name for model in models if free and not model.is_decoder]
    if unable:
        raise DataError(
            f"{', '.join(unable)}: an encoder writes no text, and {', '.join(free)} is answered by writing",
            hint="leave out the model or the task; tasks of choices and continuations can be asked of both",
        )


def _require_room(model: Respondent, read: Sequence[Sheet]) -> None:
    """Raise DataError where a model does not even read, or write, an answer by itself."""
    for sheet in read:
        room = model.room(sheet.writing)
        if sheet.writing is not None:
            if room < 1:
                raise DataError(
                    f"{sheet.name}: an answer of {counted(sheet.writing.tokens, 'tokens')}, and {model.name} reads "
                    f"{room + sheet.writing.tokens:,} with the question",
                    hint="give the task fewer: tokens",
                )
            continue
        for question in sheet.questions:
            # A token has at least a byte, so short answers need not be counted.
            for answer in [one for one in question.answers if len(one.encode()) > room]:
                (length,) = model.count([answer])
                if length > room:
                    raise DataError(
                        f"{question.place}: an answer of {counted(length, 'tokens')}, and {model.name} reads {room:,}",
                        hint=f"remove the row, or do not ask this model {sheet.name}",
                    )


def _tell_of_length(told: dict[str, Any], console: Console) -> None:
    """Say where a model does not read as much as it was to be asked."""
    where, total = f"{told['model']}: {told['task']}, {shots_of(told['shots'])}", told["questions"]
    if fewer := told["fewer_shots"]:
        console.note(
            f"{where}: fewer demonstrations, to fit the model, in {fewer:,} of {counted(total, 'questions')}"
        )
    if shortened := told["shortened"]:
        console.note(
            f"{where}: the end of a long text is left out, to fit the model, in {shortened:,} of "
            f"{counted(total, 'questions')}"
        )
    if cut := told["cut"]:
        console.note(f"{where}: the model reads only the end of {cut:,} of {counted(total, 'questions')}")


def _entry(sheet: Sheet, number: int, asked: Asking, digest: str, made: Sequence[Response]) -> dict[str, Any]:
    """What is kept of a question."""
    question = sheet.questions[number]
    kept = ("text", "cut") if sheet.writing else ("logprob", "tokens", "greedy", "cut")
    alike = len({context for context, _ in asked.requests}) == 1
    return {
        "place": question.place,
        **({"part": question.part} if question.part else {}),
        "shots": asked.shots,
        **({"left_out": asked.left_out} if asked.left_out else {}),
        "prompt": asked.requests[0][0] if alike else [context for context, _ in asked.requests],
        **(
            {"references": question.references}
            if sheet.writing
            else {"answers": [answer for _, answer in asked.requests], "gold": question.gold}
        ),
        "replies": [{key: value for key, value in reply._asdict().items() if key in kept} for reply in made],
        "digest": digest,
    }


def shots_of(number: int) -> str:
    """`1 shot`, `5 shots`."""
    return f"{number} shot{'' if number == 1 else 's'}"
