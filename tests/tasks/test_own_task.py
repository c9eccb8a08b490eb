"""Tasks inferred from the user's rows: from their columns, errors for missing keys, and held-out rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from nlptool.commands.finetune.recipe import Recipe
from nlptool.errors import DataError, RecipeError, UsageError
from nlptool.evaluation.metrics import ner
from nlptool.recipe import dump, load, loads
from nlptool.tasks.config import TaskConfig
from nlptool.tasks.inference import is_data
from nlptool.tasks.labelled import LabelledSource
from nlptool.tasks.row_source import InputRows
from nlptool.text.tabular import Row


def task_of(folder: Path, given: Any, *changes: str) -> TaskConfig:
    recipe = folder / "recipe.yaml"
    recipe.write_text("task: glue/sst2\ninit_from: model\nout: run\n")
    return load(recipe, [f"task={folder / given}", *changes], Recipe).recipe.task


def known(task: TaskConfig) -> dict[str, Any]:
    return task.model_dump(mode="json", exclude_defaults=True, exclude={"source"})


def table(path: Path, *rows: str) -> None:
    path.write_text("\n".join(rows) + "\n")


def read(task: TaskConfig, split: str) -> list[dict[str, Any]]:
    return [row.values for row in LabelledSource(task, None).read(split)]


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    table(
        tmp_path / "reviews.tsv",
        "번호\t내용\t평가",
        *(f"{n}\t영화 {n}\t{'좋음' if n % 4 else '나쁨'}" for n in range(80)),
    )
    return tmp_path


def test_the_columns_of_a_file_tell_the_task(reviews: Path):
    task = task_of(reviews, "reviews.tsv")
    assert known(task) == {
        "inputs": ["내용"],
        "label": "평가",
        "labels": ["나쁨", "좋음"],
        "metrics": ["accuracy", "macro_f1"],
        "holdout": 0.1,
    }


def test_what_is_given_stands(reviews: Path):
    task = task_of(reviews, "reviews.tsv", "task.label=번호", "task.metrics=[spearman]", "task.holdout=0.2")
    assert (task.label, task.labels, task.metrics, task.holdout) == ("번호", (), ("spearman",), 0.2)


def test_the_written_recipe_has_the_whole_task_and_reads_no_file(reviews: Path):
    recipe = Recipe(task=str(reviews / "reviews.tsv"), init_from="model", out="run")
    (reviews / "reviews.tsv").unlink()
    assert loads(dump(recipe), Recipe) == recipe


def test_a_list_of_few_values_is_several_labels_whatever_its_column_is_called(tmp_path: Path):
    rows = [{"text": f"film {n}", "genres": [["drama"], ["drama", "war"], []][n % 3]} for n in range(30)]
    (tmp_path / "films.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    task = task_of(tmp_path, "films.jsonl")
    assert task.name == "multi_label_classification"
    assert known(task) | {"inputs": ["text"], "label": "genres", "labels": ["drama", "war"]} == known(task)


def test_of_each_label_a_share_is_held_out_whatever_the_order(reviews: Path):
    task = task_of(reviews, "reviews.tsv")
    train, held = read(task, "train"), read(task, "validation")
    assert [sum(row["평가"] == label for row in held) for label in ("나쁨", "좋음")] == [2, 6]
    assert len(train) + len(held) == 80
    assert not {row["내용"] for row in train} & {row["내용"] for row in held}
    head, *lines = (reviews / "reviews.tsv").read_text().splitlines()
    table(reviews / "reviews.tsv", head, *reversed(lines))
    assert read(task, "validation") == held[::-1]


def test_rows_that_read_alike_are_on_one_side(tmp_path: Path):
    table(tmp_path / "own.tsv", "text\tlabel", *(f"t {n // 3}\ta\nt {n}\tb" for n in range(30)))
    task = task_of(tmp_path, "own.tsv", "task.holdout=0.5")
    a_train, a_held = (
        {r["text"] for r in read(task, s) if r["label"] == "a"} for s in ("train", "validation")
    )
    assert a_train
    assert a_held
    assert not a_train & a_held


def test_a_folder_has_its_splits_under_their_usual_names(tmp_path: Path):
    for name in ("train", "dev"):
        table(
            tmp_path / f"{name}.csv",
            "premise,hypothesis,gold_label",
            "a,b,yes",
            "c,d,no",
            "e,f,no",
            "g,h,yes",
        )
    table(tmp_path / "test.csv", "premise,hypothesis", "a,b")
    task = task_of(tmp_path, "")
    assert (task.inputs, task.label, task.holdout, task.test) == (
        ("premise", "hypothesis"),
        "gold_label",
        None,
        ("test",),
    )
    assert len(read(task, "validation")) == 4
    assert read(task, "test") == [{"premise": "a", "hypothesis": "b"}]


def test_numbers_with_fractions_are_learnt_as_numbers(tmp_path: Path):
    table(tmp_path / "sts.tsv", "sentence1\tsentence2\tscore", *(f"a {n}\tb\t{n / 4}" for n in range(12)))
    task = task_of(tmp_path, "sts.tsv")
    assert (task.labels, task.metrics) == ((), ("pearson", "spearman"))


def test_classes_that_are_numbers_stand_in_their_order(tmp_path: Path):
    table(tmp_path / "stars.tsv", "text\tstars", *(f"t {n}\t{n % 10 + 1}" for n in range(40)))
    assert task_of(tmp_path, "stars.tsv").labels == tuple(map(str, range(1, 11)))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["a nice film\t1", "a dull film\t0", "a nice day\t1"],
            "the first line seems to be a row.*a nice film | 1",
        ),
        (["one\ttwo\tlabel", "a b\tc d\tx", "e f\tg h\ty"], "which columns are the text.*one, two, label"),
        (["text\tother", "a b\tc d", "e f\tg h"], "which kind of task is it.*text, other"),
        (["text\tlabel", "a\tx", "b\tx"], "column 'label' holds only x; two or more"),
        (
            ["text\tverdict", "a b\tx", "b c\tx"],
            'verdict is "x" in each of 2 rows, and classes are two or more',
        ),
        (["text\tlabel"], "no row"),
    ],
)
def test_what_cannot_be_known_is_asked_for(tmp_path: Path, lines: list[str], told: str):
    table(tmp_path / "own.tsv", *lines)
    with pytest.raises((RecipeError, DataError), match=told):
        task_of(tmp_path, "own.tsv")


def test_a_column_that_is_not_there_is_told_with_those_that_are(reviews: Path):
    with pytest.raises(RecipeError, match=r"task\.label: .*has no column stars; it has 번호, 내용, 평가"):
        task_of(reviews, "reviews.tsv", "task.label=stars")


def test_a_spreadsheet_is_told(tmp_path: Path):
    (tmp_path / "표.xlsx").write_bytes(b"PK\x03\x04\xff")
    with pytest.raises(RecipeError, match=r"표\.xlsx: a spreadsheet") as told:
        is_data(str(tmp_path / "표.xlsx"))
    assert "CSV" in str(told.value.hint)


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(DataError, match=r"none\.tsv: no such file"):
        task_of(tmp_path, "none.tsv")


def test_columns_name_those_of_a_file_without_a_header(tmp_path: Path):
    table(tmp_path / "own.tsv", "a nice film\t1", "a dull film\t0", "a nice day\t1")
    task = task_of(tmp_path, "own.tsv", "task.columns=[text, label]")
    assert (task.inputs, task.labels) == (("text",), ("0", "1"))
    assert len(read(task, "train")) + len(read(task, "validation")) == 3


def test_labels_that_are_mapped_to_nothing_leave_their_rows_out(tmp_path: Path):
    table(tmp_path / "own.tsv", "text\tlabel", *(f"t {n}\t{('pos', 'neg', '-')[n % 3]}" for n in range(30)))
    task = task_of(tmp_path, "own.tsv", 'task.label_map={pos: good, neg: bad, "-": null}')
    assert task.labels == ("bad", "good")
    rows = LabelledSource(task, None)
    said = [
        task.example(row, labelled=True).label[0]
        for split in ("train", "validation")
        for row in rows.read(split)
    ]
    assert sorted(said) == [0.0] * 10 + [1.0] * 10
    assert len(rows.left_out["train"]) == 10


def test_files_in_their_authors_form_are_found_and_read(tmp_path: Path):
    rows = [f"99{n}\t{'' if n == 7 else '그 영화 ' + str(n)}\t{n % 2}" for n in range(20)]
    for name in ("ratings_train.txt", "ratings_test.txt"):
        table(tmp_path / name, "id\tdocument\tlabel", *rows)
        (tmp_path / f"._{name}").write_bytes(b"\x00\x05\x16\x07")  # as macOS writes beside a file
    task = task_of(tmp_path, "ratings_train.txt")
    assert (task.inputs, task.labels, task.empty, task.holdout) == (("document",), ("0", "1"), True, 0.1)
    assert (task_of(tmp_path, "").holdout, task_of(tmp_path, "").test) == (0.1, ("test",))
    known = LabelledSource(Recipe(task="korean/nsmc", init_from="model", out="run").task, str(tmp_path))
    assert [row.values["label"] for row in known.read("test")][:2] == ["0", "1"]
    with pytest.raises(DataError, match="no file for the split validation") as missing:
        list(known.read("validation"))
    assert "task.validation=[test]" in str(missing.value.hint)
    table(tmp_path / "other-train.tsv", "text\tlabel", "a b\tx")
    with pytest.raises(DataError, match=r"2 files may be .* train: other-train\.tsv, ratings_train\.txt"):
        task_of(tmp_path, "")


def test_a_txt_that_is_no_table_is_told_what_it_is(tmp_path: Path):
    (tmp_path / "u16.txt").write_text("id\tdocument\tlabel\n", encoding="utf-16")
    (tmp_path / "plain.txt").write_text("그 영화\n")
    task = Recipe(task="korean/nsmc", init_from="model", out="run").task
    with pytest.raises(DataError, match=r"u16\.txt:1: the byte 0xff") as told:
        list(LabelledSource(task, str(tmp_path / "u16.txt")).read("validation"))
    assert "UTF-16" in str(told.value.hint)
    with pytest.raises(DataError, match=r"plain\.txt: no file of rows") as told:
        list(LabelledSource(task, str(tmp_path / "plain.txt")).read("validation"))
    assert ".txt if all lines" in str(told.value.hint)


def test_a_files_name_with_words_of_two_splits_tells_none(tmp_path: Path):
    table(tmp_path / "fci_train_val.txt", *(f"{n % 3}\t그 영화 {n}" for n in range(9)))
    with pytest.raises(DataError, match="no file for the split train"):
        task_of(tmp_path, "")
    with pytest.raises(RecipeError, match="the first line seems to be a row") as told:
        task_of(tmp_path, "fci_train_val.txt")
    assert str(told.value.hint).endswith("task.columns=[label, text]")
    assert len(task_of(tmp_path, "fci_train_val.txt", "task.columns=[label, text]").labels) == 3


def test_files_on_the_command_line_take_the_place_of_the_hub(tmp_path: Path):
    table(tmp_path / "a.tsv", "premise\thypothesis\tgold_label", "그는 왔다\t왔다\tneutral")
    (tmp_path / "recipe.yaml").write_text("task: klue/nli\ninit_from: model\nout: run\n")
    files = f"task.source.files={{train: {tmp_path / 'a.tsv'}, validation: {tmp_path / 'a.tsv'}}}"
    task = load(tmp_path / "recipe.yaml", [files], Recipe).recipe.task
    assert [task.example(row, labelled=True).label for row in LabelledSource(task, None).read("train")] == [
        (1.0,)
    ]


def test_a_folder_of_all_of_klue_has_the_files_of_each_task(tmp_path: Path):
    for name in ("klue-nli-v1.1_dev.json", "ynat-v1.1_dev.json", "klue-sts-v1.1_dev.json"):
        (tmp_path / name).write_text(json.dumps([{"title": name, "label": "사회"}]))
    task = Recipe(task="klue/ynat", init_from="model", out="run").task
    (row,) = LabelledSource(task, str(tmp_path)).read("validation")
    assert row.values["title"] == "ynat-v1.1_dev.json"


def test_columns_of_conll_may_be_called_tsv_or_by_their_split(tmp_path: Path):
    lines = ["## klue-1\t<서:LC> 좋다", "서\tB-LC", " \tO", "", "울\tB-LC", "", "은\tO", "", "강\tO"]
    for name in ("klue_train.tsv", "eng.train"):
        folder = tmp_path / name[:3]
        folder.mkdir()
        table(folder / name, *lines)
        task = task_of(tmp_path, name[:3])
        assert (task.name, len(read(task, "train")) + len(read(task, "validation"))) == (
            "token_classification",
            4,
        )
    table(tmp_path / "gaps.tsv", "text\tlabel", "a b\tx", "", "b c\ty", "c d\tx", "d e\ty")
    assert task_of(tmp_path, "gaps.tsv").name == "classification"


@pytest.mark.parametrize(
    ("name", "lines", "words"),
    [
        ("klue_dev.tsv", ["## klue-1\t<서:LC> 좋다", "서\tB-LC", " \tO", "", "은\tO"], [["서", " "], ["은"]]),
        ("eng.testb", ["-DOCSTART- -X- -X- O", "", "EU NNP I-NP I-ORG", "", ". . O O"], [["EU"], ["."]]),
        ("test.txt", ["-DOCSTART- -X- -X- O", "", "EU NNP I-NP I-ORG", "", ". . O O"], [["EU"], ["."]]),
        (
            "plain.txt",
            ["the EU rejects it", "", "it waits"],
            [["the", "EU", "rejects", "it"], [], ["it", "waits"]],
        ),
    ],
)
def test_words_are_predicted_from_the_files_that_tags_are_learnt_from(
    name: str, lines: list[str], words: list[list[str]], tmp_path: Path
):
    table(tmp_path / name, *lines)
    task = Recipe(task="conll/ner", init_from="model", out="run").task
    rows = list(InputRows(task, (str(tmp_path / name),)).read())
    assert [row.values["tokens"] for row in rows if isinstance(row, Row)] == words


def test_named_columns_of_a_txt_are_those_of_a_table_and_never_passed_over(tmp_path: Path):
    table(tmp_path / "rows.txt", "1\t그 영화\t0", "2\t이 영화\t1")
    task = Recipe(task="korean/nsmc", init_from="model", out="run").task
    named = InputRows(task, (str(tmp_path / "rows.txt"),), columns=("id", "document", "label"))
    assert [row.values["document"] for row in named.read() if isinstance(row, Row)] == ["그 영화", "이 영화"]
    (tmp_path / "rows.jsonl").write_text('{"document": "그 영화"}\n')
    with pytest.raises(UsageError, match=r"--columns: .*rows\.jsonl is read as jsonl"):
        list(InputRows(task, (str(tmp_path / "rows.jsonl"),), columns=("document",)).read())


def test_a_class_that_is_called_as_its_column_makes_no_row_of_the_header(tmp_path: Path):
    rows = [f"그 댓글 {n}\t{n % 2 == 0}\t{('hate', 'none', 'offensive')[n // 2 % 3]}" for n in range(24)]
    table(tmp_path / "hate.tsv", "comments\tgender_bias\thate", *rows)
    task = task_of(tmp_path, "hate.tsv", "task.label=hate")
    assert (task.inputs, task.labels) == (("comments",), ("hate", "none", "offensive"))


def test_a_label_within_objects_is_named(tmp_path: Path):
    row = {"sentence1": "그는 왔다", "sentence2": "왔다", "labels": {"label": 3.7, "binary-label": 1}}
    (tmp_path / "sts.json").write_text(json.dumps([row] * 2, ensure_ascii=False))
    with pytest.raises(RecipeError, match="'labels' holds objects, with label, binary-label") as told:
        task_of(tmp_path, "sts.json")
    assert "task.label=labels.label leads into them" in str(told.value.hint)
    assert task_of(tmp_path, "sts.json", "task.label=labels.label").metrics == ("pearson", "spearman")


def test_lists_of_words_and_tags_are_tagging(tmp_path: Path):
    rows = [{"tokens": ["제주", "는", "섬"], "tags": ["B-LOC", "O", "O"]}] * 4
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert known(task_of(tmp_path, "own.jsonl")) == {
        "tags": "tags",
        "labels": ["O", "B-LOC", "I-LOC"],
        "holdout": 0.1,
    }


def test_conlls_columns_are_tagging(tmp_path: Path):
    table(tmp_path / "own.conll", "Seoul B-LOC", "is O", "", "Kim B-PER", "", "Rome B-LOC")
    task = task_of(tmp_path, "own.conll")
    assert (task.name, task.tags) == ("token_classification", "ner_tags")


def test_squads_columns_are_questions_in_korean_by_characters(tmp_path: Path):
    answers = {"text": ["섬"], "answer_start": [4]}
    row = {"id": "1", "question": "제주는?", "context": "제주는 섬이다", "answers": answers}
    (tmp_path / "own.jsonl").write_text(json.dumps(row) + "\n")
    task = task_of(tmp_path, "own.jsonl")
    assert (task.name, task.metrics) == ("extractive_qa", ("korquad_f1", "korquad_exact"))
    bare = row | {"answers": {"text": [], "answer_start": []}}
    (tmp_path / "own.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(bare) + "\n")
    assert task_of(tmp_path, "own.jsonl").unanswerable


def test_choices_in_a_list_or_in_columns(tmp_path: Path):
    row = {"question": "q ?", "choices": ["a", "b", "c"], "answer_key": "x", "label": 2}
    (tmp_path / "own.jsonl").write_text(json.dumps(row) + "\n")
    task = task_of(tmp_path, "own.jsonl", "task.inputs=[question]")
    assert (task.name, task.choices, task.labels) == ("multiple_choice", ("choices",), ("0", "1", "2"))
    table(tmp_path / "swag.tsv", "ctx\tending0\tending1\tlabel", "he s\tran\tsat\t0", "she s\tsat\tran\t1")
    task = task_of(tmp_path, "swag.tsv")
    assert (task.inputs, task.choices) == (("ctx",), ("ending0", "ending1"))


@pytest.mark.parametrize(
    ("header", "row", "inputs", "labels"),
    [
        ("premise,choice1,choice2,question,label", "it fell,a b,c d,effect,0", ("premise", "question"), "01"),
        (
            "video,startphrase,sent1,sent2,ending0,ending1,label",
            "v,a b He,a b,He,x y,z,1",
            ("sent1", "sent2"),
            "01",
        ),
        ("question,answer,A,B,C,Category", "what is it,3,x,y,z,law", ("question",), "123"),
        ("goal,sol1,sol2,sol3,answer", "to cook,x,y,z,C", ("goal",), "ABC"),
        ("question,opa,opb,opc,opd,cop", "what is it,x,y,z,w,3", ("question",), "0123"),
        ("지문,질문,보기1,보기2,보기3,정답", "그 글은,무엇인가 1,x,y,z,②", ("지문", "질문"), "①②③"),
        (
            "paragraph,question,choice1,choice2,label",
            "a text,what is it,x,y,B",
            ("paragraph", "question"),
            "AB",
        ),
    ],
)
def test_questions_with_choices_in_released_columns(
    header: str, row: str, inputs: tuple[str, ...], labels: str, tmp_path: Path
):
    table(tmp_path / "own.csv", header, row, row.replace("it fell", "it").replace("what", "who"))
    task: Any = task_of(tmp_path, "own.csv")
    assert (task.name, task.inputs, task.labels) == ("multiple_choice", inputs, tuple(labels))
    (example,) = {task.example(one, labelled=True).label for one in LabelledSource(task, None).read("train")}
    assert example == (float(labels.index(row.split(",")[header.split(",").index(task.label)])),)


def test_a_label_may_be_the_text_of_the_right_choice(tmp_path: Path):
    choices = ["red apple", "blue sky", "풀"]
    rows = [{"question": f"q {n}", "choices": choices, "answer": choices[n % 3]} for n in range(6)]
    (tmp_path / "own.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    task: Any = task_of(tmp_path, "own.jsonl")
    assert (task.name, task.labels) == ("multiple_choice", ("0", "1", "2"))
    assert [task.example(Row("r", row), labelled=True).label for row in rows] == [(n % 3,) for n in range(6)]
    with pytest.raises(DataError, match="r: column 'answer' holds \"x\"; expected one of"):
        task.example(Row("r", rows[0] | {"answer": "x"}), labelled=True)
    rows[5]["answer"] = "green"
    (tmp_path / "own.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(RecipeError, match="'answer' holds 4 different labels, which do not name the choices"):
        task_of(tmp_path, "own.jsonl")


@pytest.mark.parametrize(
    "header", ["option1,option2,text,sentiment", "A,B,C,sentiment", "verified,helpful,photo,text,outcome"]
)
def test_a_label_beside_columns_that_are_called_as_choices_or_flags_is_a_class(header: str, tmp_path: Path):
    width = header.count(",")
    cells = [[n // 2 % 2] * (width - 1) + [f"I think {n}", "good" if n % 3 else "bad"] for n in range(24)]
    table(tmp_path / "own.csv", header, *(",".join(map(str, row)) for row in cells))
    task: Any = task_of(tmp_path, "own.csv", f"task.label={header.rpartition(',')[2]}")
    assert (task.name, task.labels) == ("classification", ("bad", "good"))
    if "outcome" in header:
        with pytest.raises(RecipeError, match="which kind of task is it") as told:
            task_of(tmp_path, "own.csv")
        assert "task.label_columns=[COLUMN, COLUMN]" in str(told.value.hint)


@pytest.mark.parametrize("header", [["label\ttext_a"], []])
def test_a_txt_of_texts_without_spaces_is_a_table(header: list[str], tmp_path: Path):
    table(tmp_path / "own.txt", *header, *(f"{n % 2}\t这个电影很好看呢{n}" for n in range(9)))
    task: Any = task_of(tmp_path, "own.txt", *([] if header else ["task.columns=[label, text_a]"]))
    assert (task.name, task.inputs, task.labels) == ("classification", ("text_a",), ("0", "1"))
    table(tmp_path / "own.txt", "서울\tB-LC", "은\tO", "대한민국\tB-LC", "의\tO")
    assert task_of(tmp_path, "own.txt", "task.validation=[train]").name == "token_classification"


def test_rows_in_data_that_are_no_articles_are_told_with_a_remedy(tmp_path: Path):
    (tmp_path / "own.json").write_text(json.dumps({"data": [{"text": "a b", "label": "x"}]}))
    with pytest.raises(DataError, match=r"data\[0\]: a list 'paragraphs' is expected") as told:
        task_of(tmp_path, "own.json")
    assert "jq .data" in str(told.value.hint)


def test_commonsense_qas_own_files_are_read(tmp_path: Path):
    choices = [{"label": letter, "text": f"{letter} text"} for letter in "ABCDE"]
    row = {
        "answerKey": "C",
        "id": "1",
        "question": {"question_concept": "x", "choices": choices, "stem": "Who?"},
    }
    (tmp_path / "dev_rand_split.jsonl").write_text(json.dumps(row) + "\n")
    task: Any = Recipe(task="csqa/v1_11", init_from="model", out="run").task
    (read_row,) = LabelledSource(task, str(tmp_path)).read("validation")
    example = task.example(read_row, labelled=True)
    assert (example.inputs[4], example.label) == (("Who?", "E text"), (2.0,))
    (asked,) = InputRows(task, (str(tmp_path / "dev_rand_split.jsonl"),)).read()
    assert task.example(asked, labelled=False).inputs == example.inputs


def test_instructions_with_their_answers_are_written(tmp_path: Path):
    (tmp_path / "own.jsonl").write_text('{"instruction": "say a", "input": "b", "output": "a"}\n')
    task = task_of(tmp_path, "own.jsonl")
    assert (task.name, task.question, task.context, task.answer) == (
        "text_generation",
        "{instruction}",
        "{input}",
        "output",
    )


GLUE = {
    "cola": (["gj04\t1\t\tThe sailors rode.", "gj04\t0\t*\tThem rode."], "train.tsv", 1.0),
    "sst2": (["sentence\tlabel", "a \"nice\" film \t1"], "dev.tsv", 1.0),
    "mrpc": (
        ["\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String", '1\t7\t8\tHe said "no .\tHe said no .'],
        "train.tsv",
        1.0,
    ),
    "qqp": (["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "1\t2\t3\ta ?\tb ?\t0"], "dev.tsv", 0.0),
    "mnli": (
        ["index\tsentence1\tsentence2\tlabel1\tgold_label", "0\ta\tb\tneutral\t-", "1\ta\tb\tneutral\tneutral"],
        "dev_matched.tsv",
        1.0,
    ),
    "stsb": (["index\tsource1\tsentence1\tsentence2\tscore", "0\tx\ta\tb\t3.250"], "train.tsv", 3.25),
    "rte": (["index\tsentence1\tsentence2\tlabel", "0\ta\tb\tnot_entailment"], "dev.tsv", 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", GLUE)
def test_glues_own_files_are_read_as_they_are(name: str, tmp_path: Path):
    lines, file, label = GLUE[name]
    table(tmp_path / file, *lines)
    task = Recipe(task=f"glue/{name}", init_from="model", out="run").task
    split = {"train.tsv": "train", "dev.tsv": "validation", "dev_matched.tsv": "validation_matched"}[file]
    examples = [task.example(row, labelled=True) for row in LabelledSource(task, str(tmp_path)).read(split)]
    assert examples[0].label == (label,)
    assert len(examples) == (2 if name == "cola" else 1)


def test_colas_test_rows_have_a_header(tmp_path: Path):
    table(tmp_path / "test.tsv", "index\tsentence", "0\tBill ate.")
    task = Recipe(task="glue/cola", init_from="model", out="run").task
    assert [row.values["sentence"] for row in LabelledSource(task, str(tmp_path)).read("test")] == [
        "Bill ate."
    ]


@pytest.mark.parametrize(
    ("tags", "scheme", "read_as"),
    [
        (["B-PER", "I-PER", "B-PER", "O"], "iob2", ["B-PER", "I-PER", "B-PER", "O"]),
        (["I-PER", "I-PER", "B-PER", "O"], "iob1", ["B-PER", "I-PER", "B-PER", "O"]),
        (["I-PER", "I-PER", "O", "I-LOC"], "io", ["B-PER", "I-PER", "O", "B-LOC"]),
        (["PER", "PER", "O", "LOC"], "io", ["B-PER", "I-PER", "O", "B-LOC"]),
        (["B-PER", "E-PER", "S-PER", "O"], "bioes", ["B-PER", "I-PER", "B-PER", "O"]),
        (["U-PER", "B-LOC", "I-LOC", "L-LOC"], "bioes", ["B-PER", "B-LOC", "I-LOC", "I-LOC"]),
        (["PER_B", "PER_I", "-", "LOC_B"], "iob2", ["B-PER", "I-PER", "O", "B-LOC"]),
        (["NOUN", "ADP", "PROPN", "PUNCT"], "none", ["NOUN", "ADP", "PROPN", "PUNCT"]),
    ],
)
def test_how_entities_are_written_is_told_by_the_tags(
    tmp_path: Path, tags: list[str], scheme: str, read_as: list[str]
):
    (tmp_path / "own.jsonl").write_text(json.dumps({"words": ["a", "b", "c", "d"], "tags": tags}) + "\n")
    task: Any = task_of(tmp_path, "own.jsonl")
    assert task.scheme == scheme
    sentence = task.sentence(Row("here", {"words": list("abcd"), "tags": tags}), labelled=True)
    assert [task.labels[number] for number in sentence.tags] == read_as


def test_parts_of_speech_are_no_entities(tmp_path: Path):
    table(tmp_path / "own.conll", "Seoul PROPN", "is AUX", "", "Go VERB")
    with pytest.raises(
        RecipeError, match=r"entity_f1 is of entities; with scheme: none, accuracy or tag_macro_f1"
    ):
        task_of(tmp_path, "own.conll", "task.metrics=[entity_f1]")


def test_tag_scores_by_hand():
    given, right = [["N", "V"], ["N"]], [["N", "N"], ["N"]]
    assert ner.METRICS["accuracy"](given, right, ("N", "V", "X")) == pytest.approx(2 / 3)
    assert ner.METRICS["tag_macro_f1"](given, right, ("N", "V", "X")) == pytest.approx((4 / 5 + 0) / 2)
