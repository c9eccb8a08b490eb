"""The base recipe block of prompted tasks, and the instances made from rows. No torch here."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from nlptool.evaluation.generation.keys import GenerationConfig
from nlptool.evaluation.metrics.aggregates import MetricValue
from nlptool.prompting.preprocess import TURN, Preprocess
from nlptool.prompting.template import Template
from nlptool.recipe import RecipeBlock
from nlptool.text.config import HubDataset
from nlptool.text.tabular import Row


class PromptSource(HubDataset):
    """A data set of the hub, or a rule that generates rows."""

    hub: str = Field("", description="id of the data set, e.g. aps/super_glue; none: synthetic rows")
    synthetic: Literal["arithmetic", "scrambling"] | None = Field(
        None, description="generate rows by this rule, with the recipe's seed"
    )
    parts: tuple[str, ...] = Field(
        (),
        description="configurations, or names of files, that make up the task; each is also scored by itself",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.hub == "") == (self.synthetic is None):
            raise ValueError("hub or synthetic: exactly one of them")
        if self.name is not None and self.parts:
            raise ValueError("name and parts: one of them")
        return self


class Instance(NamedTuple):
    """One row as a prompt with its answers. All answers are scored; for generated answers there are none."""

    place: str
    part: str
    prompts: tuple[str, ...]
    """The text before each answer; usually the same."""
    answers: tuple[str, ...]
    """Possible continuations of the prompt, with their leading space."""
    names: tuple[str, ...]
    """The answers without that space, whose length normalises scores."""
    gold: int
    """Index of the right answer."""
    references: tuple[str, ...] = ()
    """Right answers, for generated ones."""
    truncatable: tuple[int, int] = (0, 0)
    """Start and end of the text in the prompt that may be truncated: that of the column `shorten`."""

    def truncated(self, kept: int) -> "Instance":
        """The instance with only the first `kept` characters of the text that may be truncated."""
        (prompt,), (start, end) = self.prompts, self.truncatable
        return self._replace(prompts=(prompt[: start + kept].rstrip() + prompt[end:],))

    @property
    def fewshot_example(self) -> str:
        """The prompt with its right answer, as a few-shot example."""
        return self.prompts[self.gold] + self.answers[self.gold]

    @property
    def row(self) -> str:
        """The place of its row; a dialogue is one row with an instance for each turn."""
        return self.place.partition(TURN)[0]


class Response(NamedTuple):
    """How a model scores one answer, or the text it generates."""

    logprob: float = 0.0
    """Log-probability of the whole answer, in nats."""
    tokens: int = 0
    greedy: bool = False
    """Whether each token of the answer has the highest probability."""
    cut: int = 0
    """Tokens truncated at the beginning of the prompt, to fit the model's positions."""
    text: str = ""


class PromptConfig(RecipeBlock):
    """A prompted task: rows, a prompt for each, and metrics of the responses.

    Columns have the names of the hub's data set, so that a folder with the same rows can replace it.
    """

    source: PromptSource | None = Field(
        None, description="source of the rows, unless the recipe names a folder"
    )
    train: str | None = Field(
        "train",
        description="split of the few-shot examples; null: the evaluated split, without the instance itself",
    )
    validation: str = Field("validation", description="split to evaluate")
    preprocess: Preprocess | None = Field(
        None, description="row preprocessing, where templates of columns are not enough"
    )
    description: str = Field("", description="text before the first few-shot example")
    prompt: Template = Field(description="prompt template, without the answer; columns in {braces}")
    answer: Template = Field(description="target: the right answer, with its leading space")
    fewshot_delimiter: str = Field("\n\n", description="text after each few-shot example")

    @property
    def generation(self) -> GenerationConfig | None:
        """How an answer is generated; None if given answers are scored."""
        return None

    def instance(self, row: Row, part: str) -> Instance:
        """The instance of a row. Raises DataError, with the row's place, for a faulty row."""
        raise NotImplementedError

    def compute_metrics(
        self, instances: Sequence[Instance], responses: Sequence[Sequence[Response]]
    ) -> Mapping[str, MetricValue]:
        """The metrics by name, the main one first. responses: for each instance those of its `requests`, in order."""
        raise NotImplementedError

    def baselines(self, instances: Sequence[Instance]) -> Mapping[str, float]:
        """Scores without a model: `chance` and `majority`, in the unit of the main metric, if they are defined."""
        raise NotImplementedError

    def require_packages(self) -> None:
        """Raise UsageError where a metric's package is missing."""

    def remarks(self, instances: Sequence[Instance]) -> list[str]:
        """Notes on these instances that matter for their scores."""
        return []

    def requests(self, instance: Instance, prefix: str) -> list[tuple[str, str]]:
        """Context and answer of each response needed by `compute_metrics`, with `prefix` before the prompts."""
        return [(prefix + p, a) for p, a in zip(instance.prompts, instance.answers, strict=True)]
