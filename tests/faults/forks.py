"""The fork server: a process that has imported nlptool, and forks a child for each command line.

A trial then costs what its command does, without the seconds that imports take. `trials` starts it. It reads a job as
a line of JSON (`trials.Job`) from standard input, and answers with a line once the child has ended.
"""

import gc
import json
import os
import pkgutil
import resource
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import Any

HANGS = -99
LOOK = 0.003  # seconds from one look at a child to the next
TICKS = os.sysconf("SC_CLK_TCK")
FIRST = ("nlptool.cli", "nlptool.commands.tokenize", "nlptool.commands.pretrain", "nlptool.models.bert")
"""Packages that are imported at once; others where a campaign asks for them."""
WRITES = {
    "open", "write", "flush", "fsync", "truncate", "close", "mkdir", "chmod", "rename", "replace", "unlink", "rmdir",
    "serialize_file",
}  # fmt: skip
"""Calls that change a disk, as C functions are named; serialize_file is that of safetensors."""
PHASES = {
    "saving": {"checkpoint.py", "manifests.py", "atomic_files.py"},
    "evaluating": {"evaluate", "_evaluate"},
    "training": {"trainer.py"},
}
"""What a process is doing, by the files and functions whose code is running; the first that fits."""


def main() -> None:
    """Carry out jobs until standard input ends."""
    jobs, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in FIRST:
        load(name)
    _time_once()
    gc.collect()
    gc.freeze()  # pages that no collection touches stay shared
    for line in jobs:
        job = json.loads(line)
        answer = {"imported": load(job["imports"])} if "imports" in job else carry_out(job)
        print(json.dumps(answer), file=answers, flush=True)


def _time_once() -> None:
    """How steady a clock reading is, is a matter of tests/evaluation/test_latency.py."""
    from nlptool.evaluation import latency

    latency.SHORTEST = 0.0
    latency.measure.__defaults__ = (1,)


def load(package: str) -> int:
    """Import all modules of a package; returns how many there are."""
    names = [module.name for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}.")]
    names = [name for name in names if not name.endswith("__main__")]
    for name in names:
        with suppress(ImportError):  # of what needs an extra that is not installed
            import_module(name)
    return len(names)


def carry_out(job: dict[str, Any]) -> dict[str, Any]:
    """Fork a child for a job; how it has ended."""
    reads, writes = os.pipe()
    began, resident = time.monotonic(), _pages(1)
    child = os.fork()
    if child == 0:
        os.close(reads)
        _be_child(job, writes)
    os.close(writes)
    stop = job["stop"] if job["stop"] and job["stop"]["by"] == "seconds" else None
    slept, hangs = 0.0, False
    while True:
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            break
        spent, sleeps = _look_at(child, time.monotonic() - began)
        slept = slept + LOOK if sleeps else 0.0
        if stop and spent >= stop["at"]:
            os.kill(child, stop["signal"])
            stop = None
        elif slept > job["patience"]:
            hangs = True
            os.kill(child, signal.SIGKILL)
        time.sleep(LOOK)
    with os.fdopen(reads) as pipe:
        told = json.loads(pipe.read() or "{}")
    code = HANGS if hangs or status == signal.SIGXCPU else os.waitstatus_to_exitcode(status)
    grown = max(0, usage.ru_maxrss * 1024 - resident)
    return {"code": code, "processor": usage.ru_utime + usage.ru_stime, "grown": grown} | told


def _pages(field: int) -> int:
    """Bytes of this process: 0: its addresses, 1: in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[field]) * resource.getpagesize()


def _look_at(child: int, seconds: float) -> tuple[float, bool]:
    """The seconds of processor time that a process has had, and whether it waits for something else than a processor.

    So trials are the same on a busy machine. seconds: since it began, which count where the system tells nothing.
    """
    try:
        with open(f"/proc/{child}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except FileNotFoundError:
        return seconds, True
    return (int(fields[11]) + int(fields[12])) / TICKS, fields[0] != "R"


def _be_child(job: dict[str, Any], pipe: int) -> None:
    """Carry out a command line as a process that has just started; does not return."""
    code = 1
    try:
        os.setsid()
        os.chdir(job["cwd"])
        for number, kind in ((1, "out"), (2, "err")):
            path = f"{job['log']}.{kind}"
            os.dup2(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666), number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)  # SIGINT as `nlptool.__main__` has it first of all
        resource.setrlimit(resource.RLIMIT_CPU, (job["patience"], job["patience"] + 5))
        if job["memory"] is not None:
            resource.setrlimit(resource.RLIMIT_AS, (_pages(0) + job["memory"], resource.RLIM_INFINITY))
        if job["limit"] is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], resource.RLIM_INFINITY))
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL if job["dies"] else signal.SIG_IGN)
        if job["fresh"]:
            os.execv(sys.executable, [sys.executable, "-m", "nlptool", *job["line"]])
        code = _command(job, pipe)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _command(job: dict[str, Any], pipe: int) -> int:
    sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", encoding="utf8") for number in (1, 2))
    sys.argv = ["nlptool", *job["line"]]
    from nlptool.__main__ import main as command
    from nlptool.commands import report
    from nlptool.report import comparison_charts

    if not job["pictures"]:  # which take seconds
        report._write = lambda runs, out, console: []
        comparison_charts.draw = lambda runs, out: ([], [])
    counter = Counter(job["stop"], pipe)
    if job["counts"] or (job["stop"] and job["stop"]["by"] != "seconds"):
        sys.setprofile(counter.see)
    code = command()
    sys.setprofile(None)
    if job["counts"]:
        os.write(pipe, json.dumps({"calls": counter.calls, "writes": counter.writes}).encode())
    return code


class Counter:
    """Counts the calls of functions, and those that change the disk; sends a signal at one of them."""

    def __init__(self, stop: dict[str, Any] | None, pipe: int) -> None:
        self.calls = self.writes = 0
        self.pipe = pipe
        by, at, self.signal = (stop["by"], stop["at"], stop["signal"]) if stop else ("", 0, 0)
        self.at_call, self.at_write = (at if by == name else -1 for name in ("calls", "writes"))

    def see(self, frame: FrameType, event: str, function: Any) -> None:
        """What the interpreter calls at each call and return."""
        if event not in ("call", "c_call"):
            return
        self.calls += 1
        if event == "c_call" and function.__name__ in WRITES:
            self.writes += 1
            if self.writes == self.at_write:
                self.fire(frame)
        if self.calls == self.at_call:
            self.fire(frame)

    def fire(self, frame: FrameType) -> None:
        """Send the signal, and tell what it met."""
        self.at_call = self.at_write = -1
        os.write(self.pipe, json.dumps({"phase": phase(frame)}).encode())
        os.kill(os.getpid(), self.signal)


def phase(frame: FrameType | None) -> str:
    """What a process is doing."""
    running = set()
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return "importing"
        running |= {os.path.basename(frame.f_code.co_filename), frame.f_code.co_name}
        frame = frame.f_back
    return next((name for name, marks in PHASES.items() if marks & running), "beginning or ending")


if __name__ == "__main__":
    main()
