import pytest

from nlptool.train.config import PretrainConfig
from nlptool.train.schedule import learning_rate


def rates(**settings: object) -> list[float]:
    config = PretrainConfig(steps=10, lr=1.0, **settings)
    return [learning_rate(config, n, 10, n / 10) for n in range(10)]


def test_linear_warms_up_and_falls_as_one_minus_t_over_T():
    expected = [0.5 * 1.0, 1.0 * 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert rates(warmup=2) == pytest.approx(expected)


def test_berts_linear_falls_as_one_minus_t_over_T_only_after_warmup_and_jumps():
    expected = [0.5, 1.0, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert rates(warmup=2, schedule="linear_bert") == pytest.approx(expected)


def test_linear_from_the_peak_falls_to_nothing_at_the_end_of_the_run():
    expected = [0.5, 1.0, 8 / 8, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    assert rates(warmup=2, schedule="linear_from_peak") == pytest.approx(expected)


LINEAR = ("linear", "linear_bert", "linear_from_peak")


@pytest.mark.parametrize("schedule", LINEAR)
def test_the_linear_schedules_are_one_without_warmup(schedule: str):
    assert rates(warmup=0, schedule=schedule) == pytest.approx([1 - n / 10 for n in range(10)])


@pytest.mark.parametrize("schedule", LINEAR)
@pytest.mark.parametrize("steps", [10, 30, 70, 110])
def test_a_share_of_warmup_ends_at_the_same_update_as_so_many_steps(schedule: str, steps: int):
    share, count = (
        PretrainConfig(steps=steps, lr=1.0, schedule=schedule, warmup=warmup) for warmup in (0.1, steps // 10)
    )
    for n in range(steps):
        found = learning_rate(share, n, steps, n / steps)
        assert found == pytest.approx(learning_rate(count, n, steps, n / steps))


def test_linear_from_the_peak_is_the_formula_of_transformers_whose_warmup_counts_from_nothing():
    config, warmup = PretrainConfig(steps=20, lr=1.0, schedule="linear_from_peak", warmup=3), 3
    for t in range(20):
        theirs = t / warmup if t < warmup else (20 - t) / (20 - warmup)
        ahead = 1 / warmup if t < warmup else 0.0  # their first update has no rate
        assert learning_rate(config, t, 20, t / 20) == pytest.approx(theirs + ahead)


@pytest.mark.parametrize("schedule", ["linear_bert", "linear_from_peak"])
def test_a_floor_bounds_the_fall_and_not_the_warmup(schedule: str):
    falling = rates(warmup=2, schedule=schedule, min_lr_ratio=0.5)
    assert falling[:2] == pytest.approx([0.5, 1.0])
    assert falling[-1] == pytest.approx(0.5 + 0.5 * (0.1 if schedule == "linear_bert" else 1 / 8))


@pytest.mark.parametrize("schedule", LINEAR)
def test_a_run_that_is_all_warmup_has_a_rate(schedule: str):
    assert all(0 < rate <= 1 for rate in rates(warmup=10, schedule=schedule))
    assert all(0 < rate <= 1 for rate in rates(warmup=25, schedule=schedule))


def test_warmup_below_one_is_a_share_of_the_run():
    assert rates(warmup=0.2) == pytest.approx(rates(warmup=2))


def test_cosine_falls_to_the_floor():
    falling = rates(warmup=0, schedule="cosine", min_lr_ratio=0.1)
    assert falling[0] == pytest.approx(1.0)
    assert falling[5] == pytest.approx(0.55)  # half way between 1 and the floor
    assert learning_rate(
        PretrainConfig(steps=10, lr=1.0, schedule="cosine", min_lr_ratio=0.1), 10, 10, 1.0
    ) == pytest.approx(0.1)


def test_wsd_is_flat_until_the_cooldown():
    flat = rates(warmup=1, schedule="wsd", cooldown=0.4)
    assert flat[:7] == pytest.approx([1.0] * 7)
    assert flat[7:] == pytest.approx([0.75, 0.5, 0.25])


def test_constant_stays_at_the_peak_after_warmup():
    assert rates(warmup=4, schedule="constant") == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 7)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "give steps or budget"),
        ({"steps": 1, "budget": "2B tokens"}, "not both"),
        ({"steps": 9, "stages": ({"sequence_length": 128, "batch_size": 1, "share": 0.5},)}, "add up to 1"),
        ({"steps": 9, "warmup": 1.5}, "share below 1"),
    ],
)
def test_contradictory_settings_are_refused(settings: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        PretrainConfig.model_validate(settings)
