"""The wheel, in an environment of its own and outside the clone, runs the demo."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*words: object, cwd: Path) -> str:
    """Run a program; its stdout. No folder of the clone is on Python's path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_holds_what_the_package_needs(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    recipes = {path.relative_to(ROOT / "recipes").as_posix() for path in (ROOT / "recipes").rglob("*.yaml")}
    assert {f"nlptool/recipes/{name}" for name in recipes} <= names
    assert {"nlptool/py.typed", "nlptool/report/page.html"} <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "--quiet", "-c", constraints, f"{wheel}[demo]", cwd=tmp_path)
    command = tmp_path / "env/bin/nlptool"
    run(command, "tokenize", "demo/tokenize", cwd=tmp_path)
    run(command, "pretrain-mlm", "demo/bert", "train.steps=20", cwd=tmp_path)
    assert "States" in run(
        command, "fill-mask", "runs/demo/final", "the United [MASK]", "--top", "1000", cwd=tmp_path
    )
    where = run(python, "-c", "import nlptool; print(nlptool.__file__)", cwd=tmp_path)
    assert str(tmp_path) in where
