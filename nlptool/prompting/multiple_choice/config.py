"""The recipe block of prompted multiple choice. No torch here."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError
from nlptool.evaluation.metrics.aggregates import MetricValue, macro_f1, mean
from nlptool.formatting import json_value
from nlptool.prompting.config import Instance, PromptConfig, Response
from nlptool.prompting.template import Template, columns, fill, fill_each, fill_prompt
from nlptool.recipe import OneOf
from nlptool.text.tabular import Row, is_hidden, whole


def _sum(instance: Instance, responses: Sequence[Response]) -> list[float]:
    return [response.logprob for response in responses[: len(instance.names)]]


def _per_token(instance: Instance, responses: Sequence[Response]) -> list[float]:
    return [response.logprob / max(1, response.tokens) for response in responses[: len(instance.names)]]


def _per_character(instance: Instance, responses: Sequence[Response]) -> list[float]:
    return [s / len(name) for s, name in zip(_sum(instance, responses), instance.names, strict=True)]


def _per_byte(instance: Instance, responses: Sequence[Response]) -> list[float]:
    return [s / len(name.encode()) for s, name in zip(_sum(instance, responses), instance.names, strict=True)]


def _unconditional(instance: Instance, responses: Sequence[Response]) -> list[float]:
    count = len(instance.names)
    pairs = zip(responses[:count], responses[count:], strict=True)
    return [given.logprob - unconditional.logprob for given, unconditional in pairs]


METRICS: dict[str, Callable[[Instance, Sequence[Response]], list[float]]] = {
    "accuracy": _sum,
    "accuracy_per_token": _per_token,
    "acc_norm": _per_character,
    "accuracy_per_byte": _per_byte,
    "accuracy_unconditional": _unconditional,
    "macro_f1": _sum,
}
"""How each metric scores the choices; the highest score is the prediction."""
Metric = Annotated[str, OneOf(METRICS)]


class Config(PromptConfig):
    """One of several answers is right: each is scored after the prompt, and the best one is the prediction.

    {choice} is replaced by each choice in `answer`, or in `prompt` if what follows is scored instead: partial
    evaluation (Trinh and Le 2018). Scores are log-likelihoods. accuracy compares them directly; acc_norm divides by
    the answer's characters, as in lm-eval, _per_token by its tokens and _per_byte by its bytes; _unconditional
    subtracts the answer's log-likelihood after `unconditional` (Brown et al. 2020, section 2.4).
    """

    name: Literal["multiple_choice"] = Field("multiple_choice", description="kind of task")
    answer: Template = Field(" {choice}", description="answer template, with its leading space")
    choices: tuple[Template, ...] | Template = Field(
        description="a template for each choice, or one whose column holds a list"
    )
    label: str | int = Field(
        "label",
        description="column of the right choice: its name, its index from 0, or its text; or the same index for all "
        "rows",
    )
    labels: tuple[str, ...] | str = Field(
        (), description="names of the choices in the column `label`; or the column that lists them"
    )
    unconditional: str | None = Field(
        None, description="text after which an answer counts as unconditional, e.g. 'Answer:'"
    )
    metrics: tuple[Metric, ...] = Field(
        ("accuracy",), min_length=1, description="metrics; the first is the main one"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not any("choice" in columns(template) for template in (self.prompt, self.answer)):
            raise ValueError(
                "{choice} is missing in prompt and answer, so all choices would give the same request"
            )
        if (self.unconditional is not None) != ("accuracy_unconditional" in self.metrics):
            raise ValueError("unconditional: requires the metric accuracy_unconditional")
        if isinstance(self.choices, tuple):
            names = self.labels if isinstance(self.labels, tuple) else ()
            if len(self.choices) < 2 or (names and len(names) != len(self.choices)):
                raise ValueError("choices: at least two, and as many as labels")
        return self

    def instance(self, row: Row, part: str) -> Instance:
        """The instance of a row. Raises DataError, with the row's place, for a faulty row."""
        if isinstance(self.choices, tuple):
            names = [fill(template, row) for template in self.choices]
        else:
            names = fill_each(self.choices, row)
        if len(names) < 2 or not all(name.strip() for name in names):
            raise DataError(
                f"{row.place}: the choices are {json_value(names)}; at least two are expected, none of them empty",
                hint=f"a column is written in braces: choices: '{{{self.choices}}}'"
                if self.choices in row.values
                else "fix or remove the row",
            )
        also = [{"choice": name} for name in names]
        return Instance(
            row.place,
            part,
            tuple(fill_prompt(self.prompt, row, one) for one in also),
            tuple(fill(self.answer, row, one) for one in also),
            tuple(names),
            self._gold(row, names),
        )

    def requests(self, instance: Instance, prefix: str) -> list[tuple[str, str]]:
        """Context and answer of each choice; then, if the task has `unconditional`, each answer after that text."""
        requests = super().requests(instance, prefix)
        if self.unconditional is None:
            return requests
        return requests + [(self.unconditional, answer) for _, answer in requests]

    def compute_metrics(
        self, instances: Sequence[Instance], responses: Sequence[Sequence[Response]]
    ) -> Mapping[str, MetricValue]:
        """The metrics by name, the main one first."""
        values = {}
        for metric in self.metrics:
            score = METRICS[metric]
            predicted = [predict(q, score(q, r)) for q, r in zip(instances, responses, strict=True)]
            pairs = [(q.gold, p) for q, p in zip(instances, predicted, strict=True)]
            values[metric] = (
                macro_f1(pairs) if metric == "macro_f1" else mean([float(gold == p) for gold, p in pairs])
            )
        return values

    def baselines(self, instances: Sequence[Instance]) -> Mapping[str, float]:
        """`chance`: guessing; `majority`: always the most frequent index. Defined for accuracy alone."""
        if not instances or self.metrics[0] == "macro_f1":
            return {}
        values = {"chance": mean([1 / len(one.names) for one in instances]).value}
        if isinstance(self.label, str):
            values["majority"] = max(Counter(one.gold for one in instances).values()) / len(instances)
        return values

    def _gold(self, row: Row, choices: Sequence[str]) -> int:
        count = len(choices)
        if isinstance(self.label, int):
            value: Any = self.label
            return self._place(row, value, count)
        value = row.get(self.label)
        names = self._names(row)
        text = value.strip() if isinstance(value, str) else value
        if isinstance(text, str) and text in names:
            return self._place(row, names.index(text), count)
        if isinstance(text, str) and not names and whole(text) is None and choices.count(text) == 1:
            return choices.index(text)
        named = isinstance(text, str) and any(whole(name) is not None for name in names)
        number = None if named else whole(text)
        return self._place(row, text if number is None else number, count)

    def _names(self, row: Row) -> list[Any]:
        if isinstance(self.labels, tuple):
            return list(self.labels)
        found = row.get(self.labels)
        return found if isinstance(found, list) else [found]

    def _place(self, row: Row, value: Any, count: int) -> int:
        if isinstance(value, int) and 0 <= value < count:
            return int(value)
        names = self._names(row)
        expected = f"one of {', '.join(map(str, names))}" if names else f"a place from 0 to {count - 1}"
        raise DataError(
            f"{row.place}: column '{self.label}' holds {json_value(value)}; expected {expected}",
            hint="its label is hidden: name a split with labels" if is_hidden(value) else None,
        )


def predict(instance: Instance, scores: Sequence[float]) -> int:
    """The index of the highest score; NaN is the lowest.

    A tie with the right choice counts as wrong. lm-eval takes the first of equal scores, so that a model with
    constant scores solves all minimal pairs.
    """
    known = [-math.inf if math.isnan(score) else score for score in scores]
    return max(range(len(known)), key=lambda at: (known[at], at != instance.gold, -at))
