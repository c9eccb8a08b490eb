"""The kinds of folder that nlptool leaves, made tiny, and the commands that read each of them.

Which files there are is discovered from what the commands have left. All paths are relative to the world, so that a
trial has a copy of its own.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trials import ROOT, copy, run
from world_recipes import (
    ASKED,
    BERT,
    CORPUS,
    ERNIE,
    GRAPH,
    LINKED,
    ORDER,
    PREDICT,
    SMALLER,
    TASK,
    TASKWISE,
    TOKENIZE,
    TRANSE,
    TUNE,
)

WORDS = ("the", "river", "old", "town", "a", "bell", "small", "house", "winter", "wood", "stone", "reads")


@dataclass(frozen=True)
class Kind:
    """One kind of folder."""

    name: str
    target: str
    """The folder whose files are damaged."""
    make: Callable[[Path], None]
    """Make a world with it."""
    readers: Mapping[str, str] = field(hash=False)
    """Command lines that read it, by name."""
    train: str = ""
    """The command line that makes the folder from the start."""


def nlp(world: Path, line: str) -> None:
    done = run(line.split(), world, pictures=bool(WHOLE))
    assert done.code == 0, f"{line}: {done}"


UMASK = os.umask(0)
os.umask(UMASK)
WHOLE: list[bool] = []
"""Not empty where pictures belong to a world."""
BASES: dict[str, Callable[[Path], None]] = {}


def after(base: Callable[[Path], None]) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Marks what is done in a copy of another world."""

    def mark(make: Callable[[Path], None]) -> Callable[[Path], None]:
        BASES[make.__name__] = base
        return make

    return mark


def world_of(make: Callable[[Path], None]) -> Path:
    """A world, made once; nobody changes it."""
    world = Path(ROOT.name) / make.__name__
    if not world.exists():
        aside = world.with_name("aside-" + world.name)
        if base := BASES.get(make.__name__):
            copy(world_of(base), aside)
        make(aside)
        odd = [
            path
            for path in aside.rglob("*")
            if path.is_file() and path.stat().st_mode & 0o777 != 0o666 & ~UMASK
        ]
        assert not odd, f"permissions are not those of the umask: {odd}"
        aside.rename(world)
    return world


def texts(world: Path) -> None:
    rng = random.Random(0)
    (world / "text").mkdir(parents=True)

    def sentence() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randrange(4, 12))) + "."

    lines = [" ".join(sentence() for _ in range(6)) for _ in range(80)]
    (world / "text" / "a.txt").write_text("\n".join(lines) + "\n")
    (world / "tokenize.yaml").write_text(TOKENIZE)
    (world / "bert.yaml").write_text(BERT)
    (world / "pages").mkdir()


@after(texts)
def store(world: Path) -> None:
    nlp(world, "tokenize tokenize.yaml")


@after(store)
def pretrained(world: Path) -> None:
    nlp(world, "pretrain-mlm bert.yaml train.steps=4")


@after(pretrained)
def exported(world: Path) -> None:
    nlp(world, "export run --out model")
    shutil.rmtree(world / "run")


@after(exported)
def tuned(world: Path) -> None:
    labelled(world)
    nlp(world, "finetune tune.yaml train.steps=4")


def labelled(world: Path) -> None:
    """A task, whether a sentence has a bell in it, and recipes for it."""
    rng = random.Random(1)
    for folder in ("data", "data/order"):
        (world / folder).mkdir()
        for split, count in (("train", 48), ("validation", 16)):
            rows = [rng.choices(WORDS, k=6) for _ in range(count)]
            lines = [json.dumps({"sentence": " ".join(row), "label": int("bell" in row)}) for row in rows]
            (world / folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    for name, text in (
        ("bell", TASK),
        ("tune", TUNE),
        ("taskwise", TASKWISE),
        ("ask", ASKED),
        ("order", ORDER),
    ):
        (world / f"{name}.yaml").write_text(text)


@after(exported)
def distilled(world: Path) -> None:
    (world / "smaller.yaml").write_text(SMALLER)
    nlp(world, "distill smaller.yaml train.steps=4")


@after(tuned)
def taskwise(world: Path) -> None:
    nlp(world, "distill-task taskwise.yaml prediction.steps=2")


@after(exported)
def asked(world: Path) -> None:
    labelled(world)
    nlp(world, "prompt ask.yaml")


@after(store)
def compared(world: Path) -> None:
    (world / "other.yaml").write_text(BERT.replace("seed: 7", "seed: 8"))
    nlp(world, "compare bert.yaml other.yaml --out both")


@after(exported)
def evaluated(world: Path) -> None:
    nlp(world, RATE.format("model") + " --out rated")


@after(store)
def graphed(world: Path) -> None:
    """A graph of the words, and text that names them."""
    rng = random.Random(2)
    triples = sorted({(rng.choice(WORDS), rng.choice(("near", "of")), rng.choice(WORDS)) for _ in range(90)})
    (world / "triples.tsv").write_text("".join("\t".join(triple) + "\n" for triple in triples))
    for name, text in (("graph", GRAPH), ("transe", TRANSE), ("linked", LINKED), ("ernie", ERNIE)):
        (world / f"{name}.yaml").write_text(text)
    nlp(world, "knowledge graph.yaml")


@after(graphed)
def embedded(world: Path) -> None:
    nlp(world, "pretrain-transe transe.yaml train.steps=4")


@after(embedded)
def knowing(world: Path) -> None:
    nlp(world, "tokenize linked.yaml")
    nlp(world, "pretrain-ernie ernie.yaml train.steps=4")


@after(texts)
def cleaned(world: Path) -> None:
    rng = random.Random(3)
    rows = [{"text": " ".join(rng.choices(WORDS, k=rng.randrange(2, 40))), "id": str(n)} for n in range(60)]
    rows += rows[:10]
    (world / "pages" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (world / "corpus.yaml").write_text(CORPUS)
    nlp(world, "corpus corpus.yaml")


@after(tuned)
def predicted(world: Path) -> None:
    rng = random.Random(4)
    rows = [json.dumps({"sentence": " ".join(rng.choices(WORDS, k=6))}) for _ in range(1500)]
    (world / "rows.jsonl").write_text("\n".join(rows) + "\n")
    nlp(world, PREDICT)


FILL = "fill-mask {0} the[MASK]bell --json"
RATE = "evaluate {0} --store store --max-chars 40 --json"
KINDS = [
    Kind(
        "pretrain",
        "run",
        pretrained,
        {
            "resume": "pretrain-mlm bert.yaml --resume auto",
            "doctor": "doctor run",
            "report": "report run --out page --json",
            "export": "export run --out hf",
            "fill-mask": FILL.format("run/final"),
            "evaluate": RATE.format("run/final"),
        },
        "pretrain-mlm bert.yaml",
    ),
    Kind(
        "store",
        "store",
        store,
        {
            "resume": "tokenize tokenize.yaml --resume auto",
            "doctor": "doctor store",
            "pretrain": "pretrain-mlm bert.yaml train.steps=2",
            "load": "tokenize tokenize.yaml ~tokenizer.vocab_size tokenizer.load=store --out other",
        },
        "tokenize tokenize.yaml",
    ),
    Kind(
        "model",
        "model",
        exported,
        {
            "doctor": "doctor model",
            "fill-mask": FILL.format("model"),
            "evaluate": RATE.format("model"),
            "start": "pretrain-mlm bert.yaml ~model init_from=model train.steps=2",
        },
    ),
    Kind(
        "finetune",
        "tuned",
        tuned,
        {
            "resume": "finetune tune.yaml train.steps=4 --resume auto --json",
            "doctor": "doctor tuned",
            "report": "report tuned --out page --json",
            "evaluate": "distill-task taskwise.yaml intermediate.steps=2 prediction.steps=2 --json",
        },
        "finetune tune.yaml",
    ),
    Kind(
        "distill",
        "smaller",
        distilled,
        {
            "resume": "distill smaller.yaml --resume auto",
            "doctor": "doctor smaller",
            "export": "export smaller --out hf",
        },
        "distill smaller.yaml",
    ),
    Kind(
        "distill-task",
        "taskwise",
        taskwise,
        {
            "resume": "distill-task taskwise.yaml prediction.steps=2 --resume auto --json",
            "doctor": "doctor taskwise",
        },
        "distill-task taskwise.yaml",
    ),
    Kind(
        "prompt",
        "asked",
        asked,
        {"resume": "prompt ask.yaml --resume auto --json", "report": "report asked --out page"},
        "prompt ask.yaml",
    ),
    Kind(
        "compare",
        "both",
        compared,
        {"resume": "compare bert.yaml other.yaml --out both --resume auto --json"},
        "compare bert.yaml other.yaml --out both",
    ),
    Kind(
        "evaluate",
        "rated",
        evaluated,
        {
            "resume": RATE.format("model") + " --out rated --resume auto",
            "overwrite": RATE.format("model") + " --out rated --overwrite",
        },
    ),
    Kind(
        "graph",
        "graph",
        graphed,
        {
            "resume": "knowledge graph.yaml --resume auto",
            "doctor": "doctor graph",
            "train": "pretrain-transe transe.yaml train.steps=2 --out other",
        },
        "knowledge graph.yaml",
    ),
    Kind(
        "pretrain-transe",
        "vectors",
        embedded,
        {"resume": "pretrain-transe transe.yaml --resume auto", "doctor": "doctor vectors"},
        "pretrain-transe transe.yaml",
    ),
    Kind(
        "pretrain-ernie",
        "knowing",
        knowing,
        {"resume": "pretrain-ernie ernie.yaml --resume auto", "doctor": "doctor knowing"},
        "pretrain-ernie ernie.yaml",
    ),
    Kind(
        "corpus",
        "corpus",
        cleaned,
        {"resume": "corpus corpus.yaml --resume auto", "doctor": "doctor corpus"},
        "corpus corpus.yaml",
    ),
    Kind(
        "predict",
        "answers",
        predicted,
        {"overwrite": PREDICT + " --overwrite"},
        PREDICT,
    ),
]
