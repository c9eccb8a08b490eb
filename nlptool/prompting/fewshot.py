"""Few-shot examples, sampled for each instance by seed and number, so that they do not depend on the model or the
order of evaluation (Brown et al. 2020, section 2.4: new examples for each instance).
"""

import random
from collections.abc import Iterator, Sequence

from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.prompting.config import Instance, PromptConfig
from nlptool.text.tabular import Row


class FewShotPool:
    """The rows from which few-shot examples are sampled; a row becomes an instance when it is sampled."""

    def __init__(self, task: PromptConfig, rows: Sequence[Row], part: str = "") -> None:
        self._task, self._rows, self._part = task, rows, part
        self._known: dict[int, Instance] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Instance:
        if index not in self._known:
            self._known[index] = self._task.instance(self._rows[index], self._part)
        return self._known[index]


def sample_examples(
    pool: FewShotPool, instance: Instance, number: int, shots: int, seed: int
) -> list[Instance]:
    """`shots` distinct examples for instance `number`, the first sampled one last.

    So the examples of fewer shots are the last ones of more. Examples of the instance's own row or with its text are
    excluded. Raises DataError where the pool has too few.
    """
    rng = random.Random(f"{seed}/{number}")
    examples: list[Instance] = []
    for index in _permutation(len(pool), rng):
        if len(examples) == shots:
            break
        if pool[index].row != instance.row and not _same_text(pool[index], instance):
            examples.append(pool[index])
    if len(examples) < shots:
        raise DataError(
            f"{instance.place}: {counted(shots, 'few-shot examples')} requested, "
            f"{counted(len(examples), 'other examples')} there",
            hint=f"ask for fewer: num_fewshot=[{len(examples)}]",
        )
    return examples[::-1]


def fewshot_prefix(description: str, delimiter: str, examples: Sequence[Instance]) -> str:
    """The text before an instance: the description, and each example with the delimiter after it."""
    return description + "".join(example.fewshot_example + delimiter for example in examples)


def _same_text(one: Instance, other: Instance) -> bool:
    """Whether two instances have the same prompts; if these are empty, as in minimal pairs, the same answer."""
    if any(prompt.strip() for prompt in one.prompts):
        return one.prompts == other.prompts
    return one.fewshot_example == other.fewshot_example


def _permutation(total: int, rng: random.Random) -> Iterator[int]:
    """All indices in random order, lazily (Fisher-Yates; only moved entries are in memory)."""
    moved: dict[int, int] = {}
    for at in range(total):
        other = rng.randrange(at, total)
        yield moved.get(other, other)
        moved[other] = moved.pop(at, at)
