"""The recipe block of generated answers. No torch here."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError
from nlptool.evaluation.generation.keys import GenerationKeys
from nlptool.evaluation.metrics import generated_text, qa, text_overlap
from nlptool.evaluation.metrics.aggregates import MetricValue, mean
from nlptool.evaluation.metrics.text_overlap import Tokenize
from nlptool.prompting.config import Instance, PromptConfig, Response
from nlptool.prompting.template import Template, around, fill, fill_each, fill_prompt
from nlptool.recipe import OneOf
from nlptool.text.config import Sentences
from nlptool.text.tabular import Row

METRICS = (*qa.METRICS, *text_overlap.ROUGE, "bleu")
Metric = Annotated[str, OneOf(METRICS)]


class Config(GenerationKeys, PromptConfig):
    """The model generates after the prompt, up to a stop string or `max_new_tokens`.

    Decoding is greedy, as in lm-eval, unless the generation keys change it: Brown et al. 2020 use beam search with 4
    beams (section 2.4), Radford et al. 2019 sample summaries with top-k of 2 (section 3.6).
    """

    name: Literal["generate_until"] = Field("generate_until", description="kind of task")
    answer: Template = Field(
        description="answer of a few-shot example, with its leading space; the first entry of a list"
    )
    references: Template | None = Field(
        None, description="reference answers, or a column with a list of them; null: those of `answer`"
    )
    no_answer: str | None = Field(
        None,
        description="reference where the list is empty; treated as the empty answer",
    )
    shorten: str | None = Field(
        None,
        description="column that is truncated at its end where a prompt exceeds the model's "
        "context, so that an article keeps "
        "its lead; null: the prompt is truncated at its beginning",
    )
    max_sentences: int | None = Field(None, gt=0, description="score only the first N sentences of an answer")
    metrics: tuple[Metric, ...] = Field(min_length=1, description="metrics; the first is the main one")
    tokenize: Tokenize = Field(Tokenize(), description="tokenizers of ROUGE and BLEU")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.shorten is not None:
            around(self.prompt, self.shorten)
        if wrong := self.tokenize.without_effect(self.metrics):
            raise ValueError(wrong)
        return self

    def instance(self, row: Row, part: str) -> Instance:
        """The instance of a row. Raises DataError, with the row's place, for a faulty row."""
        answers = _with_text(fill_each(self.answer, row))
        right = answers if self.references is None else _with_text(fill_each(self.references, row))
        if not (answers and right) and self.no_answer is None:
            what = "no reference" if answers else "no answer"
            raise DataError(
                f"{row.place}: has {what}",
                hint="fix or remove the row; or say in the task what a model says of such a row, as "
                "no_answer: unanswerable, by which an empty answer is right, too",
            )
        first = answers[0] if answers else f" {self.no_answer}"
        references = (
            tuple(dict.fromkeys(text.strip() for text in right)) if self.references is None else tuple(right)
        )
        prompt = fill_prompt(self.prompt, row)
        truncatable = (0, 0)
        if self.shorten is not None:
            before, behind = (len(fill(text, row)) for text in around(self.prompt, self.shorten))
            truncatable = (before, len(prompt) - behind)
        return Instance(row.place, part, (prompt,), (first,), (first.strip(),), 0, references, truncatable)

    def requests(self, instance: Instance, prefix: str) -> list[tuple[str, str]]:
        """The prompt, with an empty answer."""
        return [(prefix + instance.prompts[0], "")]

    def compute_metrics(
        self, instances: Sequence[Instance], responses: Sequence[Sequence[Response]]
    ) -> Mapping[str, MetricValue]:
        """The metrics by name, the main one first."""
        known = generated_text.metrics(self.tokenize)
        texts = [self._prediction(response.text) for (response,) in responses]
        references = [instance.references for instance in instances]
        metrics: dict[str, MetricValue] = {}
        for name in self.metrics:
            if name == "bleu":  # over the corpus, not the mean over its texts
                metrics[name] = MetricValue(*text_overlap.bleu_and_error(texts, references, self.tokenize))
                continue
            pairs = [pair for pair in zip(texts, references, strict=True) if qa.counts(name, pair[1])]
            values = [known[name]([text], [right]) for text, right in pairs]
            metrics[name] = mean(values) if values else MetricValue(0.0, None)
        return metrics

    def baselines(self, instances: Sequence[Instance]) -> Mapping[str, float]:
        """No baseline is defined for generated answers."""
        return {}

    def require_packages(self) -> None:
        """Raise UsageError where a metric's package is missing."""
        generated_text.require_packages(self.metrics, self.tokenize)

    def remarks(self, instances: Sequence[Instance]) -> list[str]:
        """Notes on metrics whose tokenizer drops words of the references."""
        return text_overlap.remarks(
            self.metrics, [instance.references for instance in instances], self.tokenize
        )

    def _prediction(self, text: str) -> str:
        """The part of a generated text that is scored; empty if it is `no_answer`."""
        text = text.strip()
        if self.max_sentences is not None:
            from nlptool.text.sentences import segmenter

            text = "".join(segmenter(Sentences())(text)[: self.max_sentences])
        return "" if self.no_answer is not None and text.lower() == self.no_answer.lower() else text


def _with_text(texts: Sequence[str]) -> list[str]:
    """The texts that are not blank; a blank one, as in a table, is not an answer."""
    return [text for text in texts if text.strip()]
