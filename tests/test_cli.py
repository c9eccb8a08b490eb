"""The command line: its commands, and the presentation of errors."""

import errno
import io
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer.main

from nlptool import __version__, cli, launch
from nlptool.cli import main, signals
from nlptool.cli.app import app, narrowed
from nlptool.commands.finetune import recipe as finetune
from nlptool.commands.pretrain import run as pretrain
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.specs import COMMANDS, HEADINGS, CommandSpec
from nlptool.errors import DataError, NlptoolError, NonFiniteLoss, Preempted, UsageError
from nlptool.recipe import catalog, load

RECIPE = """\
store: store
model: {name: bert, layers: 1}
objective: {name: mlm}
train: {steps: 1}
out: run
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe that passes all checks, in the folder that is worked in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text("{}")
    (tmp_path / "r.yaml").write_text(RECIPE)
    return tmp_path / "r.yaml"


def raising(error: BaseException) -> Any:
    def run(*_: object) -> None:
        raise error

    return run


def nlptool(*arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nlptool", *arguments], capture_output=True, text=True, check=False, **how
    )


@pytest.mark.parametrize("command", [spec.name for spec in COMMANDS if spec.name not in ("prompt", "corpus")])
def test_every_command_with_a_recipe_has_the_same_options(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    helped = capsys.readouterr().out
    assert re.findall(r"^  (-\S, )?(--[a-z-]+)( [^ ]+)?", helped, re.M) == [
        ("-o, ", "--out", " FOLDER"),
        ("", "--resume", " auto|PATH"),
        ("", "--overwrite", ""),
        ("", "--dry-run", ""),
        ("", "--json", ""),
        ("-q, ", "--quiet", ""),
        ("-h, ", "--help", ""),
    ]
    assert f"nlptool {command} [OPTIONS] RECIPE [KEY=VALUE | ~KEY]..." in helped


def test_help_fits_80_columns_and_groups_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options:", *(f"{heading}:" for heading in HEADINGS)]


def test_help_names_arguments_without_types_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune", "--help"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^ +RECIPE +A YAML file", shown, re.MULTILINE)
    assert "<" not in shown


@pytest.mark.parametrize(
    ("command", "usage"),
    [("report", "RUN..."), ("predict", "MODEL [FILE...|-]"), ("compare", "RECIPE... [KEY=VALUE | ~KEY]...")],
)
def test_the_line_of_usage_repeats_no_brackets_and_dots(
    command: str, usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    assert f"Usage: nlptool {command} [OPTIONS] {usage}\n" in capsys.readouterr().out


def test_help_imports_few_modules() -> None:
    """Its time is that of its imports; benchmarks/start.py measures it."""
    code = (
        "import sys; from nlptool.cli import main; main(['--help']); print(len(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stderr) < 200


def test_no_command_shows_the_help_as_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: nlptool")


def test_the_version_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nlptool {__version__}\n"


def test_a_misspelt_command_is_a_usage_error_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenise"]) == 2
    assert "tokenize" in capsys.readouterr().err


def test_a_missing_recipe_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrain-mlm"]) == 2
    assert "Missing argument 'RECIPE'" in capsys.readouterr().err


def test_a_command_gets_its_recipe_and_options(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(pretrain, "run", lambda *given: seen.append(given))
    line = ["pretrain-mlm", "r.yaml", "train.lr=3e-4", "--resume", "auto", "-o", 'a "b"', "~train.steps"]
    assert main([*line, "--json", "train.budget=2 h"]) == 0
    (given, options, _), *rest = seen
    assert rest == []
    assert (given.train.lr, str(given.train.budget), given.out) == (3e-4, "2 h", 'a "b"')
    assert (options.out, options.resume, options.overwrite) == ('a "b"', "auto", False)
    assert (options.dry_run, options.json) == (False, True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (DataError("x"), 3),
        (NonFiniteLoss("x"), 4),
        (Preempted("x"), 75),
        (NlptoolError("x"), 1),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    error: NlptoolError,
    code: int,
    recipe: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error.hint = "do this"
    monkeypatch.setattr(pretrain, "run", raising(error))
    assert main(["pretrain-mlm", "r.yaml"]) == code
    assert capsys.readouterr() == ("", "error: x\nhint: do this\n")


def test_a_defect_is_called_so_and_its_traceback_goes_to_a_file(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NLPTOOL_DEBUG", raising=False)
    monkeypatch.setattr(pretrain, "run", raising(KeyError("lost")))
    assert main(["pretrain-mlm", "r.yaml"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: this is a defect of nlptool: KeyError: 'lost'\nhint: ")
    assert "Traceback" not in said
    report = Path(said.split()[-1])
    assert "KeyError: 'lost'" in report.read_text("utf8")
    report.unlink()


def test_a_defect_shows_its_traceback_where_that_is_asked_for(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NLPTOOL_DEBUG", "1")
    monkeypatch.setattr(pretrain, "run", raising(KeyError("lost")))
    assert main(["pretrain-mlm", "r.yaml"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    Path(said.split()[-1]).unlink()


def test_a_full_disk_is_told_as_such(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "run/x.bin")
    monkeypatch.setattr(pretrain, "run", raising(full))
    assert main(["pretrain-mlm", "r.yaml"]) == 3
    assert (
        capsys.readouterr().err
        == "error: run/x.bin: No space left on device\nhint: free some space; what was finished is kept\n"
    )
    monkeypatch.setattr(pretrain, "run", raising(OSError(errno.ENOSPC, "No space left on device")))
    assert main(["pretrain-mlm", "r.yaml", "--out", "elsewhere"]) == 3
    assert capsys.readouterr().err.startswith("error: elsewhere: No space left on device")


def test_an_interrupt_ends_with_one_line_and_130(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pretrain, "run", raising(KeyboardInterrupt()))
    assert main(["pretrain-mlm", "r.yaml"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_a_closed_pipe_is_no_news() -> None:
    line = f"{sys.executable} -m nlptool schema pretrain-mlm | head -c 1"
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("{", "")
    closed = f"exec 3> >(exec true); sleep 0.5; {sys.executable} -m nlptool schema pretrain-mlm >&3; echo $?"
    result = subprocess.run(["bash", "-c", closed], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("141\n", "")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_nobody_to_tell(closed: str, tmp_path: Path) -> None:
    line = [
        "sh",
        "-c",
        f'exec "$@" {closed}',
        "sh",
        sys.executable,
        "-m",
        "nlptool",
        "recipes",
        "cp",
        "demo/bert",
    ]
    done = subprocess.run([*line, str(tmp_path / "r.yaml")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "Traceback" not in done.stderr
    assert (tmp_path / "r.yaml").read_text("utf8").startswith("#")


def test_python_m_nlptool_gives_the_exit_code() -> None:
    assert nlptool("--version").returncode == 0
    assert nlptool("pretrain-mlm", "nowhere.yaml").returncode == 2


def test_recipes_are_listed_with_their_first_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "ls", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed.keys() == catalog.shipped().keys()
    assert listed["bert/base"].startswith("BERT-base: 12 layers")
    assert all(listed.values())
    assert listed["tasks/glue/rte"].endswith("GLUE (Wang et al. 2018).")
    assert main(["recipes", "ls"]) == 0
    assert "bert/base" in capsys.readouterr().out


def test_recipes_of_one_folder_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "ls", "suites"]) == 0
    shown = capsys.readouterr().out
    assert "suites/glue " in shown
    assert "bert/base" not in shown
    assert main(["recipes", "ls", "berts"]) == 2
    assert "one of albert, bert" in capsys.readouterr().err


def test_a_recipe_is_shown_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "show", "bert/base"]) == 0
    assert capsys.readouterr().out == catalog.find("bert/base").read_text("utf8")


def test_a_recipe_is_copied_but_never_over_a_file(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "cp", "bert/base", "mine.yaml"]) == 0
    assert Path("mine.yaml").read_bytes() == catalog.find("bert/base").read_bytes()
    assert main(["recipes", "cp", "bert/base", "."]) == 0
    assert Path("base.yaml").exists()
    capsys.readouterr()
    assert main(["recipes", "cp", "bert/tiny", "mine.yaml"]) == 2
    assert "mine.yaml: exists already" in capsys.readouterr().err
    assert Path("mine.yaml").read_bytes() == catalog.find("bert/base").read_bytes()


def test_an_unknown_recipe_name_is_compared_with_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "show", "bert/bas"]) == 2
    assert "did you mean bert/base" in capsys.readouterr().err


def test_a_schema_is_json_that_lists_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "pretrain-mlm"]) == 0
    schema = json.loads(capsys.readouterr().out)
    others = {
        "teacher",
        "student",
        "entity_embeddings",
    }  # of distill and pretrain-ernie, whose recipe it is, too
    assert list(schema["properties"]) == [
        "extends",
        *(key for key in Recipe.model_fields if key not in others),
    ]
    assert main(["schema"]) == 0
    assert capsys.readouterr().out.split() == [*(spec.name for spec in COMMANDS), "task"]
    assert main(["schema", "pretrain-ml"]) == 2
    assert "did you mean pretrain-mlm?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "spec", [spec for spec in COMMANDS if spec.module == "pretrain"], ids=lambda spec: spec.name
)
def test_a_schema_offers_the_objective_of_its_command_alone(
    spec: CommandSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", spec.name]) == 0
    schema = json.loads(capsys.readouterr().out)
    offered = schema["properties"]["objective"]["discriminator"]["mapping"]
    assert list(offered) == [spec.name.removeprefix("pretrain-")]
    assert ("Student" in schema["$defs"]) == (spec.name == "distill")
    defined = {f"#/$defs/{name}" for name in schema["$defs"]}
    assert (
        set(re.findall(r'"(#/\$defs/[^"]+)"', json.dumps(schema))) == defined
    )  # none is missing, none is left over


TASKS = catalog.shipped("tasks")
OTHERS = ("tasks", "suites", "prompted-tasks", "experiments")
OF_A_COMMAND = [name for name in catalog.shipped() if name.partition("/")[0] not in OTHERS]


@pytest.mark.parametrize("name", OF_A_COMMAND)
def test_every_shipped_recipe_is_right_and_names_its_command(name: str) -> None:
    text = catalog.shipped()[name].read_text("utf8")
    header = [line for line in text.splitlines() if line.startswith("#")]
    commands = re.findall(rf"nlptool (\S+) {name}\b", "\n".join(header))
    assert len(commands) == 1, "the header shows the command line, once"
    spec = next(spec for spec in COMMANDS if spec.name == commands[0])
    schema = import_module(f"nlptool.commands.{spec.module}.recipe").Recipe
    load(catalog.find(name), [] if "\nout:" in text else ["out=x"], schema)


@pytest.mark.parametrize("name", TASKS)
def test_every_shipped_task_is_right_and_names_the_command_that_takes_it(name: str) -> None:
    header = [line for line in TASKS[name].read_text("utf8").splitlines() if line.startswith("#")]
    commands = re.findall(rf"nlptool finetune (\S+) task={name} ", "\n".join(header))
    assert len(commands) == 1, "the header shows the command line, once"
    recipe = load(catalog.find(commands[0]), [f"task={name}"], finetune.Recipe).recipe
    assert recipe.task.metrics


def test_no_shipped_recipe_is_told_by_half_a_sentence(capsys):
    assert main(["recipes", "ls", "--json"]) == 0
    for name, told in json.loads(capsys.readouterr().out).items():
        assert told.count("`") % 2 == 0, name
        assert told.count("(") == told.count(")"), name
        assert not told.endswith(("..", "?.")), name


@pytest.mark.parametrize(
    ("stop", "code", "told"),
    [
        (Preempted("SIGUSR1"), 75, "SIGUSR1"),
        (signals.Ended(15), 143, "ended by SIGTERM"),
        (KeyboardInterrupt(), 130, "ended by SIGINT"),
    ],
)
def test_what_fails_because_of_a_signal_is_the_signals_not_a_defect(
    stop: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys
):
    """A library's own clean-up may fail where a signal has broken it off."""

    def broken(**given: object) -> None:
        try:
            raise stop
        finally:
            raise RuntimeError("trying to pop from empty mode stack")

    monkeypatch.setattr(cli, "parser", lambda command: broken)
    assert cli.main(["schema"]) == code
    said = capsys.readouterr().err
    assert told in said
    assert "defect" not in said


@pytest.mark.parametrize(
    ("stop", "code"),
    [(signals.Ended(15), 143), (KeyboardInterrupt(), 130), (Preempted("stopped by SIGTERM"), 75)],
)
def test_a_signal_whose_error_code_in_c_has_replaced_is_still_a_signal(
    stop: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys
):
    """As torch.asarray does, which takes any error within it for one of a shape, without its context."""

    def replaced(**given: object) -> None:
        launch.raised_signals.append(stop)
        raise ValueError("could not determine the shape of object type 'torch.storage.UntypedStorage'")

    monkeypatch.setattr(cli, "parser", lambda command: replaced)
    assert cli.main(["schema"]) == code
    assert "defect" not in capsys.readouterr().err
    monkeypatch.setattr(cli, "parser", lambda command: lambda **given: 1 / 0)
    assert cli.main(["schema"]) == 1, "a signal of an earlier command is none of this one"


def test_an_error_keeps_its_exit_code_where_stderr_is_full_and_was_written_to(
    monkeypatch: pytest.MonkeyPatch,
):
    class Full(io.StringIO):
        def reconfigure(self, **given: object) -> None:
            raise OSError(27, "File too large")

    monkeypatch.setattr(sys, "stderr", Full())
    assert cli.main(["doctor", "nowhere"]) == 2


def test_what_is_built_for_a_command_line_says_what_the_whole_application_says(capsys):
    whole: Any = typer.main.get_command(app)
    context = whole.make_context("nlptool", [], resilient_parsing=True)
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.strip() == whole.get_help(context).strip()
    for name in ("pretrain-mlm", "doctor", "recipes"):
        one = whole.get_command(context, name)
        assert main([name, "--help"]) == 0
        told = one.get_help(one.make_context(name, [], parent=context, resilient_parsing=True))
        assert capsys.readouterr().out.strip() == told.strip()
    assert main(["pretrain-mml"]) == 2
    assert "pretrain-mlm" in capsys.readouterr().err
    assert len(typer.main.get_command(narrowed("doctor")).commands) == 1
    assert len(typer.main.get_command(narrowed("nothing")).commands) == len(whole.commands)


def test_a_recipe_of_another_command_is_told_with_that_command(capsys: pytest.CaptureFixture[str]):
    assert main(["tokenize", "demo/finetune"]) == 2
    assert "hint: by its keys it is a recipe of nlptool finetune" in capsys.readouterr().err
    assert main(["finetune", "demo/finetune", "seed=[0]"]) == 2
    assert "by its keys" not in capsys.readouterr().err
