"""What the conformance suite needs to know of generated answers."""

from nlptool.prompting.config import Instance, Response
from nlptool.prompting.generate_until.config import METRICS, Config

BASE = {
    "prompt": "where is the {place}?",
    "answer": " {texts}",
    "fewshot_delimiter": "\n",
    "stop": ["\n"],
    "max_new_tokens": 6,
    "metrics": list(METRICS),
}
VARIANTS = {
    "greedy": BASE,
    "beams": BASE | {"num_beams": 2},
    "sampling": BASE | {"temperature": 1.5, "top_k": 9, "top_p": 0.9},
    "processors": BASE | {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    "no-answer": BASE | {"no_answer": "nowhere", "references": "{texts}"},
    "one-sentence": BASE | {"max_sentences": 1},
}


def row(number: int) -> dict:
    """A row with three references that agree."""
    return {"place": f"river {number}", "texts": [f"in the old winter town {number}"] * 3}


def perfect(task: Config, instance: Instance) -> list[Response]:
    """The text of the first reference."""
    return [Response(text=f" {instance.references[0]}")]
