"""Linking of mentions: from documents, Wikipedia's anchors, and labels searched in the text."""

import json
from collections import Counter
from pathlib import Path

import pytest
import tokenizers

from nlptool.cli import main
from nlptool.knowledge.build import GraphBuilder
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.linking import AnchorLinker, LabelLinker, MentionLinker
from nlptool.knowledge.readers import Columns
from nlptool.text.config import Normalise
from nlptool.text.links import open_links
from nlptool.text.mentions import Mention, carry, without_overlaps
from nlptool.text.normalise import normaliser
from nlptool.text.store import TokenStore
from nlptool.text.tokenizer import Tokenizer

LABELS = [
    ("Q1", "서울"), ("Q1", "Seoul"), ("Q2", "대한민국"), ("Q2", "South Korea"), ("Q3", "New York"),
    ("Q4", "New York City"),
    ("Q5", "Georgia"), ("Q6", "Georgia"), ("Q7", "東京"), ("Q8", "🏝️"), ("Q9", "Zürich"), ("Q9", "UN"),
]  # fmt: skip


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> Graph:
    folder = tmp_path_factory.mktemp("linking") / "graph"
    folder.mkdir()
    builder = GraphBuilder()
    rows = [(f"Q{n}", "r", f"Q{n % 9 + 1}") for n in range(1, 10)] + [("Q6", "r", "Q1")]
    builder.add(Columns(*map(list, zip(*rows, strict=True))))
    builder.write(folder, LABELS)
    return Graph(folder)


def entity(graph: Graph, name: str) -> int:
    found = graph.entities.find(name)
    assert found is not None
    return found


def spans(text: str, found: list[Mention], graph: Graph) -> list[tuple[str, str]]:
    return [(text[m.start : m.end], graph.entities[m.entity]) for m in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("서울은 대한민국의 수도이다.", [("서울", "Q1"), ("대한민국", "Q2")]),
        ("서울대학교와 서울에서는", [("서울", "Q1")]),
        ("New York City and New York.", [("New York City", "Q4"), ("New York", "Q3")]),
        ("New Yorkers in Seouls, in Seoul's", [("Seoul", "Q1")]),
        ("Georgia", [("Georgia", "Q6")]),
        ("私は東京に行く。", [("東京", "Q7")]),
        ("in Zürich, UN", [("Zürich", "Q9"), ("UN", "Q9")]),
        ("", []),
        ("the rest", []),
    ],
)
def test_labels_are_found_as_whole_words_the_longest_first(graph, text, expected):
    linker = LabelLinker(graph.path, "frequent", 2)
    alone, *_, first, last = linker.search([text, "", "in New", "York City", "Seoul", text, text])
    assert alone == first == last == linker.search([text])[0]
    assert spans(text, alone, graph) == expected
    assert linker.search([]) == []


def test_a_label_of_several_entities_may_be_left_out(graph):
    assert LabelLinker(graph.path, "none", 2).search(["Georgia and Seoul"])[0] == [
        Mention(12, 17, entity(graph, "Q1"))
    ]
    assert LabelLinker(graph.path, "none", 3).search(["the UN"])[0] == []


def test_documents_give_mentions_in_several_forms_and_what_is_none_is_counted(graph):
    linker = MentionLinker(graph.path, (), 0.3)
    q1 = entity(graph, "Q1")
    dropped: Counter[str] = Counter()
    text = "서울 is Seoul"
    given = [
        [0, 2, "Q1"],
        ["Q1", 6, 11, 0.9],
        {"start": 6, "end": 11, "title": "Q1", "rho": 0.31},
        [0, 2, "Q1", 0.1],
        [0, 99, "Q1"],
        [-1, 2, "Q1"],
        [2, 2, "Q1"],
        [3, 2, "Q1"],
        [0, 2, "Q404"],
        [0.5, 2, "Q1"],
        "Q1",
    ]
    found = linker.read(text, given, dropped)[1]
    assert found == [Mention(0, 2, q1), Mention(6, 11, q1), Mention(6, 11, q1)]
    assert dropped == {
        "below the threshold": 1,
        "beyond the text": 2,
        "empty": 2,
        "of an entity that is not in the graph": 1,
        "without a place": 1,
        "not of a known form": 1,
    }
    assert linker.read(text, None, dropped) == (text, [])
    linker.read(text, "x", dropped)
    assert dropped["no list of mentions"] == 1


def test_anchors_of_wikipedia_leave_their_words(graph, tmp_path):
    titles = tmp_path / "titles.tsv"
    titles.write_text("Seoul\tQ1\nNew York City\tQ4\n", "utf8")
    linker = AnchorLinker(graph.path, (str(titles),))
    dropped: Counter[str] = Counter()
    text, found = linker.read(
        '<a href="Seoul">서울</a>은 <a href="new%20York_City#x">뉴욕</a>, <a href="Atlantis">A</a>',
        "",
        dropped,
    )
    assert text == "서울은 뉴욕, A"
    assert spans(text, found, graph) == [("서울", "Q1"), ("뉴욕", "Q4")]
    assert dropped == {"of an entity that is not in the graph": 1}


@pytest.mark.parametrize("whitespace", ["keep", "collapse"])
def test_mentions_keep_their_words_through_normalising(whitespace):
    config = Normalise(unicode="NFC", whitespace=whitespace)
    text = "e\u0301te\u0301  \n \u1109\u1165\u110b\u116e\u11af\t Zu\u0308rich"
    normal = normaliser(config)(text)
    places = [text.index("\u1109"), text.index("Z")]
    mentions = [Mention(places[0], places[0] + 5, 1), Mention(places[1], len(text), 2)]
    dropped: Counter[str] = Counter()
    found = carry(text, normal, mentions, config, dropped)
    assert [normal[m.start : m.end] for m in found] == ["서울", "Zürich"]
    assert not dropped
    cut = carry(text, normal, [Mention(0, 1, 3), *mentions], config, dropped)
    assert len(cut) < 3
    assert dropped == {"changed by normalising": 3 - len(cut)}


def test_what_overlaps_or_cuts_a_character_is_counted():
    dropped: Counter[str] = Counter()
    text = "New York 👨\u200d👩 e\u0301"
    found = without_overlaps(
        text,
        [
            Mention(0, 3, 1),
            Mention(0, 8, 2),
            Mention(4, 8, 3),
            Mention(9, 10, 4),
            Mention(13, 14, 5),
            Mention(8, 9, 6),
        ],
        dropped,
    )
    assert found == [Mention(0, 8, 2)]
    assert dropped == {"overlapping": 2, "inside a character": 2, "empty": 1}


def wordpiece(folder: Path) -> Path:
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "seoul",
        "is",
        "the",
        "서울",
        "##은",
        "capital",
        "of",
        "south",
        "korea",
        ".",
        "new",
        "york",
    ]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({t: n for n, t in enumerate(tokens)}, unk_token="[UNK]")
    )
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(tokens[:5])
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    return folder


def tokenized(tmp_path: Path, graph: Graph, *changes: str) -> tuple[TokenStore, dict]:
    out = tmp_path / "tokens"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"source: {{files: {tmp_path}/text.jsonl}}\nheldout: 0.3\nlinks: {{graph: {graph.path}}}\nout: {out}\n"
    )
    assert main(["tokenize", str(recipe), "workers=1", *changes]) == 0
    return TokenStore(out), json.loads((out / "report.json").read_text("utf8"))


DOCUMENTS = [
    {"text": f"서울은 South Korea . Seoul is the capital of South Korea {n} 🏝️ New York .",
     "mentions": [[0, 2, "Q1"], [4, 15, "Q2"], [18, 23, "Q1"]]}
    for n in range(40)
]  # fmt: skip


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
@pytest.mark.parametrize("by", ["mentions", "labels"])
def test_links_of_a_store_are_the_words_that_were_marked(tmp_path, graph, kind, by, capsys):
    lines = "\n".join(json.dumps(document, ensure_ascii=False) for document in DOCUMENTS)
    (tmp_path / "text.jsonl").write_text(lines, "utf8")
    more = ["links.compare=true"] if by == "labels" else []
    if kind == "wordpiece":
        more.append("tokenizer.max_unknown=1")
    how = (
        "tokenizer.vocab_size=300" if kind == "bpe" else f"tokenizer.load={wordpiece(tmp_path / 'wordpiece')}"
    )
    store, report = tokenized(tmp_path, graph, how, f"links.by={by}", *more)
    tokenizer = Tokenizer.of_store(store)
    expected = {"서울": "Q1", "South Korea": "Q2", "Seoul": "Q1", "New York": "Q3", "🏝️": "Q8"}
    total = 0
    for name in ("train", "heldout"):
        split, found = store.split(name), open_links(store, name, graph.fingerprint)
        total += len(found)
        for position, length, number in zip(*found.all, strict=True):
            words = tokenizer.decode(split.read(int(position), int(position) + int(length)).tolist())
            said = words.strip().rstrip("\ufffd").removesuffix("은")  # a token may go on into what follows
            if kind == "wordpiece":
                said = {key.lower(): key for key in expected}[said.replace(" ##은", "").strip()]
            assert expected[said] == graph.entities[number]
        assert (found.all.positions[1:] > found.all.positions[:-1]).all()
    assert total == sum(report["links"].values()) == (3 if by == "mentions" else 5) * 40
    if by == "labels":
        assert report["agreement"]["recall"] == 1.0
        assert report["agreement"]["precision"] == pytest.approx(3 / 5)


def test_the_files_of_megatron_are_the_same_with_links_and_without(tmp_path, graph):
    (tmp_path / "text.jsonl").write_text("\n".join(map(json.dumps, DOCUMENTS)), "utf8")
    store, _ = tokenized(tmp_path, graph, "tokenizer.vocab_size=300")
    linked = {name: (store.path / name).read_bytes() for name in ("train.bin", "train.idx", "heldout.bin")}
    plain, _ = tokenized(tmp_path, graph, "tokenizer.vocab_size=300", "~links", "--overwrite")
    assert {name: (plain.path / name).read_bytes() for name in linked} == linked
    assert not (plain.path / "train.links").exists()
    assert "links" not in plain.info


def test_a_store_is_shown_with_what_its_linked_words_are_called(tmp_path, graph, capsys):
    (tmp_path / "text.jsonl").write_text("\n".join(map(json.dumps, DOCUMENTS)), "utf8")
    store, report = tokenized(tmp_path, graph, "tokenizer.vocab_size=300")

    def shown() -> list[tuple[str, str]]:
        capsys.readouterr()
        assert main(["inspect", str(store.path), "--rows", "2", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["linked_tokens"] == report["links"]["train"]
        parts = [part for row in found["rows"] for part in row["parts"]]
        return [(mark["kind"], mark["label"]) for part in parts for mark in part["marks"]]

    names = ["서울", "대한민국", "서울"]  # the first label of each
    assert shown() == [("entity", name) for name in names * 2]
    kept = store.path / "recipe.yaml"
    kept.write_text(kept.read_text("utf8").replace(str(graph.path), "moved away"), "utf8")
    numbers = [f"entity {entity(graph, name)}" for name in ("Q1", "Q2", "Q1")]
    assert shown() == [("entity", name) for name in numbers * 2]


def test_what_ends_in_no_link_is_counted_by_reason(tmp_path, graph, capsys):
    documents = [
        {"text": "unSeoul is here. New York", "mentions": [[2, 7, "Q1"], [17, 25, "Q3"]]},
        {"text": "In New. York we are", "mentions": [[3, 12, "Q3"]]},
        {"text": "\r\nSeoul\r\nSeoul", "mentions": [[2, 7, "Q1"], [9, 14, "Q1"]]},
        {"text": "no mention here"},
    ]
    (tmp_path / "text.jsonl").write_text("\n".join(map(json.dumps, documents)), "utf8")
    store, report = tokenized(tmp_path, graph, "tokenizer.vocab_size=270", "heldout=0")
    assert sum(report["links"].values()) + sum(report["lost_links"].values()) == 5
    assert store.info["links"]["lost"] == report["lost_links"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["links.graph=nowhere"], "no knowledge graph at nowhere"),
        (["links.by=labels", "links.threshold=0.5"], "has no effect"),
        (["source.document_boundary=file"], "mentions are those of a record"),
    ],
)
def test_a_recipe_whose_links_cannot_be_is_refused(tmp_path, graph, changes, told, capsys):
    (tmp_path / "text.jsonl").write_text('{"text": "a"}', "utf8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"source: {{files: {tmp_path}/text.jsonl}}\nlinks: {{graph: {graph.path}}}\nout: {tmp_path}/o\n"
    )
    assert main(["tokenize", str(recipe), *changes]) == 2
    assert told in capsys.readouterr().err


def test_the_projects_korean_graph_is_found_in_korean_text(tmp_path: Path):
    data = Path(__file__).parents[2] / "data/countries-ko"
    recipe = {"source": {"files": str(data / "triples.tsv")}, "labels": str(data / "labels.tsv")}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe | {"out": str(tmp_path / "graph")}))
    assert main(["knowledge", str(tmp_path / "recipe.yaml")]) == 0
    linker = LabelLinker(tmp_path / "graph", "frequent", 2)
    names = Graph(tmp_path / "graph").entities
    text = "서울에서 열린 회의에 한국과 일본의 대표, 그리고 남아공의 학자가 왔다. 빈 자리는 없었고, 서울역은 붐볐다."
    found = [(text[one.start : one.end], names[one.entity]) for one in linker.search([text])[0]]
    assert found == [
        ("서울", "서울"),
        ("한국", "대한민국"),
        ("일본", "일본"),
        ("남아공", "남아프리카 공화국"),
    ]
