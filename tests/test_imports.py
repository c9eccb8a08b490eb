"""The house rules that can be read off the source: who imports whom, who prints, what is light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nlptool"
BASE = {
    "launch",
    "atomic_files",
    "recipe",
    "registry",
    "errors",
    "manifests",
    "formatting",
    "flops",
    "metric_table",
    "course",
    "kinds",
}
MAY_IMPORT = {
    "errors": set(),
    "launch": {"errors"},
    "terminal": set(),
    "formatting": {"terminal"},
    "metric_table": {"formatting"},
    "flops": set(),
    "manifests": {"errors", "atomic_files"},
    "atomic_files": {"errors", "formatting"},
    "course": {"atomic_files", "errors", "formatting", "manifests"},
    "kinds": set(),
    "registry": set(),
    "recipe": {"registry", "errors", "atomic_files", "formatting"},
    "text": BASE,
    "data": BASE | {"text"},
    "models": BASE | {"text"},
    "train": BASE | {"text", "data"},
    "distill": BASE | {"text", "data", "models"},
    "objectives": BASE | {"text", "data", "models", "distill"},
    "tasks": BASE | {"text", "data", "models", "objectives", "evaluation", "distill"},
    "prompting": BASE | {"text", "evaluation"},
    "evaluation": BASE | {"text", "data", "models"},
    "report": {
        "recipe",
        "errors",
        "atomic_files",
        "formatting",
        "manifests",
        "metric_table",
        "terminal",
        "course",
        "kinds",
    },
    "progress": {"errors", "formatting", "metric_table", "terminal"},
    "text_table": {"terminal"},
    "console": {"errors", "formatting", "progress", "text_table", "terminal"},
    "runs": BASE | {"text", "data", "models", "train", "objectives", "console"},
    "commands": BASE
    | {
        "text",
        "data",
        "models",
        "train",
        "runs",
        "objectives",
        "distill",
        "tasks",
        "prompting",
        "evaluation",
        "report",
        "console",
        "progress",
    },
    "cli": {"commands", "runs", "console", "recipe", "errors", "launch"},
    "__main__": {"cli"},
    "__init__": set(),
}
HEAVY = ("torch", "numpy", "datasets", "transformers", "tokenizers", "tiktoken", "matplotlib")


def imports(source: str) -> Iterator[str]:
    """Dotted names of the nlptool modules that a source imports when it runs; not those for types alone."""
    tree = ast.parse(source)
    only_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
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


def offences(module: str, source: str) -> list[str]:
    """Imports of a module, named by its dotted path within nlptool, that the order of rooms forbids."""
    room, *inside = module.split(".")
    found = []
    for name in imports(source):
        _, other, *rest = name.split(".")
        if other != room and other not in MAY_IMPORT[room]:
            found.append(f"{module} imports {name}")
        families = {path.parent.name for path in (PACKAGE / room).glob("*/config.py")}
        if other == room and rest and rest[0] in families and rest[0] != (inside or [""])[0]:
            found.append(f"{module} imports {name}, another one of its kind")
    return found


def modules() -> list[tuple[str, str]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    names = [path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".") for path in paths]
    return [(name, path.read_text("utf8")) for name, path in zip(names, paths, strict=True)]


def test_imports_run_one_way() -> None:
    found = [offence for module, source in modules() for offence in offences(module, source)]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("train.trainer", "from nlptool.objectives.base import Objective"),
        ("train.trainer", "def f():\n    import nlptool.models.bert.net"),
        ("text.store", "from nlptool import console"),
        ("models.layers", "from nlptool.objectives.mlm import objective"),
        ("models.albert.net", "from nlptool.models.bert import net"),
        ("models.albert.net", "from nlptool.models.bert.net import Net"),
        ("errors", "from nlptool.recipe import Block"),
    ],
)
def test_an_import_against_the_order_is_seen(module: str, source: str) -> None:
    assert len(offences(module, source)) == 1


def test_shared_layers_and_imports_for_types_alone_are_allowed() -> None:
    assert offences("models.albert.net", "from nlptool.models.layers import Attention") == []
    assert offences("registry", "if TYPE_CHECKING:\n    from nlptool.recipe import Block") == []


def speech(source: str) -> list[str]:
    """Where a source prints or takes hold of the streams."""
    nodes = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call | ast.Attribute)
    ]
    return [n for n in nodes if n.startswith(("print(", "typer.echo(")) or n in ("sys.stdout", "sys.stderr")]


def test_only_the_console_prints() -> None:
    assert {name for name, source in modules() if speech(source)} <= {"console", "progress", "cli.__init__"}
    assert speech("def f():\n    print(1)") == ["print(1)"]


def test_the_core_never_reads_the_environment() -> None:
    readers = [name for name, source in modules() if "os.environ" in source or "getenv" in source]
    assert {name.split(".")[0] for name in readers} <= {"cli", "commands", "runs"}


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    program = f"import sys\n{statement}\nprint('loaded:', *sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.partition("loaded:")[2].split())


def test_help_needs_no_heavy_import() -> None:
    loaded = loaded_by("from nlptool.cli import main\nassert main(['--help']) == 0")
    assert "nlptool.cli" in loaded
    assert loaded.isdisjoint((*HEAVY, "pydantic", "ruamel.yaml", "rich"))


def test_recipes_are_checked_without_heavy_imports() -> None:
    light = [name for name, _ in modules() if name.endswith((".config", ".recipe"))]
    light += [
        "commands.recipes",
        "commands.schema",
        "commands.doctor",
        "commands.export",
        "commands.report",
        "commands.plan.run",
        "commands.compare.options",
        "commands.evaluate.options",
    ]
    loaded = loaded_by("\n".join(f"import nlptool.{name}" for name in light))
    assert {f"nlptool.{name}" for name in light} <= loaded
    assert loaded.isdisjoint(HEAVY)
