"""The page of an experiment."""

import re

from nlptool.metric_table import describe
from nlptool.report.experiment_page import Arm, Series, page

RESULT = {"title": "층 <수>", "source": "a paper"}


def test_names_of_arms_fit_beside_their_intervals():
    names = (
        "one",
        "두 층",
        "a name that is far longer than there is room for",
        "아주 긴 한국어 이름을 가진 조건의 이름",
    )
    arms = [Arm(name, 2.0, 1.0, 3.0, [1.5, 2.5]) for name in names]
    shown = page(RESULT, ["lead"], [], [Series("loss", describe("mlm"), arms)], "title: x")
    found = re.findall(r'<text class="arm" x="([\d.]+)" y="[\d.]+">(.*?)</text>', shown)
    assert [name for _, name in found] == [
        "one",
        "두 층",
        "a name that is far long…",
        "아주 긴 한국어 이름을…",
    ]
    assert {float(x) > 24 * 7 for x, _ in found} == {True}  # the widest name has 24 columns


def test_few_letters_leave_the_chart_its_room():
    arms = [Arm("a", 0.5, None, None, [0.5])]
    shown = page(RESULT, ["5 % of it"], [], [Series("score", describe("accuracy"), arms)], "title: x")
    assert float(re.findall(r'class="arm" x="([\d.]+)"', shown)[0]) < 20
    assert "5\u00a0% of it" in shown
