"""Architecture rules that the source shows: imports between packages, printing, light modules."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nlptool"
BASE = {
    "extras",
    "notices",
    "weights_record",
    "launch",
    "atomic_files",
    "recipe",
    "registry",
    "errors",
    "manifests",
    "formatting",
    "flops",
    "metric_table",
    "folder_kinds",
    "malloc",
}
MAY_IMPORT = {
    "errors": set(),
    "notices": set(),
    "extras": {"errors"},
    "launch": {"errors"},
    "terminal": set(),
    "formatting": {"terminal"},
    "metric_table": {"formatting"},
    "flops": set(),
    "malloc": set(),
    "manifests": {"errors", "atomic_files"},
    "atomic_files": {"errors", "formatting", "notices"},
    "weights_record": {"atomic_files", "errors", "formatting", "manifests", "notices"},
    "folder_kinds": {"atomic_files", "errors"},
    "registry": set(),
    "recipe": {"registry", "errors", "atomic_files", "formatting"},
    "text": BASE,
    "knowledge": BASE | {"text"},
    "data": BASE | {"text"},
    "models": BASE | {"text"},
    "train": BASE | {"text", "data"},
    "distill": BASE | {"text", "data", "models"},
    "objectives": BASE | {"text", "data", "models", "knowledge", "distill"},
    "tasks": BASE | {"text", "data", "models", "knowledge", "objectives", "evaluation", "distill", "train"},
    "prompting": BASE | {"text", "models", "evaluation"},
    "evaluation": BASE | {"text", "data", "models"},
    "corpus": BASE | {"text"},
    "report": {
        "extras",
        "recipe",
        "errors",
        "atomic_files",
        "formatting",
        "manifests",
        "metric_table",
        "terminal",
        "folder_kinds",
        "weights_record",
        "runs",
        "evaluation",
    },
    "progress": {"errors", "formatting", "metric_table", "terminal"},
    "text_table": {"terminal"},
    "console": {"errors", "formatting", "progress", "text_table", "terminal"},
    "runs": BASE | {"text", "data", "models", "knowledge", "train", "objectives", "console"},
    "commands": BASE
    | {
        "text",
        "data",
        "models",
        "knowledge",
        "train",
        "runs",
        "objectives",
        "distill",
        "tasks",
        "prompting",
        "corpus",
        "evaluation",
        "report",
        "terminal",
        "console",
        "progress",
    },
    "cli": {"commands", "runs", "console", "recipe", "errors", "launch", "notices"},
    "api": {
        "cli",
        "commands",
        "runs",
        "tasks",
        "evaluation",
        "models",
        "text",
        "train",
        "formatting",
        "notices",
        "errors",
    },
    "datatrove_steps": {"cli", "runs", "extras"},
    "__main__": {"cli"},
    "__init__": {"api"},
}
FLOORS = (
    ("specs",),
    ("loading",),
    (
        "corpus",
        "tokenize",
        "knowledge",
        "pretrain",
        "pretrain_transe",
        "finetune",
        "prompt",
        "generate",
        "embed",
        "fill_mask",
    ),
    ("distill_task", "predict", "suite"),
    (
        "plan",
        "compare",
        "evaluate",
        "export",
        "inspect",
        "report",
        "doctor",
        "recipes",
        "schema",
        "key_help",
        "verify_resume",
        "reproduce",
    ),
)
"""Of commands, from below: single runs, what is made of several of these, what looks at runs. A command knows those of
lower floors, and no other of its own."""
HEAVY = ("torch", "numpy", "datasets", "transformers", "tokenizers", "tiktoken", "matplotlib")


@cache
def imports(source: str) -> tuple[str, ...]:
    """Dotted names of the nlptool modules that a source imports when it runs; not those for types alone."""
    return tuple(_imports(ast.parse(source)))


def named(node: ast.AST) -> str:
    """The last word of a name."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _imports(tree: ast.Module) -> Iterator[str]:
    only_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and named(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in only_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("nlptool."))
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module == "nlptool":
                yield from (f"nlptool.{alias.name}" for alias in node.names if alias.name != "__version__")
            elif node.module.startswith("nlptool."):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def families(room: str) -> set[str]:
    """Folders of a room that are one of several of their kind."""
    return {path.parent.name for path in (PACKAGE / room).glob("*/config.py")}


def offences(module: str, source: str) -> list[str]:
    """Imports of a module, named by its dotted path within nlptool, that the order of rooms forbids."""
    room, *inside = module.split(".")
    found = []
    for name in imports(source):
        _, other, *rest = name.split(".")
        if other != room and other not in MAY_IMPORT[room]:
            found.append(f"{module} imports {name}")
        if other == room and rest and rest[0] in families(room) and rest[0] != (inside or [""])[0]:
            found.append(f"{module} imports {name}, another one of its kind")
        if other == room == "commands" and rest[0] != inside[0] and floor(rest[0]) >= floor(inside[0]):
            found.append(f"{module} imports {name}, a command of no lower floor")
    return found


def floor(command: str) -> int:
    """The floor of a command. Raises StopIteration for one that is on none."""
    return next(number for number, names in enumerate(FLOORS) if command in names)


@cache
def modules() -> Mapping[str, str]:
    """The sources of all modules by their dotted path within nlptool."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {
        path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path.read_text("utf8")
        for path in paths
    }


def module_of(name: str, known: Iterable[str]) -> str:
    """The module that an imported name is, or lies in."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def circle(sources: Mapping[str, str]) -> list[str]:
    """Modules that import each other in turn, imports within functions included; empty where there are none."""
    known = {name.removesuffix(".__init__"): source for name, source in sources.items()}
    graph = {
        name: {module_of(one.removeprefix("nlptool."), known) for one in imports(source)} - {name, ""}
        for name, source in known.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_imports_run_one_way() -> None:
    found = [offence for module, source in modules().items() for offence in offences(module, source)]
    assert found == []


def test_there_is_no_circle() -> None:
    assert circle(modules()) == []


def test_a_circle_is_seen_also_within_functions() -> None:
    ours = {
        "a": "from nlptool.b.c import f",
        "b.__init__": "",
        "b.c": "def f():\n    from nlptool import d",
        "d": "import nlptool.a",
    }
    assert set(circle(ours)) == {"a", "b.c", "d"}
    assert circle(ours | {"d": "if TYPE_CHECKING:\n    import nlptool.a"}) == []


def test_the_order_names_the_rooms_that_there_are() -> None:
    assert {name.split(".")[0] for name in modules()} == set(MAY_IMPORT)
    assert set().union(*MAY_IMPORT.values()) <= set(MAY_IMPORT)


def test_every_command_is_on_one_floor() -> None:
    there = [name.split(".")[1] for name in modules() if name.startswith("commands.")]
    assert sorted({*there} - {"__init__"}) == sorted(name for names in FLOORS for name in names)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("train.trainer", "from nlptool.objectives.base import Objective"),
        ("train.trainer", "def f():\n    import nlptool.models.bert.model"),
        ("text.store", "from nlptool import console"),
        ("models.layers", "from nlptool.objectives.mlm import objective"),
        ("models.albert.model", "from nlptool.models.bert import model"),
        ("models.albert.model", "from nlptool.models.bert.model import Model"),
        ("errors", "from nlptool.recipe import Block"),
        ("runs.loop", "from nlptool.commands.pretrain import setup"),
        ("commands.pretrain.run", "from nlptool.commands.finetune import run"),
        ("commands.finetune.run", "def f():\n    from nlptool.commands.compare import run"),
        ("commands.evaluate.run", "from nlptool.commands.plan.finetune import show"),
    ],
)
def test_an_import_against_the_order_is_seen(module: str, source: str) -> None:
    assert len(offences(module, source)) == 1


def test_shared_layers_lower_floors_and_imports_for_types_alone_are_allowed() -> None:
    assert offences("models.albert.model", "from nlptool.models.layers import Attention") == []
    assert offences("commands.plan.run", "from nlptool.commands.pretrain import recipe") == []
    assert offences("registry", "if TYPE_CHECKING:\n    from nlptool.recipe import Block") == []


def whole_recipes(module: str, source: str) -> list[str]:
    """Where a module of commands that is neither `setup` nor `run` takes a whole recipe, or reaches into one."""
    if not module.startswith("commands.") or module.endswith((".setup", ".run")):
        return []
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg) and node.annotation is not None:
            if ast.unparse(node.annotation).rpartition(".")[2].strip("'\"") == "Recipe":
                found.append(f"{module}:{node.lineno} takes a recipe")
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(".recipe"):
            found.append(f"{module}:{node.lineno} reaches into a recipe")
    return found


def test_a_recipe_ends_at_setup_and_run() -> None:
    """But for the rules of a recipe, beside it, and for commands that put recipes together."""
    found = [
        offence
        for module, source in modules().items()
        if not module.endswith((".recipe", ".options"))
        for offence in whole_recipes(module, source)
    ]
    assert found == []


def test_a_whole_recipe_below_setup_is_seen() -> None:
    assert len(whole_recipes("commands.prompt.sheets", "def read(recipe: prompt.Recipe) -> None: ...")) == 1
    assert len(whole_recipes("commands.plan.finetune", "setup.recipe.train.steps")) == 1
    assert whole_recipes("commands.pretrain.setup", "def f(recipe: Recipe) -> None: ...") == []


def speech(source: str) -> list[str]:
    """Where a source prints or takes hold of the streams."""
    nodes = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Call) and named(node.func) in ("print", "echo"))
        or named(node) in ("stdout", "stderr")
    ]
    return [n for n in nodes if n.startswith(("print(", "typer.echo(")) or n in ("sys.stdout", "sys.stderr")]


def test_only_the_console_prints() -> None:
    assert {name for name, source in modules().items() if speech(source)} <= {
        "console",
        "progress",
        "cli.__init__",
    }
    assert speech("def f():\n    print(1)") == ["print(1)"]


def test_the_core_never_reads_the_environment() -> None:
    readers = [name for name, source in modules().items() if "os.environ" in source or "getenv" in source]
    assert {name.split(".")[0] for name in readers} <= {"cli", "commands", "runs"}


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    program = f"import sys\n{statement}\nprint('loaded:', *sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.partition("loaded:")[2].split())


def test_help_needs_no_heavy_import() -> None:
    loaded = loaded_by("from nlptool.cli import main\nassert main(['--help']) == 0")
    assert "nlptool.cli" in loaded
    assert loaded.isdisjoint(
        (*HEAVY, "pydantic", "pydantic_core", "ruamel.yaml", "rich", "socket", "nlptool.atomic_files")
    )


def test_a_broken_recipe_needs_nothing_that_draws_or_writes(tmp_path: Path) -> None:
    recipe = tmp_path / "broken.yaml"
    recipe.write_text("train: {lrr: 1}\n")
    line = ["pretrain-mlm", str(recipe)]
    loaded = loaded_by(f"from nlptool.cli import main\nassert main({line}) == 2")
    assert "nlptool.recipe" in loaded
    assert loaded.isdisjoint((*HEAVY, "nlptool.progress", "rich.live", "rich.table", "nlptool.runs.folder"))


def light() -> list[str]:
    """What is imported before anything heavy may be: recipes, what stands in them, and what the command line names."""
    halves = {name for name in modules() if name.endswith((".config", ".recipe", ".options"))}
    known = {name.removesuffix(".__init__") for name in modules()}
    named = {
        module_of(one.removeprefix("nlptool."), known)
        for name, source in modules().items()
        if name.startswith("cli.")
        for one in imports(source)
    }
    return sorted(halves | named)


def test_recipes_are_checked_without_heavy_imports() -> None:
    found = light()
    assert {"commands.compare.options", "commands.tokenize.recipe", "commands.doctor"} <= {*found}
    loaded = loaded_by("\n".join(f"import nlptool.{name}" for name in found))
    assert {f"nlptool.{name}" for name in found} <= loaded
    assert loaded.isdisjoint(HEAVY)


def test_no_file_is_longer_than_350_lines() -> None:
    assert [name for name, source in modules().items() if source.count("\n") > 350] == []
