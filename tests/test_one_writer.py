"""Files that a command keeps are written and read by `nlptool.atomic_files` alone, so that none is forgotten.

What is found is every call in the package by which a file would be written in place, or read without a model.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nlptool"
ASIDE = "written into a folder that files.written_aside names when it is whole"
MAY = {
    "atomic_files.py": "the one writer and reader",
    "text/store.py write": ASIDE,
    "text/links.py write": ASIDE,
    "knowledge/names.py write": ASIDE,
    "knowledge/names.py np.save": ASIDE,
    "knowledge/build.py np.save": ASIDE,
    "knowledge/exchange.py np.save": ASIDE,
    "knowledge/exchange.py write": ASIDE,
    "commands/export/graph.py np.save": ASIDE,
    "knowledge/schema_graphs.py write": ASIDE,
    "data/pair_inputs.py write": ASIDE,
    "data/qa_windows.py write": ASIDE,
    "data/linked_texts.py write": ASIDE,
    "tasks/linked_rows.py write": ASIDE,
    "data/token_labels.py write": ASIDE,
    "data/prompt_completion.py write": ASIDE,
    "commands/report.py write": ASIDE,
    "corpus/engine.py np.save": ASIDE,
    "corpus/second_pass.py np.save": ASIDE,
    "corpus/quality.py np.save": ASIDE,
    "corpus/extract.py read": "what /proc says of a process: the processor time that it has used",
    "corpus/duplicates.py write": "shingles that one phase of a run needs, removed when it ends",
    "commands/distill_task/teacher.py np.save": "into a file that atomic_files.replacing names when it is whole",
    "runs/lock.py write": "O_EXCL makes it this process's or nobody's; a cut one is taken over",
    "commands/recipes.py write": "`x` makes the user's new file or refuses",
    "prompting/response_cache.py write": "cuts a line off that a kill has left unfinished",
    "cli/__init__.py write": "a traceback, beside all runs",
    "commands/recipes.py read": "a recipe that is shipped",
    "prompting/synthetic.py read": "words that are shipped",
    "runs/lock.py read": "/proc",
    "runs/machine.py read": "/proc and /sys",
    "cli/threads.py read": "/proc",
    "folder_kinds.py read": "the keys of a recipe, whatever else it may be",
    "text/row_formats.py json": "rows of a user's data, with their own errors",
}


def ways(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """How a module writes or reads files by itself, and in which line."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute):
            whole, name = ast.unparse(node.func), node.func.attr
        elif isinstance(node.func, ast.Name):
            whole = name = node.func.id
        else:
            continue
        first = node.args[0] if node.args else None
        if whole in ("np.save", "numpy.save", "np.savez", "torch.save", "pickle.dump"):
            yield "np.save", node.lineno
        elif name in ("write_text", "write_bytes") and isinstance(node.func, ast.Attribute):
            if not whole.startswith("atomic_files."):
                yield "write", node.lineno
        elif whole == "json.dump" or (name in ("open", "NamedTemporaryFile") and _writes(node)):
            yield "write", node.lineno
        elif whole == "json.load" or (whole == "json.loads" and "read_" in ast.unparse(first or node)):
            yield "json", node.lineno
        elif (
            name in ("read_text", "read_bytes")
            and isinstance(node.func, ast.Attribute)
            and not whole.startswith(("atomic_files.", "readers."))
        ):
            yield "read", node.lineno


def _writes(node: ast.Call) -> bool:
    modes = [
        one.value for one in (*node.args, *(k.value for k in node.keywords)) if isinstance(one, ast.Constant)
    ]
    return any(
        isinstance(mode, str) and set(mode) & set("wax+") and set(mode) <= set("rwaxbt+") for mode in modes
    )


@cache
def found() -> dict[str, list[str]]:
    """Of each module and way the places."""
    places: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for way, line in ways(ast.parse(path.read_text("utf8"))):
            key = name if name in MAY else f"{name} {way}"
            places.setdefault(key, []).append(f"{name}:{line}")
    return places


def test_nothing_is_written_or_read_but_through_the_one_writer_and_reader():
    others = {key: places for key, places in found().items() if key not in MAY}
    assert not others, "use nlptool.atomic_files, or give the reason here"


def test_every_exception_is_still_one():
    assert MAY.keys() - found().keys() == set()


@pytest.mark.parametrize(
    "line",
    [
        'path.write_text("x")',
        "(out / name).write_bytes(data)",
        'path.open("w")',
        'open(path, "ab")',
        'path.open(mode="r+b")',
        "np.save(path, values)",
        "json.dump(value, file)",
        "json.loads(path.read_text('utf8'))",
        "json.load(file)",
        "path.read_text()",
    ],
)
def test_each_other_way_is_seen(line: str):
    assert list(ways(ast.parse(line)))


@pytest.mark.parametrize(
    "line", ["write_text(path, 'x')", 'path.open("rb")', "json.loads(line)", "open(path)"]
)
def test_the_right_ways_are_left_alone(line: str):
    assert not list(ways(ast.parse(line)))
