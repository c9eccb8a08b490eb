"""Output in logs and on terminals."""

import errno
import io
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rich.console

from nlptool import progress
from nlptool.console import Console
from nlptool.errors import UsageError
from nlptool.formatting import (
    History,
    agreeing,
    counted,
    duration,
    each,
    markdown,
    quantity,
    scientific,
    significant,
)
from nlptool.progress import Panel, Progress, Screen

LOSSES = {"mlm": 6.41234, "lr": 3.1e-4, "grad_norm": 1.2345, "tokens_per_second": 4812.3}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def streams() -> tuple[io.StringIO, io.StringIO]:
    return io.StringIO(), io.StringIO()


@pytest.fixture
def console(streams: tuple[io.StringIO, io.StringIO]) -> Console:
    return Console(*streams)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """A clock that stands still until it is moved."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def drawn(panel: Panel, width: int = 80) -> list[str]:
    """The panel as a terminal of that width shows it."""
    terminal = Terminal()
    screen = Console(io.StringIO(), terminal)._err
    screen.width = width
    panel._screen = Screen(screen, live=True, muted=False)
    screen.print(panel._frame())
    return re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()


def test_results_go_to_stdout_and_messages_to_stderr(console: Console, streams) -> None:
    console.result("a result")
    console.note("a note")
    assert (streams[0].getvalue(), streams[1].getvalue()) == ("a result\n", "a note\n")


def test_an_error_is_its_message_and_its_hint(console: Console, streams) -> None:
    console.error(UsageError("it is wrong [bold]", hint="do it right"))
    assert streams[1].getvalue() == "error: it is wrong [bold]\nhint: do it right\n"


def test_a_long_line_is_not_broken(console: Console, streams) -> None:
    console.error(UsageError("x" * 300))
    console.result("word " * 100)
    assert streams[1].getvalue() == f"error: {'x' * 300}\n"
    assert streams[0].getvalue() == "word " * 100 + "\n"


def test_a_mute_console_says_nothing_but_errors(console: Console, streams) -> None:
    console.mute(True)
    console.note("a")
    console.result("b")
    console.json({})
    console.table(["c"], [[1]])
    console.facts("d", {})
    with console.progress("e", 10, "B") as progress, console.training("f", 10) as panel:
        progress.advance(10)
        panel.update(step=1, tokens=1, figures=LOSSES)
        panel.heldout({"mlm": 1.0})
    assert (streams[0].getvalue(), streams[1].getvalue()) == ("", "")
    console.error(UsageError("g"))
    assert streams[1].getvalue() == "error: g\n"


def test_a_table_in_a_file_is_aligned_without_trailing_space(console: Console, streams) -> None:
    console.table(["word", "count"], [["서울", 12345], ["a", 0.123456]])
    assert streams[0].getvalue() == "word   count\n서울  12,345\na     0.1235\n"


def test_facts_are_names_and_values(console: Console, streams) -> None:
    console.facts("store", {"documents": 12345, "whole": True, "path": "a/b"})
    assert streams[0].getvalue() == "store\ndocuments  12,345\nwhole      yes\npath       a/b\n"


def test_a_line_of_facts_ends_between_two_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    Console(out, io.StringIO()).inline({"단어": "1", "step": "0", "vocab size": "1,500"})
    assert out.getvalue() == "단어: 1   step: 0\nvocab size: 1,500\n"


def test_json_keeps_other_alphabets(console: Console, streams) -> None:
    console.json({"도시": 1})
    assert streams[0].getvalue() == '{\n  "도시": 1\n}\n'


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    said = []
    for unwanted in (None, "1"):
        if unwanted:
            monkeypatch.setenv("NO_COLOR", unwanted)
        terminal = Terminal()
        Console(io.StringIO(), terminal).error(UsageError("x"))
        said.append(terminal.getvalue())
    assert "\x1b[1;31m" in said[0]
    assert "31m" not in said[1]


def test_progress_in_a_log_is_a_line_every_few_seconds(console: Console, streams, clock) -> None:
    with console.progress("encode", 2_000_000, "B") as progress:
        for _ in range(20):
            clock.now += 1
            progress.advance(100_000)
    assert streams[1].getvalue().splitlines() == [
        "encode  25%  500 kB of 2 MB  100 kB/s  eta 15s",
        "encode  50%  1 MB of 2 MB  100 kB/s  eta 10s",
        "encode  75%  1.5 MB of 2 MB  100 kB/s  eta 5s",
        "encode  100%  2 MB  100 kB/s  eta 0s",
        "encode: 2 MB in 20s, 100 kB/s",
    ]


def test_progress_without_a_total_has_no_share(console: Console, streams, clock) -> None:
    with console.progress("read", None, "documents") as progress:
        clock.now += 10
        progress.to(1230)
    assert streams[1].getvalue().splitlines() == [
        "read  1,230 documents  123 documents/s",
        "read: 1,230 documents in 10s, 123 documents/s",
    ]


def test_slow_progress_tells_its_rate_in_two_digits(console: Console, streams, clock) -> None:
    with console.progress("read", 4, "documents") as progress:
        clock.now += 12
        progress.to(1)
        clock.now += 36
        progress.to(4)
    assert streams[1].getvalue().splitlines() == [
        "read  25%  1 of 4 documents  0.083 documents/s  eta 36s",
        "read  100%  4 documents  0.083 documents/s  eta 0s",
        "read: 4 documents in 48s, 0.083 documents/s",
    ]


def test_the_lines_of_a_long_job_come_ever_more_slowly(console: Console, streams, clock) -> None:
    with console.progress("x", None, "documents") as progress:
        for _ in range(7 * 24 * 60):
            clock.now += 60
            progress.advance(1)
            progress.advance(1)
    lines = streams[1].getvalue().splitlines()
    assert 7 * 24 * 60 <= len(lines) <= 7 * 24 * 60 + 1


def test_progress_that_fails_says_nothing_of_success(console: Console, streams) -> None:
    with pytest.raises(ZeroDivisionError), console.progress("x", 1, "B"):
        raise ZeroDivisionError
    assert streams[1].getvalue() == ""


def logged(text: str) -> list[str]:
    """Lines of a log without the time that each begins with."""
    lines = [re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)  (.*)", line) for line in text.splitlines()]
    return [line[2] for line in lines if time.strptime(line[1], "%Y-%m-%d %H:%M:%S")]


def test_training_in_a_log_is_one_line_of_figures(console: Console, streams, clock) -> None:
    with console.training("runs/demo", 1000, 100) as panel:
        clock.now += 10
        panel.update(step=120, tokens=10_000, figures=LOSSES)
        panel.update(step=130, tokens=10_000, figures=LOSSES)
        panel.heldout({"mlm": 6.5, "mlm_accuracy": 0.12345})
        panel.saved(Path("runs/demo/checkpoints/step-00000130"))
    assert logged(streams[1].getvalue()) == [
        "step 120/1,000  mlm 6.412  lr 3.1e-4  grad_norm 1.23  4,812 tokens/s  eta 7m20s",
        "step 130  held-out  mlm 6.500  mlm_accuracy 12.3 %",
        "step 130  saved runs/demo/checkpoints/step-00000130",
        "step 130/1,000  mlm 6.412  lr 3.1e-4  grad_norm 1.23  4,812 tokens/s  eta 4m50s",
    ]


def test_a_run_that_a_clock_ends_has_a_share_and_no_number_of_steps(console: Console, streams, clock) -> None:
    with console.training("x", 1 << 62, seconds=120) as panel:
        clock.now += 10
        panel.update(step=1, tokens=1, figures={}, seconds_left=90)
        text = "\n".join(drawn(panel))
        assert "step 1 " in text
        assert "25%" in text
        assert "4,611" not in text
    assert logged(streams[1].getvalue()) == ["step 1  eta 1m30s"]


def test_the_panel_fits_80_columns_and_shows_all_that_it_was_told(console: Console, clock) -> None:
    panel = console.training("runs/demo", 1000)
    clock.now += 60
    panel.update(step=250, tokens=1_234_567, figures=LOSSES, flops_per_second=4.1e11, memory=1.2e9)
    panel.heldout({"mlm": 6.5, "mlm_accuracy": 0.12345})
    panel.saved(Path("runs/demo/checkpoints/step-00000250"))
    panel.status("evaluating")
    lines = drawn(panel)
    assert {len(line) for line in lines} == {80}
    text = "\n".join(lines)
    for words in (
        "runs/demo",
        "step 250 of 1,000",
        "25%",
        "eta 3m00s",
        "6.412",
        "12.3 %",
        "410 GFLOP/s",
        "1.2 GB",
    ):
        assert words in text
    for words in (
        "evaluating",
        "25%  0s  eta 3m00s",  # this screen is new
        "1.23M tokens",
        "saved step-00000250 0s ago",
        "lr 3.1e-4",
        "4,812 tokens/s",
    ):
        assert words in text


def test_the_panel_has_a_frame_before_the_first_step(console: Console) -> None:
    assert "step 0 of 10" in "\n".join(drawn(console.training("x", 10)))


def test_an_exception_leaves_the_terminal_as_it_was() -> None:
    program = """
from nlptool.console import Console
with Console().training("x", 10) as panel:
    panel.update(step=1, tokens=1, figures={"mlm": 1.0})
    raise SystemExit(7)
"""
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen([sys.executable, "-c", program], stderr=child, env=environment)
    assert process.wait() == 7
    os.close(child)
    shown = b""
    try:
        while piece := os.read(parent, 65536):
            shown += piece
    except OSError as error:  # how a pseudo-terminal ends
        if error.errno != errno.EIO:
            raise
    os.close(parent)
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") == 1
    assert shown.index(b"\x1b[?25l") < shown.index(b"\x1b[?25h")
    assert b"stopped" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (41.4, "41s"), (59.6, "1m00s"), (151, "2m31s"), (11100, "3h05m"), (187200, "2d04h")],
)
def test_a_duration_reads_as_a_person_says_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (1, "questions", "1 question"),
        (0.6, "tokens/s", "1 token/s"),
        (1, "batches", "1 batch"),
        (1, "queries", "1 query"),
        (1, "rows of text", "1 row of text"),
        (2, "batches", "2 batches"),
        (512, "B", "512 B"),
        (1_234_567_890, "B", "1.2 GB"),
        (37_400_000, "B", "37 MB"),
        (999_600, "B", "1 MB"),
        (99_600, "B", "100 kB"),
        (9_960, "B", "10 kB"),
        (3e18, "FLOP/s", "3000 PFLOP/s"),
        (999_600, "tokens", "1M tokens"),
        (1e12, "tokens", "1T tokens"),
        (4.1e11, "FLOP/s", "410 GFLOP/s"),
        (12345, "documents", "12,345 documents"),
        (2_100_000, "tokens", "2.1M tokens"),
        (3_000_000_000, "tokens", "3B tokens"),
    ],
)
def test_a_quantity_has_two_or_three_digits_and_its_unit(amount: float, unit: str, text: str) -> None:
    assert quantity(amount, unit) == text


def test_a_small_number_is_short() -> None:
    assert [scientific(value) for value in (3.1e-4, 1e-4, 0.0, 2.5)] == ["3.1e-4", "1e-4", "0e0", "2.5e0"]
    assert [scientific(value) for value in (float("nan"), float("inf"))] == ["nan", "inf"]


def test_a_number_is_rounded_as_a_person_types_it() -> None:
    numbers = (5.5234e9, 3e5, 0.25, 0.0, -2.5e-5, 123.4)
    assert [significant(value) for value in numbers] == ["5.52e9", "3e5", "0.25", "0", "-2.5e-5", "123"]
    assert significant(1234.4, 4) == "1,234"


def test_a_history_is_drawn_from_low_to_high() -> None:
    history = History()
    for value in (8, 7, 6, 5, 4, 3, 2, 1):
        history.add(value)
    assert history.line(8) == "█▇▆▅▄▃▂▁"
    assert history.line(4) == "█▆▃▁"
    assert history.last == 1


def test_a_history_of_any_length_keeps_its_shape_in_little_room() -> None:
    history = History()
    for step in range(100_000):
        history.add(-step)
    assert len(history._values) < 256
    assert history.line(8) == "█▇▆▅▄▃▂▁"


def test_a_history_passes_over_what_is_not_finite() -> None:
    history = History()
    for value in (1.0, float("nan"), float("inf"), 2.0):
        history.add(value)
    assert history.line(8) == "▁█"
    assert History().line(8) == ""


def test_cells_of_a_markdown_table_are_text() -> None:
    table = markdown(["model", "x"], [["a|b <img src=x> *c* [d](e) `f`\n\x1b", "1"]])
    assert table.splitlines()[2] == "| a\\|b &lt;img src=x&gt; \\*c\\* \\[d\\](e) \\`f\\` � | 1 |"


def test_what_the_panel_shows_is_what_the_metric_table_says(console: Console, streams, clock) -> None:
    with console.training("x", 10, objective="electra") as panel:
        clock.now += 10
        panel.update(step=1, tokens=1, figures={"mlm": 6.5, "rtd": 0.25, "queue": 3.0, "lr": 1e-4})
        panel.heldout({"mlm": 6.25, "rtd_auc": 0.5, "queue": 3.0})
        lines = drawn(panel)
    assert logged(streams[1].getvalue())[:2] == [
        "step 1/10  generator_mlm 6.500  rtd 0.250  queue 3  lr 1e-4  eta 1m30s",
        "step 1  held-out  generator_mlm 6.250  rtd_auc 50.0 %  queue 3",
    ]
    assert {len(line) for line in lines} == {80}
    assert any("generator_mlm  6.500" in line and "6.250" in line for line in lines)


def test_one_of_a_thing_is_told_as_one() -> None:
    assert [counted(1, "batches"), counted(2, "batches"), counted(12345, "steps")] == [
        "1 batch",
        "2 batches",
        "12,345 steps",
    ]
    assert [each(1, "seeds"), each(3, "seeds")] == ["one seed", "each of 3 seeds"]
    assert [agreeing(text, "epochs") for text in ("1", "1.5")] == ["1 epoch", "1.5 epochs"]


def test_no_message_writes_a_number_before_a_plural_by_itself() -> None:
    """A number that may be one goes through figures.counted or quantity; so no f-string has `{x} rows of one`."""
    for plural in (
        "steps",
        "seeds",
        "batches",
        "epochs",
        "checkpoints",
        "workers",
        "demonstrations",
        "replies",
    ):
        pattern = re.compile(rf"\{{[^{{}}'\"]+\}} {plural}\b")
        for path in (Path(__file__).parents[1] / "nlptool").rglob("*.py"):
            for number, line in enumerate(path.read_text("utf8").splitlines(), 1):
                assert not pattern.search(line) or "STEPS" in line, f"{path}:{number}: {line.strip()}"


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_bar_with_a_long_label_is_one_line_that_keeps_its_figures(width: int):
    out = io.StringIO()
    console = rich.console.Console(file=out, width=width, force_terminal=True, color_system=None)
    bar = Progress(
        "some/long/name/final: superglue/boolq, 4 shots, and more",
        100_000,
        "questions",
        Screen(console, live=False, muted=True),
    )
    with bar:
        bar.to(43_210)
        console.print(bar._frame())
    (line,) = out.getvalue().splitlines()
    assert "43,210 of 100,000 questions" in line
    assert line.startswith("some/long/name")
