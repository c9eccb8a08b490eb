"""Folders and files that cannot be made, or be read, as every command's --out, and as whatever it reads."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from hostile import Trial, nothing

WRITE = (
    "tokenize tokenize.yaml --out {}", "pretrain-mlm bert.yaml --out {}", "pretrain-clm gpt.yaml --out {}",
    "pretrain-electra electra.yaml --out {}", "pretrain-ernie ernie.yaml --out {}",
    "pretrain-transe transe.yaml --out {}",
    "knowledge graph.yaml --out {}", "corpus corpus.yaml --out {}", "finetune tune.yaml --out {}",
    "distill smaller.yaml --out {}",
    "distill-task taskwise.yaml --out {}", "prompt ask.yaml --out {}",
    "compare bert.yaml --vary seed=1,2 train.steps=1 --out {}",
    "evaluate model --store store --max-chars 40 --out {}", "evaluate bert-bell --task data/validation.jsonl --out {}",
    "evaluate model --suite suite.yaml --data data --out {}", "export run --out {}", "report run --out {}",
    "predict bert-bell data/validation.jsonl --out {}.jsonl", "predict bert-bell data/validation.jsonl --out {}.csv",
    "predict bert-bell data/validation.jsonl --out {}.parquet",
    "embed model data/validation.jsonl --column sentence --out {}.npy",
    "embed model data/validation.jsonl --column sentence --out {}.parquet", "inspect store --out {}.html",
    "recipes cp demo/bert {}",
    "verify-resume bert.yaml train.steps=2 save.every=1 --kills 1 --out {}",
)  # fmt: skip
READ = (
    "pretrain-mlm {}", "pretrain-mlm bert.yaml store={} --out new",
    "pretrain-mlm bert.yaml ~model init_from={} --out new",
    "pretrain-mlm bert.yaml --resume {} --out new", "tokenize tokenize.yaml source.files={} --out new",
    "tokenize tokenize.yaml ~tokenizer.vocab_size tokenizer.load={} --out new",
    "knowledge graph.yaml source.files={} --out new",
    "corpus corpus.yaml sources.text.files={}", "finetune tune.yaml data={} --out new",
    "finetune tune.yaml task={} --out new",
    "finetune tune.yaml init_from={} --out new", "distill smaller.yaml teacher={}",
    "distill-task taskwise.yaml teacher={}",
    "prompt ask.yaml models=[{}]", "prompt ask.yaml tasks=[{}]", "prompt ask.yaml data={}",
    "pretrain-transe transe.yaml graph={}",
    "pretrain-ernie ernie.yaml entity_embeddings={}", "evaluate {} --store store", "evaluate model --store {}",
    "evaluate model --minimal-pairs {}", "evaluate bert-bell --task {}", "evaluate model --suite {} --out new",
    "predict {} --text a", "predict bert-bell {}", "generate {} --text a", "generate gpt2 {}", "embed {} --text a",
    "embed model {}",
    "export {} --out new", "report {} --out new", "doctor {}", "inspect {}", "plan {}", "fill-mask {} a[MASK]",
    "recipes show {}",
    "verify-resume {}", "compare {} bert.yaml --out new", "predict bert-bell --text a --task {}",
)  # fmt: skip
PLACES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a name too long": ("x" * 300, nothing), "a path too long": ("/".join(["y" * 200] * 30), nothing),
    "NUL": ("a\0b", nothing),
    "below a file": ("bert.yaml/a", nothing), "below a file, deep": ("bert.yaml/a/b/c", nothing),
    "a file": ("plain", lambda world: (world / "plain").write_text("x")), "empty": ("", nothing),
    "a space": (" ", nothing),
    "a FIFO": ("pipe", lambda world: os.mkfifo(world / "pipe")),
    "below a FIFO": ("pipe/a", lambda world: os.mkfifo(world / "pipe")),
    "a link to nothing": ("link", lambda world: (world / "link").symlink_to("nowhere")),
    "below a link to nothing": ("link/a", lambda world: (world / "link").symlink_to("nowhere/b")),
    "a link in a loop": ("loop", lambda world: (world / "loop").symlink_to("loop")),
    "below a link in a loop": ("loop/a", lambda world: (world / "loop").symlink_to("loop")),
    "a link to a file": ("link", lambda world: (world / "link").symlink_to("bert.yaml")),
    "a link to a folder": ("link", lambda world: ((world / "there").mkdir(), (world / "link").symlink_to("there"))),
    "a folder of others": (
        "mine", lambda world: ((world / "mine").mkdir(), (world / "mine/thesis.tex").write_text("x")),
    ),
    "here": (".", nothing), "above": ("..", nothing), "the root": ("/", nothing), "a device": ("/dev/null", nothing),
    "zeros without end": ("/dev/zero", nothing), "a full device": ("/dev/full", nothing),
    "/proc": ("/proc/self/x", nothing),
    "/sys": ("/sys/x", nothing), "a descriptor": ("/dev/fd/0", nothing), "no UTF-8": ("a\udcffb", nothing),
    "home": ("~/x/y", nothing),
    "half a pair": ("\ud800", nothing), "an option": ("--out", nothing), "new line": ("a\nb", nothing),
    "stars": ("*[a", nothing),
    "of the run": ("run/checkpoints/new", nothing), "among tokens": ("store/new", nothing),
    "a hub's": ("hf://x/y/z", nothing),
    "an address": ("https://127.0.0.1:9/x", nothing), "a set-up": ("{a,b}", nothing), "windows": ("C:\\x\\y", nothing),
}  # fmt: skip


def trials() -> Iterator[Trial]:
    """Each place under each command; what cannot be written is a matter of the command line, or of the disk."""
    for kind, lines in (("--out", WRITE), ("read", READ)):
        for what, (place, change) in PLACES.items():
            for line in lines:
                if line.startswith("recipes cp") and place.startswith(("/", "..")):
                    continue  # it may be written
                words = [word.format(place) if "{}" in word else word for word in line.split()]
                yield Trial(f"{kind}, {what}", "", change, words)
