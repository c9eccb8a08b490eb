"""What the conformance suite needs to know of the log-likelihood of a continuation."""

from nlptool.prompting.config import Instance, Response
from nlptool.prompting.loglikelihood.config import METRICS, Config

BASE = {"prompt": "the {place} is", "answer": " {a}", "fewshot_delimiter": "\n", "metrics": list(METRICS)}
VARIANTS = {"plain": BASE, "with-a-header": BASE | {"description": "Towns.\n", "fewshot_delimiter": "\n\n"}}


def row(number: int) -> dict:
    """A row."""
    return {"place": f"river {number}", "a": f"old town {number}"}


def perfect(task: Config, instance: Instance) -> list[Response]:
    """The continuation is certain."""
    return [Response(0.0, 2, greedy=True)]
