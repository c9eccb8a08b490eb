"""How threads wait, depending on the load of the machine."""

from pathlib import Path

import pytest

from nlptool.cli import threads


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Says how many threads run on a machine of four CPUs, this one included."""
    file = tmp_path / "loadavg"
    monkeypatch.setattr(threads, "LOAD", file)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    return lambda number: file.write_text(f"0.10 0.20 0.30 {number}/80 123\n")


@pytest.mark.parametrize(
    ("number", "threads_", "sleeps"),
    [(1, None, False), (2, None, True), (2, "3", False), (3, "3", True), (9, "1", False)],
)
def test_they_sleep_where_there_are_fewer_free_cpus_than_threads(running, number, threads_, sleeps):
    running(number)
    environment = {} if threads_ is None else {"OMP_NUM_THREADS": threads_}
    threads.share(environment)
    assert (environment.get("OMP_WAIT_POLICY") == "passive") is sleeps


@pytest.mark.parametrize("name", threads.WAIT_VARIABLES)
def test_what_the_user_says_stands(running, name):
    running(9)
    environment = {name: "active"}
    threads.share(environment)
    assert environment == {name: "active"}


def test_where_nothing_is_known_nothing_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "LOAD", tmp_path / "none")
    environment: dict[str, str] = {}
    threads.share(environment)
    assert environment == {}
