"""decaNLP's own metrics on worked cases."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlptool.evaluation.metrics import decanlp, generated_text

HEADER = ["Year", "Team", "No. of wins", "Team Name"]


def of(name: str, *cases: tuple[str, list[str]]) -> float:
    return generated_text.compute([name], [said for said, _ in cases], [right for _, right in cases])[name]


def query(select: int = 1, aggregate: int = 0, *conditions: list[Any]) -> dict[str, Any]:
    return {"sel": select, "agg": aggregate, "conds": list(conditions)}


def test_corpus_f1_by_hand():
    """Found 3, one of them right; there are 2: precision 1/3, recall 1/2."""
    cases = [
        ("Paris and the London", ["london, paris"]),
        ("Rome", ["unanswerable"]),
        ("Rome", ["Roma"]),
        ("unanswerable", ["unanswerable"]),
    ]
    assert of("corpus_f1", *cases) == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))
    assert of("corpus_f1", ("unanswerable", ["unanswerable"])) == 0.0, "nothing found, nothing there"


def test_all_references_together_are_one_set_for_corpus_f1():
    assert of("corpus_f1", ("London Paris", ["paris", "london"])) == 1.0
    assert of("corpus_f1", ("London", ["paris", "london"])) == 0.0


def test_a_change_of_state_is_read_as_deca_reads_it():
    assert decanlp.informed("food: thai, area: north; phone") == {"food": "thai", "area": "north"}
    assert decanlp.informed("; phone, address") == decanlp.informed("None") == decanlp.informed("") == {}
    assert decanlp.informed("food: thai") == {}, "without a semicolon it is no state"
    assert decanlp.informed("food, area: north, time: 12:30;") == {"area": "north"}


def test_a_wrong_turn_stays_wrong_until_it_is_mended():
    cases = [
        ("food: thai;", ["en_0_0", "food: thai;"]),
        ("area: north;", ["en_0_1", "area: south;"]),
        ("; phone", ["en_0_2", "; phone"]),
        ("area: east;", ["en_0_3", "area: east;"]),
        ("None", ["en_1_0", "None"]),
    ]
    assert of("joint_goal", *cases) == 3 / 5
    assert of("joint_goal", *reversed(cases)) == 3 / 5, "turns are put in order"


def test_turn_10_comes_before_turn_2_as_in_deca():
    cases = [("food: thai;", ["en_0_2", "food: thai;"]), ("area: north;", ["en_0_10", "None"])]
    assert of("joint_goal", *cases) == 0.0, "in the order of numbers turn 2 would be right"


def test_a_query_is_spelt_as_wikisql_spells_it():
    spelt = decanlp.spell(HEADER, query(2, 4, [0, 1, 1999], [3, 0, "Foo and Bar"]))
    assert spelt == "SELECT SUM No. of wins FROM table WHERE Year > 1999 AND Team Name = Foo and Bar"
    assert decanlp.spell(HEADER, query()) == "SELECT Team FROM table"


def test_what_a_query_says_counts_and_not_its_case():
    header, right = json.dumps(HEADER), json.dumps(query(1, 3, [0, 0, "1999"]))
    assert of("logical_form", ("select count TEAM from table where year = 1999", [header, right])) == 1.0
    assert of("logical_form", ("select team from table where year = 1999", [header, right])) == 0.0
    assert of("logical_form", ("select count team from table where year = 1998", [header, right])) == 0.0


@pytest.mark.parametrize(
    "text", ["", "select", "where", "nonsense", "select team from table where 1999 = year"]
)
def test_what_is_no_query_is_wrong(text: str):
    right = json.dumps(query(1, 0, [0, 0, "1999"]))
    assert of("logical_form", (text, [json.dumps(HEADER), right])) == 0.0


VALUES = st.one_of(st.integers(0, 3000), st.sampled_from(["Foo and Bar", "team", "5 > 3", "max", "op. 1"]))
CONDITIONS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), VALUES).map(list), max_size=3)


@given(st.integers(0, 3), st.integers(0, 5), CONDITIONS)
def test_a_query_spelt_and_read_again_is_itself(select: int, aggregate: int, conditions: list[list[Any]]):
    right = query(select, aggregate, *conditions)
    assert of("logical_form", (decanlp.spell(HEADER, right), [json.dumps(HEADER), json.dumps(right)])) == 1.0


def test_the_deca_score_is_the_sum_of_ten_metrics():
    """The figures of MQAN with CoVe, README of decaNLP, which make 609.0."""
    figures = [77.0, 21.4, 24.4, 74.0, 86.5, 80.9, 40.9, 84.8, 70.2, 48.8]
    by_task = dict(zip(decanlp.TASKS, (figure / 100 for figure in figures), strict=True))
    assert decanlp.score(by_task) == pytest.approx(608.9)
    assert set(decanlp.TASKS.values()) <= set(generated_text.METRICS)
    with pytest.raises(KeyError):
        decanlp.score({"squad": 1.0})
