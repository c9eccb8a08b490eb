"""Independent batches from several threads."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from nlptool.data.batch_threads import MOST, for_each_batch

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    """torch has four threads in each test, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_each_number_is_worked_on_once_by_threads_that_share_those_of_torch() -> None:
    together, found = threading.Barrier(2, timeout=20), []

    def work(number: int) -> None:
        together.wait()  # so two at least run at once
        found.append((number, torch.get_num_threads(), torch.is_grad_enabled()))

    for_each_batch(work, 2, CPU)
    assert sorted(found) == [(0, 2, False), (1, 2, False)]
    assert torch.get_num_threads() == 4


def test_many_batches_hold_the_activations_of_few() -> None:
    threads = set()
    torch.set_num_threads(2 * MOST)
    for_each_batch(lambda _: threads.add((threading.get_ident(), torch.get_num_threads())), 100, CPU)
    assert len({name for name, _ in threads}) <= MOST
    assert {share for _, share in threads} == {2}


def test_one_thread_and_other_devices_work_in_turn() -> None:
    order: list[tuple[int, bool]] = []
    torch.set_num_threads(1)
    for_each_batch(lambda n: order.append((n, torch.is_grad_enabled())), 3, CPU)
    torch.set_num_threads(4)
    for_each_batch(
        lambda n: order.append((n, threading.current_thread().name != "MainThread")), 2, torch.device("meta")
    )
    assert order == [(0, False), (1, False), (2, False), (0, False), (1, False)]


def test_an_error_is_raised_and_what_has_not_begun_is_left_out() -> None:
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        raise ValueError(f"batch {number}")

    with pytest.raises(ValueError, match="batch 0"):
        for_each_batch(work, 1000, CPU)
    assert len(begun) < 1000
    assert torch.get_num_threads() == 4


def test_a_call_within_another_works_in_turn_and_leaves_the_number_of_threads() -> None:
    shares = []

    def inner(_: int) -> None:
        shares.append(torch.get_num_threads())

    for_each_batch(lambda _: for_each_batch(inner, 3, CPU), 2, CPU)
    assert shares == [2] * 6
    assert torch.get_num_threads() == 4


def test_a_thread_that_begins_during_a_call_lowers_no_number_later() -> None:
    torch.set_num_threads(2 * MOST)
    with ThreadPoolExecutor(1) as other, ThreadPoolExecutor(1) as new:
        for_each_batch(lambda _: other.submit(torch.get_num_threads).result(), MOST, CPU)
        other.submit(for_each_batch, lambda _: None, 2, CPU).result()
        assert new.submit(torch.get_num_threads).result() == 2 * MOST
