"""What all campaigns share: command lines as trials, in forks or in processes of their own, and tables of them."""

import atexit
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from forks import HANGS

SEED = int(os.environ.get("NLPTOOL_FAULTS_SEED", "0"))
MOST = int(os.environ.get("NLPTOOL_FAULTS_MOST", "0")) or None
PATIENCE = 30  # seconds; what sleeps longer at a stretch, or computes longer, hangs
TIMES = (
    "seconds",
    "latency",
    "per_second",
    "speed",
    "memory",
    "faster",
    "throughput",
    "one",
    "many",
    "began",
    "clock",
    "time",
)
BITS = re.compile(
    r"(^|/)(final|hf)/.*\.safetensors$|\.(bin|idx|labels|links|zst)$|(^|/)tokenizer/.*\.json$"
    r"|^graph/.*\.(npy|txt)$|^answers/.*\.jsonl$"
)
"""Files whose bits are the result of a command."""
_shm = Path("/dev/shm")
ROOT = tempfile.TemporaryDirectory(
    prefix="nlptool-faults-",
    dir=_shm if os.access(_shm, os.W_OK) else None,  # a disk would make each trial wait
)


@dataclass(frozen=True)
class Stop:
    """A signal that a process gets."""

    signal: int
    by: str
    """`seconds` of processor time, `calls` of functions, or `writes`: calls that change the disk."""
    at: float


@dataclass(frozen=True)
class Job:
    """One command line, and what happens to it."""

    line: list[str]
    cwd: str
    log: str = f"{ROOT.name}/log"
    """Standard output and error go to LOG.out and LOG.err."""
    stop: Stop | None = None
    limit: int | None = None
    """The bytes that a file may have."""
    dies: bool = False
    """Whether the process is killed at that byte; otherwise the disk is full there."""
    fresh: bool = False
    """Whether it is a process of its own from the start of Python on."""
    counts: bool = False
    """Whether its calls are counted."""
    pictures: bool = True
    """Whether `report` and `compare` draw."""
    patience: int = PATIENCE
    memory: int | None = None
    """The bytes by which its memory may grow."""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    """Exit code; minus the number of the signal that ended it; HANGS."""
    out: str
    err: str
    processor: float
    """Seconds of it."""
    grown: int = 0
    """Bytes of memory that it took at most, beyond those of the fork server."""
    phase: str = ""
    """What a signal met, where a call was counted."""
    calls: int = 0
    writes: int = 0


@cache
def server() -> subprocess.Popen[str]:
    """The fork server, which ends with this process."""
    tests = Path(__file__).parent
    made = subprocess.Popen(
        [sys.executable, str(tests / "forks.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ
        | {
            "OMP_NUM_THREADS": "1",  # a fork loses other threads
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join([str(tests.parents[1]), os.environ.get("PYTHONPATH", "")]),
        },
    )
    atexit.register(made.communicate)  # closes its input
    return made


def ask(request: dict[str, Any]) -> dict[str, Any]:
    process = server()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, "the fork server has ended"
    return json.loads(answer)


def run(line: Iterable[str], cwd: Path, **how: Any) -> Done:
    """Carry out a command line in `cwd`; how: fields of `Job`."""
    job = Job(list(line), str(cwd), **how)
    answer = ask(asdict(job))
    texts = (Path(f"{job.log}.{kind}").read_text("utf8", errors="replace") for kind in ("out", "err"))
    code = answer.pop("code")
    return Done(code, *texts, **answer)


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


def stopped_wrong(done: Done, number: int) -> str | None:
    """What is wrong with the way in which a command was ended by a signal."""
    if done.code == HANGS:
        return "hangs"
    if "Could not import runpy module" in done.err:  # Ctrl-C met `python -m`, before any line of nlptool
        return None
    if "Traceback (most recent" in done.err or "defect" in done.err:
        return f"says {done.err[-3000:]}"
    if done.code not in (0, 75, 128 + number, -number):
        return f"exit {done.code}: {done.err[-300:]}"
    return None


def contents(folder: Path) -> dict[str, str]:
    """Digests of all files below a folder, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def outcome(done: Done, cwd: Path) -> dict[str, Any]:
    """What a command has come to: what it said, bits, and figures, without what a clock decides."""
    bits = {name: sha for name, sha in contents(cwd).items() if BITS.search(name) and "abandoned" not in name}
    steps = (str(path.relative_to(cwd)) for path in sorted(cwd.rglob("step-*")))
    figures: dict[str, Any] = {"the checkpoints": [name for name in steps if "abandoned" not in name]}
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
    return {"bits": bits, "figures": figures, "said": said}


def timeless(value: Any) -> Any:
    """A value without the members that a clock decides."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if not any(word in k for word in TIMES)}
    return [timeless(one) for one in value] if isinstance(value, list) else value


def unequal(found: dict[str, Any], right: dict[str, Any]) -> str | None:
    """What a run has not as an undisturbed one."""
    if found["bits"] != right["bits"]:
        both = found["bits"].items() ^ right["bits"].items()
        return f"other bits in {', '.join(sorted({name for name, _ in both})[:3])}"
    for name, figures in right["figures"].items():
        now = found["figures"].get(name, {})
        if not name.endswith("metrics.jsonl"):
            if figures != now:
                return f"other figures in {name}"
        elif lost := [step for step in figures if figures[step] != now.get(step)]:
            return f"other figures in {name}, steps {lost[:3]}"
    return None


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
            print(f"WRONG {self.title}: {what}: {wrong}", flush=True)

    def __str__(self) -> str:
        bad = Counter(kind for kind, _ in self.wrong)
        rows = [f"  {kind:<38}{n:>6}{n - bad[kind]:>7}" for kind, n in sorted(self.tried.items())]
        total = sum(self.tried.values())
        rows.append(f"  {'all':<38}{total:>6}{total - len(self.wrong):>7}")
        told = [f"  WRONG {kind}: {what}" for kind, what in self.wrong]
        return "\n".join([f"{self.title:<40}{'tried':>6}{'right':>7}", *rows, *told])

    def require_right(self) -> None:
        """Have the table shown at the end. Raises AssertionError where a trial went wrong."""
        print(self, flush=True)
        TABLES.append(self)
        assert not self.wrong, str(self)


TABLES: list[Table] = []
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT)
