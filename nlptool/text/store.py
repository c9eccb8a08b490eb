"""The token store: Megatron-LM's indexed dataset on disk, one sequence per sentence.

STORE/train.bin heldout.bin   token ids, end to end
STORE/train.idx heldout.idx   lengths and positions of sentences, first sentence of each document
STORE/store.json              fingerprint of the tokenizer, special ids, counts, settings of the text
STORE/tokenizer/              the tokenizer, a Hugging Face folder

STORE/train is a prefix that Megatron-LM, NeMo and datatrove read unchanged. Everything is memory-mapped: opening
costs the same at any size, and a position is found by bisection.
"""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nlptool.atomic_files import read_json
from nlptool.errors import DataError
from nlptool.formatting import counted, json_kind
from nlptool.manifests import require_recorded

SPLITS = ("train", "heldout")
HEADER = b"MMIDIDX\x00\x00"
VERSION = 1
DTYPES: dict[int, np.dtype[Any]] = {8: np.dtype("<u2"), 4: np.dtype("<i4")}  # Megatron's codes
CODES = {dtype: code for code, dtype in DTYPES.items()}
AGAIN = "make the token store again: nlptool tokenize RECIPE --overwrite"
CHUNK = 1 << 20  # sentences whose index entries are held in memory while an index is written

Ids = NDArray[np.integer[Any]]
Kind = TypeVar("Kind")


def dtype_for(vocab_size: int) -> np.dtype[Any]:
    """Megatron's rule: two bytes for vocabularies below 65,500, else four."""
    return DTYPES[8] if vocab_size < 65_500 else DTYPES[4]


class Split:
    """Documents of sentences of token ids; len() counts documents, sentences are numbered throughout."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        index = prefix.with_suffix(".idx")
        data = prefix.with_suffix(".bin")
        try:
            if not index.is_file():  # a pipe would block
                raise FileNotFoundError
            # Slices of a plain array cost half those of a memmap.
            raw = np.asarray(np.memmap(index, mode="r"))
            magic, version, code, self.sentences, documents = struct.unpack("<9sQBQQ", raw[:34].tobytes())
        except (OSError, ValueError, struct.error):
            raise _damaged(index, "is missing or empty") from None
        if magic != HEADER or version != VERSION or code not in DTYPES:
            raise _damaged(index, "is not an index of Megatron's format, version 1, with 2- or 4-byte tokens")
        expected = 34 + 12 * self.sentences + 8 * documents
        if len(raw) != expected or documents < 1:
            raise _damaged(index, f"has {counted(len(raw), 'bytes')}, not {expected:,}")
        at = 34 + 4 * self.sentences
        self._lengths = raw[34:at].view("<i4")
        self._pointers = raw[at : at + 8 * self.sentences].view("<i8")
        self._documents = raw[at + 8 * self.sentences :].view("<i8")
        self.dtype = DTYPES[code]
        self.tokens = self._token_end()
        size = data.stat().st_size if data.is_file() else -1
        if size != self.tokens * self.dtype.itemsize:
            raise _damaged(data, f"has {counted(size, 'bytes')}, not {self.tokens * self.dtype.itemsize:,}")
        self._ids: Ids = (
            np.asarray(np.memmap(data, self.dtype, mode="r")) if self.tokens else np.empty(0, self.dtype)
        )

    def __len__(self) -> int:
        return len(self._documents) - 1

    def document(self, number: int) -> list[Ids]:
        """The sentences of one document, views into the file."""
        first, last = self.sentence_range(np.array([number]))
        return [self.read(*self.token_range(i)) for i in range(int(first[0]), int(last[0]))]

    def read(self, start: int, stop: int) -> Ids:
        """Tokens [start, stop) of the split, a view into the file."""
        return self._ids[start:stop]

    def token_range(self, sentence: int) -> tuple[int, int]:
        """First token of a sentence, and the one after its last."""
        start = int(self._pointers[sentence]) // self.dtype.itemsize
        return start, start + int(self._lengths[sentence])

    def starts(self, sentences: NDArray[np.int64]) -> NDArray[np.int64]:
        """First token of each sentence; `self.sentences` itself gives the end of the split."""
        inside = np.minimum(sentences, max(self.sentences - 1, 0))
        starts: NDArray[np.int64] = self._pointers[inside] // self.dtype.itemsize
        return np.where(sentences < self.sentences, starts, self.tokens)

    def sentence_range(self, documents: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First sentence of each document, and the one after its last."""
        return self._documents[documents], self._documents[documents + 1]

    def sentence_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sentence that holds each token position."""
        return _bisect(self._pointers, positions * self.dtype.itemsize, self.sentences)

    def document_of(self, sentences: NDArray[np.int64]) -> NDArray[np.int64]:
        """The document that holds each sentence."""
        return _bisect(self._documents, sentences, len(self))

    def document_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The document that holds each token position."""
        return self.document_of(self.sentence_at(positions))

    def _token_end(self) -> int:
        return self.token_range(self.sentences - 1)[1] if self.sentences else 0


class TokenStore:
    """A store written by `nlptool tokenize`. Raises DataError when something is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        facts = path / "store.json"
        try:
            self.info = read_json(facts, dict, AGAIN)
        except FileNotFoundError:
            raise DataError(
                f"{path}: is not a token store (no store.json)", hint="make one: nlptool tokenize"
            ) from None
        self.fingerprint = _member(facts, self.info, "fingerprint", str)
        self.vocab_size = _member(facts, self.info, "vocab_size", int)
        self.special: dict[str, int] = _member(facts, self.info, "special", dict)
        self.files: dict[str, Any] = _member(facts, {"files": {}} | self.info, "files", dict)
        """Size and digest of each split's files; empty in stores of older versions."""

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's Hugging Face folder."""
        return self.path / "tokenizer"

    def split(self, name: str) -> Split:
        """`train` or `heldout`, which may be empty. Raises DataError where it is damaged."""
        names = (f"{name}.bin", f"{name}.idx")
        require_recorded(self.path, {name: self.files[name] for name in names if name in self.files}, AGAIN)
        return Split(self.path / name)


class SplitWriter:
    """Writes PREFIX.bin document by document, PREFIX.idx at the end; memory does not grow with the corpus."""

    def __init__(self, prefix: Path, dtype: np.dtype[Any]) -> None:
        self.prefix, self.dtype = prefix, dtype
        self.documents = self.sentences = self.tokens = 0
        self._data = prefix.with_suffix(".bin").open("w+b")
        self._lengths = prefix.with_suffix(".lengths.partial").open("w+b")
        self._counts = prefix.with_suffix(".counts.partial").open("w+b")

    def add(self, ids: Ids, lengths: NDArray[np.int32]) -> None:
        """Append one document: its ids end to end, and the length of each sentence, never 0."""
        self.add_many(ids, lengths, np.array([len(lengths)], "<i8"))

    def add_many(self, ids: Ids, lengths: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
        """Append documents: ids and sentence lengths end to end, and the sentences per document."""
        self._data.write(np.ascontiguousarray(ids, self.dtype).data)
        self._lengths.write(np.ascontiguousarray(lengths, "<i4").data)
        self._counts.write(np.ascontiguousarray(counts, "<i8").data)
        self.documents += len(counts)
        self.sentences += len(lengths)
        self.tokens += len(ids)

    def pop(self) -> tuple[Ids, NDArray[np.int32]]:
        """Remove the last document: returns its ids and the lengths of its sentences."""
        (count,) = _pull(self._counts, np.dtype("<i8"), 1)
        lengths = _pull(self._lengths, np.dtype("<i4"), int(count))
        ids = _pull(self._data, self.dtype, int(lengths.sum()))
        self.documents -= 1
        self.sentences -= len(lengths)
        self.tokens -= len(ids)
        return ids, lengths

    def close(self) -> None:
        """Write the index and remove the temporary files."""
        with self.prefix.with_suffix(".idx").open("wb") as index:
            code = CODES[self.dtype]
            index.write(struct.pack("<9sQBQQ", HEADER, VERSION, code, self.sentences, self.documents + 1))
            for lengths in _chunks(self._lengths, "<i4"):
                index.write(lengths.data)
            _write_sums(index, _chunks(self._lengths, "<i4"), self.dtype.itemsize, include_total=False)
            _write_sums(index, _chunks(self._counts, "<i8"), 1, include_total=True)
        self.abandon()

    def abandon(self) -> None:
        """Close the files and remove the temporary ones; may be called again."""
        for file in (self._data, self._lengths, self._counts):
            file.close()
        for suffix in (".lengths.partial", ".counts.partial"):
            self.prefix.with_suffix(suffix).unlink(missing_ok=True)


def _bisect(ends: NDArray[np.int64], values: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """The last i in [0, size) with ends[i] <= value. np.searchsorted would copy the unaligned map first."""
    low = np.zeros(len(values), np.int64)
    high = np.full(len(values), size, np.int64)
    for _ in range(size.bit_length()):
        middle = (low + high) // 2
        right = ends[np.minimum(middle, size - 1)] <= values
        low = np.where(right & (high - low > 1), middle, low)
        high = np.where(right, high, middle)
    return low


def _chunks(file: IO[bytes], dtype: str) -> Iterable[NDArray[Any]]:
    """The contents of a file of numbers, from its start, in bounded pieces."""
    file.seek(0)
    while piece := file.read(CHUNK * np.dtype(dtype).itemsize):
        yield np.frombuffer(piece, dtype)


def _write_sums(
    index: IO[bytes], pieces: Iterable[NDArray[Any]], factor: int, *, include_total: bool
) -> None:
    """Write the exclusive running sum of the pieces, as int64."""
    total = 0
    for piece in pieces:
        sums = np.cumsum(piece, dtype="<i8") * factor
        index.write((np.concatenate(([0], sums[:-1])) + total).astype("<i8").data)
        total += int(sums[-1])
    if include_total:
        index.write(np.array([total], "<i8").data)


def _pull(file: IO[bytes], dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """Cut the last `count` numbers off a file."""
    size = count * dtype.itemsize
    file.seek(-size, 2)
    numbers = np.frombuffer(file.read(size), dtype)
    file.seek(-size, 2)
    file.truncate()
    return numbers


def _member(path: Path, info: dict[str, Any], key: str, kind: type[Kind]) -> Kind:
    value = info.get(key)
    if not isinstance(value, kind):
        raise _damaged(path, f"{key} is {'missing' if value is None else f'no {json_kind(kind)}'}")
    return value


def _damaged(path: Path, fault: str) -> DataError:
    return DataError(f"{path}: {fault}", hint=AGAIN)
