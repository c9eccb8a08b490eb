"""What the recipe blocks of all kinds of prompted task have in common, and what is made of a row. No torch here."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from nlptool.prompting.preprocess import TURN, Preparation
from nlptool.prompting.template import Template
from nlptool.recipe import RecipeBlock
from nlptool.text.tabular import Row


class Source(RecipeBlock):
    """Where the rows are, unless the recipe names a folder."""

    hub: str | None = Field(None, description="id of a data set of the hub, e.g. aps/super_glue")
    name: str | None = Field(None, description="its configuration, e.g. boolq")
    made: Literal["arithmetic", "scrambling"] | None = Field(
        None, description="rows are made by this rule, from the recipe's seed"
    )
    parts: tuple[str, ...] = Field(
        (),
        description="configurations, or names of files, that the task consists of; each is scored by itself too",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.hub is None) == (self.made is None):
            raise ValueError("hub or made: exactly one of them")
        if self.name is not None and self.parts:
            raise ValueError("name and parts: one of them")
        return self


class Instance(NamedTuple):
    """What a model is asked of one row, and what is right. All answers are scored; of a free answer, none."""

    place: str
    part: str
    prompts: tuple[str, ...]
    """The text before each answer: mostly the same."""
    answers: tuple[str, ...]
    """What may follow, with the space in front of it."""
    names: tuple[str, ...]
    """The answers by what lengths are counted: without that space."""
    gold: int
    """Place of the right answer."""
    references: tuple[str, ...] = ()
    """Texts that would be right as a free answer."""
    spare: tuple[int, int] = (0, 0)
    """Where in the prompt a text begins and ends of which the end may be left out: that of `shorten`."""

    def shortened(self, kept: int) -> "Instance":
        """The question with only the first `kept` characters of the text that may be shortened."""
        (prompt,), (start, end) = self.prompts, self.spare
        return self._replace(prompts=(prompt[: start + kept].rstrip() + prompt[end:],))

    @property
    def demonstration(self) -> str:
        """The whole example, answered rightly."""
        return self.prompts[self.gold] + self.answers[self.gold]

    @property
    def row(self) -> str:
        """Where the row is that it was made of, maybe with others: a dialogue has a question for each turn."""
        return self.place.partition(TURN)[0]


class Response(NamedTuple):
    """What a model makes of one answer, or the text it gives."""

    logprob: float = 0.0
    """In nats, of the whole answer."""
    tokens: int = 0
    greedy: bool = False
    """Whether each token of the answer is the likeliest."""
    cut: int = 0
    """Tokens left out at the beginning of the prompt, since the model does not read as many."""
    text: str = ""


class GenerationConfig(NamedTuple):
    """How a free answer is written."""

    tokens: int
    """At most."""
    stop: tuple[str, ...]
    """Strings before which it ends."""
    beams: int | None = None
    """Of a search for the likeliest text."""
    top_k: int | None = None
    """Likeliest tokens that are drawn from; None, and no beams: the likeliest is taken."""
    seed: int = 0
    """Of the draws."""


class MetricValue(NamedTuple):
    """A score over rows."""

    value: float
    error: float | None
    """Its standard error; None where none is known."""


class PromptConfig(RecipeBlock):
    """A prompted task: rows, how one of them is put to a model, and how the answers are scored.

    Columns have the names of the hub's data set, so that a folder with the same rows reads alike.
    """

    source: Source | None = Field(None, description="where the rows are, unless the recipe names a folder")
    train: str | None = Field(
        "train",
        description="split that demonstrations are from; null: the questions' own, but for the question itself",
    )
    validation: str = Field("validation", description="split that the questions are from")
    prepare: Preparation | None = Field(
        None, description="what is done to the rows first, where columns do not do"
    )
    header: str = Field("", description="text before the first demonstration")
    prompt: Template = Field(description="an example without its answer; columns in {braces}")
    answer: Template = Field(description="the right answer, with the space in front of it")
    separator: str = Field("\n\n", description="text behind each demonstration")

    @property
    def writing(self) -> GenerationConfig | None:
        """How an answer is written; None where answers are given and scored."""
        return None

    def question(self, row: Row, part: str) -> Instance:
        """What is asked of a row. Raises DataError, with the row's place, for what is not as it should be."""
        raise NotImplementedError

    def figures(
        self, questions: Sequence[Instance], replies: Sequence[Sequence[Response]]
    ) -> Mapping[str, MetricValue]:
        """The scores by name, the main one first; of each question, its replies in the order of `requests`."""
        raise NotImplementedError

    def baselines(self, questions: Sequence[Instance]) -> Mapping[str, float]:
        """What needs no model: `chance` and `majority`, in the unit of the main score, where they are known."""
        raise NotImplementedError

    def require(self) -> None:
        """Raise UsageError where a package is missing that a score needs, before anything is asked."""

    def remarks(self, questions: Sequence[Instance]) -> list[str]:
        """What to know of these questions before their scores are read."""
        return []

    def requests(self, question: Instance, prefix: str) -> list[tuple[str, str]]:
        """Context and answer of each reply that `figures` needs, with `prefix` before the prompts."""
        return [(prefix + p, a) for p, a in zip(question.prompts, question.answers, strict=True)]
