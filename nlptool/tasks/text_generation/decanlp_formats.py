"""Rows of decaNLP's data sets without flat columns, as questions about contexts. No torch here.

The texts are those of decaNLP's text/torchtext/datasets/generic.py (McCann et al. 2018, section 2). Rows come as on
the hub, or as the data sets' own files, converted to one JSON object a line.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

from nlptool.errors import DataError
from nlptool.evaluation.metrics.decanlp import AGGREGATES, COMPARISONS, spell
from nlptool.formatting import json_value
from nlptool.text.tabular import Row

SYMBOLS = "SELECT, WHERE, AND, COL, TABLE, CAPTION, PAGE, SECTION, OP, COND, QUESTION, AGG, AGGOPS, CONDOPS"
"""Words that a query may contain, besides aggregates, comparisons and columns."""


class DecaNLPExample(NamedTuple):
    """A question about a context, and its answer."""

    question: str
    context: str
    answer: str
    """The target; empty if it is hidden."""
    references: tuple[str, ...]
    """The references of the metric: right texts, or the structures of joint_goal and logical_form."""


def qa_srl(row: Row, *, labelled: bool) -> list[DecaNLPExample]:
    """Semantic roles (He et al. 2015): who did what? The question comes as a text or as its eight slots."""
    question = row.get("question")
    if isinstance(question, list):
        question = " ".join(str(word) for word in question if word not in ("_", "?")) + "?"
    if not isinstance(question, str):
        raise DataError(
            f"{row.place}: column 'question' holds {json_value(question)}; a text or its words are expected"
        )
    answers = _texts(row, "answers") if labelled else ("",)
    if not answers:
        raise DataError(f"{row.place}: column 'answers' is empty", hint="remove the row")
    return [DecaNLPExample(question.strip(), row.text("sentence").strip(), answers[0], answers)]


def qa_zre(row: Row, *, labelled: bool) -> list[DecaNLPExample]:
    """Relations (Levy et al. 2017): XXX in the question is the subject; without an answer it is unanswerable."""
    question = row.text("question").replace("XXX", row.text("subject")).strip()
    answer = ", ".join(_texts(row, "answers")) or "unanswerable" if labelled else ""
    return [DecaNLPExample(question, row.text("context").strip(), answer, (answer,))]


def woz(row: Row, *, labelled: bool) -> list[DecaNLPExample]:
    """The state of a dialogue (Wen et al. 2017): the change at each turn.

    A row is a dialogue. A change is `food: thai, area: north; phone`: slots that are set, and slots that are
    requested.
    """
    examples, before = [], list[list[str]]()
    for number, turn in enumerate(row.get("dialogue")):
        place = f"{row.place}: turn {number}"
        try:
            acts = [": ".join(act) if isinstance(act, list) else act for act in turn["system_acts"]]
            context = f"{', '.join(acts)} -- {turn['transcript']}" if acts else turn["transcript"]
            slots = [(item["act"], slot) for item in turn["belief_state"] for slot in item.get("slots", ())]
            now = [list(slot) for act, slot in slots if act == "inform"]
            requests = [slot[1] for act, slot in slots if act != "inform"]
        except (KeyError, TypeError, IndexError):
            raise DataError(
                f"{place}: expected system_acts, transcript and belief_state, as in WOZ 2.0"
            ) from None
        informs = [f"{name}: {value}" for name, value in (slot for slot in now if slot not in before)]
        change = f"{', '.join(informs)};{' ' if requests else ''}{', '.join(requests)}"
        answer = change if len(change) > 1 else "None"
        name = f"en_{row.get('dialogue_idx')}_{number}"
        known = (answer, (name, answer)) if labelled else ("", ("",))
        examples.append(DecaNLPExample("What is the change in state?", " ".join(context.split()), *known))
        before = now
    return examples


def wikisql(row: Row, *, labelled: bool) -> list[DecaNLPExample]:
    """A query of a table (Zhong et al. 2017). Conditions come as triples, or as three lists, as on the hub."""
    header, query_text = _texts(row, "table.header"), row.text("question").strip()
    words = ", ".join((*AGGREGATES[1:], *COMPARISONS, SYMBOLS))
    context = f"The table has columns {', '.join(header)} and key words {words}-- {query_text}"
    question = "What is the translation from English to SQL?"
    if not labelled:
        return [DecaNLPExample(question, context, "", ("",))]
    query = {"sel": row.get("sql.sel"), "agg": row.get("sql.agg"), "conds": row.get("sql.conds")}
    conditions = query["conds"]
    try:
        if isinstance(conditions, dict):
            lists = (conditions[name] for name in ("column_index", "operator_index", "condition"))
            query["conds"] = [list(condition) for condition in zip(*lists, strict=True)]
        answer = spell(header, query)
    except (KeyError, IndexError, TypeError, ValueError):
        raise DataError(
            f"{row.place}: sql is not a query of this table: {query}; expected sel, agg and conds, as in WikiSQL"
        ) from None
    return [DecaNLPExample(question, context, answer, (json.dumps(header), json.dumps(query)))]


def _texts(row: Row, column: str) -> tuple[str, ...]:
    found = row.get(column)
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise DataError(
            f"{row.place}: column '{column}' holds {json_value(found)}; a list of texts is expected"
        )
    return tuple(text.strip() for text in found)


FORMS: dict[str, Callable[..., list[DecaNLPExample]]] = {
    "qa_srl": qa_srl,
    "qa_zre": qa_zre,
    "woz": woz,
    "wikisql": wikisql,
}
