"""Fixtures that several rooms use."""

import gc
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A deadline would time the machine; half of the usual examples cost half the time, and each run tries others.
settings.register_profile("quick", deadline=None, max_examples=50)
settings.load_profile("quick")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: bits are compared between processes

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", choices=["check", "write"], default="check", help="losses on record")
    parser.addoption("--outputs", choices=["check", "write"], default="check", help="what pages print")


def pytest_collection_finish() -> None:
    """What was imported stays: no collection of garbage looks at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def the_disk_is_not_waited_for() -> Iterator[None]:
    """Nobody pulls the plug during a test; test_atomic_files.py holds that files are forced onto the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def write_outputs(pytestconfig: pytest.Config) -> bool:
    """Whether the outputs on the documentation's pages are to be those of this run."""
    return bool(pytestconfig.getoption("--outputs") == "write")


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The sample texts that come with the project."""
    return ROOT / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Development data that lies beside the repository; the test is skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("development data not at hand: ../shared/data")
    return folder


WORDS = (
    "the",
    "river",
    "old",
    "town",
    "a",
    "bell",
    "small",
    "house",
    "winter",
    "wood",
    "stone",
    "light",
    "reads",
)


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A token store of 60 training and 6 held-out documents of made-up sentences, vocabulary below 400."""
    import numpy as np

    from nlptool.text.store import SplitWriter, dtype_for
    from nlptool.text.tokenizer import Tokenizer

    rng = np.random.default_rng(0)
    texts = [
        [" " + " ".join(rng.choice(WORDS, rng.integers(4, 12))) + "." for _ in range(12)] for _ in range(66)
    ]
    tokenizer = Tokenizer.train((sentence for text in texts for sentence in text), 400)
    store = tmp_path_factory.mktemp("store") / "tokens"
    tokenizer.save(store / "tokenizer")
    for split, chosen in (("train", texts[:60]), ("heldout", texts[60:])):
        writer = SplitWriter(store / split, dtype_for(tokenizer.vocab_size))
        for text in chosen:
            ids = tokenizer.encode_batch(text)
            writer.add(np.concatenate(ids), np.array([len(i) for i in ids], np.int32))
        writer.close()
    facts = {
        "fingerprint": tokenizer.fingerprint,
        "vocab_size": tokenizer.vocab_size,
        "special": tokenizer.special,
    }
    (store / "store.json").write_text(json.dumps(facts))
    return store


def write_tiny_recipe(store: Path, folder: Path) -> Path:
    """A recipe that pretrains a two-layer BERT for 12 steps in a second, with dropout, into folder/run."""
    path = folder / "tiny.yaml"
    path.write_text(
        f"store: {store}\n"
        "model: {name: bert, layers: 2, hidden: 16, heads: 2, max_positions: 64}\n"
        "objective: {name: mlm}\n"
        "train: {steps: 12, batch_size: 8, sequence_length: 32, lr: 1e-3, warmup: 2}\n"
        "evaluate: {every: 6, batches: 2}\n"
        "save: {every: 4, keep_last: 2}\n"
        "seed: 7\n"
        f"out: {folder / 'run'}\n"
    )
    return path


@pytest.fixture(scope="session")
def write_teacher(tiny_store: Path) -> Callable[[Path, dict[str, Any]], Path]:
    """Makes a language model with random weights that reads the tiny store's tokens, as a run leaves it."""
    import torch

    from nlptool import registry
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.models import huggingface
    from nlptool.text.tokenizer import Tokenizer

    def write(folder: Path, block: dict[str, Any]) -> Path:
        tokenizer = Tokenizer.load(tiny_store / "tokenizer")
        model = registry.config("models", block["name"]).model_validate(block)
        name = "clm" if block["name"] == "gpt2" else "mlm"
        torch.manual_seed(0)
        made = registry.config("objectives", name)().build(model, Vocabulary.of(tokenizer))
        folder.mkdir()
        huggingface.save_pretrained(folder, model, made.state_dict(), tokenizer.special)
        tokenizer.save(folder, max_length=model.max_positions)
        return folder

    return write


@pytest.fixture(scope="session")
def write_linked(tiny_store: Path) -> Callable[[Path, int], dict[str, str]]:
    """Makes the tiny store with links, and vectors of so many numbers for their entities: keys of a recipe."""
    from objectives import tiny

    from nlptool.text.store import TokenStore

    def write(folder: Path, width: int) -> dict[str, str]:
        store = folder / "linked"
        shutil.copytree(tiny_store, store)
        facts = json.loads((store / "store.json").read_text())
        (store / "store.json").write_text(json.dumps(facts | {"links": {"graph": tiny.GRAPH}}))
        for split in ("train", "heldout"):
            tokens = TokenStore(store).split(split).tokens
            tiny.links(store / split, tokens, tokenizer=facts["fingerprint"])
        vectors = tiny.entity_embeddings(folder / "vectors", width)
        return {"store": str(store), "entity_embeddings": str(vectors)}

    return write


@pytest.fixture
def tiny_recipe(tiny_store: Path, tmp_path: Path) -> Path:
    """The recipe of `write_tiny_recipe`, in this test's own folder."""
    return write_tiny_recipe(tiny_store, tmp_path)


@pytest.fixture(scope="session")
def tiny_run(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run of the tiny recipe; tests that change it make a copy."""
    from nlptool.cli import main

    folder = tmp_path_factory.mktemp("original")
    assert main(["pretrain-mlm", str(write_tiny_recipe(tiny_store, folder))]) == 0
    return folder / "run"


@pytest.fixture(scope="session")
def tiny_decoder(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of two layers that was pretrained for a second, as a Hugging Face folder."""
    from nlptool.cli import main

    folder = tmp_path_factory.mktemp("decoder")
    (folder / "tiny.yaml").write_text(
        f"store: {tiny_store}\n"
        "model: {name: gpt2, layers: 2, hidden: 32, heads: 2, max_positions: 128, init: 0.2}\n"
        "objective: {name: clm}\n"
        "train: {steps: 30, batch_size: 8, sequence_length: 32, lr: 3e-3, warmup: 2}\n"
        "evaluate: {every: 30, batches: 2}\n"
        f"out: {folder / 'run'}\n"
    )
    assert main(["pretrain-clm", str(folder / "tiny.yaml")]) == 0
    return folder / "run" / "final"
