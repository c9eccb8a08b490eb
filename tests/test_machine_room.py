"""Models that do not fit into this machine's memory."""

import pytest
import torch

from nlptool.errors import DataError
from nlptool.runs import machine


def test_a_model_that_cannot_be_trained_here_is_refused_with_both_sizes() -> None:
    machine.require_room(10**6, torch.device("cpu"))
    with pytest.raises(DataError, match="which take 16 PB"):
        machine.require_room(10**15, torch.device("cpu"))
