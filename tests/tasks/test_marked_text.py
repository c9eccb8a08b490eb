"""Marked mentions: marks, forms of data sets, links to a graph, and the model's inputs."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from kinds import classification
from safetensors.torch import save_file

from nlptool import registry
from nlptool.cli import main
from nlptool.errors import DataError
from nlptool.tasks.marked_text import Mention, mark
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

RELATIONS = {
    "labels": ["none", "capital", "river"],
    "no_relation": "none",
    "metrics": ["micro_f1", "accuracy"],
}
TYPES = {"labels": ["person", "place", "time"], "metrics": ["loose_micro_f1"]}
ERNIE = {"name": "ernie", "layers": 2, "layer_types": ("mix", "norm"), "entity_size": 8, "entity_heads": 2}


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Keys of a task: a graph of four entities, and random vectors of them."""
    folder = tmp_path_factory.mktemp("linked")
    (folder / "triples.tsv").write_text("Q1\tcapital\tQ2\nQ2\tnear\tQ3\nQ4\tnear\tQ3\n")
    (folder / "graph.yaml").write_text(f"source: {{files: [{folder}/triples.tsv]}}\nout: {folder}/graph\n")
    assert main(["knowledge", str(folder / "graph.yaml")]) == 0
    facts = json.loads((folder / "graph" / "graph.json").read_text())
    vectors = folder / "vectors"
    vectors.mkdir()
    torch.manual_seed(0)
    save_file(
        {"entity.weight": torch.randn(4, 8), "relation.weight": torch.randn(2, 8)},
        vectors / "model.safetensors",
    )
    (vectors / "config.json").write_text(json.dumps({"graph_fingerprint": facts["fingerprint"]}))
    return {"graph": str(folder / "graph"), "entity_embeddings": str(vectors)}


def objective(kind: str, settings: dict, tokenizer: Tokenizer, **model):
    made = small.build(kind, settings, tokenizer, **model)
    made.knowledge = made.config.entity_table()
    return made.double().eval()


# ---- marks ----


def test_marks_stand_with_spaces_on_both_sides_and_mentions_move_with_them():
    text = "서울은 한강 옆에 있다 😀."
    head, tail = Mention(0, 2, "Q1"), Mention(4, 6, "Q2")
    found = mark(text, [(head, "#"), (tail, "$")], [head, tail, Mention(7, 9, "Q3"), Mention(7, 9)])
    assert found.text == "# 서울 #은 $ 한강 $ 옆에 있다 😀."
    assert found.needed == found.text.index(" $ 옆") + 2
    assert [(found.text[one.begin : one.end], one.entity) for one in found.mentions] == [
        ("서울", "Q1"),
        ("한강", "Q2"),
        ("옆에", "Q3"),
    ]


@pytest.mark.parametrize(
    ("head", "tail", "expected"),
    [
        ((0, 3), (4, 7), "# New # $ Sea $ x"),
        ((4, 7), (0, 3), "$ New $ # Sea # x"),
        ((0, 7), (4, 7), "# New $ Sea $ # x"),
        ((0, 3), (0, 7), "$ # New # Sea $ x"),
        ((0, 7), (0, 7), "# $ New Sea $ # x"),
        ((0, 3), (3, 7), "# New #$  Sea $ x"),
    ],
)
def test_marks_in_each_other_close_in_the_order_in_which_they_opened(head, tail, expected: str):
    assert mark("New Sea x", [(Mention(*head), "#"), (Mention(*tail), "$")], []).text == expected


# ---- forms ----

FORMS = {
    "ernie": {"text": "a old (b c", "ents": [["Q1", 0, 1, 0.1], ["UNK", 7, 10]], "label": "river"},
    "fewrel": {
        "tokens": ["a", "old", "-LRB-", "b", "c"],
        "h": ["a", "Q1", [[0]]],
        "t": ["b c", None, [[3, 4], [1]]],
        "relation": "river",
    },
    "hub": {
        "tokens": ["a", "old", "(", "b", "c"],
        "head": {"text": "a", "type": "Q1", "indices": [[0]]},
        "tail": {"text": "b c", "type": "", "indices": [[3, 4]]},
        "relation": "river",
    },
    "tacred": {
        "token": ["a", "old", "-LRB-", "b", "c"],
        "subj_start": 0,
        "subj_end": 0,
        "obj_start": 3,
        "obj_end": 4,
        "relation": "river",
    },
    "klue": {
        "sentence": "a old ( b c",
        "subject_entity": {"word": "a", "start_idx": 0, "end_idx": 0, "id": "Q1"},
        "object_entity": {"word": "b c", "start_idx": 8, "end_idx": 10},
        "label": 2,
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_marked_text(form: str):
    task = small.config("relation_classification", RELATIONS)
    row = Row("x:1", FORMS[form])
    found = task.marked(row)
    assert found.text.replace(" ", "") == "#a#old($bc$"
    assert found.text.startswith("# a # old (")
    assert [one.entity for one in found.mentions] == ([] if form == "tacred" else ["Q1"])
    assert task.label_of(row) == (2.0,)


def test_fewrels_own_file_is_flattened_and_na_is_no_relation():
    task = small.config("relation_classification", RELATIONS)
    one = {name: FORMS["fewrel"][name] for name in ("tokens", "h", "t")}
    rows = list(task.flat(Row("f.json", {"river": [one, one], "capital": [one]})))
    assert [task.label_of(row) for row in rows] == [(2.0,), (2.0,), (1.0,)]
    assert rows[1].place == "f.json: river[1]"
    assert task.label_of(Row("x", FORMS["ernie"] | {"label": "NA"})) == (0.0,)


def test_annotations_above_the_threshold_are_linked_in_place_of_head_and_tail():
    task = small.config("relation_classification", RELATIONS | {"threshold": 0.4})
    ann = [["Q7", 2, 5, 0.41], ["Q8", 7, 8, 0.4], [-1, 7, 8, 0.9]]
    found = task.marked(Row("x", FORMS["ernie"] | {"ann": ann}))
    assert [(one.entity, found.text[one.begin : one.end]) for one in found.mentions] == [("Q7", "old")]


def test_types_are_read_in_ernies_form_and_in_figers():
    task = small.config("entity_typing", TYPES)
    row = Row(
        "x:1", {"sent": "the old río", "start": 8, "end": 11, "ents": [["Q3", 4, 7, 0.9]], "labels": ["time"]}
    )
    found = task.marked(row)
    assert found.text == "the old 。 río 。"
    assert [one.entity for one in found.mentions] == ["Q3"]
    assert task.label_of(row) == (0, 0, 1)
    two = [{"start": 0, "end": 2, "labels": ["place", "person"]}, {"start": 2, "end": 3, "labels": []}]
    first, second = task.flat(Row("y", {"tokens": ["Rio", "Tinto", "-RRB-"], "mentions": two}))
    assert task.marked(first).text == "。 Rio Tinto 。 )"
    assert task.label_of(first) == (1, 1, 0)
    assert task.marked(second).text == "Rio Tinto 。 ) 。"


BAD = [
    (
        {"text": "a b", "ents": [["Q", 0, 1, 1], ["Q", 2, 9, 1]], "label": 0},
        "characters 2 to 9 are not a span",
    ),
    (
        {"text": "a b", "ents": [["Q", 0, 1, 1], ["Q", 2, 2, 1]], "label": 0},
        "characters 2 to 2 are not a span",
    ),
    (
        {"text": "a b", "ents": [["Q", 0, 1, 1], ["Q", 1, 2, 1]], "label": 0},
        "characters 1 to 2 are not a span",
    ),
    ({"text": "a b", "ents": [["Q", 0, 1, 1]], "label": 0}, "head and tail are expected"),
    ({"text": " ", "ents": [], "label": 0}, "'text' is empty"),
    ({"text": "a b", "ents": [["Q", 0, 1, "x"], ["Q", 2, 3]], "label": 0}, '"x" is not a score'),
    ({"text": "a b", "ents": [["Q", 0], ["Q", 2, 3]], "label": 0}, "[entity, begin, end, score] is expected"),
    (FORMS["ernie"] | {"ann": [["Q", 0, 99, 1]]}, "column 'ann': characters 0 to 99"),
    (FORMS["tacred"] | {"obj_end": 5}, "words 3 to 5 are none of the 5 words"),
    (FORMS["fewrel"] | {"h": ["a", "Q1", []]}, "column 'h' holds"),
    (
        FORMS["klue"] | {"subject_entity": {"word": "b", "start_idx": 0, "end_idx": 0}},
        'the text has "a" there',
    ),
    ({"a": 1, "label": 0}, 'its columns are "a", "label"'),
]


@pytest.mark.parametrize(("row", "told"), BAD)
def test_a_row_that_is_wrong_is_told_with_its_place(row: dict, told: str):
    with pytest.raises(DataError, match=re.escape(told)) as caught:
        small.config("relation_classification", RELATIONS).marked(Row("data.jsonl:7", row))
    assert caught.value.message.startswith("data.jsonl:7:")


def test_a_type_that_the_task_does_not_have_is_told():
    with pytest.raises(
        DataError, match=r'data.jsonl:7: labels: "god" is not a type of the task: 0 person, 1 place'
    ):
        small.config("entity_typing", TYPES).label_of(Row("data.jsonl:7", {"labels": ["time", "god"]}))


def test_the_likeliest_type_is_given_where_none_is_above_zero(tokenizer: Tokenizer):
    said = np.array([[-1.0, -2, -3], [2, 3, -1]])
    plain = small.build("entity_typing", TYPES, tokenizer)
    assert plain.decide(said).tolist() == [[0, 0, 0], [1, 1, 0]]
    always = small.build("entity_typing", TYPES | {"argmax_fallback": True}, tokenizer)
    assert always.decide(said).tolist() == [[1, 0, 0], [1, 1, 0]]
    mean = plain.average([said, said])
    assert mean == pytest.approx(said)
    shares = 1 / (1 + np.exp(-np.array([2.0, -4])))
    between = plain.average([np.full((1, 3), 2.0), np.full((1, 3), -4.0)])
    assert 1 / (1 + np.exp(-between)) == pytest.approx(np.full((1, 3), shares.mean()))


# ---- links ----


def rows_of(*ents: list) -> list[Row]:
    """Rows of one text with these heads and tails."""
    text = "the old river town"
    return [
        Row(f"row {number}", {"text": text, "ents": [[head, 8, 13], [tail, 14, 18]], "label": 1})
        for number, (head, tail) in enumerate(ents)
    ]


def test_a_model_that_reads_entities_tells_rows_of_one_text_apart(
    linked: dict[str, str], tokenizer: Tokenizer, tmp_path: Path
):
    made = objective("relation_classification", RELATIONS | linked, tokenizer, **ERNIE)
    rows = rows_of(("Q1", "Q2"), ("Q2", "Q1"), ("Q9", None), ("Q1", "Q2"), (None, None))
    assert made.encode(rows, tokenizer, tmp_path / "rows", labelled=True) == 5
    data = made.dataset(Split(tmp_path / "rows"), 32)
    (batch,) = small.all_rows(made, data, 5)
    order = batch["row"].argsort()
    at = batch["entity_at"][order]
    assert at.shape == (5, 2)
    ids = batch["ids"][order]
    assert [tokenizer.decode([ids[0, place]]).strip()[0] for place in at[0]] == ["r", "t"]
    assert (at[2] == -1).all()
    said = made.predict(batch).detach()[order]
    assert (said[0] - said[3]).abs().max() < 1e-12
    assert (said[2] - said[4]).abs().max() < 1e-12
    assert (said[0] - said[1]).abs().max() > 1e-5
    assert (said[0] - said[2]).abs().max() > 1e-5
    alone = torch.cat([made.predict(one).detach() for one in small.all_rows(made, data, 1)])
    assert (
        alone[np.argsort([int(one["row"]) for one in small.all_rows(made, data, 1)])] - said
    ).abs().max() < 1e-12
    lost, leak = made.data_warnings(data)
    assert lost.startswith("6 of 7 mentions are linked: 1 name an entity without a triple")
    assert leak.startswith("in 3 of 3 rows whose head and tail the graph knows")


def test_a_row_that_is_cut_loses_links_and_marks_and_this_is_told(
    linked: dict[str, str], tokenizer: Tokenizer, tmp_path: Path
):
    made = objective("relation_classification", RELATIONS | linked, tokenizer, **ERNIE)
    made.encode(rows_of(("Q1", "Q2")), tokenizer, tmp_path / "rows", labelled=False)
    whole = made.dataset(Split(tmp_path / "rows"), 64)
    assert [cut.rows for cut in whole.cuts] == [0, 0]
    taken = whole.take(np.zeros(1, int))
    short = made.dataset(Split(tmp_path / "rows"), int(taken.at[1]) + 1)
    assert [cut.rows for cut in short.cuts] == [1, 1]
    again = short.take(np.zeros(1, int))
    assert again.at.tolist() == taken.at[:1].tolist()
    assert not short.labelled


def test_a_graph_needs_a_model_that_reads_entities_and_vectors_of_its_width(linked: dict[str, str]):
    task = small.config("relation_classification", RELATIONS | linked)
    bert = registry.config("models", "bert").model_validate(small.MODEL)
    assert task.check(bert)[0].message.startswith("bert reads no entities")
    assert not small.config("relation_classification", RELATIONS).check(bert)
    with pytest.raises(ValueError, match="give both, or neither"):
        small.config("relation_classification", RELATIONS | {"graph": "g"})


# ---- commands ----


@pytest.mark.parametrize("kind", ["relation_classification", "entity_typing", "classification"])
def test_finetune_predict_and_evaluate_say_the_same_of_linked_rows(
    kind: str, linked: dict[str, str], tokenizer: Tokenizer, tmp_path: Path, capsys
):
    marked = {"relation_classification": RELATIONS, "entity_typing": TYPES}
    settings = marked[kind] | linked if kind in marked else classification.VARIANTS["linked"]
    ernie = ERNIE | {"entity_size": 8 if kind in marked else 12}
    start, data = tmp_path / "start", tmp_path / "data"
    for folder in (start, data):
        folder.mkdir()
    model = registry.config("models", "ernie").model_validate(small.MODEL | ernie)
    made = small.build(kind, settings, tokenizer, **ernie)
    made.folders(model)[""].save(start, tokenizer, 40)
    rng, facts = np.random.default_rng(0), small.facts(kind)
    rows = [facts.row(rng, small.WORDS, settings) for _ in range(12)]
    for split in ("train", "validation"):
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    block = {"name": kind} | settings
    (tmp_path / "task.yaml").write_text(json.dumps(block))
    (tmp_path / "run.yaml").write_text(
        json.dumps(
            {
                "task": block,
                "data": str(data),
                "init_from": str(start),
                "train": {"steps": 2, "batch_size": 4, "sequence_length": 40},
                "out": str(tmp_path / "run"),
            }
        )
    )
    assert main(["finetune", str(tmp_path / "run.yaml"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["mean"]
    seed = tmp_path / "run" / "seed-0"
    kept = [json.loads(line) for line in (seed / "predictions" / "validation.jsonl").read_text().splitlines()]
    assert "entity_embeddings" in json.loads((tmp_path / "run" / "environment.json").read_text())["models"]
    assert main(["predict", str(seed / "final"), str(data / "validation.jsonl")]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for one, other in zip(kept, told, strict=True):
        assert other["prediction"] == one["prediction"]
        assert other["scores"] == pytest.approx(one["scores"], abs=1e-5)
    task = ["--task", str(tmp_path / "task.yaml"), "--data", str(data)]
    assert main(["evaluate", str(seed / "final"), *task, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["figures"] == pytest.approx(scores)
    assert found["splits"]["validation"]["errors"][0]["text"]
