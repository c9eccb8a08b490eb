"""Layer maps of distillation and of the student's initialisation."""

import pytest
import torch

from nlptool.distill.layer_map import evenly_spaced_layers, layer_map, select_layers
from nlptool.models.bert.config import Config


def test_uniform_takes_every_third_layer_of_twelve_for_four() -> None:
    assert layer_map(12, 4) == (3, 6, 9, 12)
    assert layer_map(12, 6) == (2, 4, 6, 8, 10, 12)


def test_top_and_bottom_take_the_last_and_the_first_layers() -> None:
    assert layer_map(12, 4, "top") == (9, 10, 11, 12)
    assert layer_map(12, 4, "bottom") == (1, 2, 3, 4)


def test_a_list_is_taken_as_it_stands() -> None:
    assert layer_map(12, 3, (1, 5, 12)) == (1, 5, 12)


@pytest.mark.parametrize(
    ("layers", "told"),
    [((1, 2), "2 layers for a student that has 3"), ((2, 1, 3), "rise"), ((1, 2, 13), "at most 12")],
)
def test_a_list_that_does_not_fit_is_refused(layers: tuple[int, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        layer_map(12, 3, layers)


def test_a_student_has_no_more_layers_than_its_teacher() -> None:
    with pytest.raises(ValueError, match="3 layers"):
        layer_map(2, 3)
    with pytest.raises(ValueError, match="3 layers"):
        evenly_spaced_layers(2, 3)


def test_half_of_twelve_layers_are_those_of_distilbert() -> None:
    assert evenly_spaced_layers(12, 6) == (0, 2, 4, 7, 9, 11)


@pytest.mark.parametrize("teacher", range(1, 26))
def test_any_number_of_layers_rises_without_repeats_from_the_first_to_the_last(teacher: int) -> None:
    for student in range(1, teacher + 1):
        chosen = evenly_spaced_layers(teacher, student)
        assert len(chosen) == student
        assert list(chosen) == sorted(set(chosen))
        assert chosen[0] == 0
        assert chosen[-1] == (teacher - 1 if student > 1 else 0)


def test_a_thinned_state_is_that_of_the_smaller_model() -> None:
    model = Config(layers=4, hidden=8, heads=2, max_positions=8).build(20)
    state = {f"backbone.{key}": tensor for key, tensor in model.state_dict().items()}
    small = select_layers(state, (1, 3))
    assert small["backbone.layers.mlp.1.up.weight"] is state["backbone.layers.mlp.3.up.weight"]
    student = Config(layers=2, hidden=8, heads=2, max_positions=8).build(20)
    student.load_state_dict({key.removeprefix("backbone."): tensor for key, tensor in small.items()})
    assert torch.equal(student.layers.attention[0].out.weight, model.layers.attention[1].out.weight)


def test_layers_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="share their weights"):
        select_layers({"backbone.layers.mlp.0.up.weight": torch.zeros(1)}, (0, 1))
