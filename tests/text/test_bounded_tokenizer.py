"""Panics of Rust libraries do not reach the user's terminal; other output does."""

import os
import threading

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from nlptool.errors import DataError
from nlptool.text import bounded_tokenizer
from nlptool.text.config import Sentences
from nlptool.text.sentences import segmenter


@pytest.fixture
def panicking() -> Tokenizer:
    """A tokenizer whose pattern gives up on many x."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"(x+x+)+y"), "isolated")
    return made


def test_a_panic_is_one_error_and_writes_nothing(panicking: Tokenizer, capfd: pytest.CaptureFixture[str]):
    with (
        pytest.raises(DataError, match=r"^t\.json: cannot encode a text: "),
        bounded_tokenizer.errors_as_data("t.json", "encode a text"),
    ):
        panicking.encode_batch(["x" * 60] * 4)
    assert capfd.readouterr().err == ""


def test_what_is_written_without_a_panic_is_kept(capfd: pytest.CaptureFixture[str]):
    with bounded_tokenizer.quiet():
        os.write(2, b"a warning\n")
    os.write(2, b"and more\n")
    assert capfd.readouterr().err == "a warning\nand more\n"


def test_a_panic_leaves_nothing_for_the_next_call(panicking: Tokenizer, capfd: pytest.CaptureFixture[str]):
    for _ in range(3):
        with pytest.raises(DataError), bounded_tokenizer.errors_as_data("t.json", "encode a text"):
            panicking.encode("x" * 60)
        with bounded_tokenizer.quiet():
            os.write(2, b"kept ")
    assert capfd.readouterr().err == "kept kept kept "


def test_two_threads_leave_standard_error_as_it_was(capfd: pytest.CaptureFixture[str]):
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        with bounded_tokenizer.quiet():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    with bounded_tokenizer.quiet():
        os.write(2, b"first ")
    done.set()
    thread.join()
    os.write(2, b"second")
    assert capfd.readouterr().err == "first second"


def test_a_closed_standard_error_is_no_fault():
    kept = os.dup(2)
    os.close(2)
    try:
        with bounded_tokenizer.quiet():
            pass
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_a_text_on_which_the_segmenter_panics_costs_boundaries_and_says_nothing(
    capfd: pytest.CaptureFixture[str],
):
    import sentencex

    text = "B\u3000. Then more. And more."
    with pytest.raises(BaseException, match="boundary"):
        sentencex.segment("en", text)
    assert "panicked" in capfd.readouterr().err, "so the words are Rust's"
    assert "".join(segmenter(Sentences())(text)) == text
    assert capfd.readouterr().err == ""


def test_where_there_are_no_files_in_memory_a_temporary_one_serves(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    bounded_tokenizer._memory.cache_clear()
    try:
        for text in (b"one\n", b"two\n"):
            with bounded_tokenizer.quiet():
                os.write(2, text)
        assert capfd.readouterr().err == "one\ntwo\n"
    finally:
        bounded_tokenizer._memory.cache_clear()
