"""Scores of models on prompted tasks: records, and the table that is made of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from nlptool.commands.prompt import replies
from nlptool.commands.prompt.sheets import Contamination, Sheet
from nlptool.formatting import counted, finite
from nlptool.metric_table import PROMPTED, describe

PERPLEXITY = "perplexity"  # the one score that is no share
GUESSES = ("chance", "majority")  # what needs no model
PARTS = 12  # of a task that a table shows one by one


def labels(models: Sequence[str]) -> list[str]:
    """What models are called in a table: their names without what all have in common, and without a last /final."""
    short = [named(name).rstrip("/").removesuffix("/final") or name for name in models]
    parts = [PurePath(name).parts for name in short]
    common = 0
    while len(parts) > 1 and all(len(p) > common + 1 for p in parts) and len({p[common] for p in parts}) == 1:
        common += 1
    found = [str(PurePath(*p[common:])) if len(parts) > 1 else p[-1] for p in parts]
    return found if len(set(found)) == len(found) else list(models)


def named(model: str) -> str:
    """A model's name; a path that has none, as `.`, in full."""
    return model if any(part != ".." for part in PurePath(model).parts) else str(Path(model).resolve())


def record(
    model: str, kind: str, parameters: int, sheet: Sheet, shots: int, entries: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The scores of one model on one task, of all questions and of each part."""
    parts = list(dict.fromkeys(question.part for question in sheet.questions))
    told = {
        "model": model,
        "parameters": parameters,
        "kind": kind,
        "task": sheet.name,
        "shots": shots,
        "seed": sheet.seed,
        **_scores(sheet, entries, range(len(entries))),
        "fewer_shots": sum(entry["shots"] < shots for entry in entries),
        "shortened": sum("left_out" in entry for entry in entries),
        "cut": sum(any(reply["cut"] for reply in entry["replies"]) for entry in entries),
    }
    if len(parts) > 1:
        told["parts"] = {
            part: _scores(sheet, entries, [i for i, q in enumerate(sheet.questions) if q.part == part])
            for part in parts
        }
    return told


def apart(sheet: Sheet, entries: Sequence[Mapping[str, Any]], found: Contamination) -> dict[str, Any]:
    """The scores of clean and of dirty questions."""
    kinds = {"clean": [i for i, one in enumerate(found.dirty) if not one]}
    kinds["dirty"] = [i for i, one in enumerate(found.dirty) if one]
    return {"n": found.n} | {
        kind: _scores(sheet, entries, chosen) for kind, chosen in kinds.items() if chosen
    }


def _scores(sheet: Sheet, entries: Sequence[Mapping[str, Any]], chosen: Sequence[int]) -> dict[str, Any]:
    questions = [sheet.questions[i] for i in chosen]
    figures = sheet.task.figures(questions, [replies.of_line(entries[i]) for i in chosen])
    return {
        "questions": len(questions),
        "scores": {name: {"value": finite(f.value), "error": finite(f.error)} for name, f in figures.items()},
        "baselines": dict(sheet.task.baselines(questions)),
    }


def table(records: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """A row for each task, number of shots and score, a column for each model, and for what needs none."""
    models = list(dict.fromkeys(record["model"] for record in records))
    asked = list(dict.fromkeys((record["task"], record["shots"]) for record in records))
    by_model = {(record["model"], record["task"], record["shots"]): record for record in records}
    rows = []
    for task, shots in asked:
        first = by_model[models[0], task, shots]
        for at, name in enumerate(first["scores"]):
            cells = [task, str(shots), f"{first['questions']:,}"] if not at else ["", "", ""]
            cells.append(title(name))
            cells += [shown(name, **by_model[model, task, shots]["scores"][name]) for model in models]
            compared = not at or name.startswith("accuracy")
            cells += [
                _share(first["baselines"][one]) if one in first["baselines"] and compared else ""
                for one in GUESSES
            ]
            rows.append(cells)
        told = [by_model[model, task, shots] for model in models]
        rows += [*_rows_of_parts(told), *_rows_apart(told)]
    columns = ["task", "shots", "questions", "score", *models, *GUESSES]
    kept = [at for at, name in enumerate(columns) if name not in GUESSES or any(row[at] for row in rows)]
    return [columns[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _rows_of_parts(asked: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """The main score of each part, where they are not too many to be read."""
    parts = asked[0].get("parts", {})
    for part, first in parts.items() if len(parts) <= PARTS else ():
        name = next(iter(first["scores"]))
        told = [shown(name, **one["parts"][part]["scores"][name]) for one in asked]
        yield ["", "", f"{first['questions']:,}", f"{title(name)}: {part}", *told, "", ""]


def _rows_apart(asked: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """The main score of clean and of dirty questions, where there are dirty ones; one record for each model."""
    found = asked[0].get("contamination", {})
    for kind in [kind for kind in ("clean", "dirty") if kind in found and "dirty" in found]:
        name = next(iter(found[kind]["scores"]))
        told = [shown(name, **one["contamination"][kind]["scores"][name]) for one in asked]
        words = f"{counted(found['n'], 'words')} in common" if kind == "dirty" else kind
        yield ["", "", f"{found[kind]['questions']:,}", f"{title(name)}: {words}", *told, "", ""]


def title(name: str) -> str:
    """What a score is called in a table."""
    return describe(name, PROMPTED).title


def shown(name: str, value: float | None, error: float | None) -> str:
    """A score and its standard error, shares in per cent; no value is a perplexity beyond all numbers."""
    if value is None:
        return "∞"
    if name == PERPLEXITY:
        return f"{value:,.4g}" + (f" ± {error:,.2g}" if error is not None else "")
    return _share(value) + (f" ± {100 * error:.1f}" if error is not None else "")


def _share(value: float) -> str:
    return f"{100 * value:.1f}"
