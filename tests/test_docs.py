"""Every command and every piece of Python of the documentation is run, page by page, in one folder."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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
PROBE = """<script>
const wrong = [];
addEventListener("error", event => wrong.push(event.message || event.target.src || event.target.href), true);
addEventListener("load", () => setTimeout(() => {
  const told = document.createElement("pre");
  told.id = "told";
  told.textContent = JSON.stringify([wrong, performance.getEntriesByType("resource").map(one => one.name)]);
  document.body.append(told);
}, 500));
</script>"""
MADE = {"reference/commands.md", "reference/recipes.md", "reference/figures.md"}


def test_every_page_is_in_the_navigation_and_there():
    assert set(NAVIGATION) - MADE == {path.name for path in DOCS.glob("*.md")}


def test_links_between_pages_lead_somewhere():
    for path in [*DOCS.glob("*.md"), *pages.ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists() or target in MADE, (path.name, target)


def test_files_that_pages_and_reports_name_are_there():
    for path in [*DOCS.glob("*.md"), *pages.ROOT.glob("README*.md"), *pages.ROOT.glob("benchmarks/*.md")]:
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"(?<![\w/.-])((?:tests|benchmarks)/[\w/.-]*[\w/])", text):
            assert (pages.ROOT / name).exists(), (path.name, name)


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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a warning."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    subprocess.run(words, cwd=pages.ROOT, check=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    return folder


@pytest.mark.slow
def test_the_site_needs_no_network_and_its_links_lead_somewhere(site: Path):
    found = sorted(page for page in site.rglob("*.html") if page.name != "404.html")
    assert {str(page.relative_to(site)) for page in found} == {f"{name[:-3]}.html" for name in NAVIGATION}
    for page in found:
        text = page.read_text("utf8")
        loaded = re.findall(r'<(?:script|img|iframe|link)\b[^>]*?\s(?:src|href)="?([^" >]+)', text)
        led = re.findall(r'<a\b[^>]*?\shref="?([^" >]+)', text)
        assert not [one for one in loaded if "//" in one], page.name
        for target in (*loaded, *(one for one in led if "//" not in one)):
            path, _, anchor = unquote(target).partition("#")
            there = (page.parent / path) if path else page
            assert there.exists(), (page.name, target)
            if anchor and there.suffix == ".html":
                assert f'id="{anchor}"' in there.read_text("utf8") or f"id={anchor}" in there.read_text(
                    "utf8"
                )


@pytest.mark.slow
def test_a_browser_opens_the_site_without_a_network_and_without_an_error(site: Path, tmp_path: Path):
    browser = next(filter(None, map(shutil.which, pages.BROWSERS)), None)
    if browser is None:
        pytest.skip("no browser on PATH")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    flags += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=3000", "--dump-dom"]
    for name in NAVIGATION:
        page = site / f"{name[:-3]}.html"
        probed = page.with_name(f"probed-{page.name}")
        probed.write_text(page.read_text("utf8").replace("<head>", f"<head>{PROBE}"), encoding="utf8")
        words = [browser, *flags, probed.as_uri()]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, done.stderr
        wrong, requests = json.loads(found[1].replace("&amp;", "&"))
        assert wrong == [], name
        assert not [one for one in requests if not one.startswith("file:")], name


def test_the_site_breaks_no_line_within_a_figure_a_date_or_an_option_and_code_keeps_its_spaces():
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    page = (
        '<p title="5 %">31.5 % on 2026-11-29</p><pre><code>a --b 5 %</code></pre><code>a --vary b=5 %</code>'
    )
    assert hooks.on_page_content(page) == (
        '<p title="5 %">31.5\u00a0% on <nobr>2026-11-29</nobr></p><pre><code>a --b 5 %</code></pre>'
        "<code>a <nobr>--vary</nobr> b=5 %</code>"
    )
