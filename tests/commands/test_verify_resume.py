"""verify-resume: a run that is killed and resumed is compared with one that is not."""

import json
import sys
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.commands import verify_resume
from nlptool.console import Console
from nlptool.errors import NlptoolError

RUN = """
import json, pathlib, sys, time
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
out.mkdir(exist_ok=True)
log = out / "metrics.jsonl"
done = len(log.read_text().splitlines()) if log.exists() else 0
for step in range(done, 12):
    with log.open("a") as file:
        file.write(json.dumps({"step": step, "tokens": step * FACTOR, "seconds": time.time()}) + "\\n")
    time.sleep(0.1)
(out / "final").mkdir(exist_ok=True)
(out / "final" / "model.safetensors").write_text("weights")
"""


def words(folder: Path, factor: str = "7") -> list[str]:
    """A command that writes a line of figures every fifth of a second, and goes on where it was."""
    script = folder / "run.py"
    script.write_text(RUN.replace("FACTOR", factor))
    return [sys.executable, str(script), "--out", str(folder / "killed")]


def options(folder: Path) -> verify_resume.VerifyOptions:
    return verify_resume.VerifyOptions("r", (), 2, 3, folder)  # kills early enough: after lines 2 and 6


def test_a_run_is_killed_and_goes_on_to_its_end(tmp_path: Path):
    kills = verify_resume._killed(words(tmp_path), tmp_path / "killed", 12, options(tmp_path), Console())
    assert kills == 2
    assert verify_resume._lines(tmp_path / "killed") == 12
    straight = tmp_path / "undisturbed"
    verify_resume._to_the_end([*words(tmp_path)[:-1], str(straight)])
    found = verify_resume.compare(straight, tmp_path / "killed")
    assert found == {
        "weights": verify_resume.Finding(1, ()),
        "figures": verify_resume.Finding(12, ()),  # seconds are left out
    }


def test_what_differs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name, weights, tokens in (("a", b"1", 5), ("b", b"2", 6)):
        (tmp_path / name / "seed-0" / "final").mkdir(parents=True)
        (tmp_path / name / "seed-0" / "final" / "model.safetensors").write_bytes(weights)
        line = {"step": 3, "tokens": tokens, "heldout/mlm": 1.0, "mlm": tokens, "seconds": tokens}
        (tmp_path / name / "seed-0" / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    found = verify_resume.compare(tmp_path / "a", tmp_path / "b")
    assert found["weights"] == verify_resume.Finding(1, ("seed-0/final/model.safetensors",))
    assert found["figures"] == verify_resume.Finding(2, ("seed-0, step 3, tokens",))
    with pytest.raises(NlptoolError, match="the resumed run is another: seed-0/final") as error:
        verify_resume._show(found, 1, as_json=True, console=Console())
    assert error.value.exit_code == 1
    assert json.loads(capsys.readouterr().out)["equal"] is False


def test_a_run_that_ends_before_it_is_killed_shows_nothing(tmp_path: Path):
    with pytest.raises(NlptoolError, match="ended before it could be killed"):
        verify_resume._show({}, 0, as_json=False, console=Console())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo/tokenize"], "demo/tokenize: a recipe of tokenize"),
        (["glue/sst2"], "no such recipe"),
        (["tasks/glue/sst2"], "no recipe of a command"),
        (["demo/bert", "--kills", "0"], "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_verified_is_refused(arguments: list[str], message: str, capsys):
    assert main(["verify-resume", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_errors_of_the_run_are_its_own(capsys):
    assert main(["verify-resume", "demo/bert", "train.lr=fast"]) == 2
    assert "train.lr=fast: expected a number above 0" in capsys.readouterr().err


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys):
    assert main(["verify-resume", "demo/bert", "--out", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.slow
def test_a_real_run_is_verified(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["tokenize", "demo/tokenize"]) == 0
    capsys.readouterr()
    assert main(["verify-resume", "demo/bert", "train.steps=40", "save.every=5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["equal"]
    assert told["kills"] == 3
