"""The kinds of folder that nlptool leaves, made tiny, and the commands that read each of them.

Which files there are is discovered from what the commands have left. All paths are relative to the world, so that a
trial has a copy of its own.
"""

import json
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trials import ROOT, copy, run

WORDS = ("the", "river", "old", "town", "a", "bell", "small", "house", "winter", "wood", "stone", "reads")
BERT = (
    "store: store\nmodel: {name: bert, layers: 1, hidden: 16, heads: 2, max_positions: 128}\n"
    "objective: {name: mlm}\ntrain: {steps: 6, batch_size: 8, sequence_length: 32, lr: 1e-3, warmup: 2}\n"
    "evaluate: {every: 2, batches: 2}\nsave: {every: 2, keep_last: 2}\nseed: 7\nout: run\n"
)
TOKENIZE = (
    "source: {files: text/*.txt, document_boundary: line}\ntokenizer: {vocab_size: 300}\n"
    "heldout: 0.1\nworkers: 1\nout: store\n"
)
TASK = "name: classification\ninputs: [sentence]\nlabels: [silent, bell]\nmetrics: [accuracy]\n"
UPDATES = "batch_size: 8, sequence_length: 32, lr: 3e-3"
TUNE = (
    f"task: bell.yaml\ndata: data\ninit_from: model\ntrain: {{steps: 6, {UPDATES}}}\n"
    "evaluate: {every: 2}\nseeds: 1\nout: tuned\n"
)
SMALLER = (
    "store: store\nteacher: model\nstudent: {layers: 1}\nobjective: {name: distill, cosine: 0, cache_top_k: 4}\n"
    "train: {steps: 6, batch_size: 8, sequence_length: 32, lr: 1e-3}\nevaluate: {every: 2, batches: 2}\n"
    "save: {every: 2, keep_last: 2}\nout: smaller\n"
)
TASKWISE = (
    "task: bell.yaml\ndata: data\nteacher: tuned/seed-0/final\nlayers: 1\n"
    f"intermediate: {{steps: 4, {UPDATES}}}\nprediction: {{steps: 4, {UPDATES}}}\nevaluate: {{every: 2}}\n"
    "out: taskwise\n"
)
ASKED = "models: [model]\ntasks: [order.yaml]\ndata: data\nshots: [0]\nout: asked\n"
ORDER = 'name: multiple_choice\nprompt: "{sentence}"\nchoices: ["a bell", "a town"]\nmetrics: [accuracy]\n'


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
    done = run(line.split(), world)
    assert done.code == 0, f"{line}: {done}"


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
]
