import pytest

from nlptool.train.config import Train
from nlptool.train.schedule import learning_rate


def rates(**settings: object) -> list[float]:
    config = Train(steps=10, lr=1.0, **settings)
    return [learning_rate(config, n, 10, n / 10) for n in range(10)]


def test_linear_warms_up_and_falls_as_one_minus_t_over_T():
    expected = [0.5 * 1.0, 1.0 * 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert rates(warmup=2) == pytest.approx(expected)


def test_warmup_below_one_is_a_share_of_the_run():
    assert rates(warmup=0.2) == pytest.approx(rates(warmup=2))


def test_cosine_falls_to_the_floor():
    falling = rates(warmup=0, schedule="cosine", floor=0.1)
    assert falling[0] == pytest.approx(1.0)
    assert falling[5] == pytest.approx(0.55)  # half way between 1 and the floor
    assert learning_rate(Train(steps=10, lr=1.0, schedule="cosine", floor=0.1), 10, 10, 1.0) == pytest.approx(
        0.1
    )


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
        ({"steps": 9, "stages": ({"length": 128, "batch": 1, "share": 0.5},)}, "add up to 1"),
        ({"steps": 9, "warmup": 1.5}, "share below 1"),
    ],
)
def test_contradictory_settings_are_refused(settings: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        Train.model_validate(settings)
