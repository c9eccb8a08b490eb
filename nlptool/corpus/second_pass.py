"""The second pass: removes repeated lines from all stretches, after the filters and before deduplication.

One process counts, the removal is distributed like the first pass, and a resumed run finds what was finished. Shards
of an array job do the first pass only.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlptool.atomic_files import read_json, write_json
from nlptool.corpus import engine, records_file, repeated_lines
from nlptool.corpus.config import RepeatedLines
from nlptool.corpus.engine import DROPPED, KEPT, KEYS, LINES, STATISTICS
from nlptool.corpus.keys_file import open_keys
from nlptool.corpus.pipeline import Blocks, Pipeline, document_of, record
from nlptool.corpus.repeated_lines import Repeated
from nlptool.corpus.statistics import Statistics
from nlptool.manifests import atomic_folder

COUNTED, DONE = ".repeated-lines", ".without-repeated-lines"
NUMBERS, COUNTS, TEXTS = "numbers.npy", "documents.npy", "texts.json"
REMEDY = "remove the folder stretches/ and run again with --resume auto"


class SecondPass(NamedTuple):
    """Results of the second pass."""

    parts: list[Path]
    """Folders of stretches, in the order of the input."""
    lines: list[dict[str, str | int]]
    """The lines of most documents, with the number of these."""


class _Given(NamedTuple):
    stretch: Path
    config: RepeatedLines
    wanted: frozenset[int]


def run(folder: Path, plan: Blocks, workers: int, progress: Callable[[float], None]) -> SecondPass:
    """Remove repeated lines from all stretches of a folder. plan: settings of the removal.

    progress: called with the number of finished stretches.
    """
    parts, config = engine.parts(folder), plan.repeated_lines
    assert config is not None
    counted = folder / COUNTED
    if not counted.is_dir():
        files = [part / LINES for part in parts if (part / LINES).is_file()]
        with atomic_folder(counted) as aside:
            found = repeated_lines.count(files, config.max_documents)
            np.save(aside / NUMBERS, found.values)
            np.save(aside / COUNTS, found.counts)
    repeated = Repeated(open_keys(counted / NUMBERS), open_keys(counted / COUNTS))
    most = repeated_lines.most_frequent(repeated)
    work, done = engine.Work(plan.second(counted / NUMBERS), workers), folder / DONE
    done.mkdir(exist_ok=True)
    try:
        for number, part in enumerate(parts):
            work.do(_write, done / part.name, _Given(part, config, frozenset(most)))
            progress(number)
        work.finish()
        progress(len(parts))
    finally:
        work.close()
    left = engine.parts(done)
    return SecondPass(left, _named(left, most))


def _write(path: Path, pipeline: Pipeline, given: _Given) -> None:
    """Write a stretch without its repeated lines, atomically."""
    documents = [document_of(one) for one in records_file.read(given.stretch / KEPT)]
    found = pipeline(documents)
    before = Statistics.from_json(read_json(given.stretch / STATISTICS, dict, REMEDY))
    texts = repeated_lines.texts_of(documents, given.config, given.wanted)
    with atomic_folder(path) as aside:
        records_file.write(aside / KEPT, map(record, found.kept))
        dropped = [*records_file.read(given.stretch / DROPPED), *found.dropped]
        records_file.write(aside / DROPPED, dropped)
        np.save(aside / KEYS, found.keys)
        write_json(aside / STATISTICS, before.followed_by(found.statistics).to_json())
        write_json(aside / TEXTS, {str(number): text for number, text in texts.items()})


def _named(parts: list[Path], most: dict[int, int]) -> list[dict[str, str | int]]:
    texts: dict[str, str] = {}
    for part in parts:
        if len(texts) == len(most):
            break
        texts = read_json(part / TEXTS, dict, REMEDY) | texts
    return [{"line": texts[str(number)], "documents": often} for number, often in most.items()]
