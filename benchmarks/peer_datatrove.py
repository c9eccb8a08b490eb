"""datatrove beside `nlptool corpus`, run by the Python of a venv that has it (see corpus.py). Prints JSON.

python benchmarks/peer_datatrove.py speed|korean|minhash|decisions FILE.jsonl FOLDER
"""

import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    c4_filters,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils import word_tokenizers
from datatrove.utils.hashing import HashConfig
from datatrove.utils.typeshelper import Languages


def filters(language: str = Languages.english) -> list[Any]:
    """FineWeb's, in its order; C4's, which are English, for English alone."""
    c4 = [C4QualityFilter(filter_no_terminal_punct=False)] if language == Languages.english else []
    return [
        GopherRepetitionFilter(language=language),
        # FineWeb-2's bounds, since all Korean documents would go at the first rule of the English ones
        GopherQualityFilter(language=language)
        if language == Languages.english
        else GopherQualityFilter(
            min_avg_word_length=1, max_avg_word_length=6, min_stop_words=0, language=language
        ),
        *c4,
        FineWebQualityFilter(language=language),
    ]


def executed(steps: list[Any], folder: Path, tasks: int = 1) -> float:
    """CPU seconds of a pipeline in this process."""
    began = time.process_time()
    LocalPipelineExecutor(steps, tasks=tasks, workers=1, logging_dir=str(folder), skip_completed=False).run()
    return time.process_time() - began


def speed(file: Path, folder: Path) -> dict[str, Any]:
    reader = JsonlReader(str(file.parent), glob_pattern=file.name)
    GopherQualityFilter().filter(Document(text="load the tokenizer", id=""))
    seconds = executed([reader, *filters(), JsonlWriter(str(folder / "filtered"))], folder / "logs")
    return {"seconds": seconds}


def korean(file: Path, folder: Path) -> dict[str, Any]:
    """The filters with Kiwi's words, which datatrove takes for Korean.

    datatrove 0.10 asks for the model sbg, which kiwipiepy brings up to 0.21; later ones have a faster one, cong.
    """
    major, minor = map(int, version("kiwipiepy").split(".")[:2])
    model = "sbg" if (major, minor) < (0, 22) else "cong"
    word_tokenizers.KiwiTokenizer.__init__.__defaults__ = (model,)
    reader = JsonlReader(str(file.parent), glob_pattern=file.name)
    blocks = filters(Languages.korean)
    blocks[1].filter(Document(text="분석기를 부른다", id=""))
    seconds = executed([reader, *blocks, JsonlWriter(str(folder / "filtered"))], folder / "logs")
    return {
        "seconds": seconds,
        "model": model,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def minhash(file: Path, folder: Path) -> dict[str, Any]:
    import xxhash  # of which datatrove 0.10 wants a version below 4, that took strings

    digest = xxhash.xxh64_intdigest
    xxhash.xxh64_intdigest = lambda data: digest(data.encode())
    GopherQualityFilter().filter(Document(text="load the tokenizer", id=""))
    config = MinhashConfig(
        hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5
    )
    signatures, buckets, removed = (str(folder / name) for name in ("signatures", "buckets", "removed"))
    reader = JsonlReader(str(file.parent), glob_pattern=file.name)
    seconds = executed([reader, MinhashDedupSignature(signatures, config=config)], folder / "log1")
    seconds += executed([MinhashDedupBuckets(signatures, buckets, config=config)], folder / "log2", tasks=14)
    seconds += executed([MinhashDedupCluster(buckets, removed, config=config)], folder / "log3")
    written = JsonlWriter(str(folder / "deduplicated"))
    seconds += executed([reader, MinhashDedupFilter(removed), written], folder / "log4")
    return {"seconds": seconds}


def decisions(file: Path, _: Path) -> dict[str, Any]:
    """Which documents each filter keeps, where words are what stands between white space."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from nlptool.corpus.c4 import sentences

    for module in (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter):
        module.split_into_words = lambda text, language=None: text.split()
    c4_filters.split_into_sentences = lambda line, language=None: [line] * sentences(line)
    texts = [json.loads(line)["text"] for line in file.open(encoding="utf8")]
    return {one.name: [one.filter(Document(text=text, id="")) is True for text in texts] for one in filters()}


if __name__ == "__main__":
    mode, file, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    print(
        json.dumps(
            {"speed": speed, "korean": korean, "minhash": minhash, "decisions": decisions}[mode](file, folder)
        )
    )
