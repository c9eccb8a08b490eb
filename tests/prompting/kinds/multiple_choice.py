"""What the conformance suite needs to know of multiple choice."""

from nlptool.prompting.config import Instance, Response
from nlptool.prompting.multiple_choice.config import METRICS, Config

BASE = {"prompt": "the {place} is", "choices": ["{a}", "{b}"], "fewshot_delimiter": "\n"}
ALL = [metric for metric in METRICS if metric != "accuracy_unconditional"]
VARIANTS = {
    "answers": BASE | {"metrics": ALL},
    "a-list-by-name": BASE | {"choices": "{listed}", "labels": "names"},
    "partial-evaluation": BASE | {"prompt": "the {choice}", "answer": " is in {place}"},
    "unconditional": BASE | {"unconditional": "so:", "metrics": ["accuracy_unconditional"]},
}


def row(number: int) -> dict:
    """A row; either choice is right in some."""
    texts = [f"old town {number}", "small winter house"]
    label, names = number % 2, ["no", "yes"]
    values = {"place": f"river {number}", "a": texts[0], "b": texts[1], "listed": texts, "names": names}
    return values | {"label": label}


def perfect(task: Config, instance: Instance) -> list[Response]:
    """The right choice is certain; without the prompt all choices are alike."""
    count = len(instance.answers)
    given = [Response(0.0 if at == instance.gold else -9.0, 2, at == instance.gold) for at in range(count)]
    return given if task.unconditional is None else given + [Response(-9.0, 2)] * count
