"""`nlptool prompt --model MODEL --text TEXT`, and the session, through the command line."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from nlptool.cli import main
from nlptool.evaluation.generation.beam_search import Beams
from nlptool.evaluation.generation.generate import Generator
from nlptool.evaluation.generation.sampling import Sampling
from nlptool.models import huggingface
from nlptool.models.gpt2.config import Config
from nlptool.text.tokenizer import Tokenizer

CONFIG = Config(layers=2, hidden=48, heads=4, positions=400, init=0.1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer.train(["the old bell of the old town reads the winter light"] * 5, 300)
    torch.manual_seed(2)
    state = nn.ModuleDict({"backbone": CONFIG.build(tokenizer.vocab_size)}).state_dict()
    huggingface.save_pretrained(folder, CONFIG, state, tokenizer.special)
    tokenizer.bare().save(folder)
    return folder


def test_a_text_goes_on_and_is_drawn_by_the_seed(model: Path, capsys):
    line = ["prompt", "--model", str(model), "--text", "the old", "--tokens", "12"]
    expected = Generator(model).complete(["the old"], 12, choose=Sampling(0.8, top_p=0.95, seed=3))[0]
    assert main([*line, "--seed", "3"]) == 0
    assert capsys.readouterr().out == f"{expected}\n"
    assert main([*line, "--seed", "4"]) == 0
    assert capsys.readouterr().out != f"{expected}\n"


def test_options_choose_as_they_say(model: Path, capsys):
    generator = Generator(model)
    for options, choose in (
        (["--temperature", "0"], Sampling(0)),
        (["--beams", "3"], Beams(3)),
        (["--temperature", "1.5", "--top-k", "7", "--top-p", "1"], Sampling(1.5, 7, 1.0)),
    ):
        line = ["prompt", "--model", str(model), "--text", "winter", "--tokens", "10", "--json", *options]
        assert main(line) == 0
        told = json.loads(capsys.readouterr().out)
        expected = generator.complete(["winter"], 10, choose=choose)[0]
        assert told == {"model": str(model), "text": "winter", "continuation": expected}


def test_a_text_comes_from_stdin_and_ends_before_a_stop_string(model: Path, capsys, monkeypatch):
    whole = Generator(model).complete(["the bell"], 30, choose=Sampling(0))[0]
    stop = whole[3:5]
    monkeypatch.setattr("sys.stdin", io.StringIO("the bell\n"))
    line = ["prompt", "--model", str(model), "--text", "-", "--tokens", "30", "--temperature", "0"]
    assert main([*line, "--stop", "never there", "--stop", stop]) == 0
    assert capsys.readouterr().out == whole.partition(stop)[0] + "\n"


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (["--text", "x"], 2, "no model that goes on with the text"),
        (["--model", "MODEL"], 2, "no text"),
        (["--model", "nowhere", "--text", "x"], 2, "no Hugging Face folder at nowhere"),
        (["--model", "MODEL", "--text", "x", "--beams", "2", "--top-k", "3"], 2, "leave --temperature"),
        (["--model", "MODEL", "--text", "x", "--stop", ""], 2, "without a character"),
        (["--model", "MODEL", "--text", "x", "--out", "folder"], 2, "without a recipe"),
        (["recipe.yaml", "--model", "MODEL", "--text", "x"], 2, "without a recipe"),
        (["--model", "MODEL", "--text", "!?" * 300], 2, "a text has 600 tokens, the model reads 400"),
        (["--model", "MODEL", "--text", "\udcff"], 2, "\\udcff is not UTF-8"),
        (["recipe.yaml", "--seed", "3"], 2, "--seed would change nothing here"),
        (["recipe.yaml", "--temperature", "0"], 2, "--temperature would change nothing here"),
    ],
)
def test_what_cannot_be_done_is_said(line: list[str], code: int, told: str, model: Path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["prompt", *(str(model) if word == "MODEL" else word for word in line)]) == code
    streams = capsys.readouterr()
    assert told in streams.err
    assert streams.out == ""


def test_a_text_that_fills_the_model_goes_on_to_the_last_position(model: Path, capsys):
    line = ["prompt", "--model", str(model), "--text", "!?" * 195, "--tokens", "30", "--temperature", "0"]
    assert main(line) == 0
    streams = capsys.readouterr()
    assert "room for 11 more at most: the model reads 400 tokens, 390 of them given" in streams.err


class Session:
    """A session on a terminal of its own."""

    def __init__(self, arguments: list[str]) -> None:
        parent, child = pty.openpty()
        command = [sys.executable, "-m", "nlptool", "prompt", *arguments]
        self.process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child)
        os.close(child)
        self.terminal, self.seen = parent, ""

    def until(self, pattern: str) -> str:
        """What is shown until it matches."""
        deadline = time.monotonic() + 60
        while not (found := re.search(pattern, self.seen, re.DOTALL)):
            assert time.monotonic() < deadline, self.seen
            if select.select([self.terminal], [], [], 0.2)[0]:
                self.seen += os.read(self.terminal, 4096).decode(errors="replace").replace("\r", "")
        shown, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return shown

    def type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())


def test_a_session_answers_line_by_line_and_ctrl_c_stops_an_answer_only(model: Path):
    session = Session(["--model", str(model), "--tokens", "390", "--temperature", "0"])
    whole = Generator(model).complete(["the old"], 390, choose=Sampling(0))[0]
    assert "ends" in session.until("> ")
    session.type("the old\n")
    session.until(re.escape("the old\n"))
    session.until(re.escape(whole[:4]))  # it streams
    session.process.send_signal(signal.SIGINT)
    rest = session.until("\n> ")
    assert len(rest) < len(whole) - 50
    session.type("!?" * 300 + "\n")
    session.until("a text has 600 tokens, the model reads 400.*> ")
    session.type("/quit\n")
    assert session.process.wait(20) == 0
