"""`nlptool verify-resume RECIPE`: checks that a killed and resumed run equals an undisturbed one.

The recipe is run twice, in separate processes: once to the end, once with kills at random moments, after each of
which it is resumed. Weights must be equal to the last bit, figures to the last digit.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nlptool.atomic_files import read_bytes
from nlptool.commands.specs import RANKED, command_of
from nlptool.console import Console
from nlptool.errors import DataError, NlptoolError, UsageError
from nlptool.formatting import counted, duration
from nlptool.manifests import digest
from nlptool.metric_table import HELD_OUT
from nlptool.recipe import catalog
from nlptool.recipe.extends import read
from nlptool.runs import metrics_file

WEIGHTS = "*.safetensors"
COUNTED = ("tokens", "flops")
"""Costs that do not depend on a clock."""
POLL = 0.02  # seconds
LATER = 0.5  # longest delay of a kill after a line of figures, in seconds


class VerifyOptions(NamedTuple):
    """What is verified."""

    recipe: str
    changes: tuple[str, ...]
    kills: int
    seed: int
    keep: Path | None
    """Where both runs are kept; None: in a temporary folder."""


class Finding(NamedTuple):
    """The number of compared values, and those that differ."""

    compared: int
    unequal: tuple[str, ...]


def run(options: VerifyOptions, *, as_json: bool, console: Console) -> None:
    """Run, kill, resume, compare, and show the result.

    Raises UsageError for a recipe without training, the run's own error if it fails, NlptoolError where the resumed
    run differs.
    """
    command = command_of(read(catalog.find(options.recipe)).data)
    if command not in RANKED:
        raise UsageError(
            f"{options.recipe}: {f'a recipe of {command}' if command else 'no recipe of a command'}",
            hint="verify-resume takes the recipe of a run that trains and saves checkpoints",
        )
    words = [sys.executable, "-m", "nlptool", command, options.recipe, *options.changes]
    with tempfile.TemporaryDirectory(prefix="nlptool-verify-") as scratch:
        folder = options.keep or Path(scratch)
        straight, killed = folder / "undisturbed", folder / "killed"
        began = time.monotonic()
        _to_the_end([*words, "--out", str(straight)])
        console.note(f"undisturbed: {duration(time.monotonic() - began)}")
        resumed = [*words, "--out", str(killed), "--resume", "auto"]
        kills = _killed(resumed, killed, _lines(straight), options, console)
        findings = compare(straight, killed)
    _show(findings, kills, as_json=as_json, console=console)


def _to_the_end(words: Sequence[str]) -> None:
    """Run a command to its end. Raises NlptoolError with its output if it fails."""
    done = subprocess.run([*words, "--quiet"], capture_output=True, text=True, check=False)
    if done.returncode:
        message = done.stderr.strip().removeprefix("error: ") or f"ended with {done.returncode}"
        failed = NlptoolError(message)
        failed.exit_code = done.returncode if done.returncode > 0 else 1
        raise failed


def _killed(words: Sequence[str], out: Path, lines: int, options: VerifyOptions, console: Console) -> int:
    """Run a command that is killed and resumed several times. Returns how often it was.

    lines: of figures in an undisturbed run; a kill follows a moment after a certain number of them.
    """
    moments = random.Random(options.seed)
    kills = 0
    for wanted in sorted(moments.choices(range(lines), k=options.kills)):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None and _lines(out) < wanted:
                time.sleep(POLL)
            process.wait(timeout=moments.uniform(0, LATER))
        except subprocess.TimeoutExpired:
            kills += 1
            console.note(
                f"killed ({kills} of {options.kills}) after {counted(_lines(out), 'lines')} of figures"
            )
        finally:
            process.kill()
            process.wait()
        if process.returncode == 0:
            break
    _to_the_end(words)
    return kills


def _lines(run: Path) -> int:
    """Number of lines of figures written by a run."""
    return sum(read_bytes(path).count(b"\n") for path in run.rglob(metrics_file.FILE))


def compare(straight: Path, killed: Path) -> dict[str, Finding]:
    """Compare two runs: all weights outside of checkpoints, all figures that do not depend on a clock."""
    return {
        "weights": _equal(_weights(straight), _weights(killed)),
        "figures": _equal(_figures(straight), _figures(killed)),
    }


def _equal(expected: dict[str, Any], found: dict[str, Any]) -> Finding:
    names = dict.fromkeys([*expected, *found])
    return Finding(len(names), tuple(name for name in names if expected.get(name) != found.get(name)))


def _weights(run: Path) -> dict[str, str]:
    """Digests by name, without checkpoints, since a kill may change which ones are kept."""
    files = [path for path in sorted(run.rglob(WEIGHTS)) if "checkpoints" not in path.parts]
    return {str(path.relative_to(run)): digest(path) for path in files}


def _figures(run: Path) -> dict[str, float]:
    """Held-out figures, tokens and FLOPs, by run, step and name; means over training steps restart with each resume."""
    return {
        f"{path.parent.relative_to(run)}, step {line['step']}, {name}": value
        for path in sorted(run.rglob(metrics_file.FILE))
        for line in metrics_file.read(path.parent)
        for name, value in line.items()
        if name.startswith(HELD_OUT) or name in COUNTED
    }


def _show(findings: Mapping[str, Finding], kills: int, *, as_json: bool, console: Console) -> None:
    unequal = [name for finding in findings.values() for name in finding.unequal]
    if not kills:
        raise DataError(
            "the run ended before it could be killed", hint="verify a longer one, e.g. with more train.steps"
        )
    if as_json:
        console.json(
            {"kills": kills, "equal": not unequal} | {what: one._asdict() for what, one in findings.items()}
        )
    else:
        rows = [(what, one.compared, len(one.unequal)) for what, one in findings.items()]
        console.table(
            ("", "compared", "unequal"), rows, title=f"killed and resumed {counted(kills, 'times')}"
        )
    if unequal:
        shown = ", ".join(unequal[:3]) + (", ..." if len(unequal) > 3 else "")
        raise NlptoolError(
            f"the resumed run is another: {shown}",
            hint="this is a defect of nlptool, or of the machine; with --out FOLDER both runs are kept",
        )
