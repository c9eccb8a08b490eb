"""Sentence segmenters side by side: boundary F1 on rows rejoined to paragraphs, and MB/s.

    python benchmarks/sentences.py --language en --rows FILE:FIELD[,FIELD] ... [--text FILE] [--unspaced 0.17]

Rows are files of one sentence a record (any format nlptool reads). A row counts if it ends like a sentence and holds
no other sentence by look; 3 to 12 rows in a seeded random order make a paragraph. Boundaries are compared by the
number of visible characters before them, so white space plays no part. --unspaced leaves out the space between that
share of the sentences, as is common in Korean speeches. --text measures speed on running text as well.
"""

import argparse
import random
import re
import time
from collections.abc import Callable, Iterator

from nlptool.text.config import Sentences, Source
from nlptool.text.corpus import ReadStats, documents
from nlptool.text.sentences import segmenter

Segment = Callable[[str], list[str]]
END = re.compile(r"[.!?][\"'”’)]?$")  # noqa: RUF001
INNER = re.compile(r"([^\W\d_]{4,}[.!?][\"'”’]? +[A-Z])|([가-힣][.!?][\"'”’]? *[가-힣])")  # noqa: RUF001


def tools(language: str) -> Iterator[tuple[str, Segment]]:
    """Ours, then every peer that is installed."""
    yield "nlptool", segmenter(Sentences(language=language))
    import sentencex

    yield "sentencex", lambda text: sentencex.segment(language, text)
    try:
        import pysbd

        yield "pysbd", pysbd.Segmenter(language, clean=False).segment
    except (ImportError, ValueError) as error:
        print(f"  pysbd left out: {str(error).split(chr(10))[0][:60]}")
    if language == "ko":
        try:
            import kiwipiepy

            kiwi = kiwipiepy.Kiwi(num_workers=1)
            yield "kiwipiepy", lambda text: [s.text for s in kiwi.split_into_sents(text)]
        except ImportError as error:
            print(f"  kiwipiepy left out: {error}")


def gold(source: str, count: int, unspaced: float) -> list[tuple[str, set[int]]]:
    """Paragraphs with the places of their inner boundaries, in visible characters."""
    path, _, fields = source.rpartition(":")
    rows = [
        document.text.strip()
        for field in fields.split(",")
        for document in documents(Source(files=path, field=field), ReadStats())
    ]
    rng = random.Random(1)
    rows = [row for row in dict.fromkeys(rows) if END.search(row) and not INNER.search(row)]
    rng.shuffle(rows)
    paragraphs = []
    while rows and len(paragraphs) < count:
        taken, rows = rows[: (size := rng.randint(3, 12))], rows[size:]
        text, boundaries = taken[0], set()
        for row in taken[1:]:
            boundaries.add(visible(text))
            text += ("" if rng.random() < unspaced else " ") + row
        paragraphs.append((text, boundaries))
    return paragraphs


def visible(text: str) -> int:
    return len("".join(text.split()))


def score(segment: Segment, paragraphs: list[tuple[str, set[int]]]) -> str:
    found, expected, right = 0, 0, 0
    started = time.process_time()
    cut = [segment(text) for text, _ in paragraphs]
    seconds = time.process_time() - started
    for (_, boundaries), sentences in zip(paragraphs, cut, strict=True):
        places, place = set(), 0
        for sentence in sentences[:-1]:
            place += visible(sentence)
            places.add(place)
        found += len(places)
        expected += len(boundaries)
        right += len(places & boundaries)
    size = sum(len(text.encode()) for text, _ in paragraphs) / 1e6
    lossless = sum("".join(s) == text for (text, _), s in zip(paragraphs, cut, strict=True)) / len(cut)
    f1 = 2 * right / (found + expected)
    return (
        f"precision {right / found:.4f}  recall {right / expected:.4f}  F1 {f1:.4f}  "
        f"lossless {lossless:6.1%}  {size / seconds:8.2f} MB/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Sentence segmenters side by side")
    parser.add_argument("--language", default="en")
    parser.add_argument("--rows", action="append", default=[], metavar="FILE:FIELD[,FIELD]")
    parser.add_argument("--text", metavar="FILE", help="running text for the speed on whole documents")
    parser.add_argument("--unspaced", type=float, default=0.0)
    parser.add_argument("--paragraphs", type=int, default=600)
    given = parser.parse_args()
    for source in given.rows:
        paragraphs = gold(source, given.paragraphs, given.unspaced)
        boundaries = sum(len(places) for _, places in paragraphs)
        print(f"{source.rpartition('/')[2]}: {len(paragraphs)} paragraphs, {boundaries:,} boundaries")
        for name, segment in tools(given.language):
            print(f"  {name:10} {score(segment, paragraphs)}", flush=True)
    if given.text:
        texts = [document.text for document in documents(Source(files=given.text), ReadStats())]
        size = sum(len(text.encode()) for text in texts) / 1e6
        print(f"{given.text.rpartition('/')[2]}: {len(texts):,} documents, {size:.1f} MB, whole documents")
        for name, segment in tools(given.language):
            started, done = time.process_time(), 0
            for text in texts:
                segment(text[:100_000])  # the slower peers need hours for a novel
                done += len(text[:100_000].encode())
                if time.process_time() - started > 10:
                    break
            print(f"  {name:10} {done / 1e6 / (time.process_time() - started):8.2f} MB/s", flush=True)


if __name__ == "__main__":
    main()
