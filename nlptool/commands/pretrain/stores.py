"""The token stores of a run: one, or several with shares from the recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nlptool.commands.pretrain.recipe import WeightedStore
from nlptool.data.batches import Examples
from nlptool.data.mixture import Mixture
from nlptool.errors import DataError
from nlptool.formatting import agreeing, counted
from nlptool.knowledge.embeddings import EntityEmbeddings
from nlptool.objectives.base import Objective
from nlptool.text.links import open_links
from nlptool.text.store import SPLITS, TokenStore
from nlptool.train.config import Stage


class StoreShare(NamedTuple):
    """A run's share of a store."""

    path: str
    share: float
    """Share of the training rows."""
    tokens: int
    """Training tokens of the store."""
    epochs: float

    @property
    def read(self) -> str:
        """Its epochs in words."""
        return f"{agreeing(format(self.epochs, '.3g'), 'epochs')} of {counted(self.tokens, 'tokens')}"


class Stores:
    """Stores with a common tokenizer. Raises DataError where they differ."""

    def __init__(self, given: str | Sequence[WeightedStore]) -> None:
        self.mixed = not isinstance(given, str)
        listed = [WeightedStore(path=given)] if isinstance(given, str) else list(given)
        self.all = [TokenStore(Path(one.path)) for one in listed]
        self.weights = [one.weight for one in listed]
        for other in self.all[1:]:
            if other.fingerprint != self.first.fingerprint:
                raise DataError(
                    f"{other.path}: its tokenizer is another than that of {self.first.path}",
                    hint="tokenize both texts with one tokenizer: tokenizer.load="
                    + str(self.first.tokenizer),
                )

    @property
    def first(self) -> TokenStore:
        """The first store, whose tokenizer is that of all."""
        return self.all[0]

    @property
    def read(self) -> dict[str, Path]:
        """The stores by name, for the digests in a run's environment.json."""
        if not self.mixed:
            return {"tokens": self.first.path}
        return {f"store.{at}": store.path for at, store in enumerate(self.all)}

    @property
    def by_name(self) -> dict[str, TokenStore]:
        """The stores by the names of their folders, with a number where names are equal."""
        names = [store.path.resolve().name for store in self.all]
        return {
            f"{name}-{at + 1}" if names.count(name) > 1 else name: store
            for at, (name, store) in enumerate(zip(names, self.all, strict=True))
        }

    @property
    def tokens(self) -> int:
        """Training tokens of all stores."""
        return sum(store.split("train").tokens for store in self.all)

    @property
    def has_held_out(self) -> bool:
        """Whether any store has held-out documents."""
        return any(len(store.split("heldout")) for store in self.all)

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        files = (path for store in self.all for path in store.path.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files)

    def shares(self, steps: int, stages: Sequence[tuple[Stage, Examples]]) -> list[StoreShare]:
        """What a number of steps reads of each store; empty for a single path."""
        rows = [steps * stage.share * stage.batch_size for stage, _ in stages]
        mixtures = [
            (count, one) for count, (_, one) in zip(rows, stages, strict=True) if isinstance(one, Mixture)
        ]
        if not mixtures:
            return []
        total = sum(rows) or 1.0
        return [
            StoreShare(
                str(store.path),
                sum(count * one.shares[at] for count, one in mixtures) / total,
                store.split("train").tokens,
                sum(one.epochs(count)[at] for count, one in mixtures),
            )
            for at, store in enumerate(self.all)
        ]

    def examples(self, objective: Objective, split: str, length: int, seed: int) -> Examples:
        """Examples of a split of all stores with documents in it; mixed if there are several."""
        if not self.mixed:
            return objective.examples(self.first.split(split), length, seed)
        parts, weights = [], []
        for store, weight in zip(self.all, self.weights, strict=True):
            if split == "heldout" and not len(store.split(split)):
                continue
            examples = objective.examples(store.split(split), length, seed)
            if not len(examples) and split == "train":
                raise DataError(
                    f"{store.path}: the store has no example of {length} tokens",
                    hint="tokenize more text, shorten train.sequence_length, or leave the store out",
                )
            if len(examples):
                parts.append(examples)
                weights.append(weight)
        given = weights if all(weight is not None for weight in weights) else list(map(len, parts))
        return Mixture(parts, [float(weight or 0) for weight in given], seed)


def parts_of(examples: Examples) -> Sequence[Examples]:
    """The examples of each store."""
    return examples.parts if isinstance(examples, Mixture) else (examples,)


def linked_entities(vectors: str | None, store: TokenStore) -> EntityEmbeddings | None:
    """The entity embeddings of a recipe, if any. Raises DataError unless they belong to the store's links."""
    if vectors is None:
        return None
    found = EntityEmbeddings(Path(vectors))
    for split in SPLITS:
        open_links(store, split, found.graph)
    return found
