"""Concepts of a graph in questions and answers."""

from pathlib import Path

import pytest

from nlptool.knowledge.build import GraphBuilder
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.grounding import Grounder, Lemmatiser, statement
from nlptool.knowledge.particles import stem
from nlptool.knowledge.readers import Columns


def graph_of(folder: Path, *names: str) -> Graph:
    folder.mkdir()
    builder = GraphBuilder()
    builder.add(Columns(list(names), ["r"] * len(names), [*names[1:], names[0]]))
    builder.write(folder, [])
    return Graph(folder)


def named(graph: Graph, numbers: list[int]) -> list[str]:
    return [graph.entities[number] for number in numbers]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("서울에서는", "서울"),
        ("아르헨티나의", "아르헨티"),
        ("아르헨티나", "아르헨티"),
        ("인도는", "인도"),
        ("이란", "이란"),
        ("나라들이", "나라"),
        ("빈은", "빈은"),
        ("un은", "un"),
    ],
)
def test_a_korean_word_loses_its_particles_and_keeps_two_characters(word: str, expected: str):
    assert stem(word) == expected


def test_korean_questions_name_concepts_within_their_eojeol(tmp_path: Path):
    graph = graph_of(tmp_path / "graph", "아르헨티나", "남아메리카", "대한민국", "남아프리카 공화국", "수도")
    ground = Grounder(graph, Lemmatiser("ko"), stop_words=False)
    found = ground("아르헨티나는 남아프리카 공화국과 대한민국의 어느 쪽에 있는가?", "남아메리카")
    assert named(graph, found.question) == ["남아프리카 공화국", "대한민국", "아르헨티나"]
    assert named(graph, found.answer) == ["남아메리카"]
    plain = Grounder(graph, Lemmatiser(None), stop_words=False)("아르헨티나는 어디에 있는가?", "남아메리카")
    assert plain.question == []


def test_concepts_of_the_answer_are_none_of_the_question(tmp_path: Path):
    graph = graph_of(tmp_path / "graph", "old_house", "house", "lamp", "in", "cat's")
    ground = Grounder(graph, Lemmatiser(None))
    found = ground("In which old house stands a lamp 😀?", "house")
    assert (named(graph, found.question), named(graph, found.answer)) == (["lamp"], ["house"])
    assert ground("", "").question == ground("", "").answer == []


def test_the_answer_takes_the_place_of_the_last_question_word():
    assert (
        statement("I know what is here. Where do you buy bread?", "bakery")
        == "I know what is here. bakery do you buy bread?"
    )
    assert statement("Bread is bought at a", "bakery") == "Bread is bought at a bakery"
