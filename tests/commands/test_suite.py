"""Comparison of models by fine-tuning each on a suite of tasks."""

import json
from pathlib import Path

import pytest
from test_compare import two  # noqa: F401

from nlptool.cli import main
from nlptool.commands.suite import recipe as suites
from nlptool.metric_table import PROMPTED, describe, metric_title
from nlptool.prompting.generate_until import config as answer
from nlptool.prompting.loglikelihood import config as continuation
from nlptool.prompting.multiple_choice import config as choices
from nlptool.recipe import Named
from nlptool.registry import DiscriminatedBy
from nlptool.report import suite_scores
from nlptool.tasks.labelled import LabelledSource

WORDS = ("the river", "an old town", "a small house", "winter wood")


def write(folder: Path, number: int) -> None:
    """Rows of which every second one has a bell."""
    folder.mkdir(parents=True)
    for split in ("train", "validation"):
        rows = [
            {"sentence": WORDS[i % 4] + (" bell" if i % 2 else ""), "label": i % 2, "towns": i % 3}
            for i in range(number)
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Two tasks, which take a second or so."""
    write(tmp_path / "rows" / "bell", 40)
    write(tmp_path / "rows" / "towns", 24)
    (tmp_path / "bell.yaml").write_text(
        "{name: classification, inputs: [sentence], labels: [silent, bell], metrics: [accuracy, f1]}"
    )
    (tmp_path / "towns.yaml").write_text(
        "{name: classification, inputs: [sentence], label: towns, metrics: [spearman]}"
    )
    path = tmp_path / "suite.yaml"
    path.write_text(
        f"data: {tmp_path}/rows\n"
        "finetune:\n"
        f"  tasks: [{tmp_path}/bell.yaml, {tmp_path}/towns.yaml]\n"
        "  train: {epochs: 2, batch_size: 8, sequence_length: 16, lr: 1e-2}\n"
        "  seeds: 2\n"
    )
    return path


def evaluate(suite: Path, model: Path, out: Path, *more: str) -> int:
    return main(["evaluate", str(model), "--suite", str(suite), "--out", str(out), *more])


def test_a_model_is_fine_tuned_on_each_task(tiny_run: Path, suite: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert evaluate(suite, tiny_run / "final", out, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [one["task"] for one in found["suite"]] == ["bell", "towns"]
    bell = found["suite"][0]["figures"]
    assert set(bell) == {"accuracy", "f1"}
    assert bell["accuracy"]["baseline"] == 0.5
    assert 0.5 <= bell["accuracy"]["value"] <= 1
    assert found["suite"][0]["seeds"] == 2
    caption, _, *table = (out / "evaluate.md").read_text().splitlines()
    assert caption == "in per cent; scores of the last step; ± is the deviation between seeds"
    assert table[0] == f"| task | figure | without a model | {tiny_run.name} |"
    assert [line.split(" | ")[0] for line in table[2:]] == [
        "| bell",
        "| bell",
        "| towns",
        "| mean on validation rows",
    ]
    left = {path.name for path in out.rglob("*")}
    assert "predictions" in left
    assert not left & {"checkpoints", "final", "rows"}


def test_rows_are_cut_to_the_positions_of_a_model_and_it_is_told(
    tiny_run: Path, suite: Path, tmp_path: Path, capsys
):
    suite.write_text(
        suite.read_text()
        .replace("sequence_length: 16", "sequence_length: 999")
        .replace("seeds: 2", "seeds: 1")
    )
    assert evaluate(suite, tiny_run / "final", tmp_path / "out") == 0
    assert "bell: rows are cut to the model's 64 positions; the suite has 999" in capsys.readouterr().err


def test_topics_are_read_as_klue_gives_them(tmp_path: Path):
    row = {
        "guid": "ynat-v1_dev_0",
        "title": "강의 소식",
        "predefined_news_category": "사회",
        "label": "생활문화",
        "url": "",
    }
    (tmp_path / "validation.json").write_text(json.dumps([row] * 2, ensure_ascii=False, indent=2))
    task = Named(DiscriminatedBy("tasks"), "tasks", "task").block("klue/ynat")
    (read, other) = LabelledSource(task, str(tmp_path), ("validation",)).read("validation")
    assert task.example(read, labelled=True).inputs == (("강의 소식",),)
    assert task.example(other, labelled=True).label == (3.0,)


def test_what_a_model_has_reached_is_not_asked_again(tiny_run: Path, suite: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert evaluate(suite, tiny_run / "final", out) == 0
    scores = next(out.rglob("bell/scores.json"))
    before = scores.stat().st_mtime_ns
    assert evaluate(suite, tiny_run / "final", out) == 2
    assert "--resume auto" in capsys.readouterr().err
    assert evaluate(suite, tiny_run / "final", out, "--resume", "auto") == 0
    assert scores.stat().st_mtime_ns == before
    suite.write_text(suite.read_text().replace("epochs: 2", "epochs: 1"))
    assert evaluate(suite, tiny_run / "final", out, "--resume", "auto") == 0
    assert scores.stat().st_mtime_ns > before


def test_the_runs_of_a_comparison_take_the_suite(two: list[str], suite: Path, tmp_path: Path, capsys):  # noqa: F811
    out = tmp_path / "out"
    assert main(["compare", *two, "--suite", str(suite), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "without a model" in shown
    runs = json.loads((out / "compare.json").read_text())
    assert [[one["task"] for one in run["suite"]] for run in runs] == [["bell", "towns"]] * 2
    assert (out / "compare-bell.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "compare-mean-of-the-suite.svg").exists()
    assert "| task | figure | without a model | plain | pairs |" in (out / "compare.md").read_text()


def taken(task: str, *figures: tuple[float, float], score: int | None = None, excluded: bool = False) -> dict:
    """What a model has reached in a task. score: how many of the figures count."""
    names = [f"figure {n}" for n in range(len(figures))]
    shares = ({"value": value, "std": deviation, "baseline": None} for value, deviation in figures)
    return {
        "task": task,
        "baseline_name": None,
        "splits": ["validation"],
        "score": names[:score],
        "excluded": excluded,
        "figures": dict(zip(names, shares, strict=True)),
    }


def test_the_mean_is_over_tasks_not_figures():
    found = suite_scores.mean([taken("a", (0.8, 0.02), (0.6, 0.04)), taken("b", (0.5, 0.04))])
    assert found.value == pytest.approx((0.7 + 0.5) / 2)
    assert found.std == pytest.approx((0.03**2 + 0.04**2) ** 0.5 / 2)


def test_a_figure_that_is_not_the_tasks_score_is_in_no_mean():
    """CoLA's Matthews correlation of a model that always says acceptable is 0; its accuracy is 69.1 %."""
    cola = taken("glue/cola", (0.0, 0.0), (0.691, 0.0), score=1)
    assert suite_scores.mean([cola]).value == 0.0
    assert suite_scores.mean([cola, taken("glue/rte", (0.6, 0.0))]).value == pytest.approx(0.3)


def test_a_task_that_a_suite_excludes_is_in_the_second_mean_alone():
    found = [taken("a", (0.8, 0.0)), taken("b", (0.6, 0.0)), taken("wnli", (0.4, 0.0), excluded=True)]
    _, rows = suite_scores.table({"model": found})
    assert [row[0::3] for row in rows[-2:]] == [
        ["mean on validation rows", "70.0"],
        ["mean on validation rows, with wnli", "60.0"],
    ]
    assert suite_scores.mean(found).value == pytest.approx(0.7)
    assert suite_scores.mean(found[2:]).value == pytest.approx(0.4), "by itself it is what it is"


def test_the_score_of_each_shipped_task_of_glue_is_that_of_its_leaderboard():
    """Wang et al. 2018, section 4: two figures of a task are averaged first."""
    exams = suites.read("suites/glue", None)
    assert {exam.task.removeprefix("glue/"): exam.recipe.task.scored for exam in exams.tuned} == {
        "cola": ("matthews",),
        "sst2": ("accuracy",),
        "mrpc": ("f1", "accuracy"),
        "stsb": ("pearson", "spearman"),
        "qqp": ("f1", "accuracy"),
        "mnli": ("accuracy", "validation_mismatched/accuracy"),
        "qnli": ("accuracy",),
        "rte": ("accuracy",),
        "wnli": ("accuracy",),
    }
    assert [exam.task for exam in exams.tuned if exam.excluded] == ["glue/wnli"]
    files = [name for exam in exams.tuned for name in exam.recipe.task.submission.files]
    wanted = "AX CoLA MNLI-m MNLI-mm MRPC QNLI QQP RTE SST-2 STS-B WNLI"  # by the server
    assert sorted(files) == [f"{name}.tsv" for name in wanted.split()]
    mnli = next(exam.recipe.task for exam in exams.tuned if exam.task == "glue/mnli")
    assert (mnli.source_of("ax/test").name, mnli.source_of("test_matched").name) == ("ax", "mnli")


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("bell.yaml", "bel.yaml", 2, "did you mean"),
        ("finetune:", "finetunes:", 2, "did you mean finetune"),
        ("/rows", "/row", 2, "holds no folder bell"),
        ("lr: 1e-2", "lr: fast", 2, "suite.yaml:4"),
    ],
)
def test_what_is_wrong_with_a_suite_is_told_before_anything_is_trained(
    old: str, new: str, code: int, message: str, tiny_run: Path, suite: Path, tmp_path: Path, capsys
):
    suite.write_text(suite.read_text().replace(old, new))
    assert evaluate(suite, tiny_run / "final", tmp_path / "out") == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_suite_needs_a_folder(tiny_run: Path, suite: Path, capsys):
    assert main(["evaluate", str(tiny_run / "final"), "--suite", str(suite)]) == 2
    assert "--out" in capsys.readouterr().err


def test_prompted_tasks_stand_beside_those_that_were_learnt(
    tiny_run: Path, suite: Path, tmp_path: Path, capsys
):
    rows = [{"sentence_good": "the river reads.", "sentence_bad": "the river read."}] * 3
    folder = tmp_path / "rows" / "blimp"
    folder.mkdir()
    (folder / "adjunct_island.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite.write_text(suite.read_text() + "prompt: {tasks: [blimp, squad2], limit: 2}\n")
    (tmp_path / "rows" / "squad2").mkdir()
    out = tmp_path / "out"
    assert evaluate(suite, tiny_run / "final", out, "--json") == 0
    told = capsys.readouterr()
    assert "squad2 is skipped: an encoder does not generate text" in told.err
    first = json.loads(told.out)[0]["suite"][0]
    assert first["task"] == "blimp, 0 shots"
    assert first["figures"]["accuracy"]["baseline"] == 0.5
    assert "| blimp, 0 shots | accuracy | 50.0 (chance) |" in (out / "evaluate.md").read_text()
    assert evaluate(suite, tiny_run / "final", out, "--resume", "auto") == 0


def test_a_model_without_a_language_model_head_is_not_prompted(
    tiny_run: Path, suite: Path, tmp_path: Path, capsys
):
    suite.write_text(
        suite.read_text() + f"prompt: {{tasks: [{{task: glue/sst2, data: {tmp_path}/rows/bell}}]}}\n"
    )
    assert evaluate(suite, tiny_run / "final", tmp_path / "out") == 0
    start, task = f"init_from={tiny_run}/final", f"task={tmp_path}/bell.yaml"
    data, out = f"data={tmp_path}/rows/bell", str(tmp_path / "tuned")
    assert (
        main(
            [
                "finetune",
                "finetune/bert",
                task,
                start,
                data,
                "train.sequence_length=16",
                "seeds=1",
                "--out",
                out,
            ]
        )
        == 0
    )
    tuned = tmp_path / "tuned" / "seed-0" / "final"
    assert evaluate(suite, tuned, tmp_path / "other") == 0
    assert "prompted tasks are skipped: has no head that can score a text" in capsys.readouterr().err
    prompted = ["prompt", "prompt/one", f"tasks=[{{task: glue/sst2, data: {tmp_path}/rows/bell}}]"]
    assert main([*prompted, f"models={tuned}", "--out", str(tmp_path / "asked")]) == 3
    assert "with its language-model head" in capsys.readouterr().err
    assert not (tmp_path / "asked").exists()


def test_figures_have_the_names_of_papers_in_a_table():
    assert metric_title("acc_norm") == "accuracy per character"
    assert metric_title("exact") == "exact match"
    assert metric_title("validation_mismatched/accuracy") == "validation_mismatched: accuracy"
    assert metric_title("matthews") == "Matthews correlation"


def test_every_score_of_a_prompted_task_has_a_name_and_a_direction():
    for kind in (choices, answer, continuation):
        for name in kind.METRICS:
            metric = describe(name, PROMPTED)
            assert metric.kind == "score", name
            assert "_" not in metric.title, name


def test_a_perplexity_is_shown_as_it_is_and_is_in_no_mean():
    def task(name: str, figure: str, value: float | None, error: float) -> dict:
        return {
            "task": name,
            "baseline_name": None,
            "splits": ["validation"],
            "score": [] if figure == "perplexity" else [figure],
            "excluded": False,
            "figures": {figure: {"value": value, "std": error, "baseline": None}},
        }

    tasks = [task("a", "accuracy", 0.5, 0.1), task("b", "perplexity", 1234.5, 20.0)]
    beyond = [tasks[0], task("b", "perplexity", None, 0.0)]
    _, rows = suite_scores.table({"one": tasks, "other": beyond})
    assert rows == [
        ["a", "accuracy", "", "50.0 ± 10.0", "50.0 ± 10.0"],
        ["b", "perplexity of the answers", "", "1,234 ± 20", "∞"],
        ["mean on validation rows", "", "", "50.0 ± 10.0", "50.0 ± 10.0"],
    ]
    assert suite_scores.mean(tasks[1:]) is None
