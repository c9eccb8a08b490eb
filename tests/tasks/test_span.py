import json
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from kinds import extractive_qa as kind

from nlptool.data import qa_windows
from nlptool.data.qa_windows import Limits, QAWindowDataset
from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.gpt2.config import Config as Gpt2
from nlptool.tasks.extractive_qa.config import Config
from nlptool.tasks.extractive_qa.search import max_answer_length, no_answer, search
from nlptool.text.store import Split
from nlptool.text.tabular import Question, Row
from nlptool.text.tokenizer import Tokenizer

ANSWERABLE, UNANSWERABLE = (kind.VARIANTS[name] for name in ("answerable", "unanswerable"))
LIMITS = Limits()
KOREAN = "세종대왕은 1443년에 훈민정음을 창제하였다. (조선의 제4대 임금이다.)"


def row(**values) -> Row:
    answers = {"text": ["old river"], "answer_start": [4]}
    shown = {"id": "7", "question": "What?", "context": "the old river", "answers": answers}
    return Row("rows.jsonl:7", shown | values)


def asked(context: str, *answers: str, question: str = "what") -> Question:
    return Question("", "0", question, context, tuple((text, context.index(text)) for text in answers))


def opened(
    questions: list[Question], tokenizer: Tokenizer, folder: Path, length: int, limits: Limits = LIMITS
) -> QAWindowDataset:
    qa_windows.write(questions, tokenizer, folder / "some")
    return QAWindowDataset(Split(folder / "some"), length, limits, tokenizer.special)


def every(rows: QAWindowDataset):
    return rows.take(np.arange(len(rows)))


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


def word_pieces(folder: Path, vocabulary: list[str], *, lower: bool) -> Tokenizer:
    folder.mkdir()
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", "(", ")", *vocabulary])
    )
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
    return Tokenizer.load(folder)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """WordPiece without case and accents."""
    words = ["the", "old", "ri", "##ver", "what", "e", "##cole"]
    return word_pieces(tmp_path_factory.mktemp("pieces") / "en", words, lower=True)


@pytest.fixture(scope="module")
def syllables(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """WordPiece of Korean syllables."""
    found = sorted({c for c in KOREAN if c.isalnum()})
    return word_pieces(
        tmp_path_factory.mktemp("pieces") / "ko", [*found, *(f"##{c}" for c in found)], lower=False
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"answers": {"text": ["old river"], "answer_start": [5]}}, "is not at character 5 of the context"),
        ({"answers": {"text": ["old"], "answer_start": [-9]}}, "is not at character -9"),
        ({"answers": {"text": [""], "answer_start": [0]}}, 'the answer "" is not at'),
        ({"answers": {"text": ["old"], "answer_start": []}}, "1 text of answers, but 0 places"),
        ({"answers": {"text": ["old"], "answer_start": ["4"]}}, "a list of whole numbers is expected"),
        ({"answers": {"text": "old", "answer_start": [4]}}, "a list of texts is expected"),
        ({"answers": {"text": [], "answer_start": []}}, "the question has no answer"),
        ({"answers": None}, "no column 'answers.text'"),
        ({"context": " "}, "column 'context' is empty"),
        ({"context": None}, "column 'context' holds null"),
        ({"id": None}, "column 'id' holds null"),
    ],
)
def test_a_row_that_is_not_as_it_should_be_is_refused_with_its_place(values: dict, said: str):
    with pytest.raises(DataError) as told:
        Config().question(row(**values), labelled=True)
    assert told.value.message.startswith("rows.jsonl:7: ")
    assert said in told.value.message


def test_a_missing_column_is_told_with_those_that_are_there():
    with pytest.raises(DataError, match="no column 'question'; it has id, context, answers"):
        values = row().values
        Config().question(Row("", {k: v for k, v in values.items() if k != "question"}), labelled=True)


def test_a_question_may_have_no_answer_where_the_task_says_so():
    config = Config(unanswerable=True, metrics=("squad2_f1",))
    assert config.question(row(answers={"text": [], "answer_start": []}), labelled=True).answers == ()
    assert config.question(row(), labelled=False).answers is None


@pytest.mark.parametrize(
    "settings", [{"metrics": ("squad2_f1",)}, {"metrics": ("squad_f1",), "unanswerable": True}]
)
def test_metrics_that_do_not_fit_the_task_are_refused(settings: dict):
    with pytest.raises(ValueError, match="unanswerable"):
        Config.model_validate(settings)


def test_the_questions_of_a_squad_file_are_its_rows():
    qas = [{"id": "a", "question": "?", "answers": [{"text": "x", "answer_start": 0}]}, {"id": "b"}]
    data = [{"paragraphs": []}, {"title": "t", "paragraphs": [{"context": "x y", "qas": qas}]}]
    one, two = Config().flat(Row("dev.json:1", {"version": "1.1", "data": data}))
    assert Config().question(one, labelled=True).answers == (("x", 0),)
    assert two.place == "dev.json:1: data[1].paragraphs[0].qas[1]"
    with pytest.raises(DataError, match=r"dev.json:1: data\[0\]: a list 'paragraphs' is expected"):
        list(Config().flat(Row("dev.json:1", {"data": [{"qas": []}]})))


def test_windows_begin_a_stride_after_each_other_and_reach_the_end(tokenizer: Tokenizer, tmp_path: Path):
    """300 tokens and a question of 2: rooms of 195 at length 200, from 0 and from half of that, 97, and from 194."""
    context = " ".join(["river"] * 300)
    ids = tokenizer.encode(context)
    rows = opened([asked(context)._replace(answers=())], tokenizer, tmp_path, 200)
    question = len(tokenizer.encode("what"))
    room = 200 - 3 - question
    starts = list(range(0, len(ids), room // 2))
    last = next(i for i, start in enumerate(starts) if start + room >= len(ids))
    assert rows.first.tolist() == starts[: last + 1]
    assert rows.size.tolist() == [min(room, len(ids) - start) for start in starts[: last + 1]]
    read = every(rows)
    sep, cls = tokenizer.special["sep"], tokenizer.special["cls"]
    start = starts[1]
    assert read.ids[1].tolist() == [cls, *tokenizer.encode("what"), sep, *ids[start : start + room], sep]
    assert read.types[1].tolist() == [0] * (2 + question) + [1] * (room + 1)
    assert not any(cut.rows for cut in rows.cuts)


def test_a_long_question_is_cut_at_64_tokens_and_windows_stand_128_apart(
    tokenizer: Tokenizer, tmp_path: Path
):
    context, question = " ".join(["river"] * 600), "winter " * 200
    rows = opened([asked(context, question=question)._replace(answers=())], tokenizer, tmp_path, 384)
    assert set(rows.before.tolist()) == {66}
    assert set(np.diff(rows.first).tolist()) == {128}


def test_the_limits_are_those_of_run_squad_and_keys_of_the_task():
    task = Config()
    named = (task.max_query_length, task.max_answer_length, task.doc_stride, task.n_best_size)
    assert named == Limits() == (64, 30, 128, 20)


def test_another_question_limit_and_stride_are_followed(tokenizer: Tokenizer, tmp_path: Path):
    context, question = " ".join(["river"] * 600), " ".join(["winter"] * 90)
    rows = opened(
        [asked(context, question=question)._replace(answers=())],
        tokenizer,
        tmp_path,
        384,
        Limits(question=80, stride=50),
    )
    assert set(rows.before.tolist()) == {82}
    assert set(np.diff(rows.first).tolist()) == {50}


def test_what_a_limit_leaves_out_is_counted_by_its_key(tokenizer: Tokenizer, tmp_path: Path):
    long = " ".join(["stone"] * 40)
    questions = [
        asked(f"bell {long} bell", long, question="winter " * 100),
        asked(f"bell {long} bell", "bell", question="winter " * 50),
        asked(f"bell {long} bell", "bell")._replace(answers=()),
        asked(f"bell {long} bell", "bell")._replace(answers=None),
    ]
    rows = opened(questions, tokenizer, tmp_path, 384)
    found = {cut.key: cut for cut in rows.cuts}
    assert {key: (cut.limit, cut.rows) for key, cut in found.items()} == {
        "task.max_query_length": (64, 1),
        "task.max_answer_length": (30, 1),
    }
    assert found["task.max_answer_length"].message(4) == (
        "in 25.0 % of 4 rows the answer has more than 30 tokens and is never found (task.max_answer_length)"
    )
    short = QAWindowDataset(rows.split, 64, Limits(), tokenizer.special)
    assert next((cut.key, cut.limit, cut.rows) for cut in short.cuts) == ("train.sequence_length", 30, 2)


def test_an_answer_is_found_up_to_the_longest_and_as_many_are_kept(tokenizer: Tokenizer, tmp_path: Path):
    rows = opened([asked(" ".join(["river"] * 60), "river")], tokenizer, tmp_path, 384)
    said = np.zeros((2, 384))
    said[0, rows.before[0] + 5] = said[1, rows.before[0] + 45] = 9.0
    (best, *others) = search(rows, said, range(1), number=7, longest=41)
    assert (best.first, best.last, len(others)) == (5, 45, 6)
    shorter = search(rows, said, range(1), number=7, longest=40)
    assert all(one.last - one.first < 40 for one in shorter)
    assert shorter[0].logit == 9.0


def test_a_stride_for_which_windows_are_too_short_is_told(tokenizer: Tokenizer, tmp_path: Path):
    made = small.build("extractive_qa", ANSWERABLE, tokenizer)
    context = " ".join(["river"] * 200)
    (told,) = made.data_warnings(opened([asked(context, "river")], tokenizer, tmp_path, 64))
    assert "where task.doc_stride is 128" in told
    assert made.data_warnings(opened([asked(context, "river")], tokenizer, tmp_path, 384)) == []


def test_a_window_points_to_the_answer_or_to_cls(tokenizer: Tokenizer, tmp_path: Path):
    context = " ".join(["river"] * 60 + ["stone", "bell"] + ["river"] * 60)
    rows = opened([asked(context, "stone bell")], tokenizer, tmp_path, 64)
    ids = every(rows).ids
    held = 0
    for window, (begin, end) in enumerate(rows.labels.reshape(-1, 2).astype(int).tolist()):
        if begin:
            held += 1
            assert tokenizer.decode(ids[window, begin : end + 1].tolist()).strip() == "stone bell"
        else:
            assert end == 0
    assert 0 < held < len(rows)


@pytest.mark.parametrize("lengths", [(9, 9, 5), (5,), (8, 8, 8), (30, 30, 26)])
def test_an_answer_begins_where_it_has_the_most_text_around_it(lengths: tuple[int, ...]):
    """As google-research/bert's _check_is_max_context: min(left, right) + 0.01 * length, the first of the best."""
    step = 4

    class Some:
        first, size = np.arange(len(lengths)) * step, np.array(lengths)

    found = max_answer_length(Some(), range(len(lengths)))
    for window, length in enumerate(lengths):
        for place in range(length):
            token = window * step + place
            scores = {
                other: min(token - begin, begin + size - 1 - token) + 0.01 * size
                for other, (begin, size) in enumerate(zip(Some.first, Some.size, strict=True))
                if begin <= token < begin + size
            }
            best = next(other for other in scores if scores[other] == max(scores.values()))
            assert found[window][place] == (best == window)


def test_the_search_finds_what_looking_at_all_pairs_finds(tokenizer: Tokenizer, tmp_path: Path):
    context = " ".join(np.random.default_rng(0).choice(small.WORDS, 90))
    rows = opened([asked(context)._replace(answers=())], tokenizer, tmp_path, 64)
    assert len(rows) > 2
    said = np.random.default_rng(1).normal(size=(2 * len(rows), 64))
    fits = max_answer_length(rows, range(len(rows)))
    pairs = {}
    for w in range(len(rows)):
        for s in range(rows.size[w]):
            for e in range(s, min(s + 30, rows.size[w])):
                if fits[w][s]:
                    logit = said[2 * w, rows.before[w] + s] + said[2 * w + 1, rows.before[w] + e]
                    pairs[rows.first[w] + s, rows.first[w] + e] = logit
    expected = sorted(pairs, key=lambda pair: -pairs[pair])[:20]
    found = search(rows, said, range(len(rows)), number=20, longest=30)
    assert [(one.first, one.last) for one in found] == expected
    assert found[0].logit == pytest.approx(pairs[expected[0]])
    assert no_answer(said, range(len(rows))) == min(
        said[2 * w, 0] + said[2 * w + 1, 0] for w in range(len(rows))
    )


@pytest.mark.parametrize(
    ("with_", "context", "answer", "back"),
    [
        ("syllables", KOREAN, "1443년", "1443년"),
        ("syllables", KOREAN, "조선의 제4대 임금", "조선의 제4대 임금"),
        ("tokenizer", KOREAN, "세종대왕", "세종대왕"),
        ("tokenizer", KOREAN, "조선의 제4대 임금", "조선의 제4대 임금"),
        ("pieces", "The  old\n river.", "old\n river", "old\n river"),
        ("tokenizer", "The  old\n river.", "old\n river", "old\n river"),
        ("pieces", "the École (old)", "École", "École"),
        ("tokenizer", "the École (old)", "École", "École"),
        ("tokenizer", "the École (old)", "old", "old"),
        ("pieces", "the old river", "riv", "river"),  # as much as its tokens have
    ],
)
def test_an_answer_comes_back_letter_by_letter(
    with_: str, context: str, answer: str, back: str, request: pytest.FixtureRequest, tmp_path: Path
):
    """Whatever the tokenizer does to case, accents, white space and bytes."""
    rows = opened([asked(context, answer)], request.getfixturevalue(with_), tmp_path, 400)
    begin, last = (rows.labels[:, 0] - rows.before[0]).astype(int)
    ((told, _, places),) = rows.texts()
    assert told.context[places[begin, 0] : places[last, 1]] == back


def test_questions_on_one_text_share_it(tokenizer: Tokenizer, tmp_path: Path):
    """Also where another comes between, and where windows are several."""
    one, two = "the old river " * 30, "a small bell"
    asked_in_turn = [asked(one, "old"), asked(one, "river"), asked(two, "bell"), asked(one, "the old")]
    rows = opened(asked_in_turn, tokenizer, tmp_path, 40)
    said = np.full((2 * len(rows), 40), -9.0)
    said[np.arange(len(said)), rows.labels[:, 0].astype(int)] = 9.0
    made = small.build("extractive_qa", ANSWERABLE, tokenizer)
    told = list(made.answers(rows, said))
    assert [answer["prediction"] for answer in told] == ["old", "river", "bell", "the old"]
    lines = (tmp_path / "some.texts").read_text().splitlines()
    assert ["context" in json.loads(line) for line in lines] == [True, False, True, True]


def test_an_answer_without_a_token_is_refused(pieces: Tokenizer, tmp_path: Path):
    with pytest.raises(DataError, match="row 3: the tokenizer finds no token in the answer"):
        qa_windows.write([asked("the \u200b old", "\u200b")._replace(place="row 3")], pieces, tmp_path / "x")


def test_two_questions_with_one_id_are_refused(tokenizer: Tokenizer, tmp_path: Path):
    made = small.build("extractive_qa", ANSWERABLE, tokenizer)
    with pytest.raises(DataError, match=r'rows\.jsonl:7: another question has the id "7"'):
        made.encode([row(), row()], tokenizer, tmp_path / "x", labelled=True)


def test_only_encoders_are_taken():
    assert Config().check(Gpt2())[0].path == "init_from"


def test_no_answer_is_the_baseline(tokenizer: Tokenizer, tmp_path: Path):
    made = small.build("extractive_qa", UNANSWERABLE, tokenizer)
    questions = [asked("the old river", "river"), asked("a bell")._replace(answers=()), asked("old", "old")]
    rows = opened(questions, tokenizer, tmp_path, 40)
    assert made.baseline(rows, rows)["squad2_best_f1"] == pytest.approx(1 / 3)


def test_the_threshold_is_that_with_the_best_f1(tokenizer: Tokenizer, tmp_path: Path):
    """No answer is worth 2 less than the best one where there is none, 4 less where there is one: 0 is no border."""
    made = small.build("extractive_qa", UNANSWERABLE, tokenizer)
    rows = opened(
        [asked("old river", "river"), asked("old bell")._replace(answers=())], tokenizer, tmp_path, 40
    )
    said = np.full((4, 40), -50.0)
    said[:2, rows.labels[:2, 0].astype(int)] = -50.0
    for decision in range(2):
        said[decision, int(rows.labels[decision, 0])] = 2.0
    said[2:, rows.before[1]] = 1.0
    said[:, 0] = 0.0
    figures = made.figures(rows, said)
    assert figures["squad2_best_f1"] == 1.0
    assert figures["squad2_best_f1_threshold"] == pytest.approx(-4.0)
    assert [one["prediction"] for one in made.answers(rows, said)] != ["river", ""]
    made.fit_thresholds(rows, said)
    told = list(made.answers(rows, said))
    assert [one["prediction"] for one in told] == ["river", ""]
    assert [one["null_odds"] for one in told] == [-4.0, -2.0]


@pytest.mark.parametrize("family", ["bert", "albert", "electra", "distilbert"])
def test_transformers_says_the_same_at_the_same_cost(family: str, tokenizer: Tokenizer, tmp_path: Path):
    """Row by row: transformers takes padding for a place where an answer may begin."""
    transformers = pytest.importorskip("transformers")
    made = small.build("extractive_qa", ANSWERABLE, tokenizer, name=family).eval()
    exported = made.folders(made.backbone.config)[""]
    huggingface.save_pretrained(
        tmp_path, exported.config, exported.state, tokenizer.special, exported.settings
    )
    tokenizer.save(tmp_path)
    theirs, info = transformers.AutoModelForQuestionAnswering.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(info.values()), info
    rows = made.dataset(small.encoded("extractive_qa", ANSWERABLE, tokenizer, tmp_path, 6), 24)
    with torch.no_grad():
        for batch in small.all_rows(made, rows, 1):
            start, end = batch["labels"][:, 0].long()
            types = {} if family == "distilbert" else {"token_type_ids": batch["types"]}
            expected = theirs.eval()(
                input_ids=batch["ids"], **types, start_positions=start[None], end_positions=end[None]
            )
            said, tokens = made.predict(batch), batch["ids"].shape[1]
            assert (said[0, :tokens] - expected.start_logits[0]).abs().max() < 1e-5
            assert (said[1, :tokens] - expected.end_logits[0]).abs().max() < 1e-5
            (cost,) = made(batch).values()
            assert cost.item() / batch.counts["cross_entropy"] == pytest.approx(
                expected.loss.item(), rel=1e-5
            )
