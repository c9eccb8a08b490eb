"""Batch n of a run, as a function of (recipe, seed, n)."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, device

from nlptool.data.random_streams import RandomStreams, permuted
from nlptool.errors import DataError

CPU = device("cpu")
SHORT = 1 << 18  # examples; an epoch's order of this many takes 2 MB and a tenth of a second


@dataclass(frozen=True)
class Batch:
    """One micro-batch: named tensors, and the number of predictions that each loss term is summed over.

    B rows, T tokens, K slots, L links, N decisions, W numbers. A key of one objective or kind of task alone is in the
    docstring of its `collate`. What a model reads, by objectives.base.inputs_of:

        ids [B, T]                tokens, padded at the end
        types [B, T]              segment of each token; absent: 0
        lengths [B]               real tokens of each row; absent: rows have no padding
        at [B, K]                 positions whose hidden states are wanted; a masked LM's are its slots
        entity_at [B, L]          positions of linked tokens; -1: a row has fewer links
        entity_vectors [B, L, W]  embeddings of the linked entities

    What is predicted:

        labels [B, K]             of a masked LM: the token of each slot, -100 where one is unused
        labels [B, T]             of a causal LM: the token after each
        labels [N, 1]             of a task: the right answer of each decision, NaN where hidden
        order [B]                 of pairs: 1 where segment B is a random one, or comes first
        bytes [B]                 bytes of text of a row's labels, where tokens have bytes
        teacher_topk_ids [B, K, C]      of distillation: the C most probable tokens by the teacher, where these are kept
        teacher_topk_logprobs [B, K, C]    their log-probabilities
        answers [N, W]            of distillation on a task: the teacher's logits
        row [N]                   of a task: the number of each decision among those of the split
    """

    tensors: dict[str, Tensor]
    counts: dict[str, int]
    """The denominator of each loss term, known before the forward pass."""
    tokens: int
    """Real tokens: padding does not count."""
    shared: dict[str, Tensor] = field(default_factory=dict)
    """Tensors that all rows of a step share, without a row dimension."""
    compute_padding: bool = False
    """Whether models compute padding, too, where they would skip it: FLOPs are counted that way."""

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def to(self, place: device) -> "Batch":
        """The same batch on another device; copies from pinned memory to a GPU do not wait."""
        if place.type == "cpu":
            return self
        return self._each(lambda t: t.to(place, non_blocking=place.type == "cuda"))

    def pinned(self) -> "Batch":
        """The same batch in pinned memory, for copies to a GPU."""
        return self._each(Tensor.pin_memory)

    def _each(self, move: Callable[[Tensor], Tensor]) -> "Batch":
        moved = [{name: move(t) for name, t in part.items()} for part in (self.tensors, self.shared)]
        return replace(self, tensors=moved[0], shared=moved[1])


class BatchSource(Protocol):
    """Numbered batches: this rank's micro-batches of step n, a pure function of n."""

    def get(self, n: int) -> list[Batch]:
        """The micro-batches of step n, n from 0."""
        ...


class Examples(Protocol):
    """A split cut into training examples, by random access."""

    def __len__(self) -> int:
        """Examples per epoch."""
        ...

    def take(self, indices: NDArray[np.int64], epochs: NDArray[np.int64], draws: RandomStreams) -> Any:
        """Examples `indices` [N] as cut in `epochs` [N]: consecutive rows, the first is draws.first.

        The type of the result is up to an objective's examples and its collate.
        """
        ...


@runtime_checkable
class StepExamples(Examples, Protocol):
    """Examples that are compared with all others of their step."""

    def take_of_step(
        self, indices: NDArray[np.int64], epochs: NDArray[np.int64], draws: RandomStreams, rows: slice
    ) -> Any:
        """Some rows of a step. indices, epochs, draws: of all its rows, on any rank."""
        ...


@runtime_checkable
class OrderedExamples(Examples, Protocol):
    """Examples that come in an endless order of their own."""

    def places(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each number, what it belongs to and its number there."""
        ...


class Collate(Protocol):
    """Makes a micro-batch of examples; every random choice comes from `draws`."""

    def __call__(self, examples: Any, draws: RandomStreams) -> Batch:
        """One micro-batch."""
        ...


class Stage(NamedTuple):
    """Steps from `first_step` to the next stage's take `batch` examples each, over all ranks."""

    first_step: int
    batch: int
    examples: Examples


class Batches:
    """This rank's micro-batches of any step, made on demand.

    Row r of step n is position n * batch + r of an endless stream of epochs, each in its own order. Ranks and
    micro-batches take consecutive stretches of rows, as equal as can be: neither their number nor a restart changes
    the order. Where there are fewer rows than stretches, some have none, and no micro-batch is made of them.
    Raises DataError when a stage has no example.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        collate: Collate,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
    ) -> None:
        for stage in stages:
            if len(stage.examples) == 0:
                raise DataError(
                    "the store has no example of this length",
                    hint="tokenize more text, or shorten train.sequence_length",
                )
        self.stages, self.collate, self.seed = stages, collate, seed
        self.rank, self.world, self.accumulate = rank, world, accumulate
        self._orders: dict[tuple[int, int], NDArray[np.int64]] = {}  # of the last epochs, by size and epoch

    def get(self, n: int) -> list[Batch]:
        """The micro-batches of step n, n from 0."""
        stage = next(s for s in reversed(self.stages) if s.first_step <= n)
        parts = self.world * self.accumulate
        own = range(self.rank * self.accumulate, (self.rank + 1) * self.accumulate)
        cuts = [(part * stage.batch // parts, (part + 1) * stage.batch // parts) for part in own]
        return [self._micro_batch(stage, n, first, end - first) for first, end in cuts if first < end]

    def _micro_batch(self, stage: Stage, n: int, first: int, rows: int) -> Batch:
        draws, examples = RandomStreams(self.seed, n, first), stage.examples
        if isinstance(examples, StepExamples):
            step = RandomStreams(self.seed, n)
            taken = examples.take_of_step(
                *self._numbers(stage, n, 0, stage.batch), step, slice(first, first + rows)
            )
        else:
            taken = examples.take(*self._numbers(stage, n, first, rows), draws)
        return self.collate(taken, draws)

    def _numbers(
        self, stage: Stage, n: int, first: int, rows: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number and epoch of each example of some rows of step n."""
        positions = (n - stage.first_step) * stage.batch + first + np.arange(rows)
        size = len(stage.examples)
        epochs, indices = positions // size, positions % size
        if not isinstance(stage.examples, OrderedExamples):
            for epoch in np.unique(epochs):
                chosen = epochs == epoch
                indices[chosen] = self._permuted(indices[chosen], size, int(epoch))
        return indices, epochs

    def _permuted(self, indices: NDArray[np.int64], size: int, epoch: int) -> NDArray[np.int64]:
        """Places of indices in an epoch's order; a short epoch's is cached, which speeds up small batches."""
        if size > SHORT:
            return permuted(indices, size, self.seed, epoch)
        if (size, epoch) not in self._orders:
            last = list(self._orders.items())[-1:]
            self._orders = dict(last) | {(size, epoch): permuted(np.arange(size), size, self.seed, epoch)}
        return self._orders[size, epoch][indices]


class RepeatedEpochs:
    """The batches of the first `size` steps, repeated in another order each time."""

    def __init__(self, batches: BatchSource, size: int, seed: int) -> None:
        self.batches, self.size, self.seed = batches, size, seed

    def number(self, n: int) -> int:
        """Which of the first steps step n repeats."""
        epoch, index = divmod(n, self.size)
        return index if not epoch else int(permuted(np.array([index]), self.size, self.seed, epoch)[0])

    def get(self, n: int) -> list[Batch]:
        """The micro-batches of step n."""
        return self.batches.get(self.number(n))


class PrefetchingLoader:
    """Makes step n + 1's batches in a thread while step n runs; for a GPU in pinned memory."""

    def __init__(self, batches: BatchSource, place: device = CPU) -> None:
        self.batches, self.pins = batches, place.type == "cuda"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next: tuple[int, Future[list[Batch]]] | None = None

    def get(self, n: int) -> list[Batch]:
        """The micro-batches of step n; errors of the thread are raised here."""
        number, future = self._next or (n, None)
        batches = future.result() if future is not None and number == n else self._make(n)
        self._next = (n + 1, self._thread.submit(self._make, n + 1))
        return batches

    def _make(self, n: int) -> list[Batch]:
        batches = self.batches.get(n)
        return [batch.pinned() for batch in batches] if self.pins else batches

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
