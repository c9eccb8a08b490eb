"""Pages of Markdown whose commands are carried out: their blocks, and how far a command goes in a quick test."""

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]


def few(task: str) -> str:
    """A task of a package's speeches, long sentences of ten of them."""
    found = YAML(typ="safe").load(ROOT / f"recipes/tasks/{task}.yaml")
    found["source"] |= {"max_speeches": 10, "min_words": 40}
    return f"task={json.dumps(found)}"


CUT = {
    "tokenize demo/tokenize": ["~source", "source.files=data/sample.en.txt", "tokenizer.vocab_size=1000"],
    "tokenize demo/tokenize-ko": ["~source", "source.files=data/sample.ko.txt", "tokenizer.vocab_size=1000"],
    "pretrain-mlm": ["train.steps=10"],
    "pretrain-clm": ["train.steps=10"],
    "finetune demo/finetune": [few("demo/period")],
    "distill-task demo/distill-task": [few("demo/period")],
}
"""Changes that `make test` adds to commands that begin like this, so that they take seconds: 10 steps of pretraining,
on the project's sample in place of the package's text, long sentences of ten speeches in place of all. `make slow`
adds none."""


class Block(NamedTuple):
    """A block of code."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(language, text) for language, text in found]


def commands(page: Path) -> list[str]:
    """The lines of a page's sh blocks, without comments."""
    return [
        line.partition("  #")[0].strip()
        for block in blocks(page)
        if block.language == "sh"
        for line in block.text.splitlines()
        if line.strip()
    ]


def words(line: str, *, cut: bool) -> list[str]:
    """A command's arguments behind `nlptool`; cut: so that they take seconds."""
    given = shlex.split(line)[1:]
    if not cut:
        return given
    for begin, changes in CUT.items():
        if " ".join(given).startswith(begin):
            there = {word.partition("=")[0] for word in given}
            kept = [change for change in changes if change.partition("=")[0] not in there]
            given = [*given[:2], *kept, *given[2:]]
    return given
