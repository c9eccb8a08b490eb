"""Foreign text cannot control the terminal or forge a message, and a full log ends no run."""

import ast
import errno
import io
import json
from pathlib import Path

import pytest

from nlptool.console import Console
from nlptool.errors import DataError
from nlptool.terminal import clean

HOSTILE = "a\x1b]0;red\x9b2J\x07\u202etxt\x7fb"
PACKAGE = Path(__file__).parents[1] / "nlptool"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def obeyed(text: str) -> set[str]:
    """What of a hostile name a terminal would obey; rich itself writes ESC [ and carriage returns."""
    return {sign for sign in ("\x1b]", "\x9b", "\x07", "\u202e", "\x7f") if sign in text}


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_no_way_to_a_terminal_lets_control_characters_through(stream: type[io.StringIO]):
    out, err = stream(), stream()
    console = Console(out, err)
    console.error(DataError(HOSTILE, hint=HOSTILE))
    console.note(HOSTILE)
    console.result(HOSTILE)
    console.styled([(HOSTILE, "bold"), (HOSTILE, "")])
    console.facts(HOSTILE, {HOSTILE: HOSTILE})
    console.table([HOSTILE, "n"], [[HOSTILE, 1]], title=HOSTILE)
    console.json({HOSTILE: HOSTILE})
    with console.progress(HOSTILE, 10, "documents") as bar:
        bar.to(10)
    with console.training(HOSTILE, 10) as panel:
        panel.status(HOSTILE)
        panel.saved(Path(HOSTILE))
    assert "red" in out.getvalue()
    assert obeyed(out.getvalue() + err.getvalue()) == set()


def test_a_new_line_in_a_name_forges_no_message():
    err = io.StringIO()
    Console(io.StringIO(), err).error(DataError("no file x\nerror: all is lost\nhint: rm -rf"))
    assert err.getvalue() == "error: no file x\n  error: all is lost\n  hint: rm -rf\n"


def test_json_keeps_its_value_and_shows_no_override():
    out = io.StringIO()
    Console(out, io.StringIO()).json({"name": HOSTILE, "가": "나"})
    assert json.loads(out.getvalue()) == {"name": HOSTILE, "가": "나"}
    assert "\u202e" not in out.getvalue()
    assert "가" in out.getvalue()


def test_korean_emoji_and_accents_are_shown_as_they_are():
    assert clean("대한민국\té 👩‍🚀\n العربية") == "대한민국\té 👩‍🚀\n العربية"


def test_a_log_that_cannot_be_written_ends_nothing():
    console = Console(io.StringIO(), Full())
    console.note("x")
    console.error(DataError("y"))
    with console.training("run", 10) as panel:
        panel.saved(Path("z"))


def test_results_that_cannot_be_written_are_an_error_that_names_standard_output():
    with pytest.raises(OSError, match="No space left") as caught:
        Console(Full(), io.StringIO()).result("x")
    assert caught.value.filename == "standard output"


def test_rich_is_given_clean_text_only():
    """Its Text is made in one module, where it is cleaned."""
    makers = {
        path.name
        for path in PACKAGE.rglob("*.py")
        if "rich.text" in (source := path.read_text("utf8"))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module == "rich.text"
    }
    assert makers == {"terminal.py"}
