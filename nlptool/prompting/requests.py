"""The requests of a task: each row as an instance, with few-shot examples before it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nlptool.evaluation.generation.keys import GenerationConfig
from nlptool.prompting.config import Instance, PromptConfig
from nlptool.prompting.dataset import PromptDataset
from nlptool.prompting.fewshot import FewShotPool, fewshot_prefix, sample_examples
from nlptool.prompting.spec import TaskSpec
from nlptool.text.coverage import Loss

if TYPE_CHECKING:
    from nlptool.text.tokenizer import Tokenizer

CountTokens = Callable[[Sequence[str]], list[int]]
"""The number of tokens of each text."""


class TaskRun(NamedTuple):
    """All instances of a task, and the pools of their few-shot examples."""

    name: str
    task: PromptConfig
    instances: list[Instance]
    numbers: list[int]
    """Each instance's number within its part. It seeds sampling, so `limit` does not change an instance's examples."""
    pools: dict[str, FewShotPool]
    seed: int
    remarks: tuple[str, ...] = ()
    """Notes to show before the scores."""

    @property
    def generation(self) -> GenerationConfig | None:
        """How responses are generated; None if given answers are scored."""
        config = self.task.generation
        return config and (config._replace(seed=self.seed) if config.sampled else config)

    def prefix(self, index: int, shots: int) -> str:
        """The text before instance `index`; the examples of fewer shots are the last ones of more."""
        instance = self.instances[index]
        pool = self.pools.get(instance.part)
        examples = (
            sample_examples(pool, instance, self.numbers[index], shots, self.seed) if pool and shots else []
        )
        return fewshot_prefix(self.task.description, self.task.fewshot_delimiter, examples)


class RequestBatch(NamedTuple):
    """The requests of one instance for one model."""

    requests: list[tuple[str, str]]
    """Context and answer."""
    shots: int
    """Few-shot examples that fit."""
    left_out: int = 0
    """Characters truncated at the end of the text that may be truncated."""


def read_task(spec: TaskSpec, folder: Path | None, shots: int, limit: int | None, seed: int) -> TaskRun:
    """Read a task's rows.

    folder: has a folder or a file for each task; None: the hub. shots: the largest number that will be requested.
    limit: instances of each part. Raises DataError, with its place, for an invalid row, and where a pool has too few
    examples.
    """
    own = Path(spec.data) if spec.data is not None else None
    data = PromptDataset(spec.task, spec.name, folder, own, seed)
    instances: list[Instance] = []
    numbers: list[int] = []
    pools: dict[str, FewShotPool] = {}
    remarks: list[str] = []
    parts = data.parts()
    source = spec.task.source
    if source is not None and len(parts) < len(source.parts):
        remarks.append(f"{len(parts)} of its {len(source.parts)} parts are there")
    for part in parts:
        rows = data.rows(part, limit)
        instances += [spec.task.instance(row, part) for row in rows]
        numbers += range(len(rows))
        if shots:
            pools[part] = FewShotPool(spec.task, data.examples(part), part)
    remarks += spec.task.remarks(instances)
    run = TaskRun(spec.name, spec.task, instances, numbers, pools, seed, tuple(remarks))
    for first in [index for index, number in enumerate(numbers) if not number]:
        run.prefix(first, shots)  # raises where the pool is too small
    return run


def fit_fewshot_examples(
    run: TaskRun, shots: int, max_tokens: int, count_tokens: CountTokens
) -> list[RequestBatch]:
    """Each instance with as many of `shots` examples as fit into `max_tokens`; the first examples are dropped first.

    An instance that is too long without an example loses the end of the text that its task allows to truncate.
    Otherwise it stays unchanged, and the model reads its end.
    """
    batches = [_batch(run, index, 0) for index in range(len(run.instances))]
    highest = dict.fromkeys(range(len(batches)), shots)
    tried = dict(highest)  # all examples at first; if they do not fit, bisection
    while tried := {index: number for index, number in tried.items() if number > batches[index].shots}:
        candidates = {index: _batch(run, index, number) for index, number in tried.items()}
        lengths = count_tokens(
            [max(("".join(pair) for pair in batch.requests), key=len) for batch in candidates.values()]
        )
        for (index, batch), length in zip(candidates.items(), lengths, strict=True):
            if length <= max_tokens:
                batches[index] = batch
            else:
                highest[index] = batch.shots - 1
        tried = {index: (batches[index].shots + highest[index] + 1) // 2 for index in tried}
    return [_truncated(run, index, batch, max_tokens, count_tokens) for index, batch in enumerate(batches)]


def _truncated(
    run: TaskRun, index: int, batch: RequestBatch, max_tokens: int, count_tokens: CountTokens
) -> RequestBatch:
    """An instance that is too long, with its text truncated to fit."""
    instance = run.instances[index]
    start, end = instance.truncatable
    kept = whole = end - start
    while kept:
        ((context, _),) = batch.requests
        (length,) = count_tokens([context])
        if length <= max_tokens:
            break
        # Assumes equally long tokens; if that estimate was not enough, at least 8 more characters are removed.
        excess = (length - max_tokens) * len(context) // length
        kept = max(0, kept - max(excess, 8))
        short = instance.truncated(kept)
        batch = RequestBatch(
            run.task.requests(short, run.prefix(index, batch.shots)), batch.shots, whole - kept
        )
    return batch


def _batch(run: TaskRun, index: int, shots: int) -> RequestBatch:
    return RequestBatch(run.task.requests(run.instances[index], run.prefix(index, shots)), shots)


def unencodable(batches: Sequence[RequestBatch], tokenizer: "Tokenizer") -> str | None:
    """What a tokenizer cannot encode of the requests, and how many instances have answers with equal ids.

    None if it encodes everything.
    """
    if tokenizer.coverage.complete:
        return None
    loss = Loss()
    texts = list(dict.fromkeys(context + answer for batch in batches for context, answer in batch.requests))
    ids = dict(zip(texts, map(tuple, tokenizer.counting(loss).encode_batch(texts)), strict=True))
    if not loss.unknown and not loss.lost:
        return None
    distinct = [{context + answer for context, answer in batch.requests} for batch in batches]
    alike = sum(len({ids[text] for text in texts}) < len(texts) for texts in distinct)
    same = f"; answers of {alike:,} of {len(batches):,} questions are the same to it" if alike else ""
    return f"the tokenizer cannot spell all of it: {loss}{same}"
