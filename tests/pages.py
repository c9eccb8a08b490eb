"""Pages of Markdown whose commands are carried out, and whose printed outputs are those of the commands.

A `text` block is what the commands of the `sh` block before it print: lines in their order, of which some may be
left out, and blank lines between. Numbers may differ, as they do between machines; names, words and signs may not.
With `--outputs=write` the slow tests of README and docs/ take the lines of today in place of those on the pages.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


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


def lines(block: Block) -> list[str]:
    """The commands of an sh block, without comments."""
    return [line.partition("  #")[0].strip() for line in block.text.splitlines() if line.strip()]


def commands(page: Path) -> list[str]:
    """The commands of a page's sh blocks."""
    return [line for block in blocks(page) if block.language == "sh" for line in lines(block)]


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


def carry_out(
    page: Path, main: Callable[[list[str]], int], capsys: Any, *, cut: bool, write: bool = False
) -> str:
    """Run the page's commands and its Python in their order, and compare what is printed; all of it."""
    text = page.read_text(encoding="utf-8")
    everything, said, asked = "", "", list[str]()
    namespace: dict[str, Any] = {}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.text, page.name, "exec"), namespace)
        elif block.language == "sh":
            given = [words(line, cut=cut) for line in lines(block) if line.startswith("nlptool")]
            for line in given:
                assert main(line) == 0, (page.name, line, capsys.readouterr().err)
            said, asked = capsys.readouterr().out, [word for line in given for word in line if " " in word]
            everything += said
        elif block.language == "text":
            found = "".join(
                f"{line}\n" for line in told(block.text.splitlines(), said, asked, answers=not cut)
            )
            if write:
                text = text.replace(f"```text\n{block.text}```", f"```text\n{found}```")
    if write:
        page.write_text(text, encoding="utf-8")
    return everything


def told(printed: list[str], said: str, asked: list[str], *, answers: bool = True) -> Iterator[str]:
    """The lines of `said` that have the shapes of those on a page.

    asked: texts that a model answers in words of its own. answers: look at what it answers, too, which is told last;
    one that has hardly been trained says something else.
    """
    rest = iter(said.splitlines())
    for line in printed:
        if not answers and line.startswith(tuple(asked)):
            return
        if not line:  # it sets the outputs of commands apart
            yield line
            continue
        wanted = shape(line, asked)
        found = next((one for one in rest if shape(one, asked) == wanted), None)
        assert found is not None, f"no such line is printed: {line}\nbut:\n{said}"
        yield found.rstrip()


def shape(line: str, asked: list[str]) -> str:
    """A line without its numbers and widths; of what a model says to a text that it was asked, the text alone."""
    for text in asked:
        if line.startswith(text):
            return text
    numbers = re.sub(r"(?<![\w@])(?:\d+h\d+m|\d+m\d+s|\d+[hms]\b|\d[\d,.]*(?:[kMBT]\b)?)", "#", line)
    return " ".join(numbers.split())
