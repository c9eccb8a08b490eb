"""`nlptool corpus` with datatrove's local executor: the same bytes."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from nlptool.cli import main

WORDS = ["river", "town", "mill", "bridge", "spring", "winter", "stone", "garden", "letter", "window"]


def write_sources(folder: Path) -> None:
    chance = random.Random(0)
    for name in ("a", "b", "c", "d"):
        texts = [
            " ".join(chance.choice(WORDS) + str(chance.randrange(9)) for _ in range(60)) for _ in range(40)
        ]
        texts = [f"Home of all\n{text}\n맨 위로 🙂" for text in texts]
        lines = "".join(json.dumps({"text": text}) + "\n" for text in [*texts, texts[0] + " more"])
        (folder / f"{name}.jsonl").write_text(lines)
    recipe = {
        "sources": {name: {"files": f"{name}.jsonl"} for name in ("a", "b", "c", "d")},
        "filters": {"gopher_quality": {"min_stop_words": None}},
        "repeated_lines": {"max_documents": 10},
        "dedup": {"minhash": {}},
        "workers": 1,
        "out": "out",
    }
    (folder / "r.yaml").write_text(json.dumps(recipe))


def contents(out: Path) -> dict[str, bytes]:
    paths = [path for name in ("data", "dropped", "index") for path in (out / name).iterdir()]
    return {str(path.relative_to(out)): path.read_bytes() for path in [*paths, out / "report.json"]}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_datatroves_local_executor_writes_the_same_bytes(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    executor = pytest.importorskip("datatrove.executor")
    from nlptool.datatrove_steps import FilterShards, WriteCorpus

    monkeypatch.chdir(tmp_path)
    write_sources(tmp_path)
    assert main(["corpus", "r.yaml"]) == 0
    given = {"recipe": "r.yaml", "out": "trove"}
    tasks = {"tasks": 3, "workers": workers, "logging_dir": str(tmp_path / "logs/filter")}
    filtered = executor.LocalPipelineExecutor([FilterShards(**given)], **tasks)
    write = executor.LocalPipelineExecutor(
        [WriteCorpus(**given)], logging_dir=str(tmp_path / "logs/write"), depends=filtered
    )
    write.run()
    assert contents(tmp_path / "trove") == contents(tmp_path / "out")


def test_without_datatrove_the_remedy_is_named():
    code = "import sys; sys.modules['datatrove'] = None; import nlptool.datatrove_steps"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "ImportError: nlptool.datatrove_steps needs the package datatrove: pip install" in found.stderr
