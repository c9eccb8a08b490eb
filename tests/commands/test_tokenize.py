import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nlptool import cli
from nlptool.atomic_files import aside_of
from nlptool.commands.tokenize import recipe as tokenize
from nlptool.commands.tokenize import run as tokenizing
from nlptool.console import Console, Options
from nlptool.data.vocabulary import Vocabulary
from nlptool.errors import DataError, RecipeError, UsageError
from nlptool.formatting import quantity
from nlptool.recipe import load, loads
from nlptool.runs import lock
from nlptool.text import bulk_encoder
from nlptool.text.corpus import ReadStats, documents
from nlptool.text.normalise import normaliser
from nlptool.text.store import SplitWriter, TokenStore
from nlptool.text.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]
PARAGRAPHS = [
    f"The old town reads {n} books.  It has a bell;\nhasn't it? River number {n}." for n in range(60)
]


class Speech:
    """A console whose two streams can be read."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.console = Console(self.out, self.err)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("\n\n".join(PARAGRAPHS), encoding="utf8")
    return path


@pytest.fixture
def recipe(corpus: Path, tmp_path: Path) -> tokenize.Recipe:
    return loads(
        f"source: {{files: {corpus}}}\nnormalise: {{whitespace: collapse}}\ntokenizer: {{vocab_size: 300}}\n"
        f"heldout: 0.1\nworkers: 1\nout: {tmp_path / 'tokens'}\n",
        tokenize.Recipe,
    )


def changed(recipe: tokenize.Recipe, **changes: object) -> tokenize.Recipe:
    return tokenize.Recipe.model_validate(recipe.model_dump() | changes)


def run(recipe: tokenize.Recipe, options: Options = Options()) -> Speech:  # noqa: B008
    speech = Speech()
    try:
        (tokenizing.dry_run if options.dry_run else tokenizing.run)(recipe, options, speech.console)
    finally:
        lock.release()
    return speech


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def left(recipe: tokenize.Recipe) -> list[str]:
    """What lies beside the corpus."""
    return sorted(path.name for path in Path(recipe.out).parent.iterdir() if path.name != "corpus.txt")


def test_a_store_is_whole_and_says_what_it_holds(recipe: tokenize.Recipe):
    run(recipe)
    store = TokenStore(Path(recipe.out))
    tokenizer = Tokenizer.load(store.tokenizer)
    assert tokenizer.fingerprint == store.fingerprint
    assert store.vocab_size == tokenizer.vocab_size == 300
    assert store.special == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4, "eos": 5}
    texts = set()
    for name in ("train", "heldout"):
        split = store.split(name)
        for number in range(len(split)):
            texts.add("".join(tokenizer.decode(s.tolist()) for s in split.document(number)))
        facts = store.info["splits"][name]
        assert facts["documents"] == len(split) > 0
        assert (facts["sentences"], facts["tokens"]) == (split.sentences, split.tokens)
        assert len(split.document(0)) == 3
    assert texts == {" ".join(text.split()) for text in PARAGRAPHS}
    assert 0 < store.info["unigram_entropy"] < 6
    assert store.info["files"]["train.bin"]["bytes"] == (store.path / "train.bin").stat().st_size
    assert load(store.path / "recipe.yaml", [], tokenize.Recipe).recipe == recipe
    assert left(recipe) == ["tokens"]


def test_the_report_is_on_stdout_and_beside_the_store(recipe: tokenize.Recipe):
    speech = run(recipe, Options(json=True))
    printed = json.loads(speech.out.getvalue())
    saved = json.loads((Path(recipe.out) / "report.json").read_text("utf8"))
    assert printed == saved | {"out": recipe.out}
    assert printed["documents"] == 60
    assert printed["sentences"] == 180
    assert printed["words"] == 60 * 15
    assert printed["bytes"] == sum(len(" ".join(text.split())) for text in PARAGRAPHS)
    assert printed["bytes_per_token"] == printed["bytes"] / printed["tokens"]
    assert printed["tokens_per_word"] == printed["tokens"] / printed["words"]
    assert printed["single_sentence_documents"] == 0
    assert printed["engine"] == "tiktoken"
    assert printed["dropped"] == {}
    assert printed["longest_line"] == max(len(line) for text in PARAGRAPHS for line in text.split("\n"))


def test_the_report_reads_well(recipe: tokenize.Recipe):
    out = run(recipe).out.getvalue()
    for words in ("a token store", "documents", "unigram entropy", "held out", "tiktoken", "nothing"):
        assert words in out


def test_progress_ends_at_the_size_of_the_corpus(recipe: tokenize.Recipe, corpus: Path):
    messages = run(recipe).err.getvalue()
    assert f"tokenizing: {quantity(corpus.stat().st_size, 'B')} in" in messages


def test_the_same_recipe_gives_the_same_bytes(recipe: tokenize.Recipe, tmp_path: Path):
    run(recipe)
    run(changed(recipe, out=str(tmp_path / "again")))
    one, two = contents(tmp_path / "tokens"), contents(tmp_path / "again")
    for name in ("report.json", "recipe.yaml"):  # these hold the time and the folder
        assert one.pop(name) != two.pop(name)
    assert one == two


def test_what_exists_is_refused_with_both_remedies(recipe: tokenize.Recipe):
    run(recipe)
    before = contents(Path(recipe.out))
    with pytest.raises(UsageError) as error:
        run(recipe)
    assert "--resume auto" in str(error.value.hint)
    assert "--overwrite" in str(error.value.hint)
    assert contents(Path(recipe.out)) == before


def test_overwriting_replaces_the_store_at_once(recipe: tokenize.Recipe):
    run(recipe)
    run(changed(recipe, tokenizer={"vocab_size": 280}), Options(overwrite=True))
    assert TokenStore(Path(recipe.out)).vocab_size == 280
    assert left(recipe) == ["tokens"]


def test_a_failed_overwriting_leaves_the_old_store(recipe: tokenize.Recipe, corpus: Path):
    run(recipe)
    before = contents(Path(recipe.out))
    corpus.write_text(" \n")
    with pytest.raises(DataError):
        run(recipe, Options(overwrite=True))
    assert contents(Path(recipe.out)) == before
    assert left(recipe) == ["tokens"]


def test_resuming_a_finished_store_does_nothing_and_says_so(recipe: tokenize.Recipe):
    run(recipe)
    before = contents(Path(recipe.out))
    speech = run(changed(recipe, workers=2), Options(resume="auto"))
    assert "is finished, nothing to do" in speech.err.getvalue()
    assert "unigram entropy" in speech.out.getvalue()
    assert contents(Path(recipe.out)) == before


def test_resuming_with_another_recipe_is_refused_and_names_the_change(recipe: tokenize.Recipe):
    run(recipe)
    with pytest.raises(UsageError, match=r"heldout: 0\.1 -> 0\.2"):
        run(changed(recipe, heldout=0.2), Options(resume="auto"))


def test_resuming_where_nothing_is_finished_starts(recipe: tokenize.Recipe):
    aside = aside_of(Path(recipe.out))
    aside.mkdir()
    (aside / "train.bin").write_bytes(b"half")
    run(recipe, Options(resume="auto"))
    assert TokenStore(Path(recipe.out)).vocab_size == 300
    assert left(recipe) == ["tokens"]


def test_a_dry_run_writes_nothing(recipe: tokenize.Recipe, corpus: Path):
    speech = run(recipe, Options(dry_run=True, json=True))
    facts = json.loads(speech.out.getvalue())
    assert (facts["bytes"], facts["files"]) == (corpus.stat().st_size, "1: 1 text")
    assert "300 tokens" in facts["tokenizer"]
    assert "corpus.txt" in run(recipe, Options(dry_run=True)).out.getvalue()
    assert left(recipe) == []


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(
    recipe: tokenize.Recipe, monkeypatch: pytest.MonkeyPatch
):
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(SplitWriter, "add_many", full)
    with pytest.raises(DataError, match="No space left on device"):
        run(recipe)
    assert left(recipe) == []


def test_a_disk_that_refuses_while_buffers_are_written_leaves_nothing(tmp_path: Path):
    """A limit on the size of files stands in for a full disk; it strikes when the last buffer is written."""
    (tmp_path / "corpus.txt").write_text("\n\n".join(f"{text} {n}" for n, text in enumerate(PARAGRAPHS * 40)))
    program = (
        "import resource, sys\n"
        "from nlptool.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "tokenize", write_recipe(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert "could not be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "Exception" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.txt", "recipe.yaml"]


def write_recipe(folder: Path) -> str:
    path = folder / "recipe.yaml"
    path.write_text(
        f"source: {{files: {folder / 'corpus.txt'}}}\ntokenizer: {{vocab_size: 300}}\nworkers: 2\n"
        f"out: {folder / 'tokens'}\n"
    )
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_store_and_can_be_started_again(tmp_path: Path, blow: signal.Signals):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(PARAGRAPHS * 1000), encoding="utf8")
    command = [sys.executable, "-m", "nlptool", "tokenize", write_recipe(tmp_path), "--resume", "auto"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT)
    data = aside_of(tmp_path / "tokens") / "train.bin"
    while not data.exists() or data.stat().st_size == 0:
        assert running.poll() is None
        time.sleep(0.01)
    os.killpg(running.pid, blow) if blow == signal.SIGINT else running.kill()
    _, messages = running.communicate(timeout=30)
    assert running.returncode == (130 if blow == signal.SIGINT else -9)
    assert "Traceback" not in messages
    assert not (tmp_path / "tokens" / "store.json").exists()
    if blow == signal.SIGINT:
        assert not data.parent.exists()
    deadline = time.monotonic() + 10
    while group(running.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert group(running.pid) == []
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    assert len(TokenStore(tmp_path / "tokens").split("train")) > 0
    assert not (tmp_path / "tokens.partial").exists()


def group(leader: int) -> list[str]:
    """Processes of a session that still run."""
    listed = subprocess.run(["ps", "-eo", "sid,stat,pid"], check=True, capture_output=True, text=True)
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    return [pid for session, state, pid in rows if int(session) == leader and state[0] != "Z"]


def test_an_engine_that_differs_in_the_middle_is_replaced(
    recipe: tokenize.Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    run(recipe)
    monkeypatch.setattr(tokenizing, "choose", lambda *_: "tiktoken")  # the head shows no difference
    monkeypatch.setattr(bulk_encoder, "PATTERN", r"\S+|\s")
    speech = run(changed(recipe, out=str(tmp_path / "again")))
    assert "encoding with the slower `tokenizers` library" in speech.err.getvalue()
    assert "tokenizers" in speech.out.getvalue()
    assert (tmp_path / "again" / "train.bin").read_bytes() == (tmp_path / "tokens" / "train.bin").read_bytes()


def test_a_tokenizer_is_loaded_from_a_store(recipe: tokenize.Recipe, tmp_path: Path):
    run(recipe)
    again = changed(recipe, tokenizer={"load": recipe.out}, out=str(tmp_path / "again"))
    assert tokenize.check(again) == []
    run(again)
    assert TokenStore(Path(again.out)).fingerprint == TokenStore(Path(recipe.out)).fingerprint


@pytest.mark.parametrize("whitespace", ["keep", "collapse"])
@pytest.mark.parametrize("split", ["language", "none"])
def test_a_document_can_be_read_back_and_counts_its_bytes(
    sample_data: Path, tmp_path: Path, whitespace: str, split: str
):
    """Without this a figure in bits per byte would be one of another text."""
    made = loads(
        f"source: {{files: [{sample_data / 'sample.en.txt'}, {sample_data / 'sample.ko.txt'}]}}\n"
        f"normalise: {{whitespace: {whitespace}}}\nsentences: {{split: {split}}}\n"
        f"tokenizer: {{vocab_size: 600}}\nheldout: 0\nworkers: 1\nout: {tmp_path / 'tokens'}\n",
        tokenize.Recipe,
    )
    run(made)
    store = TokenStore(tmp_path / "tokens")
    tokenizer, train = Tokenizer.load(store.tokenizer), store.split("train")
    normalise = normaliser(made.normalise)
    texts = [normalise(document.text) for document in documents(made.source, ReadStats())]
    assert len(texts) == len(train) > 20
    counts = Vocabulary.of(tokenizer).bytes
    assert counts is not None
    for number, text in enumerate(texts):
        ids = np.concatenate(train.document(number))
        assert tokenizer.decode(ids.tolist()) == text
        assert counts[ids].sum() == len(text.encode())


def test_a_word_piece_vocabulary_makes_a_store(recipe: tokenize.Recipe, tmp_path: Path):
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789.,;?'"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens) + "\n")
    speech = run(changed(recipe, tokenizer={"load": str(tmp_path / "vocab.txt")}))
    store = TokenStore(Path(recipe.out))
    assert store.vocab_size == len(tokens)
    tokenizer = Tokenizer.load(store.tokenizer)
    assert tokenizer.decode(store.split("train").document(0)[0].tolist()) == "the old town reads 0 books."
    assert (store.tokenizer / "vocab.txt").exists()
    assert "slower `tokenizers`" not in speech.err.getvalue()
    assert json.loads((Path(recipe.out) / "report.json").read_text())["engine"] == "words"


def test_a_missing_tokenizer_is_a_problem_of_the_recipe(recipe: tokenize.Recipe):
    (problem,) = tokenize.check(changed(recipe, tokenizer={"load": "/nowhere"}))
    assert problem.path == "tokenizer.load"


def test_vocabulary_and_a_tokenizer_to_load_contradict_each_other():
    with pytest.raises(RecipeError, match="either vocab_size or load"):
        loads("tokenizer: {vocab_size: 300, load: x}\nout: x\n", tokenize.Recipe)


def test_a_corpus_too_small_for_the_vocabulary_is_told(recipe: tokenize.Recipe):
    speech = run(changed(recipe, tokenizer={"vocab_size": 50_000}))
    assert "not 50,000" in speech.err.getvalue()


def test_a_missing_corpus_costs_nothing(recipe: tokenize.Recipe, corpus: Path):
    corpus.unlink()
    with pytest.raises(DataError):
        run(recipe)
    assert left(recipe) == []


def test_the_command_line_reaches_the_command(recipe: tokenize.Recipe, tmp_path: Path):
    path = write_recipe(tmp_path)
    assert cli.main(["tokenize", path, "tokenizer.vocab_size=280", "workers=1"]) == 0
    assert TokenStore(tmp_path / "tokens").vocab_size == 280
    assert cli.main(["tokenize", path]) == 2


@pytest.mark.parametrize("name", ["tokenize", "tokenize-ko"])
def test_the_demo_recipes_are_valid(name: str):
    recipe = load(ROOT / "recipes" / "demo" / f"{name}.yaml", [], tokenize.Recipe).recipe
    assert tokenize.check(recipe) == []


def test_text_that_the_tokenizer_cannot_spell_stops_the_work_or_is_reported(
    recipe: tokenize.Recipe, tmp_path: Path
):
    vocabulary, text = tmp_path / "vocab.txt", tmp_path / "text.txt"
    vocabulary.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n")
    text.write_text("the 우리 the\n\nthe the\n", encoding="utf8")
    given = changed(recipe, source={"files": str(text)}, tokenizer={"load": str(vocabulary)})
    told = r"20\.00 % of the tokens are unknown, 28\.57 % of the bytes are lost \(most often 리 우\)"
    with pytest.raises(DataError, match=told) as raised:
        run(given)
    assert "tokenizer.max_unknown=0.31" in str(raised.value.hint)
    assert not Path(given.out).exists()
    allowed = {"load": str(vocabulary), "max_unknown": 0.31}
    speech = run(changed(given, tokenizer=allowed))
    report = json.loads((Path(given.out) / "report.json").read_text("utf8"))
    assert report["unknown_tokens"] == pytest.approx(0.2)
    assert report["lost_bytes"] == pytest.approx(6 / 21)
    assert report["lost_characters"] == {"리": 1, "우": 1}
    assert "20.00 % of the tokens are unknown" in speech.out.getvalue()
    with pytest.raises(ValueError, match="max_unknown requires load"):
        tokenize.Tokenizer.model_validate({"max_unknown": 0.5})
