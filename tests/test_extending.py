"""The examples of ARCHITECTURE.md are carried out: their files are written into a copy of the package.

An example is a path in backquotes on a line of its own, and the file below it in a fence.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nlptool.tasks.base import TaskObjective

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = (ROOT / "ARCHITECTURE.md").read_text("utf8")
FILES = dict(EXAMPLE.findall(PAGE[PAGE.index("## Adding") :]))
FACTS = '''"""What the conformance suite needs to know of shuffled-token detection."""

import math

MODEL = {"name": "bert", "layers": 2, "hidden": 32, "heads": 2, "max_positions": 40}
VARIANTS = [{}]
AT_INIT = {"shuffled": math.log(2)}
HIDES = False
'''
KIND = '''"""What the conformance suite needs to know of sentence pairs that are encoded apart."""

import math

LABELS = ["entailment", "neutral", "contradiction"]
VARIANTS = {"three-classes": {"inputs": ["a", "b"], "labels": LABELS, "metrics": ["accuracy"]}}
AT_INIT = {"cross_entropy": lambda objective, batch: math.log(objective.num_outputs)}
HEAD = "classifier.out.weight"


def row(rng, words, settings):
    texts = {name: " ".join(rng.choice(words, rng.integers(1, 9))) for name in ("a", "b")}
    return texts | {"label": int(rng.integers(len(LABELS)))}
'''

Nlptool = Callable[..., str]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the examples. None of their files is in the project."""
    folder = tmp_path_factory.mktemp("checkout")
    for room in ("nlptool", "recipes"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        path = folder / name
        assert not path.exists(), f"{name} is there already"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf8")
    return folder


@pytest.fixture(scope="module")
def python(copy: Path) -> Nlptool:
    """Runs Python in the copy; what it prints."""

    def run(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    return run


def added(front: str) -> list[str]:
    return sorted(name for name in FILES if name.startswith(front))


def test_as_many_files_are_added_as_the_page_says() -> None:
    objective, family, kind = (
        [f"nlptool/{folder}/{name}.py" for name in names]
        for folder, names in (
            ("objectives/shuffled", ("__init__", "config", "objective")),
            ("models/splinter", ("__init__", "config", "huggingface")),
            ("tasks/bi_encoder", ("__init__", "config", "objective")),
        )
    )
    recipes = ["shuffled/small", "tasks/reviews/sentiment", "tasks/apart/rte", "prompted-tasks/reviews"]
    assert sorted(FILES) == sorted(
        [*objective, *family, *kind, *(f"recipes/{name}.yaml" for name in recipes)]
    )


def test_the_added_kind_of_task_has_what_every_task_must_say() -> None:
    must = [name for name in TaskObjective.__annotations__ if not hasattr(TaskObjective, name)]
    text = FILES["nlptool/tasks/bi_encoder/objective.py"]
    nodes = ast.walk(ast.parse(text))
    stored = {n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    assert {"num_outputs", "baseline_name"} <= set(must) <= stored


CHECKS = """
import json, sys
from nlptool import registry
from nlptool.cli import main
from nlptool.commands.finetune.recipe import Recipe as Finetune
from nlptool.commands.prompt.recipe import Recipe as Prompt
from nlptool.commands.loading import load_checked
from nlptool.recipe import catalog
from nlptool.commands.pretrain import recipe as pretrain
from nlptool.console import Console

made = load_checked(
    catalog.find("shuffled/small"),
    ["model.name=splinter", f"store={sys.argv[1]}"],
    pretrain.Recipe,
    lambda recipe: pretrain.check(recipe, "pretrain-shuffled"),
    Console(),
)
none = lambda recipe: []
tuned = load_checked(catalog.find("finetune/bert"), ["task=reviews/sentiment"], Finetune, none, Console())
apart = load_checked(catalog.find("finetune/bert"), ["task=apart/rte"], Finetune, none, Console())
asked = load_checked(catalog.find("prompt/one"), ["tasks=reviews"], Prompt, none, Console())
found = [made.objective.rate, made.model.name, tuned.task.labels, asked.tasks[0].name, apart.task.name]
found.append("torch" in sys.modules)
print(json.dumps([main(["--help"]), *found]))
"""


def test_what_is_added_is_found_by_its_folder(python: Nlptool, tiny_store: Path) -> None:
    *told, found = python("-c", CHECKS, tiny_store).splitlines()
    assert json.loads(found) == [
        0,
        0.15,
        "splinter",
        ["negative", "positive"],
        "reviews",
        "bi_encoder",
        False,
    ]
    assert any(line.split()[:1] == ["pretrain-shuffled"] for line in told)


def test_the_code_map_has_every_room_and_no_other() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    named = [name.rstrip("/") for row in rows for name in re.findall(r"`([\w./]+)`", row)]
    rooms = {path.name for path in (ROOT / "nlptool").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert sorted(named) == sorted(name for name in rooms if not name.startswith("__"))


def test_what_the_page_names_is_there() -> None:
    """Folders, modules, and what is defined in them: `room/module.Name`, `tests/test_name.py`."""
    page, missing = EXAMPLE.sub("", PAGE), []
    for name in set(re.findall(r"`((?:\w+/)+[\w.]+|tests/[\w/]+)`", page)):
        if name.startswith("OUT/") or "NAME" in name:
            continue
        module, _, inside = name.removesuffix(".py").partition(".")
        place = ROOT / ("" if module.startswith(("tests/", "recipes/")) else "nlptool") / module
        source = place.with_suffix(".py")
        if source.is_file():
            there = not inside or re.search(
                rf"^ *(def|class) {inside}\b", source.read_text("utf8"), re.MULTILINE
            )
        else:
            there = place.is_dir() and not inside
        missing += [] if there else [name]
    assert missing == []


@pytest.mark.slow
def test_the_added_objective_and_family_train_and_are_fine_tuned(
    python: Nlptool, tiny_store: Path, tmp_path: Path
) -> None:
    tiny = ["layers=2", "hidden=16", "heads=2", "max_positions=32"]
    python(
        *("-m", "nlptool", "pretrain-shuffled", "shuffled/small", f"store={tiny_store}"),
        *("model.name=splinter", *(f"model.{key}" for key in tiny)),
        *("train.steps=20", "train.batch_size=8", "train.sequence_length=32", "train.warmup=2"),
        *("--out", tmp_path / "run"),
    )
    config = json.loads((tmp_path / "run" / "final" / "config.json").read_text())
    assert config["model_type"] == "splinter"
    python(
        *("-m", "nlptool", "finetune", "finetune/bert", "task=reviews/sentiment"),
        *(f"init_from={tmp_path / 'run'}", f"data={ROOT / 'data' / 'reviews'}", "seeds=[0]"),
        *("train.epochs=1", "train.sequence_length=32", "--out", tmp_path / "tuned"),
    )
    scores = json.loads((tmp_path / "tuned" / "scores.json").read_text())
    assert "accuracy" in json.dumps(scores)
    words = ["river", "bell", "stone", "light"]
    rows = [{"sentence1": a, "sentence2": b, "label": int(a != b)} for a in words for b in words]
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    python(
        *("-m", "nlptool", "finetune", "finetune/bert", "task=apart/rte", f"init_from={tmp_path / 'run'}"),
        *(f"data={tmp_path}", "seeds=[0]", "train.epochs=1", "train.batch_size=8"),
        *("train.sequence_length=16", "--out", tmp_path / "apart"),
    )
    told = python(
        *("-m", "nlptool", "predict", tmp_path / "apart", "--json"),
        *("--text", "river", "--text-pair", "bell"),
    )
    assert json.loads(told)["prediction"] in ("entailment", "not_entailment")


@pytest.mark.slow
def test_the_added_prompted_task_is_asked(python: Nlptool, tiny_decoder: Path, tmp_path: Path) -> None:
    data = ROOT / "data"
    told = python(
        *("-m", "nlptool", "prompt", "prompt/one", "tasks=reviews", f"models={tiny_decoder}", f"data={data}"),
        *("--json", "--out", tmp_path / "prompted"),
    )
    assert {record["num_fewshot"] for record in json.loads(told)} == {0, 1}


@pytest.mark.slow
def test_what_is_added_keeps_to_the_conformance_suites(copy: Path, python: Nlptool) -> None:
    pytest.importorskip("transformers")
    shutil.copytree(ROOT / "tests", copy / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "tests" / "objectives" / "facts" / "shuffled.py").write_text(FACTS)
    (copy / "tests" / "tasks" / "kinds" / "bi_encoder.py").write_text(KIND)
    told = python(
        *(
            "-m",
            "pytest",
            "-x",
            "-p",
            "no:cacheprovider",
            "-k",
            "shuffled or splinter or bi_encoder or test_imports",
        ),
        *("tests/objectives/test_conformance.py", "tests/models/test_families.py", "tests/test_imports.py"),
        "tests/tasks/test_tasks_conformance.py",
    )
    assert int(re.search(r"(\d+) passed", told)[1]) > 20
