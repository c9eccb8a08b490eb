"""The recipe block of a continuation that is foreseen. No torch here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from nlptool.errors import DataError
from nlptool.prompting.aggregates import mean, perplexity
from nlptool.prompting.config import Instance, MetricValue, PromptConfig, Response
from nlptool.prompting.template import fill
from nlptool.text.tabular import Row

Metric = Literal["accuracy", "perplexity"]


class Config(PromptConfig):
    """One text is right, such as the last word of LAMBADA (Paperno et al. 2016).

    accuracy: whether each of its tokens is the model's likeliest; perplexity: of the whole text, the mean over rows.
    """

    name: Literal["continuation"] = Field("continuation", description="kind of task")
    metrics: tuple[Metric, ...] = Field(
        ("accuracy",), min_length=1, description="scores; the first is the main one"
    )

    def question(self, row: Row, part: str) -> Instance:
        """What is asked of a row. Raises DataError, with the row's place, for what is not as it should be."""
        prompt, answer = fill(self.prompt, row), fill(self.answer, row)
        if not answer.strip():
            raise DataError(f"{row.place}: the answer is empty", hint="mend or remove the row")
        return Instance(row.place, part, (prompt,), (answer,), (answer.strip(),), 0)

    def figures(
        self, questions: Sequence[Instance], replies: Sequence[Sequence[Response]]
    ) -> Mapping[str, MetricValue]:
        """The scores by name, the main one first."""
        found = {
            "accuracy": mean([float(reply.greedy) for (reply,) in replies]),
            "perplexity": perplexity([reply.logprob for (reply,) in replies]),
        }
        return {name: found[name] for name in self.metrics}

    def baselines(self, questions: Sequence[Instance]) -> Mapping[str, float]:
        """`majority`: always the answer that is right most often. Of accuracy only."""
        if not questions or self.metrics[0] != "accuracy":
            return {}
        return {"majority": max(Counter(q.names for q in questions).values()) / len(questions)}
