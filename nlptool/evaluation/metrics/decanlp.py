"""The metrics that decaNLP (McCann et al. 2018) adds for its ten tasks, as in its metrics.py.

Shares from 0 to 1; decaScore is their sum, times 100.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nlptool.evaluation.metrics.qa import Metric, References, normalise

TASKS = {
    "squad": "squad_f1",
    "iwslt": "bleu_lower",
    "cnn_dailymail": "rouge",
    "mnli": "exact",
    "sst": "exact",
    "qa_srl": "squad_f1",
    "qa_zre": "corpus_f1",
    "woz": "joint_goal",
    "wikisql": "logical_form",
    "mwsc": "exact",
}
"""Each task's metric."""

NOTHING = {"unanswerable"}
AGGREGATES = ("", "MAX", "MIN", "COUNT", "SUM", "AVG")
COMPARISONS = ("=", ">", "<", "OP")
CONDITION = re.compile(r"(Col\d+ Cond\d+)")


def score(figures: Mapping[str, float]) -> float:
    """decaScore, 0 to 1000: the sum of the ten tasks' metrics. figures: by task. Raises KeyError for one missing."""
    return 100 * sum(figures[task] for task in TASKS)


def corpus_f1(predictions: Sequence[str], references: References) -> float:
    """Corpus-level F1 for QA-ZRE (Levy et al. 2017): correct relations over predicted and true ones.

    An answer is a set of words, right if it equals that of all references together; `unanswerable` predicts no
    relation, and as a reference it means that there is none.
    """
    right = found = there = 0
    for prediction, texts in zip(predictions, references, strict=True):
        predicted, true = _words(prediction), set().union(*map(_words, texts))
        right += predicted == true != NOTHING
        found += predicted != NOTHING
        there += true != NOTHING
    return 2 * right / (found + there) if right else 0.0


def _words(text: str) -> set[str]:
    return set(normalise(text).split()) - {"and"}


def joint_goal(predictions: Sequence[str], references: References) -> float:
    """Share of WOZ's turns at which the whole dialogue state so far is right.

    A reference is a turn's name (language_dialogue_turn, such as en_12_3) and the change of state there; each turn's
    change, `food: thai, area: north; phone`, updates the state. decaNLP sorts turns by name as text, turn 10 before
    turn 2, and so does this.
    """
    turns = sorted(
        (name, prediction, change) for prediction, (name, change) in zip(predictions, references, strict=True)
    )
    right, dialogue = 0, ""
    predicted: dict[str, str] = {}
    true: dict[str, str] = {}
    for name, prediction, change in turns:
        if name.rpartition("_")[0] != dialogue:
            dialogue, predicted, true = name.rpartition("_")[0], {}, {}
        predicted |= informed(prediction)
        true |= informed(change)
        right += predicted == true
    return right / len(turns)


def informed(change: str) -> dict[str, str]:
    """The slots that a change of state sets: `food: thai, area: north; phone` -> food and area. Empty if malformed."""
    inform, *request = change.split(";")
    pairs = [pair.split(":") for pair in inform.split(",")] if len(request) == 1 else []
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def logical_form(predictions: Sequence[str], references: References) -> float:
    """Share of WikiSQL's queries with the right logical form (Zhong et al. 2017), ignoring case.

    A reference is the table's header and the query, both as JSON: ["Year", "Team"] and
    {"sel": 1, "agg": 0, "conds": [[0, 0, "1999"]]}.
    """
    right = 0
    for prediction, (header, query) in zip(predictions, references, strict=True):
        true = json.loads(query)
        conditions = [[column, how, str(value).lower()] for column, how, value in true["conds"]]
        predicted = parse(prediction.lower(), [name.lower() for name in json.loads(header)])
        right += predicted == {"sel": true["sel"], "agg": true["agg"], "conds": conditions}
    return right / len(predictions)


def spell(header: Sequence[str], query: Mapping[str, Any]) -> str:
    """A query of WikiSQL as text: SELECT COUNT Team FROM table WHERE Year = 1999 AND Place > 3."""
    text = f"SELECT {AGGREGATES[query['agg']]} {header[query['sel']]} FROM table"
    if query["conds"]:
        conditions = [f"{header[column]} {COMPARISONS[how]} {value}" for column, how, value in query["conds"]]
        text += f" WHERE {' AND '.join(conditions)}"
    return " ".join(text.split())


def parse(query: str, header: Sequence[str]) -> dict[str, Any] | None:
    """Parse a query in lower case; None if it is invalid.

    As in decaNLP: names of columns, the longest first, are searched as they are, so the first `where` may be part of
    one, and then the query counts as wrong.
    """
    select, _, where = query.partition("where")
    words = select.split()[1:-2]  # without select, from and table
    numbers = {name: number for number, name in enumerate(header)}
    aggregates = [name.lower() for name in AGGREGATES]
    aggregate = 0
    if " ".join(words) not in numbers:
        if not words or words[0] not in aggregates:
            return None
        aggregate, words = aggregates.index(words[0]), words[1:]
    conditions = _conditions(where, header)
    if conditions is None:
        return None
    return {"sel": numbers.get(" ".join(words)), "agg": aggregate, "conds": conditions}


def _conditions(where: str, header: Sequence[str]) -> list[list[Any]] | None:
    """Column, comparison and value of each condition; within a value, column names and signs are restored."""
    signs = {sign.lower(): f"Cond{number}" for number, sign in enumerate(COMPARISONS)}
    marked = f" {where} "
    for number, name in sorted(enumerate(header), key=lambda column: -len(column[1])):
        marked = marked.replace(f" {name} ", f" Col{number} ")
    marked = " ".join(signs.get(word, word) for word in marked.split())
    parts = [part.split() for part in CONDITION.split(marked) if part.strip()]
    plain = {f"Col{number}": name for number, name in enumerate(header)}
    plain |= {mark: sign for sign, mark in signs.items()}
    found: list[list[Any]] = []
    for part in parts:
        if len(found) == 0 or len(found[-1]) == 3:
            if len(part) != 2 or not CONDITION.fullmatch(" ".join(part)):
                return None
            found.append([int(part[0].removeprefix("Col")), int(part[1].removeprefix("Cond"))])
        else:
            value = part[:-1] if part[-1] == "and" else part
            found[-1].append(" ".join(plain.get(word, word) for word in value))
    return found


METRICS: dict[str, Metric] = {
    "corpus_f1": corpus_f1,
    "joint_goal": joint_goal,
    "logical_form": logical_form,
}
