import pytest

from nlptool.train.stages import FRESH, ResumedAt, first_steps, steps_for


def test_stages_begin_at_their_shares():
    assert first_steps([0.9, 0.1], 1000, FRESH) == [0, 900]
    assert first_steps([1.0], 1 << 62, FRESH) == [0]


@pytest.mark.parametrize(
    ("begun", "steps", "firsts"),
    [
        (ResumedAt(500, (0,)), 2000, [0, 1800]),  # in the first stage still: the second is as planned
        (ResumedAt(950, (0, 900)), 2000, [0, 900]),  # in the second: it goes on to the end
        (ResumedAt(950, (0,)), 1000, [0, 950]),  # the second should have begun already
    ],
)
def test_a_run_that_is_resumed_never_goes_back_to_an_earlier_stage(
    begun: ResumedAt, steps: int, firsts: list[int]
):
    assert first_steps([0.9, 0.1], steps, begun) == firsts


def test_a_budget_is_as_many_steps_as_it_takes():
    assert steps_for(1000, [10], [1.0], FRESH) == 100
    assert steps_for(1001, [10], [1.0], FRESH) == 101
    assert steps_for(1, [10], [1.0], FRESH) == 1
    assert steps_for(1100, [10, 100], [0.9, 0.1], FRESH) == 56  # 50 steps of 10, 6 of 100


def test_a_budget_counts_what_was_spent_before():
    begun = ResumedAt(100, (0, 90))  # 900 and 1,000
    assert steps_for(2900, [10, 100], [0.9, 0.1], begun) == 110
