"""Trials with what strangers made: each ends in a result, or in one line of error with a documented exit code.

Whatever it holds, no terminal obeys it, no page runs it, memory and time stay bounded.
"""

import errno
import html.parser
import json
import random
import re
import shutil
import xml.etree.ElementTree
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from forks import HANGS
from trials import MOST, ROOT, Done, Table, copy, run, sample, told_wrong
from world_recipes import CORPUS, GENERATOR, KAGNET, READER, SMALLER, SUITE
from worlds import WORDS, after, knowing, labelled, nlp, world_of

from nlptool import registry

OBEYED = {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029)}
OBEYED |= {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""What a terminal would do something at."""
WRITE_TEXT = ("generate",)
"""Commands that write text to files and pipes as it is; tests of the console hold that it is clean on a terminal."""
LONGEST = 2_000  # characters of a line of error
PATIENCE, MEMORY, GROWN = (
    10,
    2**32,
    2**29,
)  # seconds of processor time; bytes that may be had, and that are too many
TRIAL = Path(ROOT.name) / "trial"
NO_NAMES = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
TAG, ATTRIBUTE = "xhostile", "onhostile"
"""What no page has, unless a name has become markup."""


Change = Callable[[Path], object]
"""What is done to a world."""


Content = str | bytes | Callable[[], str]
"""What a file holds; large texts are made when they are written."""


class Trial(NamedTuple):
    """A world made hostile, and a command that meets it."""

    kind: str
    """The row of the table in which it counts."""
    what: str
    change: Change
    line: list[str]
    codes: tuple[int, ...] = (0, 2, 3)
    """Exit codes that are right."""
    grown: int = GROWN
    """Bytes by which memory may grow."""
    endless: bool = False
    """Whether it may go on for longer than anyone waits: what it reads is long."""
    then: tuple[list[str], ...] = ()
    """Further commands, as long as the one before has a result."""


def campaign(title: str, world: Path, trials: Iterable[Trial], most: int | None = MOST) -> Table:
    """Carry out trials, all or a sample, each in a copy of the world."""
    table = Table(title)
    for trial in sample(list(trials), most, title):
        try:
            trial.change(copy(world, TRIAL))
        except OSError as error:
            if error.errno in NO_NAMES:  # which this file system does not have
                continue
            raise
        for line in (trial.line, *trial.then):
            done = run(line, TRIAL, patience=PATIENCE, memory=MEMORY)
            table.add(trial.kind, f"{trial.what!a} {' '.join(line)[:200]!a}", wrong(done, trial))
            if done.code:
                break
    return table


def wrong(done: Done, trial: Trial) -> str | None:
    """Why the end of a trial is not right."""
    if done.code == HANGS and trial.endless:
        return f"takes {done.grown / 2**20:,.0f} MiB" if done.grown > trial.grown else None
    if (why := told_wrong(done)) is not None:
        return ascii(why)
    if done.code not in trial.codes:
        return f"exit {done.code}, not {' or '.join(map(str, trial.codes))}: {done.err[:300]!a}"
    told = done.err if trial.line[0] in WRITE_TEXT else done.out + done.err
    if signs := OBEYED.intersection(told):
        return f"a terminal would obey {sorted(signs)!a}: {told[:300]!a}"
    if max(map(len, done.err.splitlines()), default=0) > LONGEST:
        return f"an error of more than {LONGEST:,} characters"
    if done.grown > trial.grown:
        return f"takes {done.grown / 2**20:,.0f} MiB"
    return marked_up(TRIAL)


def marked_up(folder: Path) -> str | None:
    """The page, picture or table in which a name has become markup."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".html", ".svg", ".md") or not path.is_file() or path.is_symlink():
            continue
        text = path.read_text("utf8", errors="replace")
        if found := {".html": _in_page, ".svg": _in_picture, ".md": _in_markdown}[path.suffix](text):
            return f"{path.relative_to(folder)!a}: {found}"
    return None


class _Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == TAG or any(
            name == ATTRIBUTE or (value or "").startswith("javascript:") for name, value in attrs
        ):
            self.found.append(tag)


def _in_page(text: str) -> str | None:
    page = _Page()
    page.feed(text)
    return f"markup in <{page.found[0]}>" if page.found else None


def _in_picture(text: str) -> str | None:
    try:
        tree = xml.etree.ElementTree.fromstring(text)
    except xml.etree.ElementTree.ParseError as error:
        return f"no XML: {error}"
    bad = [one.tag for one in tree.iter() if one.tag.endswith(TAG) or ATTRIBUTE in one.attrib]
    return f"markup in {bad[0]}" if bad else None


def _in_markdown(text: str) -> str | None:
    head, _, body = text.partition("\n---\n") if text.startswith("---\n") else ("", "", text)
    if head and any(line.startswith(("xhostile:", "...")) for line in head.splitlines()[1:]):
        return "a name is a key of the card's head"
    if f"<{TAG}" in re.sub(r"```.*?```|`[^`\n]*`", "", body, flags=re.DOTALL):
        return "a tag"
    columns = 0
    for line in body.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        if cells and columns and cells != columns:
            return f"a row of {cells - 1} cells in a table of {columns - 1}: {line[:200]!a}"
        columns = cells
    return None


def nothing(_: Path) -> None:
    """No change."""


def writing(name: str, content: Content) -> Change:
    """A file of a world, with this content."""

    def change(world: Path) -> None:
        path = world / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        made = content() if callable(content) else content
        path.write_bytes(made if isinstance(made, bytes) else made.encode("utf8", "surrogatepass"))

    return change


@after(knowing)
def strangers(world: Path) -> None:
    """A small model of each family, fine-tuned ones, one of them a KagNet, runs, and all that recipes read."""
    nlp(world, "export knowing --out ernie")
    shutil.rmtree(world / "knowing")
    labelled(world)
    for name, text in (("gpt", READER), ("electra", GENERATOR), ("suite", SUITE), ("smaller", SMALLER)):
        (world / f"{name}.yaml").write_text(text)
    (world / "corpus.yaml").write_text(CORPUS.replace("pages/*.jsonl", "pages/*"))
    (world / "pages" / "a.jsonl").write_text('{"text": "The old town has a bell, and the river a house."}\n')
    nlp(world, "pretrain-mlm bert.yaml train.steps=2")
    nlp(world, "export run --out model")
    for command, family in (("pretrain-clm gpt.yaml", "gpt2"), ("pretrain-electra electra.yaml", "electra")):
        nlp(world, f"{command} train.steps=2 out=aside")
        nlp(world, f"export aside --out {family}")
        shutil.rmtree(world / "aside")
    for family in sorted(set(registry.names("models")) - {"bert", "gpt2", "electra", "ernie"}):
        of = "clm gpt" if registry.config("models", family).kind == "decoder" else "mlm bert"
        nlp(world, f"pretrain-{of}.yaml model.name={family} train.steps=2 out=aside")
        nlp(world, f"export aside --out {family}")
        shutil.rmtree(world / "aside")
    nlp(world, "finetune tune.yaml train.steps=2")
    nlp(world, "finetune tune.yaml train.steps=2 init_from=electra out=aside")
    shutil.copytree(world / "tuned/seed-0/final", world / "bert-bell")
    (world / "aside/seed-0/final").rename(world / "electra-bell")
    shutil.rmtree(world / "aside")
    _kagnet(world)


def _kagnet(world: Path) -> None:
    """A model that reads the graph of the words, and its vectors."""
    rng = random.Random(5)
    (world / "paths").mkdir()
    for split, count in (("train", 24), ("validation", 8)):
        rows = [
            {
                "question": f"what is near the {rng.choice(WORDS)}",
                "choices": rng.sample(WORDS, 2),
                "label": n % 2,
            }
            for n in range(count)
        ]
        (world / "paths" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (world / "kagnet.yaml").write_text(KAGNET)
    nlp(world, "finetune kagnet.yaml train.steps=2")
    (world / "aside/seed-0/final").rename(world / "kagnet")
    shutil.rmtree(world / "aside")


def hostile_world() -> Path:
    """The world that all trials copy."""
    return world_of(strangers)
