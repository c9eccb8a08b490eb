"""`nlptool corpus` beside datatrove: decisions, speed, recall of planted duplicates.

    python -m venv --system-site-packages /tmp/peer && /tmp/peer/bin/pip install datatrove orjson spacy nltk
    python benchmarks/corpus.py --english ../shared/data/pretrain_en/novels.jsonl.xz \\
        --korean ../shared/data/pretrain_ko/speeches.jsonl.xz --peer /tmp/peer/bin/python

Speeds are MB of text per CPU second of one process, reading and writing included, so that other work on the machine
changes them little. Documents are pieces of novels of about 4,000 characters, and speeches.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nlptool.corpus import c4, duplicates, engine, fineweb, gopher, stretches, writing
from nlptool.corpus.config import CorpusSource, Dedup, MinHash, Output, Shard
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.corpus.filter_config import C4, Filters, FineWeb, GopherQuality, GopherRepetition
from nlptool.corpus.minhash import jaccard, shingles
from nlptool.corpus.pipeline import Blocks
from nlptool.text.config import Source
from nlptool.text.corpus import ReadStats, documents

ENGLISH = Filters(
    gopher_repetition=GopherRepetition(),
    gopher_quality=GopherQuality(),
    c4=C4(terminal_punctuation=False),
    fineweb=FineWeb(),
)
KOREAN = Filters(  # as recipes/corpus/korean.yaml has them, but for thresholds that cost nothing
    gopher_repetition=GopherRepetition(),
    gopher_quality=GopherQuality(
        min_word_length=2,
        max_word_length=7,
        stop_words=("은", "는", "이", "가", "을", "를"),
        stop_word_match="ending",
    ),
    fineweb=FineWeb(exclude_zero=True, max_short_lines=None),
)
NAMES = ("gopher_repetition", "gopher_quality", "c4", "fineweb")
SPAM = (
    "buy now cheap",
    "the best of the best",
    "- item one",
    "privacy policy applies here",
    "#",
    "...\n",
    "\n\n",
)


def pieces(file: Path, size: int) -> Iterator[str]:
    for document in documents(Source(files=(str(file),)), ReadStats()):
        for start in range(0, max(len(document.text) - size // 2, 1), size):
            yield document.text[start : start + size]


def spoilt(texts: list[str], count: int, chance: random.Random) -> Iterator[str]:
    """Texts with phrases and signs put in, so that every rule drops some."""
    for _ in range(count):
        rate, words = chance.random() * 0.2, chance.choice(texts).split()[:400]
        yield " ".join(f"{word} {chance.choice(SPAM)}" if chance.random() < rate else word for word in words)


def save(texts: list[str], path: Path) -> float:
    """Write JSON lines; their megabytes of text."""
    with path.open("w", encoding="utf8") as file:
        for number, text in enumerate(texts):
            file.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")
    return sum(len(text.encode()) for text in texts) / 1e6


def ours(file: Path, folder: Path, filters: Filters, dedup: Dedup) -> tuple[float, duplicates.Duplicates]:
    """CPU seconds from a file to what is written, and the duplicates."""
    source, plan = {"web": CorpusSource(files=(str(file),))}, Blocks(filters, dedup, 0.0, 0)
    folder.mkdir()
    began = time.process_time()
    engine.run(folder, stretches.groups(source)[0], source, plan, 1, Shard(0, 1), lambda done: None)
    parts, aside = engine.parts(folder), folder / ".aside"
    aside.mkdir()
    found = duplicates.find(parts, dedup, aside, lambda done: None)
    written = folder / "data"
    written.mkdir()
    left = np.ones(sum(len(duplicates.StretchPart(part)) for part in parts), bool)
    left[list(found.dropped)] = False
    writing.write_data(written, parts, found, left, Output(), lambda done: None)
    return time.process_time() - began, found


def theirs(peer: str, mode: str, file: Path, folder: Path) -> Any:
    command = [peer, str(Path(__file__).parent / "peer_datatrove.py"), mode, str(file), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(result.stderr[-2000:])
    return json.loads(result.stdout.splitlines()[-1])


def decisions(texts: list[str]) -> list[list[bool]]:
    blocks: list[Callable[[Document, Figures], Any]] = [
        gopher.Repetition(GopherRepetition()),
        gopher.Quality(GopherQuality()),
        c4.Rules(C4(terminal_punctuation=False)),
        fineweb.Rules(FineWeb()),
    ]
    return [
        [not isinstance(block(Document("", "", text, {}), Figures()), Dropped) for text in texts]
        for block in blocks
    ]


def planted(
    texts: list[str], each: int, chance: random.Random
) -> tuple[list[str], dict[int, tuple[str, int]]]:
    """Texts with copies of some, and of each copy its kind and its original."""
    found, kinds = list(texts), {}
    vocabulary = texts[0].split()
    for kind, share in (("exact", 0.0), ("1 % changed", 0.01), ("2 %", 0.02), ("4 %", 0.04), ("6 %", 0.06)):
        for original in chance.sample(range(len(texts)), each):
            words = texts[original].split()
            copy = [chance.choice(vocabulary) if chance.random() < share else word for word in words]
            kinds[len(found)] = (kind, original)
            found.append(" ".join(copy))
    return found, kinds


def recall(texts: list[str], each: int, folder: Path, verify: float | None, chance: random.Random) -> None:
    corpus, kinds = planted(texts, each, chance)
    file = folder / f"planted-{verify}.jsonl"
    save(corpus, file)
    config = Dedup(minhash=MinHash(verify=verify), keep="first")
    _, found = ours(file, folder / f"planted-{verify}", Filters(), config)
    for kind in dict.fromkeys(kind for kind, _ in kinds.values()):
        mine = [number for number, (one, _) in kinds.items() if one == kind]
        chances = []
        for number in mine:
            pair = (np.unique(shingles(corpus[at], 5)) for at in (number, kinds[number][1]))
            chances.append(1 - (1 - jaccard(*pair) ** 8) ** 14)
        expected, deviation = sum(chances), sum(p * (1 - p) for p in chances) ** 0.5
        met = sum(number in found.dropped for number in mine)
        print(f"  {kind:12} dropped {met}/{len(mine)}, theory {expected:.1f} +- {deviation:.1f}")
    others = [number for number in found.dropped if number not in kinds]
    low = [why.similarity for why in found.dropped.values() if not why.exact and why.similarity is not None]
    least = f"; least similarity of what was dropped {min(low):.3f}" if low else ""
    print(f"  unplanted documents dropped: {len(others)} of {len(texts):,}{least}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--english", type=Path, required=True)
    parser.add_argument("--korean", type=Path)
    parser.add_argument("--peer", help="Python of a venv with datatrove")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument(
        "--peer-documents", type=int, default=400, help="of them datatrove's speed is measured on"
    )
    given = parser.parse_args()
    chance = random.Random(0)
    texts = [text for text, _ in zip(pieces(given.english, 4000), range(given.documents), strict=False)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mb = save(texts, folder / "all.jsonl")
        few = save(texts[: given.peer_documents], folder / "few.jsonl")
        print(f"{len(texts):,} documents, {mb:.1f} MB; for datatrove {given.peer_documents:,}, {few:.1f} MB")
        speeds = {
            "filters": mb / ours(folder / "all.jsonl", folder / "filters", ENGLISH, Dedup(exact=False))[0],
            "minhash": mb
            / ours(folder / "all.jsonl", folder / "minhash", Filters(), Dedup(minhash=MinHash()))[0],
        }
        for what, mode in (("filters", "speed"), ("minhash", "minhash")):
            line = f"{what}: nlptool {speeds[what]:.2f} MB per CPU second"
            if given.peer:
                peer = (
                    few / theirs(given.peer, mode, folder / "few.jsonl", folder / f"peer-{mode}")["seconds"]
                )
                line += f", datatrove {peer:.3f}: {speeds[what] / peer:.0f} times"
            print(line)
        if given.korean:
            speeches = [text for text, _ in zip(pieces(given.korean, 4000), range(2000), strict=False)]
            size = save(speeches, folder / "korean.jsonl")
            seconds, _ = ours(folder / "korean.jsonl", folder / "korean", KOREAN, Dedup(exact=False))
            line = f"filters on Korean: nlptool {size / seconds:.2f} MB per CPU second"
            if given.peer:
                size_few = save(speeches[: given.peer_documents // 4], folder / "korean-few.jsonl")
                found = theirs(given.peer, "korean", folder / "korean-few.jsonl", folder / "peer-korean")
                peer = size_few / found["seconds"]
                line += (
                    f", datatrove with Kiwi's {found['model']} {peer:.4f}: {size / seconds / peer:.0f} times"
                )
                line += f"; its memory {found['mb']:.0f} MB"
            print(line)
        if given.peer:
            judged = [*texts, *spoilt(texts, 700, chance)]
            save(judged, folder / "judged.jsonl")
            peers = theirs(given.peer, "decisions", folder / "judged.jsonl", folder / "peer-decisions")
            for block, mine, peer in zip(NAMES, decisions(judged), peers.values(), strict=True):
                same = sum(a == b for a, b in zip(mine, peer, strict=True))
                print(
                    f"decisions of {block}: {same:,} of {len(judged):,} the same, {mine.count(False)} dropped"
                )
        print("planted duplicates, a band is enough:")
        recall(texts, 200, folder, None, chance)
        print("planted duplicates, verified at 0.7:")
        recall(texts, 200, folder, 0.7, chance)


if __name__ == "__main__":
    sys.exit(main())
