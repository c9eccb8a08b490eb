"""What all campaigns share: a command as a process of its own, without the seconds that imports take, and a table."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from nlptool import registry

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # whose threads a fork would lose
SEED = int(os.environ.get("NLPTOOL_FAULTS_SEED", "0"))
PATIENCE = 30.0  # seconds; what takes longer hangs
TIMES = (
    "seconds",
    "latency",
    "per_second",
    "speed",
    "memory",
    "faster",
    "throughput",
    "throughput",
    "one",
    "many",
    "began",
    "clock",
    "time",
)
HANGS = -99
HALVES = (
    "compare.run",
    "distill_task.run",
    "doctor",
    "evaluate.run",
    "export",
    "finetune.run",
    "pretrain.run",
    "prompt.run",
    "report",
    "tokenize.run",
)


class Done(NamedTuple):
    """How a command ended."""

    code: int
    """Exit code; minus the number of the signal that ended it; HANGS."""
    out: str
    err: str


def begin(line: Iterable[str], cwd: Path, before: Callable[[], None] = lambda: None) -> int:
    """Fork a process that carries out a command line in `cwd`; returns its number.

    It writes to CWD.out and CWD.err. before: what it does first, e.g. set a limit.
    """
    line = list(line)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        os.chdir(cwd)
        for number, kind in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{cwd}.{kind}", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", encoding="utf8") for number in (1, 2))
        sys.argv = ["nlptool", *line]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        from nlptool.cli import main

        before()
        code = main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def preload() -> None:
    """Import what commands import, once for all of them."""
    for name in HALVES:
        import_module(f"nlptool.commands.{name}")
    for name in registry.names("models"):
        for module in ("net", "huggingface"):
            registry.load("models", name, module)
    for room in ("objectives", "tasks"):
        for name in registry.names(room):
            registry.load(room, name, "objective")


def wait(child: int, cwd: Path, seconds: float = PATIENCE) -> Done:
    """The end of a process, which is killed where it hangs."""
    until = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            break
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            code = HANGS
            break
        time.sleep(0.005)
    texts = [Path(f"{cwd}.{kind}").read_text("utf8", errors="replace") for kind in ("out", "err")]
    return Done(code, *texts)


def run(line: Iterable[str], cwd: Path, before: Callable[[], None] = lambda: None) -> Done:
    """Carry out a command line to its end."""
    return wait(begin(line, cwd, before), cwd)


def told_wrong(done: Done) -> str | None:
    """What is wrong with the way in which a command failed; None where it is as documented, or where it did not."""
    if done.code == HANGS:
        return "hangs"
    if "Traceback (most recent" in done.err or "defect" in done.err:
        return "defect: " + next((x for x in done.err.splitlines() if "defect" in x), done.err[-200:])
    if done.code not in (0, 2, 3):
        return f"exit {done.code}: {done.err[-200:]}"
    count = len(re.findall(r"^error: ", done.err, re.MULTILINE))
    if done.code and count != 1:
        return f"exit {done.code} with {count} errors: {done.err[-200:]}"
    return None


def contents(folder: Path) -> dict[str, str]:
    """Digests of all files below a folder, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def outcome(done: Done, cwd: Path) -> dict[str, Any]:
    """What a command has come to: what it said, weights, and figures, without what a clock decides."""
    weights = {
        name: sha
        for name, sha in contents(cwd).items()
        if name.endswith(("final/model.safetensors", "hf/model.safetensors")) and "abandoned" not in name
    }
    figures: dict[str, Any] = {}
    for path in sorted(cwd.rglob("*")):
        name = str(path.relative_to(cwd))
        if not path.is_file() or "abandoned" in name:
            continue
        if path.name == "metrics.jsonl":
            for text in path.read_text("utf8").splitlines():
                line = json.loads(text)
                kept = {k: v for k, v in timeless(line).items() if k == "tokens" or k.startswith("heldout/")}
                figures.setdefault(name, {}).setdefault(line["step"], {}).update(kept)
        elif path.name in ("scores.json", "results.json", "compare.json", "evaluate.json"):
            figures[name] = timeless(json.loads(path.read_text("utf8")))
    try:
        said = timeless(json.loads(done.out))
    except ValueError:
        said = None  # for people, with speeds in it
    return {"weights": weights, "figures": figures, "said": said}


def timeless(value: Any) -> Any:
    """A value without the members that a clock decides."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if not any(word in k for word in TIMES)}
    return [timeless(one) for one in value] if isinstance(value, list) else value


def copy(world: Path, to: Path) -> Path:
    """A world of its own for a trial."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(world, to, symlinks=True)
    return to


def sample(trials: list[Any], most: int | None, salt: str) -> list[Any]:
    """All trials, or so many of them, the same ones each time."""
    rng = random.Random(f"{SEED} {salt}")
    return trials if most is None or most >= len(trials) else rng.sample(trials, most)


class Table:
    """Tried and right, by kind."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.tried: Counter[str] = Counter()
        self.wrong: list[tuple[str, str]] = []

    def add(self, kind: str, what: str, wrong: str | None) -> None:
        self.tried[kind] += 1
        if wrong is not None:
            self.wrong.append((kind, f"{what}: {wrong}"))

    def __str__(self) -> str:
        bad = Counter(kind for kind, _ in self.wrong)
        rows = [f"  {kind:<28}{n:>6}{n - bad[kind]:>7}" for kind, n in sorted(self.tried.items())]
        total = sum(self.tried.values())
        rows.append(f"  {'all':<28}{total:>6}{total - len(self.wrong):>7}")
        told = [f"  WRONG {kind}: {what}" for kind, what in self.wrong]
        return "\n".join([f"{self.title:<30}{'tried':>6}{'right':>7}", *rows, *told])

    def require_right(self) -> None:
        """Have the table shown at the end. Raises AssertionError where a trial went wrong."""
        TABLES.append(self)
        assert not self.wrong, str(self)


TABLES: list[Table] = []
