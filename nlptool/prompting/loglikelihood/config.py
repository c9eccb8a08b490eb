"""The recipe block of a scored continuation. No torch here."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from nlptool.errors import DataError
from nlptool.evaluation.metrics.aggregates import MetricValue, mean, perplexity
from nlptool.prompting.config import Instance, PromptConfig, Response
from nlptool.prompting.template import fill, fill_prompt
from nlptool.recipe import OneOf
from nlptool.text.tabular import Row


def _accuracy(responses: Sequence[Response]) -> MetricValue:
    return mean([float(response.greedy) for response in responses])


def _perplexity(responses: Sequence[Response]) -> MetricValue:
    return perplexity([response.logprob for response in responses])


METRICS: dict[str, Callable[[Sequence[Response]], MetricValue]] = {
    "accuracy": _accuracy,
    "perplexity": _perplexity,
}
Metric = Annotated[str, OneOf(METRICS)]


class Config(PromptConfig):
    """A single right continuation, such as the last word of LAMBADA (Paperno et al. 2016).

    accuracy: whether greedy decoding gives all of its tokens; perplexity: of the whole text, over rows.
    """

    name: Literal["loglikelihood"] = Field("loglikelihood", description="kind of task")
    metrics: tuple[Metric, ...] = Field(
        ("accuracy",), min_length=1, description="metrics; the first is the main one"
    )

    def instance(self, row: Row, part: str) -> Instance:
        """The instance of a row. Raises DataError, with the row's place, for a faulty row."""
        prompt, answer = fill_prompt(self.prompt, row), fill(self.answer, row)
        if not answer.strip():
            raise DataError(f"{row.place}: the answer is empty", hint="fix or remove the row")
        return Instance(row.place, part, (prompt,), (answer,), (answer.strip(),), 0)

    def compute_metrics(
        self, instances: Sequence[Instance], responses: Sequence[Sequence[Response]]
    ) -> Mapping[str, MetricValue]:
        """The metrics by name, the main one first."""
        each = [response for (response,) in responses]
        return {name: METRICS[name](each) for name in self.metrics}

    def baselines(self, instances: Sequence[Instance]) -> Mapping[str, float]:
        """`majority`: always the most frequent right answer. Defined for accuracy alone."""
        if not instances or self.metrics[0] != "accuracy":
            return {}
        return {"majority": max(Counter(one.names for one in instances).values()) / len(instances)}
