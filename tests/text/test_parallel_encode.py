import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nlptool.errors import DataError
from nlptool.text import bulk_encoder
from nlptool.text import parallel_encode as module
from nlptool.text.bulk_encoder import EngineDiffers
from nlptool.text.config import Normalise, Sentences
from nlptool.text.parallel_encode import FEW, EncodedDocuments, EncodeJob, Worker, batches, encode
from nlptool.text.store import Split
from nlptool.text.store_writer import write
from nlptool.text.tokenizer import Tokenizer

ENGLISH = "The old town reads. It has a bell, hasn't it? 1,234 stones lie in the river."
KOREAN = "국민 여러분, 안녕하십니까. 대한민국의 헌법을 지키겠습니다."
CORPUS = [f"{ENGLISH} Number {n}. {KOREAN}\n" for n in range(1000)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([ENGLISH, KOREAN] * 20, 340)


@pytest.fixture(scope="module")
def work(tokenizer: Tokenizer) -> EncodeJob:
    return EncodeJob(tokenizer.content, "tiktoken", Normalise(), Sentences(), 0.1)


def changed(work: EncodeJob, **changes: object) -> EncodeJob:
    return EncodeJob(**{**vars(work), **changes})  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def store(folder: Path, texts: list[str], work: EncodeJob, workers: int = 1) -> Path:
    folder.mkdir()
    write(batches(texts, 20_000), work, workers, folder)
    return folder


def texts_of(split: Split, tokenizer: Tokenizer) -> list[list[str]]:
    return [[tokenizer.decode(s.tolist()) for s in split.document(i)] for i in range(len(split))]


def test_batches_keep_the_order_and_are_about_as_large_as_asked():
    found = list(batches(["a" * 50, "b" * 100, "c" * 500, "d"], size=250))
    assert found == [["a" * 50, "b" * 100], ["c" * 500], ["d"]]


def test_a_document_is_stored_sentence_by_sentence(tmp_path: Path, tokenizer: Tokenizer, work: EncodeJob):
    folder = store(tmp_path / "store", [ENGLISH, "One."], changed(work, heldout=0.0))
    assert texts_of(Split(folder / "train"), tokenizer) == [
        [
            "The old town reads.",
            " It has a bell, hasn't it?",
            " 1,234 stones lie in the river.",
        ],
        ["One."],
    ]
    assert len(Split(folder / "heldout")) == 0


def test_names_of_special_tokens_in_a_document_are_ordinary_text(
    tmp_path: Path, tokenizer: Tokenizer, work: EncodeJob
):
    for name in ("tiktoken", "tokenizers"):
        text = "[MASK] and <|endoftext|> and [SEP]."
        folder = store(tmp_path / name, [text], changed(work, heldout=0.0, engine=name))
        split = Split(folder / "train")
        assert split.read(0, split.tokens).min() > max(tokenizer.special.values())
        assert texts_of(split, tokenizer) == [[text]]


def test_sizes_are_counted_by_hand(tmp_path: Path, work: EncodeJob):
    texts = ["One two. Three.", " ", "", "하나"]
    found = write(batches(texts), changed(work, heldout=0.0), 1, tmp_path)
    total = found.total()
    assert (total.documents, total.sentences) == (3, 4)
    assert total.bytes == 15 + 1 + 6
    assert total.words == 3 + 0 + 1
    assert found.single == 2
    assert dict(found.dropped) == {"nothing left after normalising": 1}
    assert found.frequencies.sum() == total.tokens


def test_entropy_of_four_equally_frequent_tokens_is_the_logarithm_of_four(tmp_path: Path, work: EncodeJob):
    found = write(batches(["x@#&", "x@#&"]), changed(work, heldout=0.0), 1, tmp_path)
    assert found.total().tokens == 8
    assert found.entropy == pytest.approx(np.log(4))


def test_copies_of_a_document_are_held_out_together(tmp_path: Path, tokenizer: Tokenizer, work: EncodeJob):
    texts = [f"Document {n}." for n in range(400)] * 2
    folder = store(tmp_path / "store", texts, work)
    train, heldout = (
        {"".join(document) for document in texts_of(Split(folder / name), tokenizer)}
        for name in ("train", "heldout")
    )
    assert train.isdisjoint(heldout)
    assert train | heldout == set(texts)
    assert 20 < len(heldout) < 64  # 40 expected, standard deviation 6


def test_two_documents_are_enough_for_both_splits(tmp_path: Path, tokenizer: Tokenizer, work: EncodeJob):
    folder = tmp_path
    found = write(batches(["First one.", "The last one, 하나."]), changed(work, heldout=1e-9), 1, folder)
    assert texts_of(Split(folder / "train"), tokenizer) == [["First one."]]
    assert texts_of(Split(folder / "heldout"), tokenizer) == [["The last one, 하나."]]
    assert [vars(counts)["bytes"] for counts in found.splits.values()] == [10, 21]
    assert [vars(counts)["words"] for counts in found.splits.values()] == [2, 4]


@pytest.mark.parametrize("heldout", [1e-9, 1 - 1e-9])  # whatever its hash says
def test_a_single_document_is_for_training(tmp_path: Path, work: EncodeJob, heldout: float):
    folder = store(tmp_path / "store", ["Only one."], changed(work, heldout=heldout))
    assert (len(Split(folder / "train")), len(Split(folder / "heldout"))) == (1, 0)


def test_nothing_to_write_is_an_error(tmp_path: Path, work: EncodeJob):
    with pytest.raises(DataError, match="no text"):
        write(batches(["", ""]), work, 1, tmp_path)


def test_the_store_does_not_depend_on_workers_or_engine(tmp_path: Path, work: EncodeJob):
    one = files(store(tmp_path / "one", CORPUS, work, workers=1))
    assert files(store(tmp_path / "three", CORPUS, work, workers=3)) == one
    assert files(store(tmp_path / "slow", CORPUS, changed(work, engine="tokenizers"))) == one
    assert multiprocessing.active_children() == []


def endless() -> Iterator[list[str]]:
    while True:
        yield from batches(CORPUS, 20_000)


def test_a_worker_that_dies_is_an_error_that_says_so(work: EncodeJob):
    with pytest.raises(DataError, match="a worker process died"):
        for _ in encode(endless(), work, 2):
            child = multiprocessing.active_children()[0]
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
    assert multiprocessing.active_children() == []


def test_an_interrupt_leaves_no_process(work: EncodeJob):
    def interrupted() -> Iterator[list[str]]:
        yield from batches(CORPUS, 20_000)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(encode(interrupted(), work, 2))
    assert multiprocessing.active_children() == []


def test_closing_early_leaves_no_process(work: EncodeJob):
    stream = encode(endless(), work, 2)
    assert isinstance(next(stream), EncodedDocuments)
    stream.close()
    assert multiprocessing.active_children() == []


def test_workers_end_when_their_reader_is_killed(tmp_path: Path, work: EncodeJob):
    program = (
        "import json, multiprocessing, sys\n"
        "from nlptool.text.config import Normalise, Sentences\n"
        "from nlptool.text.parallel_encode import EncodeJob, encode\n"
        "if __name__ == '__main__':\n"
        "    content = json.load(open(sys.argv[1]))\n"
        "    work = EncodeJob(content, 'tiktoken', Normalise(), Sentences(), 0.0)\n"
        "    batches = (['word ' * 1000] for _ in iter(int, 1))\n"
        "    for number, _ in enumerate(encode(batches, work, 2)):\n"
        "        if number == 0:\n"
        "            print(*(p.pid for p in multiprocessing.active_children()), flush=True)\n"
    )
    script = tmp_path / "reader.py"
    script.write_text(program)
    Tokenizer(work.tokenizer).save(tmp_path)
    reader = subprocess.Popen(
        [sys.executable, script, tmp_path / "tokenizer.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[2])},
    )
    assert reader.stdout is not None
    workers = [int(pid) for pid in reader.stdout.readline().split()]
    assert len(workers) == 2
    reader.kill()
    reader.wait()
    reader.stdout.close()
    deadline = time.monotonic() + 10
    while any(map(running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(running, workers))


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_small_corpus_is_encoded_without_another_process(work: EncodeJob, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ProcessPoolExecutor", None)
    few = [["Some text."]] * (FEW - 1)
    assert len(list(encode(few, work, 8))) == FEW - 1


def test_every_batch_is_checked_against_the_tokenizer(work: EncodeJob, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulk_encoder, "PATTERN", r"\S+|\s")  # words keep their commas
    with pytest.raises(EngineDiffers):
        Worker(work)(["short", ENGLISH])
