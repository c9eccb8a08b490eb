"""The recipe block of a free answer. No torch here."""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError
from nlptool.evaluation.metrics import text_overlap
from nlptool.evaluation.metrics.text_overlap import Tokenize
from nlptool.prompting.aggregates import mean
from nlptool.prompting.config import (
    GenerationConfig,
    Instance,
    MetricValue,
    PromptConfig,
    Response,
)
from nlptool.prompting.template import Template, around, fill, fill_each
from nlptool.text.config import Sentences
from nlptool.text.tabular import Row

Metric = Literal[
    "exact",
    "squad_exact",
    "squad_f1",
    "squad2_exact",
    "squad2_f1",
    "korquad_exact",
    "korquad_f1",
    "triviaqa_exact",
    "triviaqa_f1",
    "coqa_exact",
    "coqa_f1",
    "quac_f1",
    "quac_heq",
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    "rouge",
    "bleu",
]


class Config(PromptConfig):
    """The model writes on behind the prompt until a stop string or `tokens` are there.

    It takes the likeliest token each time, as lm-eval, unless `beams` or `top_k` say otherwise: Brown et al. 2020
    search with 4 beams (section 2.4), Radford et al. 2019 draw summaries from the 2 likeliest tokens (section 3.6).
    """

    name: Literal["answer"] = Field("answer", description="kind of task")
    answer: Template = Field(
        description="the answer of a demonstration, with the space in front of it; of a list, the first entry"
    )
    references: Template | None = Field(
        None, description="the texts that are right, or a column with a list of them; null: those of `answer`"
    )
    no_answer: str | None = Field(
        None,
        description="what is said where the list is empty; it counts as no text, so that silence is right",
    )
    shorten: str | None = Field(
        None,
        description="column whose end is left out where a prompt is too long for a model, so that an article keeps its "
        "lead; null: the prompt loses its beginning",
    )
    stop: tuple[str, ...] = Field(description="strings before which an answer ends")
    tokens: int = Field(gt=0, description="tokens of an answer at most")
    beams: int | None = Field(
        None, gt=1, description="search with so many beams for the likeliest answer; length penalty 0.6"
    )
    top_k: int | None = Field(
        None, gt=1, description="draw each token from so many likeliest ones, by the recipe's seed"
    )
    sentences: int | None = Field(
        None, gt=0, description="of an answer only so many sentences count, the first ones"
    )
    metrics: tuple[Metric, ...] = Field(min_length=1, description="scores; the first is the main one")
    tokenize: Tokenize = Field(Tokenize(), description="what ROUGE and BLEU take for words")

    @property
    def writing(self) -> GenerationConfig:
        """How an answer is written."""
        return GenerationConfig(self.tokens, self.stop, self.beams, self.top_k)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.beams is not None and self.top_k is not None:
            raise ValueError("beams and top_k: one of them; a search draws nothing")
        if not all(self.stop):
            raise ValueError("stop: a string without a character would stop everything")
        if self.shorten is not None:
            around(self.prompt, self.shorten)
        if wrong := self.tokenize.without_effect(self.metrics):
            raise ValueError(wrong)
        return self

    def question(self, row: Row, part: str) -> Instance:
        """What is asked of a row. Raises DataError, with the row's place, for what is not as it should be."""
        said = fill_each(self.answer, row)
        right = said if self.references is None else fill_each(self.references, row)
        if not (said and right) and self.no_answer is None:
            what = "no reference" if said else "no answer"
            raise DataError(
                f"{row.place}: has {what}",
                hint="mend or remove the row; or say in the task what a model says of such a row, as "
                "no_answer: unanswerable, by which an empty answer is right, too",
            )
        first = said[0] if said else f" {self.no_answer}"
        references = (
            tuple(dict.fromkeys(text.strip() for text in right)) if self.references is None else tuple(right)
        )
        prompt = fill(self.prompt, row)
        spare = (0, 0)
        if self.shorten is not None:
            before, behind = (len(fill(text, row)) for text in around(self.prompt, self.shorten))
            spare = (before, len(prompt) - behind)
        return Instance(row.place, part, (prompt,), (first,), (first.strip(),), 0, references, spare)

    def requests(self, question: Instance, prefix: str) -> list[tuple[str, str]]:
        """The text that is written on."""
        return [(prefix + question.prompts[0], "")]

    def figures(
        self, questions: Sequence[Instance], replies: Sequence[Sequence[Response]]
    ) -> Mapping[str, MetricValue]:
        """The scores by name, the main one first."""
        from nlptool.evaluation.metrics import classification, qa

        known = classification.of_answers(self.tokenize)
        texts = [self._said(reply.text) for (reply,) in replies]
        references = [question.references for question in questions]
        found: dict[str, MetricValue] = {}
        for name in self.metrics:
            if name == "bleu":  # of all answers together, no mean of one each
                found[name] = MetricValue(*text_overlap.bleu_and_error(texts, references, self.tokenize))
                continue
            pairs = [pair for pair in zip(texts, references, strict=True) if qa.counts(name, pair[1])]
            values = [known[name]([text], [right]) for text, right in pairs]
            found[name] = mean(values) if values else MetricValue(0.0, None)
        return found

    def baselines(self, questions: Sequence[Instance]) -> Mapping[str, float]:
        """None is known."""
        return {}

    def require(self) -> None:
        """Raise UsageError where a package is missing that a score needs."""
        from nlptool.evaluation.metrics import classification

        classification.require(self.metrics, self.tokenize)

    def remarks(self, questions: Sequence[Instance]) -> list[str]:
        """Scores that do not see the words of the references."""
        return text_overlap.remarks(
            self.metrics, [question.references for question in questions], self.tokenize
        )

    def _said(self, text: str) -> str:
        said = text.strip()
        if self.sentences is not None:
            from nlptool.text.sentences import segmenter

            said = "".join(segmenter(Sentences())(said)[: self.sentences])
        return "" if self.no_answer is not None and said.lower() == self.no_answer.lower() else said
