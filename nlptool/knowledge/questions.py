"""Multiple-choice questions from a graph's own triples, which leave the graph: only other paths lead to the answer.

GRAPH/questions/train.jsonl validation.jsonl    question, choices, label (index of the right one), and the triple
                                                behind it: head, relation, tail
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.atomic_files import write_text
from nlptool.errors import DataError
from nlptool.formatting import counted

Columns = NDArray[np.int32]
"""Triples [3, N]: heads, relations, tails."""
SPLITS = ("train", "validation")
FOLDER = "questions"
TRIES = 64
"""attempts at sampling wrong choices before a head counts as having too few"""


class QuestionPlan(NamedTuple):
    """Which triples become questions, and how."""

    templates: Mapping[str, str]
    """The question of a relation, by its name; {head} is replaced by the head's label. The tail is the answer."""
    share: float
    """Share of the pairs of entities linked by these relations."""
    choices: int
    validation: float
    """Share of validation questions."""


class Question(NamedTuple):
    """A triple and the tails to choose from, its own among them."""

    triple: tuple[int, int, int]
    choices: tuple[int, ...]
    split: str


def drawn(plan: QuestionPlan, columns: Columns, relations: Sequence[str]) -> tuple[list[Question], Columns]:
    """Questions, and the remaining triples: none links the two entities of a question, in either direction.

    Each entity and relation keeps a triple. Wrong choices are tails of the same relation, sampled by frequency, so
    that how common an answer is gives no hint; none of them is a tail of the head. columns: sorted distinct triples,
    so that questions depend on the triples alone. Raises DataError where a relation is unknown or has too few tails,
    and where no question can be made.
    """
    heads, kinds, tails = columns.astype(np.int64)
    of_templates = np.zeros(len(relations), bool)
    for name in plan.templates:
        if name not in relations:
            raise DataError(
                f"questions.templates: the graph has no relation {name!r}",
                hint=f"it has {', '.join(relations[:12])}{', ...' * (len(relations) > 12)}",
            )
        of_templates[list(relations).index(name)] = True
    size = int(max(heads.max(), tails.max())) + 1
    pairs = np.minimum(heads, tails) * size + np.maximum(heads, tails)
    kept = np.zeros(len(pairs), bool)
    for column in (np.stack([heads, tails]), kinds[None]):
        flat = column.ravel()
        kept[np.unique(flat, return_index=True)[1] % len(pairs)] = True
    free = of_templates[kinds] & ~np.isin(pairs, pairs[kept])
    rng = np.random.default_rng(0)
    order = rng.permutation(np.flatnonzero(free))
    order = order[np.unique(pairs[order], return_index=True)[1]]  # one question a pair
    order = rng.permutation(order)[: round(plan.share * len(order))]
    of_relation = {int(kind): tails[kinds == kind] for kind in np.flatnonzero(of_templates)}
    for kind, some in of_relation.items():
        if len(set(some.tolist())) < plan.choices:
            raise DataError(
                f"questions.templates: {relations[kind]!r} has {counted(len(set(some.tolist())), 'tails')}, and a "
                f"question has {plan.choices} choices",
                hint="give fewer choices, or leave the relation out",
            )
    known: dict[tuple[int, int], set[int]] = {}
    for head, kind, tail in columns[:, of_templates[kinds]].T.tolist():
        known.setdefault((head, kind), {head}).add(tail)
    triples, out = [], []
    for at in order.tolist():
        triple = int(heads[at]), int(kinds[at]), int(tails[at])
        wrong = _wrong(rng, of_relation[triple[1]], known[triple[:2]], plan.choices - 1)
        if wrong is None:
            continue
        choices = [triple[2], *wrong]
        triples.append((triple, tuple(choices[place] for place in rng.permutation(len(choices)))))
        out.append(pairs[at])
    if len(triples) < 2:
        raise DataError(
            f"{counted(len(triples), 'questions')} can be made, since each entity and relation keeps a triple",
            hint="give more relations or a larger share, or leave questions out",
        )
    held_out = min(max(1, round(plan.validation * len(triples))), len(triples) - 1)
    questions = [Question(*one, SPLITS[number < held_out]) for number, one in enumerate(triples)]
    return questions, columns[:, ~np.isin(pairs, out)]


def _wrong(
    rng: np.random.Generator, tails: NDArray[np.int64], right: set[int], number: int
) -> list[int] | None:
    """Distinct wrong choices, sampled by frequency; None where there seem to be too few."""
    found: dict[int, None] = {}
    for tail in tails[rng.integers(len(tails), size=TRIES * number)].tolist():
        if tail not in right:
            found[tail] = None
            if len(found) == number:
                return list(found)
    return None


def write(
    folder: Path,
    questions: Sequence[Question],
    plan: QuestionPlan,
    relations: Sequence[str],
    names: Sequence[str],
    called: Callable[[int], str],
) -> dict[str, int]:
    """Write the questions into `folder`, and return the number of each split. called: the label of an entity."""
    lines: dict[str, list[str]] = {split: [] for split in SPLITS}
    for (head, kind, tail), choices, split in questions:
        row = {
            "question": plan.templates[relations[kind]].replace("{head}", called(head)),
            "choices": [called(choice) for choice in choices],
            "label": choices.index(tail),
            "head": names[head],
            "relation": relations[kind],
            "tail": names[tail],
        }
        lines[split].append(json.dumps(row, ensure_ascii=False) + "\n")
    folder.mkdir()
    for split, some in lines.items():
        write_text(folder / f"{split}.jsonl", "".join(some))
    return {split: len(some) for split, some in lines.items()}
