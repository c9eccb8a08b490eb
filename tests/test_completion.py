"""Shell completion, and help on commands and keys."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from nlptool.cli import app, main
from nlptool.cli.completion import SCRIPTS, reply, split
from nlptool.commands.specs import COMMANDS, command_of
from nlptool.recipe import catalog
from nlptool.recipe.extends import read

FILES_OF_TASKS = ("tasks/", "prompted-tasks/", "suites/", "experiments/")


def completed(line: str, shell: str = "bash") -> list[str]:
    """The words that fit, without the line that stands for files."""
    found = list(reply(shell, line, typer.main.get_command(app)))
    return found[1:] if found[:1] in (["/"], ["/\t"]) else found


def test_every_shipped_recipe_is_completed_behind_the_command_that_carries_it_out():
    commands = {
        name: command_of(read(path).data)
        for name, path in catalog.shipped().items()
        if not name.startswith(FILES_OF_TASKS)
    }
    assert catalog.commands() == commands
    for command in set(commands.values()):
        names = {name for name, of in commands.items() if of == command}
        assert set(completed(f"nlptool {command} ")) == names


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nlptool pretrain-m", ["pretrain-mlm"]),
        ("nlptool recipes s", ["show"]),
        ("nlptool reproduce kag", ["kagnet"]),
        ("nlptool recipes show demo/bert-", ["demo/bert-ko"]),
        ("nlptool pretrain-mlm demo/bert train.sch", ["train.schedule="]),
        ("nlptool pretrain-mlm demo/bert tr", ["train.", "track="]),
        ("nlptool pretrain-mlm --dry-run demo/bert ~train.sta", ["~train.stages"]),
        ("nlptool pretrain-mlm demo/bert train.schedule=linear_", ["linear_bert", "linear_from_peak"]),
        ("nlptool pretrain-mlm demo/bert objective.whole_word=", ["true", "false"]),
        ("nlptool pretrain-mlm demo/bert --out x model.sh", []),  # a BERT shares nothing
        ("nlptool pretrain-sop demo/albert model.sh", ["model.share="]),
        ("nlptool compare demo/bert demo/elec", ["demo/electra"]),
        ("nlptool compare demo/bert demo/electra train.bu", ["train.budget="]),
        ("nlptool compare demo/bert demo/electra --vary train.bu", ["train.budget="]),
        ("nlptool compare demo/bert --vary train.schedule=cos", ["cosine"]),
        ("nlptool compare --vary train.bu", []),
        ("nlptool plan demo/gpt2 model.hea", ["model.heads="]),
        ("nlptool finetune demo/finetune task=glue/sst", ["glue/sst2"]),
        ("nlptool export runs/x --to ", ["hf", "onnx", "openke", "pykeen"]),
        ("nlptool evaluate x --suite gl", ["glue", "glue-small"]),
        ("nlptool help finetune train.layerw", ["train.layerwise_lr_decay"]),
        ("nlptool help exp", ["export"]),
        ("nlptool pretrain-mlm no-such-recipe tr", []),
        ("nlptool pretrain-mlm ./own", []),  # the shell completes files
        ("nlptool pretrain-mlm 'demo/al", []),
        ("nlptool pretrain-sop 'demo/al", ["demo/albert"]),
        ("nlptool predict ", []),
        ("nlptool pretrain-mlm demo/bert --resume ", ["auto"]),
        ("nlptool 한국", []),
    ],
)
def test_what_fits_is_offered(line: str, words: list[str]):
    assert completed(line) == words


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("nlptool pretrain-mlm demo/b", True),
        ("nlptool finetune demo/finetune task=demo/", True),
        ("nlptool pretrain-mlm demo/bert train.schedule=cos", False),
        ("nlptool pretrain-mlm demo/bert tr", False),
        ("nlptool pretrain", False),
    ],
)
def test_files_are_offered_beside_the_names_that_they_may_stand_for(line: str, files: bool):
    group = typer.main.get_command(app)
    assert (next(reply("bash", line, group)) == "/") is files
    assert (next(reply("zsh", line, group)) == "/\t") is files
    assert "/\t" not in list(reply("fish", line, group))


def test_options_are_those_of_the_command():
    assert {"--out", "--resume", "--json", "--quiet"} <= set(completed("nlptool pretrain-mlm demo/bert --"))
    assert "--resume" not in completed("nlptool export x --")


def test_a_recipe_of_ones_own_decides_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text("extends: demo/albert\n")
    assert completed("nlptool plan own.yaml model.embedding_s") == ["model.embedding_size="]
    Path("own.yaml").write_text("[")
    assert completed("nlptool plan own.yaml model.embedding_s") == []


def test_shells_that_show_meanings_get_them():
    assert completed("nlptool pretrain-mlm demo/bert train.l", "zsh") == ["train.lr=\tpeak learning rate"]
    line = "nlptool pretrain-mlm demo/bert train.schedule=cos"
    assert completed(line, "fish") == ["train.schedule=cosine\t"]  # fish replaces the whole word
    assert completed(line, "zsh") == ["cosine\t"]


def test_a_line_is_split_at_the_cursor_whatever_is_open():
    assert split("nlptool a b") == (["nlptool", "a"], "b")
    assert split("nlptool a ") == (["nlptool", "a"], "")
    assert split("nlptool 'a b") == (["nlptool"], "a b")
    assert split('nlptool "a') == (["nlptool"], "a")
    assert split("nlptool \\") == (["nlptool"], "")
    assert split("") == (["nlptool"], "")


@pytest.mark.parametrize("shell", list(SCRIPTS))
def test_a_shell_takes_its_script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    subprocess.run([shell, "-n", str(script)], check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_a_key_without_a_space_and_a_file_where_nothing_fits(tmp_path: Path):
    nlptool = tmp_path / "nlptool"
    nlptool.write_text(f'#!/bin/sh\nexec {sys.executable} -m nlptool "$@"\n')
    nlptool.chmod(0o755)
    line = "nlptool pretrain-mlm demo/bert train.sch"
    script = f"""PATH={tmp_path}:$PATH; {SCRIPTS["bash"]}
compopt() {{ printf "compopt %s\\n" "$1 $2"; }}
COMP_LINE={line!r}; COMP_POINT={len(line)}; _nlptool; echo "${{COMPREPLY[*]}}"; complete -p nlptool"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "compopt -o nospace",
        "train.schedule=",
        "complete -o default -F _nlptool nlptool",
    ]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files, where `nlptool completion` prints a script, and for any line what `reply` holds."""
    for shell, text in SCRIPTS.items():
        (tmp_path / f"bin-{shell}").write_text(text)
    (tmp_path / "bin").mkdir()
    nlptool = tmp_path / "bin/nlptool"
    nlptool.write_text(f"#!/bin/sh\n[ $# -gt 2 ] && exec cat {tmp_path}/reply\nexec cat {tmp_path}/bin-$2\n")
    nlptool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    mine = tmp_path / "mine"
    (mine / "data").mkdir(parents=True)
    (mine / "문장 하나.yaml").touch()
    monkeypatch.chdir(mine)
    return tmp_path


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_offers_files_beside_names_and_quotes_them(fake: Path):
    (fake / "reply").write_text("/\ndemo/bert\n")
    script = """source <(nlptool completion bash); compopt() { :; }; COMP_LINE="nlptool x "; COMP_POINT=10
for word in '' '~/mi'; do _nlptool nlptool "$word"; printf '%s\\n' "${COMPREPLY[@]}"; done """
    words = ["bash", "-c", script]
    utf8 = os.environ | {"LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=utf8)
    found = ["data/", "demo/bert", "demo/bert", "문장\\ 하나.yaml", "~/mine/"]
    assert sorted(done.stdout.splitlines()) == sorted(found)


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_fish_completes_what_is_replied_and_files(fake: Path):
    (fake / "reply").write_text("demo/bert\ta small one\ndata=\tx\n")
    script = "nlptool completion fish | source; complete -C 'nlptool x d'"
    words = ["fish", "--no-config", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["data/", "data=\tx", "demo/bert\ta small one"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
@pytest.mark.parametrize(
    ("reply", "typed", "line"),
    [
        ("train.lr=\tpeak rate\n", "nlptool x tr", "nlptool x train.lr="),
        ("glue/sst2\t\n", "nlptool x task=gl", "nlptool x task=glue/sst2 "),
        ("a:b\ta: meaning\n", "nlptool x a", "nlptool x a:b "),
        ("", "nlptool x store=문", "nlptool x store=문장\\ 하나.yaml "),
        ("/\t\ndemo/bert\t\n", "nlptool x da", "nlptool x data/"),
    ],
)
def test_zsh_completes_at_its_prompt(fake: Path, reply: str, typed: str, line: str):
    import pty
    import time

    (fake / "reply").write_text(reply)
    (fake / ".zshrc").write_text(
        "autoload -Uz compinit; compinit -u -D; source <(nlptool completion zsh)\n"
        f'show() {{ print -rn -- "$BUFFER" > {fake}/shown.new; mv {fake}/shown.new {fake}/shown }}\n'
        "zle -N show; bindkey '^X' show\n"
        f"touch {fake}/ready\n"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"ZDOTDIR": str(fake), "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        try:
            os.execvp("zsh", ["zsh", "-d", "-i"])
        finally:
            os._exit(127)
    try:
        for name, keys in (("ready", f"{typed}\t\x18"), ("shown", "\x03exit\r")):
            until = time.monotonic() + 60
            while not (fake / name).exists():
                assert time.monotonic() < until, name
                time.sleep(0.02)
            os.write(terminal, keys.encode())
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    assert (fake / "shown").read_text() == line


def test_help_is_that_of_the_command(capsys: pytest.CaptureFixture[str]):
    for words in ([], ["pretrain-mlm"], ["recipes"]):
        assert main(["help", *words]) == 0
        told = capsys.readouterr().out
        assert main([*words, "--help"]) == 0
        assert told.strip() == capsys.readouterr().out.strip()


def test_help_explains_a_key(capsys: pytest.CaptureFixture[str]):
    assert main(["help", "finetune", "train.lr"]) == 0
    shown = capsys.readouterr().out
    assert "peak learning rate" in shown
    assert "a number above 0" in shown
    assert "2e-05" in shown
    assert main(["help", "pretrain-mlm", "model.dropout"]) == 0
    shown = capsys.readouterr().out
    assert "model.dropout (albert)" in shown
    assert "model.dropout (bert, distilbert" in shown
    assert main(["help", "pretrain-mlm", "train"]) == 0
    assert "train.batch_size" in capsys.readouterr().out


@pytest.mark.parametrize("command", [spec.name for spec in COMMANDS])
def test_help_explains_every_key_at_the_top(command: str, capsys: pytest.CaptureFixture[str]):
    for word in completed(f"nlptool help {command} "):
        assert main(["help", command, word.rstrip(".")]) == 0, word
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "key", "meaning"),
    [
        ("corpus", "sources", "sources.*.files"),
        ("corpus", "sources.위키.files", "path, folder or glob pattern"),
        ("pretrain-mlm", "train.stages.0.share", "fraction of the run's steps"),
        ("finetune", "task.name", "token_classification"),
    ],
)
def test_help_explains_keys_in_lists_and_under_names(command: str, key: str, meaning: str, capsys):
    assert main(["help", command, key]) == 0
    assert meaning in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["help", "pretrain"], "did you mean pretrain-"),
        (["help", "pretrain-mlm", "optimizer.eps"], "did you mean train.optimizer.eps?"),
        (["help", "pretrain-mlm", "나"], "nlptool schema pretrain-mlm lists all"),
        (["help", "export", "train.lr"], "export takes no recipe"),
    ],
)
def test_help_on_what_there_is_not(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_quiet_leaves_results_and_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    copy = ["recipes", "cp", "demo/bert"]
    assert main([*copy, str(tmp_path / "a.yaml"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*copy, str(tmp_path / "b.yaml")]) == 0
    assert "copied" in capsys.readouterr().err
    assert main(["-q", *copy, str(tmp_path / "b.yaml")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["recipes", "show", "demo/bert", "-q"]) == 0
    assert "objective" in capsys.readouterr().out


def test_under_json_an_error_is_json_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    broken = tmp_path / "run"
    broken.mkdir()
    for name in ("recipe.yaml", "metrics.jsonl", "environment.json"):
        (broken / name).write_text("[")
    assert main(["pretrain-mlm", "demo/bret", "--json"]) == 2
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {
        "error": {
            "message": "demo/bret: no such recipe",
            "hint": "did you mean demo/bert or demo/albert?",
            "exit_code": 2,
        }
    }
    assert shown.err.startswith("error: demo/bret: no such recipe")
    assert main(["doctor", str(broken), "--json"]) == 3  # which prints what it has found before it fails
    assert isinstance(json.loads(capsys.readouterr().out), list)
    assert main(["pretrain-mlm", "demo/bret"]) == 2
    assert capsys.readouterr().out == ""
