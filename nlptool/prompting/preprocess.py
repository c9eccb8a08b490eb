"""Preprocessing rules by name, for rows whose columns do not suffice for a prompt.

A rule maps a row with the hub's columns to rows with further ones. If lm-eval 0.4 has the task, the texts are those
of its function, which is named. A new rule is a function here, under the name used in tasks.
"""

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from nlptool.errors import DataError
from nlptool.formatting import json_value
from nlptool.recipe import OneOf
from nlptool.text.tabular import Row

Rule = Callable[[Row], Iterator[Row]]

TURN = ", turn "  # separates the place of a row from the number of its question
CONNECTORS = {"cause": "because", "effect": "therefore", "원인": "왜냐하면", "결과": "그래서"}


RULES: dict[str, Rule] = {}


def _rule(function: Rule) -> Rule:
    RULES[function.__name__] = function
    return function


@_rule
def last_word(row: Row) -> Iterator[Row]:
    """`before` and `word` of column `text`: all but the last word, and the last word (lm-eval's lambada_openai)."""
    before, space, word = row.text("text").rpartition(" ")
    if not space or not word:
        raise DataError(f"{row.place}: column 'text' has no last word behind a space")
    yield _with(row, before=before, word=word)


@_rule
def agnews(row: Row) -> Iterator[Row]:
    """`text`: title and description, if a row has these two instead."""
    yield row if "text" in row.values else _with(row, text=f"{row.text('title')} {row.text('description')}")


@_rule
def hellaswag(row: Row) -> Iterator[Row]:
    """`query` and `texts`: activity and context, and the endings, without WikiHow's marks (lm-eval's hellaswag)."""
    context = f"{row.text('ctx_a')} {row.text('ctx_b').capitalize()}"
    endings = row.get("endings")
    if not isinstance(endings, list):
        raise DataError(
            f"{row.place}: column 'endings' holds {json_value(endings)}; a list of texts is expected"
        )
    yield _with(
        row,
        query=_without_marks(f"{row.text('activity_label')}: {context}"),
        texts=[_without_marks(str(ending)) for ending in endings],
    )


@_rule
def copa(row: Row) -> Iterator[Row]:
    """`clause`: the premise without its full stop, and because or therefore; `ending1`, `ending2`: in lower case.

    As lm-eval's copa and GPT-3's (Brown et al. 2020, appendix G).
    """
    yield _with(
        row,
        clause=f"{row.text('premise').strip()[:-1]} {_connector(row)}",
        ending1=_uncapitalised(row.text("choice1")),
        ending2=_uncapitalised(row.text("choice2")),
    )


@_rule
def kobest_copa(row: Row) -> Iterator[Row]:
    """`connector`: 왜냐하면 or 그래서 (lm-eval's kobest_copa)."""
    yield _with(row, connector=_connector(row))


@_rule
def coqa(row: Row) -> Iterator[Row]:
    """A row for each turn: `history` of questions and answers before it, `question`, and `texts`, all answers to it.

    Every turn, as CoQA's own script does. The text of the last turn is lm-eval's, which evaluates no other.
    """
    questions, answers = _texts(row, "questions.input_text"), _texts(row, "answers.input_text")
    more = row.values.get("additional_answers") or {}
    others = [_texts(row, f"additional_answers.{key}.input_text") for key in more if more[key]]
    if len({len(texts) for texts in (questions, answers, *others)}) > 1:
        raise DataError(f"{row.place}: has not as many answers as questions")
    history = ""
    for turn, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        texts = [answer, *(texts[turn] for texts in others)]
        yield _turn(row, turn, history=history, question=question, texts=texts)
        history += f"Q: {question}\n\nA: {answer}\n\n"


@_rule
def quac(row: Row) -> Iterator[Row]:
    """A row for each turn: `history`, `question`, `answer` of the dialogue, and `texts`, all answers."""
    questions, answers = _texts(row, "questions"), _texts(row, "orig_answers.texts")
    texts = row.get("answers.texts")
    if len(questions) != len(answers) or not isinstance(texts, list) or len(texts) != len(questions):
        raise DataError(f"{row.place}: has not as many answers as questions")
    history = ""
    for turn, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        yield _turn(row, turn, history=history, question=question, answer=answer, texts=texts[turn])
        history += f"Q: {question}\nA: {answer}\n"


@_rule
def foundry(row: Row) -> Iterator[Row]:
    """`texts`: the answer and its aliases (llm-foundry's local form)."""
    yield _with(row, texts=[row.text("answer"), *_texts(row, "aliases")])


@_rule
def wic(row: Row) -> Iterator[Row]:
    """`shown`: the word as it appears in the first sentence (lm-eval's wic)."""
    start, end = row.get("start1"), row.get("end1")
    if not isinstance(start, int) or not isinstance(end, int):
        raise DataError(
            f"{row.place}: columns 'start1', 'end1' hold {json_value(start)}, {json_value(end)}; places are expected"
        )
    yield _with(row, shown=row.text("sentence1")[start:end])


@_rule
def wsc(row: Row) -> Iterator[Row]:
    """`passage`: the text with the pronoun between asterisks; spans count words (lm-eval's wsc)."""
    if isinstance(target := row.values.get("target"), dict):  # SuperGLUE's own files
        row = _with(row, **target)
    text, pronoun, at = row.text("text"), row.text("span2_text"), row.get("span2_index")
    if not isinstance(at, int):
        raise DataError(f"{row.place}: column 'span2_index' holds {json_value(at)}; a place is expected")
    before = " ".join(text.split()[:at])
    yield _with(row, passage=_joined(f"{before} *{pronoun}*{text[len(before) + len(pronoun) + 1 :]}"))


@_rule
def winogrande(row: Row) -> Iterator[Row]:
    """`before` and `after`: the sentence around its blank `_` (lm-eval's winogrande)."""
    before, blank, after = row.text("sentence").partition("_")
    if not blank or not after.strip():
        raise DataError(f"{row.place}: column 'sentence' has no blank _ with text behind it")
    yield _with(row, before=before, after=after.strip())


def _with(row: Row, **values: Any) -> Row:
    return Row(row.place, row.values | values)


def _turn(row: Row, turn: int, **values: Any) -> Row:
    return Row(f"{row.place}{TURN}{turn + 1}", row.values | values)


def _texts(row: Row, column: str) -> list[str]:
    found = row.get(column)
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise DataError(
            f"{row.place}: column '{column}' holds {json_value(found)}; a list of texts is expected"
        )
    return found


def _connector(row: Row) -> str:
    kind = row.text("question").strip()
    if kind not in CONNECTORS:
        raise DataError(
            f"{row.place}: column 'question' holds {json_value(kind)}; expected one of {', '.join(CONNECTORS)}"
        )
    return CONNECTORS[kind]


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def _without_marks(text: str) -> str:
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def _joined(text: str) -> str:
    """Join words and punctuation that were tokenized (lm-eval's general_detokenize)."""
    for apart, together in ((" n't", "n't"), (" )", ")"), ("( ", "("), ('" ', '"'), (' "', '"')):
        text = text.replace(apart, together)
    return re.sub(r" (['.,])", r"\1", text)


Preprocess = Annotated[str, OneOf(RULES)]


def preprocess(row: Row, name: Preprocess | None) -> Iterator[Row]:
    """The rows that a rule makes of one; None: the row itself. Raises DataError, with its place, for a faulty row."""
    if name is None:
        yield row
    else:
        yield from RULES[name](row)
