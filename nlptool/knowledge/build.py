"""Builds a graph folder from triples; names and twelve bytes a triple are held in memory."""

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool import __version__
from nlptool.atomic_files import write_json
from nlptool.errors import DataError
from nlptool.knowledge import questions
from nlptool.knowledge.graph import EARLIER, FACTS, SPLITS, VERSION
from nlptool.knowledge.names import write_names
from nlptool.knowledge.questions import Question, QuestionPlan
from nlptool.knowledge.readers import Columns
from nlptool.knowledge.relations import Merged
from nlptool.manifests import recorded

JOINING = str.maketrans("", "", " _-")
NEVER_TRAINED = "of an entity or relation without a training triple"


@dataclass
class BuildStats:
    """Counts of what was read, kept and dropped."""

    read: dict[str, int] = field(default_factory=dict)
    """Triples of each split in its files."""
    dropped: dict[str, Counter[str]] = field(default_factory=dict)
    """Triples left out of each split, by reason."""
    pairs_without: int = 0
    """Pairs of entities that `without` named."""

    def drop(self, split: str, why: str, number: int) -> None:
        """Count triples that are left out."""
        if number:
            self.dropped.setdefault(split, Counter())[why] += number


class GraphBuilder:
    """Collects triples by name and writes the graph folder.

    merge: the new name of each relation, by its name in lower case; relations that it lacks are dropped. None: all
    stay as they are. keep_loops: whether triples whose head is their tail stay. letters_only: whether to drop triples
    with an entity that has other characters than letters, spaces, hyphens and underscores (KagNet,
    conceptnet/extract_cpnet.py). drop: relations to drop, by their names after merging. shares: of the training
    triples that become validation and test triples, drawn evenly; each entity and relation keeps one. questions:
    which training triples become questions.
    """

    def __init__(
        self,
        merge: Mapping[str, Merged] | None = None,
        *,
        keep_loops: bool = False,
        letters_only: bool = False,
        drop: Iterable[str] = (),
        shares: tuple[float, float] = (0.0, 0.0),
        questions: QuestionPlan | None = None,
    ) -> None:
        self.merge, self.keep_loops, self.letters_only = merge, keep_loops, letters_only
        self.dropped_relations = frozenset(name.casefold() for name in drop)
        self.shares, self.questions = shares, questions
        self.stats = BuildStats()
        # defaultdict's own counter numbers missing names in C: 10^7 fields take a second or two
        self._entities: defaultdict[str, int] = defaultdict(count().__next__)
        self._relations: defaultdict[str, int] = defaultdict(count().__next__)
        self._columns = {split: (array("i"), array("i"), array("i")) for split in SPLITS}
        self._without: set[tuple[int, int]] = set()

    def add(self, columns: Columns, split: str = "train") -> None:
        """Add triples of a split."""
        heads, relations, tails = self._columns[split]
        heads.extend(map(self._entities.__getitem__, columns.heads))
        relations.extend(map(self._relations.__getitem__, columns.relations))
        tails.extend(map(self._entities.__getitem__, columns.tails))

    def without(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Remove all triples between two entities from every split, whatever the relation and the direction.

        Call it after all triples have been added. pairs: each once, as `pairs_of` returns them.
        """
        number = self._entities.get
        named = 0
        for named, (one, other) in enumerate(pairs, start=1):  # noqa: B007
            first, second = number(one), number(other)
            if first is not None and second is not None:
                self._without.add((first, second) if first < second else (second, first))
        self.stats.pairs_without += named

    def write(
        self, folder: Path, labels: Iterable[tuple[str, str]] = (), source: Any = None
    ) -> dict[str, Any]:
        """Write the graph folder atomically, and return the contents of graph.json.

        labels: (entity, label); an entity's first label is its main one. Labels of unknown entities are dropped and
        counted. Raises DataError where no training triple is left.
        """
        triples = {split: self._numbers(split) for split in SPLITS}
        if self.letters_only:
            triples = self._of_letters(triples)
        relations, triples = self._merged(triples)
        triples = {
            split: self._cleaned(split, self._of_relations(split, relations, columns))
            for split, columns in triples.items()
        }
        if not triples["train"].shape[1]:
            why = ", ".join(f"{n:,} {what}" for what, n in self.stats.dropped.get("train", Counter()).items())
            raise DataError(
                f"the graph holds no training triple ({why or 'none was read'})",
                hint="name files that hold triples: source.files=PATH",
            )
        drawn, columns = self._questions(triples["train"], relations)
        triples["train"] = columns
        if any(self.shares):
            triples = self._set_aside(triples["train"], relations)
        names, renumbered = _compact(list(self._entities), triples["train"][[0, 2]])
        relation_names, relation_numbers = _compact(relations, triples["train"][[1]])
        counts = {
            split: self._save(folder, split, triples.pop(split), renumbered, relation_numbers)
            for split in SPLITS
        }
        write_names(folder / "entities.txt", names)
        write_names(folder / "relations.txt", relation_names)
        found, unknown = _labels_of(labels, names)
        _write_labels(folder, found)
        files = recorded(path for path in folder.iterdir() if path.suffix in (".txt", ".npy"))
        facts = {
            "nlptool": __version__,
            "version": VERSION,
            "fingerprint": _fingerprint(files),
            "entities": len(names),
            "relations": len(relation_names),
            "triples": counts,
            "read": self.stats.read,
            "dropped": {split: dict(found) for split, found in self.stats.dropped.items()},
            "pairs_without": self.stats.pairs_without,
            "labels": len(found),
            "labels_of_others": unknown,
            "files": files,
        }
        if self.questions is not None:
            called, place = dict(reversed(found)), folder / questions.FOLDER
            facts["questions"] = questions.write(
                place, drawn, self.questions, relation_names, names, lambda one: called.get(one, names[one])
            )
        write_json(folder / FACTS, facts)
        return facts

    def _save(
        self,
        folder: Path,
        split: str,
        columns: NDArray[np.int32],
        entities: NDArray[np.int32],
        relations: NDArray[np.int32],
    ) -> int:
        """Write a split's triples [3, N] by the numbers of the graph, -1 for unknown names; returns their number."""
        heads, kinds, tails = entities[columns[0]], relations[columns[1]], entities[columns[2]]
        known = (heads >= 0) & (tails >= 0) & (kinds >= 0)
        self.stats.drop(split, NEVER_TRAINED, int((~known).sum()))
        self.stats.read[split] = len(self._columns[split][0])
        found = _sorted(heads[known], kinds[known], tails[known])
        if split == "train" or found.shape[1]:
            np.save(folder / f"{split}.npy", found)
        return int(found.shape[1])

    def _numbers(self, split: str) -> NDArray[np.int32]:
        """The triples of a split as they were added: [3, N], numbered by first occurrence."""
        return np.stack([np.frombuffer(column, np.int32) for column in self._columns[split]])

    def _merged(
        self, triples: dict[str, NDArray[np.int32]]
    ) -> tuple[list[str], dict[str, NDArray[np.int32]]]:
        """Names of relations after merging, and the renumbered triples; those without a group are dropped."""
        old = list(self._relations)
        if self.merge is None:
            return old, triples
        found = [self.merge.get(name.casefold()) for name in old]
        names = sorted({one.name for one in found if one is not None})
        number = {name: place for place, name in enumerate(names)}
        new = np.array([-1 if one is None else number[one.name] for one in found], np.int32)
        exchanged = np.array([one is not None and one.exchanged for one in found], bool)
        merged = {}
        for split, (heads, relations, tails) in triples.items():
            known, turned = new[relations] >= 0, exchanged[relations]
            self.stats.drop(split, "of a relation in no group", int((~known).sum()))
            ends = np.where(turned, tails, heads), np.where(turned, heads, tails)
            merged[split] = np.stack([ends[0], new[relations], ends[1]])[:, known]
        return names, merged

    def _of_relations(self, split: str, names: list[str], columns: NDArray[np.int32]) -> NDArray[np.int32]:
        """Triples without the relations to drop."""
        if not self.dropped_relations:
            return columns
        keep = np.array([name.casefold() not in self.dropped_relations for name in names], bool)[columns[1]]
        self.stats.drop(split, "of a relation that is left out", int((~keep).sum()))
        return columns[:, keep]

    def _of_letters(self, triples: dict[str, NDArray[np.int32]]) -> dict[str, NDArray[np.int32]]:
        """Triples whose entities have only letters, spaces, hyphens and underscores."""
        good = np.array([name.translate(JOINING).isalpha() for name in self._entities], bool)
        kept = {}
        for split, columns in triples.items():
            keep = good[columns[0]] & good[columns[2]]
            self.stats.drop(split, "of an entity with other characters than letters", int((~keep).sum()))
            kept[split] = columns[:, keep]
        return kept

    def _questions(
        self, columns: NDArray[np.int32], relations: list[str]
    ) -> tuple[list[Question], NDArray[np.int32]]:
        """Questions, by the numbers of the graph, since no entity leaves it; and the remaining training triples."""
        if self.questions is None:
            return [], columns
        numbered, back = self._by_name(columns, relations)
        found, left = questions.drawn(self.questions, numbered, [relations[number] for number in back[1]])
        self.stats.drop("train", "between the two of a question", numbered.shape[1] - left.shape[1])
        return found, _restored(left, back)

    def _set_aside(self, columns: NDArray[np.int32], relations: list[str]) -> dict[str, NDArray[np.int32]]:
        """Split the training triples into three, sampled by name; each entity and relation keeps its first triple."""
        columns, back = self._by_name(columns, relations)
        place = np.random.default_rng(0).random(columns.shape[1])
        validation, test = self.shares
        kept = np.zeros(columns.shape[1], bool)
        for column in columns:
            kept[np.unique(column, return_index=True)[1]] = True
        columns = _restored(columns, back)
        parts = {"validation": ~kept & (place < validation), "test": ~kept & (place >= 1 - test)}
        parts = {"train": ~(parts["validation"] | parts["test"])} | parts
        return {split: columns[:, chosen] for split, chosen in parts.items()}

    def _by_name(
        self, columns: NDArray[np.int32], relations: list[str]
    ) -> tuple[NDArray[np.int32], tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Triples numbered and sorted by name, and the previous number of each entity and relation."""
        entities = _compact(list(self._entities), columns[[0, 2]])[1]
        kinds = _compact(relations, columns[[1]])[1]
        found = _sorted(entities[columns[0]], kinds[columns[1]], entities[columns[2]])
        back = [np.flatnonzero(one >= 0)[np.argsort(one[one >= 0])] for one in (entities, kinds)]
        return found, (back[0], back[1])

    def _cleaned(self, split: str, columns: NDArray[np.int32]) -> NDArray[np.int32]:
        """Distinct triples, without the pairs to leave out and, unless they are kept, without loops."""
        heads, _, tails = columns
        keep = np.ones(len(heads), bool)
        if not self.keep_loops:
            keep = heads != tails
            self.stats.drop(split, "loop", int((~keep).sum()))
        if self._without:
            size = max(len(self._entities), 1)
            taken = np.array([one * size + other for one, other in self._without], np.int64)
            pairs = np.minimum(heads, tails) * np.int64(size) + np.maximum(heads, tails)
            out = np.isin(pairs, taken)
            self.stats.drop(split, "between a pair to be left out", int((out & keep).sum()))
            keep &= ~out
        unique = _sorted(*columns[:, keep])
        self.stats.drop(split, "duplicate", int(keep.sum()) - unique.shape[1])
        return unique


def _restored(
    columns: NDArray[np.int32], back: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> NDArray[np.int32]:
    """Triples with the previous numbers of entities and relations."""
    return np.stack([back[0][columns[0]], back[1][columns[1]], back[0][columns[2]]]).astype(np.int32)


def _sorted(
    heads: NDArray[np.int32], relations: NDArray[np.int32], tails: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Distinct triples sorted by head, relation and tail: [3, N]."""
    if not len(heads):
        return np.empty((3, 0), "<i4")
    sizes = [int(column.max()) + 1 for column in (heads, relations, tails)]
    if sizes[0] * sizes[1] * sizes[2] < 2**63:  # one number a triple, in the same order
        keys = (heads.astype(np.int64) * sizes[1] + relations) * sizes[2] + tails
        keys.sort()
        keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
        columns = np.empty((3, len(keys)), "<i4")
        columns[2] = keys % sizes[2]
        keys //= sizes[2]
        columns[1] = keys % sizes[1]
        columns[0] = keys // sizes[1]
        return columns
    columns = np.stack([heads, relations, tails])[:, np.lexsort((tails, relations, heads))].astype("<i4")
    new = np.concatenate(([True], (columns[:, 1:] != columns[:, :-1]).any(0)))
    return columns[:, new]


def _compact(names: list[str], used: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int32]]:
    """The names in use, sorted by their bytes, and the new number of each old one; -1: not used."""
    seen = np.zeros(len(names), bool)
    seen[used] = True
    order = sorted(
        np.flatnonzero(seen).tolist(), key=names.__getitem__
    )  # by code point, the order of their UTF-8 bytes
    numbers = np.full(len(names), -1, np.int32)
    numbers[order] = np.arange(len(order), dtype=np.int32)
    return [names[number] for number in order], numbers


def _labels_of(labels: Iterable[tuple[str, str]], names: list[str]) -> tuple[list[tuple[int, str]], int]:
    """Distinct labels sorted by entity, and how many belong to unknown entities."""
    numbers: dict[str, int] = {}
    found: dict[tuple[int, str], None] = {}
    unknown = 0
    for entity, label in labels:
        numbers = numbers or {name: number for number, name in enumerate(names)}
        if (number := numbers.get(entity)) is None:
            unknown += 1
        elif label.strip():
            found.setdefault((number, " ".join(label.split())))
    return sorted(found, key=lambda one: one[0]), unknown  # stable: an entity's first label stays first


def _write_labels(folder: Path, labels: list[tuple[int, str]]) -> None:
    """Write labels in their order, if there are any."""
    if labels:
        write_names(folder / "labels.txt", (label for _, label in labels))
        np.save(folder / "labels.entities.npy", np.array([number for number, _ in labels], "<i4"))


def _fingerprint(files: Mapping[str, Mapping[str, Any]]) -> str:
    """One digest of the names and triples; labels are left out, since no number depends on them."""
    names = [name for name in sorted(files) if not name.startswith("labels.")]
    parts = (f"{EARLIER.get(name, name)} {files[name]['sha256']}\n" for name in names)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def pairs_of(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs of entities in either order, each once."""
    seen: set[tuple[str, str]] = set()
    for one, other in rows:
        pair = (one, other) if one <= other else (other, one)
        if pair not in seen:
            seen.add(pair)
            yield pair
