"""Identifiers, options, recipe keys and JSON fields are standard terms of the field; prose is plain."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "nlptool"
OLD_NAMES = PACKAGE / "recipe" / "renamed.py"  # the table of what earlier versions called otherwise

WORDS = """
answerer ask asked asking doubt doubts exam exams fate fates foreseen foretell foretold goes going handed heeded
imitate imitation judge judged judges judging lacks likeliest made remembering respondent said say says sheet sheets
shelf silent sought taught tell tells thinned told twin twins unasked unforeseen untaught wish wishes
"""
PRIVATE = frozenset(WORDS.split())
"""Words of earlier versions, each with a standard term in its place: logits, reported, generated, request, baseline."""

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@cache
def is_private(name: str) -> bool:
    """Whether a name in snake_case, CamelCase, kebab-case or CONSTANT_CASE has a private word in it."""
    return any(word.lower() in PRIVATE for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What the code gives a name to; keys of dicts, which files and `--json` call their fields; options."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.Dict():
                yield from (text for key in node.keys for text in field(key))
            case ast.Subscript():
                yield from field(node.slice)
            case ast.Constant(value=str(value)) if value.startswith("--"):
                yield from field(node)


def field(node: ast.expr | None) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        name = node.value.removeprefix("--")
        if PLAIN.fullmatch(name):
            yield node.lineno, name


def test_names_in_the_package_are_standard_terms():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != OLD_NAMES
        for line, name in names(ast.parse(path.read_text()))
        if is_private(name)
    ]
    assert found == []


def test_no_message_names_an_extra_that_the_index_gives_to_another_project():
    found = [str(path) for path in PACKAGE.rglob("*.py") if re.search(r"nlptool\[\w+\]", path.read_text())]
    assert found == []  # extras.install names the packages


def test_names_of_files_are_standard_terms():
    paths = [*PACKAGE.rglob("*"), *(ROOT / "recipes").rglob("*")]
    assert [str(path) for path in paths if is_private(path.stem)] == []


def test_keys_in_recipes_are_standard_terms():
    lines = [
        (path, number, line)
        for path in sorted((ROOT / "recipes").rglob("*.yaml"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if not line.lstrip().startswith("#")
    ]
    keys = [
        f"{path.relative_to(ROOT)}:{number}: {key}"
        for path, number, line in lines
        for key in re.findall(r"(?:^|[{,])\s*-?\s*([A-Za-z_]+):(?:\s|$)", line)
        if is_private(key)
    ]
    assert len(lines) > 1000
    assert keys == []


PROSE = ("nlptool/**/*.py", "recipes/**/*.yaml", "docs/**/*.md", "benchmarks/*", "*.md")
OPENS_WITH_OF = re.compile(r"""(?:^\s*(?:\#|"{3}|[-*])?\s*|["'(]|[.!?]\ )Of\ (?=[a-z`\d\[])""", re.VERBOSE)


def test_no_sentence_opens_with_of():
    paths = sorted(
        {path for pattern in PROSE for path in ROOT.glob(pattern) if path.suffix in (".py", ".yaml", ".md")}
    )
    assert len(paths) > 500
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if "Of " in line and OPENS_WITH_OF.search(line)
    ]
    assert found == []


STILTED = re.compile(
    r"\b(?:(?:is|are|was|were|be) (?:told|asked)|asked for|whoever|to be had|nothing but|goes on|but for|mend)\b"
)
"""Private or archaic turns of earlier versions; plain ones: is reported, requested, except for, continues, fix."""


def test_the_package_is_written_in_plain_words():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if STILTED.search(line)
    ]
    assert found == []


SOURCES = (
    "said = 1",
    "def untaught(): ...",
    "x.likeliest = 1",
    "class ToldTwice: ...",
    "{'asked': 1}",
    "x['made_of']",
    "Option('--twin-student')",
)


@pytest.mark.parametrize("source", SOURCES)
def test_a_private_word_is_found(source):
    assert any(is_private(name) for _, name in names(ast.parse(source)))


def test_shares_are_written_as_tables_have_them():
    """`9.1 %`, through nlptool.formatting.percent; bars of progress alone are without the space."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if path.name != "progress.py" and re.search(r":\.\d%\}", line)
    ]
    assert found == []


NET = re.compile(r"(?<![\w-])(?<!daum\.)nets?(?![\w-])", re.IGNORECASE)


def test_a_model_is_called_a_model():
    """`net` is gone from names, keys and prose; Net in KagNet and ProphetNet is no word of its own."""
    paths = [
        path for pattern in PROSE for path in ROOT.glob(pattern) if path.suffix in (".py", ".yaml", ".md")
    ]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(set(paths))
        if path != OLD_NAMES and path.name != "CHANGELOG.md"
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if NET.search(line)
    ]
    assert found == []
