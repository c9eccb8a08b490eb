"""Triples in formats of other programs."""

import io
import json

import pytest

from nlptool.knowledge.readers import COLUMNS, ROWS, Read, read_jsonl, read_tsv
from nlptool.knowledge.triple_formats import read_csv, read_ntriples, read_wikidata
from nlptool.text.records import BadRecord


def triples(read: Read) -> list[tuple[str, ...]]:
    found = list(read)
    assert not [one for one in found if isinstance(one, BadRecord)]
    return [row for one in found for row in zip(*one, strict=True)]


def stream(text: str) -> io.BytesIO:
    return io.BytesIO(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        'head,relation,tail\n"서울, 시",수도,한국\na,r,b\n',
        '\ufeffid;Object;Predicate;Subject\r\n1;한국;수도;"서울, 시"\r\n2;b;r;a\r\n',
        '"서울, 시",수도,한국\na,r,b\n',
    ],
)
def test_separated_values_with_and_without_a_header(text: str):
    assert triples(read_csv(stream(text))) == [("서울, 시", "수도", "한국"), ("a", "r", "b")]


def test_columns_name_those_of_a_csv_without_a_header_and_faults_have_their_line():
    assert triples(read_csv(stream("r,a,b\n"), ("relation", "head", "tail"))) == [("a", "r", "b")]
    good, bad, empty = sorted(read_csv(stream("a,r,b\na,r\na,,b\n")), key=lambda one: getattr(one, "line", 0))
    assert good == (["a"], ["r"], ["b"])
    assert isinstance(bad, BadRecord)
    assert isinstance(empty, BadRecord)
    assert (bad.line, bad.reason, empty.line, empty.reason) == (2, "not three fields", 3, "empty field")


@pytest.mark.parametrize(
    ("first", "order"),
    [("head\trelation\ttail", 1), ("\ufeffObject\tSubject\tPredicate", 2), ("서울\t위치\t한국", 0)],
)
def test_a_header_of_a_tsv_is_no_triple(first: str, order: int):
    rows = triples(read_tsv(stream(f"{first}\na\tb\tc\n"), COLUMNS))
    assert rows == [[("서울", "위치", "한국"), ("a", "b", "c")], [("a", "b", "c")], [("b", "c", "a")]][order]


def test_a_header_names_other_columns_too_and_rows_of_other_widths_are_told():
    good, bad = sorted(
        read_tsv(stream("id\thead\trelation\ttail\n1\ta\tr\tb\nc\tr\td\n")),
        key=lambda one: getattr(one, "line", 0),
    )
    assert good == (["a"], ["r"], ["b"])
    assert isinstance(bad, BadRecord)
    assert (bad.line, bad.detail) == (3, "3 fields; 4 or more are expected, as the header says")


def test_a_line_end_within_a_quoted_name_is_a_fault():
    (bad,) = (one for one in read_csv(stream('a,r,b\n"c\nd",r,e\n')) if isinstance(one, BadRecord))
    assert (bad.line, bad.reason) == (2, "line end in a name")


def test_escapes_in_names_of_n_triples_are_characters():
    text = "<http://x/caf\\u00E9> <http://x/p> <http://x/\\U0001F600> .\n"
    assert triples(read_ntriples(stream(text))) == [("http://x/café", "http://x/p", "http://x/😀")]


def test_statements_of_n_triples_and_what_is_about_literals_is_skipped():
    entity, direct = "http://www.wikidata.org/entity/", "http://www.wikidata.org/prop/direct/"
    text = (
        f"# a comment\n<{entity}Q8684> <{direct}P17> <{entity}Q884> .\n\n"
        '<http://x/서울> <http://x/label> "서\\"울"@ko .\n_:b1 <http://x/p> "12"^^<http://x/int> .\n'
        "_:b1 <http://x/p> <http://x/b> <http://x/graph> . # of a quad\n"
    )
    assert triples(read_ntriples(stream(text))) == [
        ("Q8684", "P17", "Q884"),
        ("_:b1", "http://x/p", "http://x/b"),
    ]
    (bad, *_) = read_ntriples(stream("<http://x/a> <http://x/b> <http://x/c>\n"))
    assert isinstance(bad, BadRecord)
    assert (bad.line, bad.reason) == (1, "no statement")


def test_a_dump_of_wikidata():
    def statement(value: dict[str, object], kind: str = "wikibase-entityid", rank: str = "normal") -> object:
        snak = {"snaktype": "value", "datavalue": {"value": value, "type": kind}}
        return {"mainsnak": snak, "rank": rank}

    claims = {
        "P17": [statement({"id": "Q884"}), statement({"numeric-id": 28179}, rank="deprecated")],
        "P36": [statement({"numeric-id": 5}), statement({"text": "서울"}, "monolingualtext")],
        "P40": [{"mainsnak": {"snaktype": "novalue"}, "rank": "normal"}],
    }
    lines = [json.dumps({"id": "Q1", "claims": claims}), json.dumps({"id": "Q2", "claims": []})]
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    assert triples(read_wikidata(stream(text))) == [("Q1", "P17", "Q884"), ("Q1", "P36", "Q5")]
    (bad, *_) = read_jsonl(stream(text), ("head", "relation", "tail"))
    assert isinstance(bad, BadRecord)
    assert "source.format=wikidata" in bad.hint
    assert [one.reason for one in read_wikidata(stream("{}\n")) if isinstance(one, BadRecord)] == [
        "no entity"
    ]


def test_a_long_file_is_passed_on_in_pieces() -> None:
    entity = {"id": "Q1", "claims": {"P1": [{"mainsnak": {"snaktype": "value", "datavalue": VALUE}}]}}
    wikidata = "[\n" + f"{json.dumps(entity)},\n" * (ROWS + 1) + "]\n"
    many = (read_csv(stream("a,r,b\n" * (ROWS + 1))), read_ntriples(stream("<a> <r> <b> .\n" * (ROWS + 1))))
    for read in (*many, read_wikidata(stream(wikidata))):
        assert [len(piece.heads) for piece in read if not isinstance(piece, BadRecord)] == [ROWS, 1]


VALUE = {"type": "wikibase-entityid", "value": {"id": "Q2"}}
