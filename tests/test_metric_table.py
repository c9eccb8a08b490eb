"""Every metric that a run writes is declared."""

import pytest

from nlptool.metric_table import OWN, TABLE, describe, listed


def test_a_figure_that_is_not_declared_is_a_plain_number():
    found = describe("memory_of_something")
    assert (found.title, found.unit, found.direction, found.kind) == ("memory_of_something", "", "", "other")
    assert found.show(0.25) == "0.25"


def test_memory_is_a_cost_and_no_loss():
    assert describe("memory").kind == "cost"


def test_a_share_is_shown_in_per_cent_whatever_its_name_ends_with():
    assert describe("rtd_auc").show(0.7431) == "74.3 %"
    assert describe("mlm").show(4.62794) == "4.628"


def test_a_deviation_stands_in_the_units_of_its_value():
    assert describe("matthews").show(-0.0312, 0.0204) == "-3.1 ± 2.0 %"
    assert describe("mlm").show(4.62794, 0.0123) == "4.628 ± 0.012"


def test_figures_in_one_line_have_their_titles():
    assert listed({"mismatched/accuracy": 0.564, "f1": 1.0}) == "mismatched: accuracy 56.4 %, F1 100.0 %"


def test_the_generators_loss_is_not_berts():
    assert describe("mlm", "electra").key == "generator_mlm" != describe("mlm", "mlm").key
    assert {key for names in OWN.values() for key in names.values()} <= TABLE.keys()


def test_a_second_validation_split_has_figures_of_its_own():
    found = describe("mismatched/accuracy")
    assert (found.key, found.title, found.unit) == ("mismatched/accuracy", "mismatched: accuracy", "share")


def test_every_metric_of_a_task_is_declared():
    pytest.importorskip("torch")
    from nlptool.evaluation.metrics import classification, generated_text, ner

    known = classification.METRICS.keys() | generated_text.METRICS.keys() | ner.METRICS.keys()
    assert known <= TABLE.keys()


@pytest.mark.parametrize("metric", TABLE.values(), ids=TABLE)
def test_a_loss_and_a_score_say_which_values_are_better(metric):
    assert bool(metric.direction) == (metric.kind in ("loss", "score"))
