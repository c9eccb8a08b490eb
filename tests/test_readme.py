"""Every command in the README is carried out, in its order, in one folder."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from nlptool.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LINES = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]


def test_the_readme_has_commands():
    assert {"make", "nlptool"} == {line.split()[0] for line in LINES}


def test_commands_of_the_readme_work_in_their_order(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    for line in LINES:
        if line.startswith("nlptool"):
            assert main(shlex.split(line)[1:]) == 0, (line, capsys.readouterr().err)
    assert "likeliest" in capsys.readouterr().out


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make")])
def test_targets_of_the_readme_exist(line: str):
    done = subprocess.run(["make", "-n", line.split()[1]], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_exit_codes_of_the_readme_are_those_of_the_errors():
    from nlptool import errors

    table = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    raised = {cls.exit_code for cls in vars(errors).values() if isinstance(cls, type)}
    assert table == {0} | raised


def test_every_command_is_in_the_readme():
    from nlptool.cli import app

    names = {command.name for command in app.registered_commands} | {
        group.name for group in app.registered_groups
    }
    assert all(f"`{name}`" in README for name in names)
