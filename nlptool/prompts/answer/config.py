"""The recipe block of a free answer. No torch here."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from nlptool.errors import DataError
from nlptool.prompts.config import Figure, PromptConfig, Question, Reply, Writing
from nlptool.prompts.figures import mean
from nlptool.prompts.template import Template, fill, fill_each
from nlptool.text.rows import Row

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
    "bleu",
]
WHOLE = ("quac_f1", "quac_heq", "bleu")
"""Scores of all answers together, which are no mean of one each."""


class Config(PromptConfig):
    """The model writes on behind the prompt, the likeliest token each time, until a stop string or `tokens` are there.

    Brown et al. 2020 search with a beam of 4 (section 2.4); lm-eval is greedy, and so is this.
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
    stop: tuple[str, ...] = Field(min_length=1, description="strings before which an answer ends")
    tokens: int = Field(gt=0, description="tokens of an answer at most")
    metrics: tuple[Metric, ...] = Field(min_length=1, description="scores; the first is the main one")

    @property
    def writing(self) -> Writing:
        """How an answer is written."""
        return Writing(self.tokens, self.stop)

    def question(self, row: Row, part: str) -> Question:
        """What is asked of a row. Raises DataError, with the row's place, for what is not as it should be."""
        said = fill_each(self.answer, row)
        right = said if self.references is None else fill_each(self.references, row)
        if not said and self.no_answer is None:
            raise DataError(f"{row.place}: has no answer", hint="mend or remove the row, or set no_answer")
        first = said[0] if said else f" {self.no_answer}"
        references = (
            tuple(dict.fromkeys(text.strip() for text in right)) if self.references is None else tuple(right)
        )
        return Question(row.place, part, (fill(self.prompt, row),), (first,), (first.strip(),), 0, references)

    def requests(self, question: Question, prefix: str) -> list[tuple[str, str]]:
        """The text that is written on."""
        return [(prefix + question.prompts[0], "")]

    def figures(
        self, questions: Sequence[Question], replies: Sequence[Sequence[Reply]]
    ) -> Mapping[str, Figure]:
        """The scores by name, the main one first."""
        from nlptool.evaluate import answers, overlap

        known = answers.METRICS | overlap.METRICS
        texts = [self._said(reply.text) for (reply,) in replies]
        references = [question.references for question in questions]
        found = {}
        for name in self.metrics:
            metric = known[name]
            if name in WHOLE:
                found[str(name)] = Figure(metric(texts, references), None)
            else:
                pairs = zip(texts, references, strict=True)
                found[str(name)] = mean([metric([text], [right]) for text, right in pairs])
        return found

    def baselines(self, questions: Sequence[Question]) -> Mapping[str, float]:
        """None is known."""
        return {}

    def _said(self, text: str) -> str:
        said = text.strip()
        return "" if self.no_answer is not None and said.lower() == self.no_answer.lower() else said
