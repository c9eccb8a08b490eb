"""`nlptool generate` of a text, of rows, and the session, through the command line."""

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
from nlptool.evaluation.generation.logits_processors import LogitsProcessors
from nlptool.evaluation.generation.sampling import Sampling, renumbered
from nlptool.models import huggingface
from nlptool.models.gpt2.config import Config
from nlptool.text.tokenizer import Tokenizer

CONFIG = Config(layers=2, hidden=48, heads=4, max_positions=400, init=0.1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer.train(["the old bell of the old town reads the winter light"] * 5, 300)
    torch.manual_seed(2)
    state = nn.ModuleDict({"backbone": CONFIG.build(tokenizer.vocab_size)}).state_dict()
    huggingface.save_pretrained(folder, CONFIG, state, tokenizer.special)
    tokenizer.bare().save(folder)
    return folder


def test_a_text_is_continued_and_is_sampled_by_the_seed(model: Path, capsys):
    line = ["generate", str(model), "--text", "the old", "--max-new-tokens", "12"]
    expected = Generator(model).complete(["the old"], 12, choose=Sampling(0.8, top_p=0.95, seed=3))[0]
    assert main([*line, "--seed", "3"]) == 0
    assert capsys.readouterr().out == f"{expected}\n"
    assert main([*line, "--seed", "4"]) == 0
    assert capsys.readouterr().out != f"{expected}\n"


def test_options_choose_as_they_say(model: Path, capsys):
    generator = Generator(model)
    for options, choose in (
        (["--temperature", "0"], Sampling(0)),
        (["--num-beams", "3"], Beams(3, lambda tokens: tokens)),
        (["--num-beams", "3", "--length-penalty", "0"], Beams(3, lambda tokens: 1)),
        (["--temperature", "1.5", "--top-k", "7", "--top-p", "1"], Sampling(1.5, 7, 1.0)),
        (
            ["--temperature", "0", "--repetition-penalty", "1.4", "--no-repeat-ngram-size", "2"],
            Sampling(0, processors=LogitsProcessors(1.4, 2)),
        ),
    ):
        line = ["generate", str(model), "--text", "winter", "--max-new-tokens", "10", "--json", *options]
        assert main(line) == 0
        told = json.loads(capsys.readouterr().out)
        expected = generator.complete(["winter"], 10, choose=choose)[0]
        assert told == {"model": str(model), "text": "winter", "continuations": [expected]}


def test_several_continuations_of_a_text_differ_and_the_first_is_that_of_one(model: Path, capsys):
    line = ["generate", str(model), "--text", "winter", "--max-new-tokens", "10", "--json"]
    for options in (["--temperature", "1.2"], ["--num-beams", "3"]):
        made = []
        for n in ("1", "3"):
            assert main([*line, *options, "--n", n]) == 0
            made.append(json.loads(capsys.readouterr().out)["continuations"])
        assert made[1][:1] == made[0]
        assert len(set(made[1])) == 3


def test_a_text_comes_from_stdin_and_ends_before_a_stop_string(model: Path, capsys, monkeypatch):
    whole = Generator(model).complete(["the bell"], 30, choose=Sampling(0))[0]
    stop = whole[3:5]
    monkeypatch.setattr("sys.stdin", io.StringIO("the bell\n"))
    line = ["generate", str(model), "--text", "-", "--max-new-tokens", "30", "--temperature", "0"]
    assert main([*line, "--stop", "never there", "--stop", stop]) == 0
    assert capsys.readouterr().out == whole.partition(stop)[0] + "\n"


def test_rows_of_a_file_are_continued_in_order_alike_in_batches_of_any_size(
    model: Path, tmp_path: Path, capsys
):
    texts = ["the old", "winter", "한국어 📚", "a bell \x1b[31m", "the town reads"]
    plain, rows = tmp_path / "texts.txt", tmp_path / "texts.jsonl"
    plain.write_text("".join(f"{text}\n" for text in texts), "utf8")
    rows.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts), "utf8")
    line = ["generate", str(model), "--max-new-tokens", "6", "--n", "2", "--seed", "1"]
    said = []
    for options in ([str(plain)], [str(rows), "--column", "prompt", "--batch-size", "2"]):
        assert main([*line, *options]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    found = [json.loads(row) for row in said[0].splitlines()]
    assert [row["text"] for row in found] == texts
    plain.write_text("")
    assert main([*line, str(plain)]) == 3
    assert f"{plain}: no text to continue" in capsys.readouterr().err
    assert all(len(row["continuations"]) == 2 for row in found)
    own = Generator(model).complete(
        ["the town reads"], 6, choose=renumbered(Sampling(0.8, top_p=0.95, seed=1), [9])
    )
    assert found[4]["continuations"][1] == own[0]


def test_a_row_that_is_too_long_stops_with_its_line_after_what_comes_before_it_or_is_left_out(
    model: Path, tmp_path: Path, capsys
):
    path = tmp_path / "texts.txt"
    path.write_text("winter\n" + "!?" * 300 + "\nthe old\n")
    line = ["generate", str(model), str(path), "--max-new-tokens", "3"]
    assert main(line) == 3
    streams = capsys.readouterr()
    assert f"{path}:2: the text has 600 tokens, the model reads 400" in streams.err
    assert [json.loads(row)["text"] for row in streams.out.splitlines()] == ["winter"]
    assert main([*line, "--on-error", "skip"]) == 0
    streams = capsys.readouterr()
    assert "1 row left out, 2 continued" in streams.err
    assert [json.loads(row)["text"] for row in streams.out.splitlines()] == ["winter", "the old"]


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (["MODEL"], 2, "no text"),
        (["nowhere", "--text", "x"], 2, "no Hugging Face folder at nowhere"),
        (["MODEL", "nowhere.txt"], 2, "nowhere.txt: no such file"),
        (["MODEL", "x.txt", "--text", "x"], 2, "one of them"),
        (["MODEL", "--text", "x", "--num-beams", "2", "--top-k", "3"], 2, "leave --top-k away"),
        (["MODEL", "--text", "x", "--num-beams", "2", "--n", "3"], 2, "one text a beam"),
        (["MODEL", "--text", "x", "--temperature", "0", "--n", "3"], 2, "all texts would be alike"),
        (["MODEL", "--text", "x", "--temperature", "0", "--top-k", "3"], 2, "--top-k has no effect"),
        (["MODEL", "--text", "x", "--length-penalty", "0"], 2, "--length-penalty has no effect"),
        (["MODEL", "--text", "x", "--stop", ""], 2, "without a character"),
        (["MODEL", "--text", "!?" * 300], 2, "a text has 600 tokens, the model reads 400"),
        (["MODEL", "--text", "\udcff"], 2, "\\udcff is not UTF-8"),
    ],
)
def test_what_cannot_be_done_is_said(line: list[str], code: int, told: str, model: Path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["generate", *(str(model) if word == "MODEL" else word for word in line)]) == code
    streams = capsys.readouterr()
    assert told in streams.err
    assert streams.out == ""


def test_prompt_with_a_model_or_a_text_names_generate(model: Path, capsys):
    for options in (["--model", str(model)], ["--text", "it's"], ["recipe.yaml", "--text", "it's"]):
        assert main(["prompt", *options]) == 2
        assert "hint: nlptool generate" in capsys.readouterr().err


def test_a_text_that_fills_the_model_goes_on_to_the_last_position(model: Path, capsys):
    line = ["generate", str(model), "--text", "!?" * 195, "--max-new-tokens", "30", "--temperature", "0"]
    assert main(line) == 0
    streams = capsys.readouterr()
    assert "room for 11 more at most: the model reads 400 tokens, 390 of them given" in streams.err


class Session:
    """A session on a terminal of its own."""

    def __init__(self, arguments: list[str]) -> None:
        parent, child = pty.openpty()
        command = [sys.executable, "-m", "nlptool", "generate", *arguments]
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
    session = Session([str(model), "--max-new-tokens", "390", "--temperature", "0"])
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
