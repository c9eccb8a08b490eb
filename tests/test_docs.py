"""Every command and every piece of Python of the documentation is carried out, page by page, in one folder."""

import re
from pathlib import Path

import pages
import pytest
from ruamel.yaml import YAML

from nlptool.cli import main

DOCS = pages.ROOT / "docs"
NAVIGATION = re.findall(r"[\w/-]+\.md", (pages.ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
MADE = {"reference/commands.md", "reference/recipes.md", "reference/outputs.md"}


def test_every_page_is_in_the_navigation_and_there():
    assert set(NAVIGATION) - MADE == {path.name for path in DOCS.glob("*.md")}


def test_links_between_pages_lead_somewhere():
    for path in [*DOCS.glob("*.md"), *pages.ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists() or target in MADE, (path.name, target)


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_examples_of_recipes_are_yaml(page: str):
    for block in pages.blocks(DOCS / page):
        if block.language == "yaml":
            assert YAML(typ="safe").load(block.text)


@pytest.mark.slow
def test_commands_and_python_work_in_their_order(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(pages.ROOT / "data")
    for name in [name for name in NAVIGATION if name not in MADE]:
        cut = name == "index.md"  # the README's quickstart, which tests/test_readme.py carries out as printed
        namespace: dict = {}
        for block in pages.blocks(DOCS / name):
            if block.language == "python":
                exec(compile(block.text, name, "exec"), namespace)
            elif block.language == "sh":
                for printed in block.text.splitlines():
                    line = printed.partition("  #")[0].strip()
                    if line.startswith("nlptool"):
                        assert main(pages.words(line, cut=cut)) == 0, (name, line, capsys.readouterr().err)


@pytest.mark.slow
def test_the_site_is_built(tmp_path: Path):
    import subprocess
    import sys

    pytest.importorskip("mkdocs")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    subprocess.run(words, cwd=pages.ROOT, check=True)
    assert (tmp_path / "reference/recipes.html").is_file()
