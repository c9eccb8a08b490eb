import os
import signal
import threading
import time

import pytest

from nlptool.errors import Preempted
from nlptool.train import interrupts
from nlptool.train.interrupts import SIGNALS, SignalHandler


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_raises_at_once(number: int):
    with SignalHandler(alone=True), pytest.raises(Preempted, match=signal.Signals(number).name):
        os.kill(os.getpid(), number)


def test_a_signal_inside_a_shield_is_honoured_at_its_end():
    done = []
    with SignalHandler(alone=True) as interrupts, pytest.raises(Preempted):
        with interrupts.shield():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("inside")
        done.append("outside")
    assert done == ["inside"]


def test_a_second_signal_does_not_stop_the_saving():
    with SignalHandler(alone=True):
        with pytest.raises(Preempted):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


class Finalised:
    """What Python ignores an error in."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)


def test_a_signal_that_python_ignores_comes_again():
    with SignalHandler(alone=True), pytest.raises(Preempted, match="SIGTERM"):
        Finalised()
        while True:
            time.sleep(0.001)


def test_several_ranks_only_take_note():
    with SignalHandler(alone=False) as interrupts:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert interrupts.arrived


def test_ranks_take_note_of_the_end_of_their_launcher(monkeypatch: pytest.MonkeyPatch):
    """Which tests/commands/test_ranks.py holds under torchrun."""
    assert interrupts.LOOK <= 1
    launcher, gone = os.getppid(), threading.Event()
    monkeypatch.setattr(interrupts, "LOOK", 0.001)
    with monkeypatch.context() as patch, SignalHandler(alone=True) as alone:
        patch.setattr(os, "getppid", lambda: pytest.fail("a single process has no launcher"))
        assert not alone.arrived
    monkeypatch.setattr(os, "getppid", lambda: 1 if gone.is_set() else launcher)
    with SignalHandler(alone=False) as rank:
        assert not rank.arrived
        gone.set()
        while not rank.arrived:
            time.sleep(0.001)
        assert rank.name == "the end of its launcher"


def test_the_handlers_before_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with SignalHandler(alone=True):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
