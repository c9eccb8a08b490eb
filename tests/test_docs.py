"""Every command and every piece of Python of the documentation is carried out, page by page, in one folder."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pages
import pytest
from ruamel.yaml import YAML

from nlptool import registry
from nlptool.cli import main
from nlptool.commands.specs import COMMANDS
from nlptool.recipe import Named
from nlptool.recipe.keys import keys
from nlptool.registry import DiscriminatedBy
from nlptool.runs import inventory

DOCS = pages.ROOT / "docs"
NAVIGATION = re.findall(r"[\w/-]+\.md", (pages.ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
MADE = {"reference/commands.md", "reference/recipes.md", "reference/figures.md"}


def test_every_page_is_in_the_navigation_and_there():
    assert set(NAVIGATION) - MADE == {path.name for path in DOCS.glob("*.md")}


def test_links_between_pages_lead_somewhere():
    for path in [*DOCS.glob("*.md"), *pages.ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists() or target in MADE, (path.name, target)


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_examples_of_recipes_and_tasks_have_keys_that_there_are(page: str, tmp_path: Path):
    for block in pages.blocks(DOCS / page):
        if block.language != "yaml":
            continue
        example = YAML(typ="safe").load(block.text)
        if "name" in example:
            (tmp_path / "task.yaml").write_text(block.text)
            kind, folder = ("prompting", "prompted-tasks") if page == "prompting.md" else ("tasks", "tasks")
            assert Named(DiscriminatedBy(kind), folder, "task").block(str(tmp_path / "task.yaml"))
            continue
        example.pop("extends", None)
        assert all(any(fits(path, key) for key in recipe_keys()) for path in paths(example)), block.text


def paths(value: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys of a block that have a value, as the names that lead to them; * in lists."""
    inner = (
        value.items() if isinstance(value, dict) else [("*", one) for one in value if isinstance(one, dict)]
    )
    for name, one in inner:
        deeper = isinstance(one, dict) or (
            isinstance(one, list) and any(isinstance(item, dict) for item in one)
        )
        yield from paths(one, (*before, name)) if deeper else [(*before, name)]


def fits(path: tuple[str, ...], key: str) -> bool:
    names = key.split(".")
    return len(names) == len(path) and all(a in (b, "*") for a, b in zip(names, path, strict=True))


@cache
def recipe_keys() -> frozenset[str]:
    recipes = [(import_module(f"nlptool.commands.{one.module}.recipe").Recipe, one.name) for one in COMMANDS]
    return frozenset(key.path for recipe, name in recipes for key in keys(recipe, command=name))


def listed(heading: str) -> set[str]:
    """The names in the first column of the table under a heading of files.md."""
    _, _, section = (DOCS / "files.md").read_text(encoding="utf-8").partition(f"## {heading}\n")
    rows = re.findall(r"^\| (`.*?) \|", section.partition("\n## ")[0], re.MULTILINE)
    return {name.rstrip("/") for row in rows for name in re.findall("`([^`]+)`", row)}


def test_the_files_that_are_named_are_those_that_are_written(tiny_run: Path, tiny_store: Path):
    for heading, folder in (("A run folder", tiny_run), ("A token store", tiny_store)):
        there = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        assert there <= listed(heading), heading
    known = (*inventory.RUN, *inventory.STORE, *inventory.LABELLED, *inventory.PROMPTED)
    for heading in ("A run folder", "A token store", "A fine-tuning run", "A prompt run"):
        assert all(any(fnmatch(name, one) for one in known) for name in listed(heading)), heading


def test_every_kind_of_task_is_in_the_table_of_predictions():
    assert listed("What `predict` writes") == set(registry.names("tasks"))


@pytest.mark.slow
def test_commands_and_python_work_in_their_order(tmp_path: Path, monkeypatch, capsys, write_outputs: bool):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(pages.ROOT / "data")
    for name in [name for name in NAVIGATION if name not in MADE]:
        # tests/test_readme.py carries out the quickstart as printed
        cut = name == "index.md" and not write_outputs
        pages.carry_out(DOCS / name, main, capsys, cut=cut, write=write_outputs)


@pytest.mark.slow
def test_the_site_is_built(tmp_path: Path):
    import subprocess
    import sys

    pytest.importorskip("mkdocs")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    subprocess.run(words, cwd=pages.ROOT, check=True)
    assert (tmp_path / "reference/recipes.html").is_file()
