import os
import signal

import pytest

from nlptool.errors import Preempted
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


def test_several_ranks_only_take_note():
    with SignalHandler(alone=False) as interrupts:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert interrupts.arrived


def test_the_handlers_before_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with SignalHandler(alone=True):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
