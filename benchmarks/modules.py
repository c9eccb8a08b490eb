"""How many modules of nlptool take part in a training step, a fine-tuning run and a prompt run.

    python benchmarks/modules.py [--before CHECKOUT ...] [--list]

A module takes part if one of its functions is executed (sys.setprofile), on any thread; imports are aside, so all
modules are imported first. A step is what happens inside train.trainer.train from one `yield` to the next, and what
the thread does that makes its batches; a run is the whole command. The models are tiny, the rows those in data/.

CHECKOUT: a folder with another commit, such as `git worktree add` makes; recipes are written with that commit's keys.
"""

import argparse
import inspect
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).parents[1]
BEFORE = {  # keys and kinds of task of recipes before they were renamed
    "store": "tokens",
    "vocab_size": "vocab",
    "batch_size": "batch",
    "sequence_length": "length",
    "max_positions": "positions",
    "init_from": "start",
    "num_fewshot": "shots",
    "classification": "classify",
    "loglikelihood": "continuation",
}
TINY = {"layers": 2, "hidden": 32, "heads": 2, "max_positions": 64}
TRAIN = {"batch_size": 8, "sequence_length": 32, "lr": 1e-3}
TASK = {"name": "classification", "inputs": ["sentence"], "labels": ["bad", "good"], "metrics": ["accuracy"]}
PROMPT = {"name": "loglikelihood", "prompt": "{sentence}", "answer": " {label}", "metrics": ["accuracy"]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, nargs="*", default=[], metavar="CHECKOUT")
    parser.add_argument("--list", action="store_true", help="name the modules")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measured()))
        return
    for place in [*(path.resolve() for path in args.before), HERE]:
        found = of_checkout(place)
        print(f"{place.name}: {len(found.pop('all'))} modules with content")
        for name, modules in found.items():
            print(f"    {name:16}{len(modules):4}")
            if args.list:
                print(*(f"        {module}" for module in modules), sep="\n")


def of_checkout(place: Path) -> dict[str, list[str]]:
    """The modules that take part, by what they take part in; `all`: those that have content."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure"],
        env=os.environ | {"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{place}: {done.stderr[-2000:]}")
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured() -> dict[str, list[str]]:
    """The same of the nlptool that this process imports."""
    import nlptool

    package = Path(nlptool.__file__).parent
    for module in pkgutil.walk_packages([str(package)], "nlptool."):
        try:
            import_module(module.name)
        except ImportError:  # of an extra that is not installed
            continue
    names = {} if (package / "recipe" / "renamed.py").exists() else BEFORE
    profile = Profile(package)
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        os.chdir(scratch)
        found = dict(carried_out(Path(scratch), profile, names))
    return found | {"all": sorted(map(profile.name, (p for p in package.rglob("*.py") if p.stat().st_size)))}


def carried_out(folder: Path, profile: "Profile", names: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Each measured command, after those that make what it reads."""
    rows = HERE / "data" / "reviews"
    text = {"source": {"files": str(HERE / "data" / "sample.en.txt")}, "tokenizer": {"vocab_size": 1000}}
    run("tokenize", text | {"out": "tokens"}, names)
    store = {"store": "tokens", "train": TRAIN | {"steps": 3, "warmup": 1}}
    with profile.steps() as ran:
        run(
            "pretrain-mlm",
            store | {"model": {"name": "bert", **TINY}, "objective": {"name": "mlm"}, "out": "bert"},
            names,
        )
    yield "MLM step", sorted(ran)
    run(
        "pretrain-clm",
        store | {"model": {"name": "gpt2", **TINY}, "objective": {"name": "clm"}, "out": "gpt2"},
        names,
    )
    tuned = {"task": TASK, "data": str(rows), "init_from": "bert/final", "seeds": [0], "out": "tuned"}
    with profile.run() as ran:
        run("finetune", tuned | {"train": TRAIN | {"epochs": 1, "warmup": 0.1}}, names)
    yield "fine-tuning run", sorted(ran)
    prompted = {"models": "gpt2/final", "tasks": [{"name": "tiny", "task": PROMPT, "data": str(rows)}]}
    with profile.run() as ran:
        run("prompt", prompted | {"num_fewshot": [0, 1], "out": "prompted"}, names)
    yield "prompt run", sorted(ran)


def run(command: str, recipe: dict[str, Any], names: dict[str, str]) -> None:
    """Carry out a recipe with the keys of this version."""
    from nlptool.cli import main

    path = Path(f"{command}.yaml")
    path.write_text(json.dumps(spelled(recipe, names)))
    if main([command, str(path)]):
        sys.exit(f"{command} failed")


def spelled(value: Any, names: dict[str, str]) -> Any:
    """Keys and names of kinds under the names that a version has for them."""
    if isinstance(value, dict):
        return {names.get(key, key): spelled(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [spelled(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


class Profile:
    """Notes which modules of a package have functions that are executed."""

    def __init__(self, package: Path) -> None:
        self.package, self.front = package, f"{package}{os.sep}"
        self.trainer = str(package / "train" / "trainer.py")

    def name(self, path: Path | str) -> str:
        """A file as a dotted module within the package."""
        return ".".join(Path(path).relative_to(self.package).with_suffix("").parts)

    def run(self) -> AbstractContextManager[set[str]]:
        """All that is executed."""
        return self._noting(lambda: True)

    def steps(self) -> AbstractContextManager[set[str]]:
        """What is executed within the generator of steps, and on other threads than this one."""
        main = threading.current_thread()
        return self._noting(lambda: self.within or threading.current_thread() is not main)

    @contextmanager
    def _noting(self, wanted: Callable[[], bool]) -> Iterator[set[str]]:
        files: set[str] = set()
        found: set[str] = set()
        self.within = False

        def note(frame: FrameType, event: str, argument: object) -> None:
            code = frame.f_code
            if event not in ("call", "return") or not code.co_filename.startswith(self.front):
                return
            if code.co_name == "train" and code.co_filename == self.trainer:
                self.within = event == "call"
            if event == "call" and code.co_flags & inspect.CO_OPTIMIZED and wanted():  # no class body
                files.add(code.co_filename)

        threading.setprofile(note)
        sys.setprofile(note)
        try:
            yield found
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]
            found.update(map(self.name, files))


if __name__ == "__main__":
    main()
