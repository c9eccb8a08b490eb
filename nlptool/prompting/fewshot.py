"""Which examples stand before a question: drawn for each question by seed and number, so that all models, and any order
of evaluation, have the same ones (Brown et al. 2020, section 2.4: anew for each question).
"""

import random
from collections.abc import Iterator, Sequence

from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.prompting.config import Instance, PromptConfig
from nlptool.text.tabular import Row


class FewShotPool:
    """The examples of a split that demonstrations are drawn from; a row is read by the task when it is drawn."""

    def __init__(self, task: PromptConfig, rows: Sequence[Row], part: str = "") -> None:
        self._task, self._rows, self._part = task, rows, part
        self._known: dict[int, Instance] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> Instance:
        if place not in self._known:
            self._known[place] = self._task.question(self._rows[place], self._part)
        return self._known[place]


def sample_examples(
    pool: FewShotPool, question: Instance, number: int, shots: int, seed: int
) -> list[Instance]:
    """`shots` different examples for question `number`, the last one first drawn.

    So those of fewer shots are the last ones of more. None is of the question's own row or has its text. Raises
    DataError where the pool has not as many.
    """
    rng = random.Random(f"{seed}/{number}")
    found: list[Instance] = []
    for place in _shuffled(len(pool), rng):
        if len(found) == shots:
            break
        if pool[place].row != question.row and not _alike(pool[place], question):
            found.append(pool[place])
    if len(found) < shots:
        raise DataError(
            f"{question.place}: {counted(shots, 'demonstrations')} asked for, "
            f"{counted(len(found), 'other examples')} there",
            hint=f"ask for fewer: shots=[{len(found)}]",
        )
    return found[::-1]


def fewshot_prefix(header: str, separator: str, examples: Sequence[Instance]) -> str:
    """What stands before the question: the header, and each example with the separator behind it."""
    return header + "".join(example.demonstration + separator for example in examples)


def _alike(one: Instance, other: Instance) -> bool:
    """Whether two questions have the same text; where prompts are empty, as of minimal pairs, the same answer."""
    if any(prompt.strip() for prompt in one.prompts):
        return one.prompts == other.prompts
    return one.demonstration == other.demonstration


def _shuffled(total: int, rng: random.Random) -> Iterator[int]:
    """All places in random order, as many as are taken (Fisher and Yates, with only what was moved in memory)."""
    moved: dict[int, int] = {}
    for at in range(total):
        other = rng.randrange(at, total)
        yield moved.get(other, other)
        moved[other] = moved.pop(at, at)
