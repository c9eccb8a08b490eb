"""Hostile recipes and task files: YAML, numbers and names."""

import re
from collections.abc import Callable, Iterable

import hostile_values
import hostile_yaml
import pytest
from hostile import Trial, campaign, hostile_world
from trials import MOST
from worlds import store, world_of

KINDS: dict[str, Callable[[], Iterable[Trial]]] = {
    "YAML": hostile_yaml.trials,
    "YAML in arguments": hostile_yaml.arguments,
    "numbers": hostile_values.numbers,
    "names": hostile_values.names,
}


def quick(kind: str) -> list[Trial]:
    """Trials that need no more than a token store, and no second."""
    if kind in ("numbers", "names"):
        return list({"numbers": hostile_values.numbers, "names": hostile_values.names}[kind](["tokenize"]))
    small = [trial for trial in KINDS[kind]() if not re.search(r"\d{4}", trial.what)]
    return [trial for trial in small if trial.line[:2] == ["pretrain-mlm", "bert.yaml"]]


@pytest.mark.parametrize("kind", KINDS)
def test_some_hostile_recipes_end_in_one_line(kind: str):
    campaign(kind, world_of(store), quick(kind), 2).require_right()


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
@pytest.mark.parametrize("kind", KINDS)
def test_all_hostile_recipes_end_in_one_line(kind: str):
    campaign(kind, hostile_world(), KINDS[kind](), MOST).require_right()
