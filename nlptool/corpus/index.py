"""The index of a corpus: keys of its documents, against which later corpora are deduplicated.

CORPUS/index/keys.npy    [3 + bands, documents], in the order of data/: 24 bytes a document and 8 a band
CORPUS/index/index.json  the bands' settings, and the files of data/ in the order of the keys
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool.atomic_files import read_json, write_json
from nlptool.corpus import records_file
from nlptool.corpus.config import MinHash
from nlptool.corpus.keys_file import open_keys
from nlptool.errors import DataError, UsageError
from nlptool.manifests import atomic_folder

INDEX, FACTS, KEYS = "index", "index.json", "keys.npy"


def write(
    corpus: Path,
    keys: Sequence[Path],
    left: NDArray[np.bool_],
    minhash: MinHash | None,
    files: Sequence[str],
) -> None:
    """Write the index of a corpus: the keys of the documents that are kept."""
    with atomic_folder(corpus / INDEX) as aside:
        opened = list(map(open_keys, keys))
        found = np.lib.format.open_memmap(
            aside / KEYS, "w+", np.uint64, (opened[0].shape[0] if opened else 0, int(left.sum()))
        )
        start = at = 0
        for one in opened:
            chosen = left[start : start + one.shape[1]]
            kept = int(chosen.sum())
            found[:, at : at + kept] = one[:, chosen]
            start, at = start + one.shape[1], at + kept
        found.flush()
        del found
        write_json(aside / FACTS, {"minhash": _settings(minhash), "files": list(files)})


def _settings(minhash: MinHash | None) -> list[int] | None:
    return None if minhash is None else [minhash.ngram, minhash.bands, minhash.rows]


class Indexed:
    """Another corpus with its index. Raises DataError where it has none, UsageError where its bands differ."""

    def __init__(self, corpus: Path, minhash: MinHash | None) -> None:
        self._corpus, self.keys = corpus, corpus / INDEX / KEYS
        try:
            facts = read_json(corpus / INDEX / FACTS, dict, "make the corpus again with --overwrite")
        except FileNotFoundError:
            raise DataError(
                f"{corpus}: a corpus without an index", hint="make it again with this version of nlptool"
            ) from None
        self._files: list[str] = facts["files"]
        if minhash is not None and facts["minhash"] != _settings(minhash):
            raise UsageError(
                f"dedup.against: {corpus} was made with another dedup.minhash than this one: ngram, bands and rows are "
                f"{facts['minhash']}, here {_settings(minhash)}",
                hint="give both the same",
            )

    def __len__(self) -> int:
        """Number of documents."""
        return int(open_keys(self.keys).shape[1])

    def records(self) -> Iterator[dict[str, Any]]:
        """Its documents, in the order of the keys."""
        for name in self._files:
            yield from records_file.read_any(self._corpus / "data" / name)
