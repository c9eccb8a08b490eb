"""`nlptool reproduce`: a paper's claim as runs, intervals and a verdict."""

import json
import re
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.commands.reproduce import experiment, verdicts
from nlptool.commands.reproduce import run as carrying
from nlptool.commands.reproduce.experiment import Experiment
from nlptool.errors import Preempted
from nlptool.recipe import loads

ROOT = Path(__file__).parents[2]
SMALL = """
title: Two widths of <BERT>
source: nobody 2026
seeds: 2
steps:
  tokens:
    recipe: demo/tokenize
    set: ["~source", source.files=SAMPLE, tokenizer.vocab_size=300, heldout=0.3]
  pretrained:
    recipe: demo/bert
    set:
      - "store={tokens}"
      - train.steps=2
      - "train.stages=[{sequence_length: 8, batch_size: 2, share: 1}]"
      - model.layers=1
      - model.hidden=8
      - model.heads=1
      - evaluate.batches=1
arms:
  narrow: {}
  wide: {pretrained: {set: [model.hidden=16]}}
  narrow again: {}
measures:
  loss: {step: pretrained, figure: mlm}
  size: {step: pretrained, figure: parameters}
claims:
  - {claim: Wide is larger, measure: size, order: [wide, narrow], paper: [2, 1], paper_measure: millions}
  - {claim: Both are as good, measure: loss, order: [narrow, narrow again], within: 0.1}
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL.replace("SAMPLE", str(ROOT / "data/sample.en.txt")))
    return Path("small.yaml")


@pytest.mark.parametrize("name", sorted(experiment.names()))
def test_every_shipped_experiment_is_right_names_its_command_and_says_what_it_takes(name: str):
    text = experiment.names()[name].read_text("utf8")
    assert len(re.findall(rf"^#   nlptool reproduce {name}$", text, re.MULTILINE)) == 1
    one = experiment.open_experiment(name, ["seeds=1"])
    plan = experiment.plan(one, name, Path("out"))
    assert {run.step for run in plan.runs} == set(one.steps)
    assert one.cost is not None or one.needs == "cpu"
    assert all(arm in plan.experiment.arms for run in plan.runs for arm in run.arms)


def test_what_arms_have_in_common_is_run_once_and_seeds_differ_where_a_recipe_has_one(small: Path):
    plan = experiment.plan(experiment.open_experiment(str(small), ()), "small", Path("out"))
    shown = [(run.step, run.arms, run.seed) for run in plan.runs]
    assert shown == [
        ("tokens", ["narrow", "wide", "narrow again"], None),
        ("pretrained", ["narrow", "narrow again"], 0),
        ("pretrained", ["narrow", "narrow again"], 1),
        ("pretrained", ["wide"], 0),
        ("pretrained", ["wide"], 1),
    ]
    assert plan.places["narrow again", 1, "pretrained"] == Path("out/runs/pretrained/narrow/seed-1")
    assert plan.runs[1].loaded.recipe.store == "out/runs/tokens/narrow"


def test_an_experiment_is_run_told_and_kept(small: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    assert main(["reproduce", str(small), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [claim["verdict"] for claim in result["claims"]] == ["holds", "holds"]
    sizes = result["measures"]["size"]["wide"]
    assert sizes["value"] == sizes["low"] == sizes["values"][0] > 2 * 300 * 8
    out = Path("runs/reproduce/small")
    assert json.loads((out / "result.json").read_text()) == result
    assert "Wide is larger | 2 against 1 (millions)" in (out / "result.md").read_text()
    page = (out / "result.html").read_text()
    assert "Two widths of &lt;BERT&gt;" in page
    assert page.count("<figure>") == 2
    assert not re.search(r"(src|href)=|<script", page)

    def refuse(*_: object) -> None:
        raise AssertionError("a finished run is run again")

    monkeypatch.setattr(carrying, "_carry_out", refuse)
    assert main(["reproduce", str(small)]) == 2
    assert "--resume auto resumes it" in capsys.readouterr().err
    assert main(["reproduce", str(small), "--resume", "auto"]) == 0
    shown = capsys.readouterr().out
    assert "does not hold" not in shown
    assert re.search(r"Both are as good +narrow against narrow again: 0.000 \(0.000 to 0.000\) +holds", shown)


def test_only_what_a_change_of_the_experiment_concerns_is_run_again(small: Path, capsys):
    assert main(["reproduce", str(small), "--seeds", "1"]) == 0
    small.write_text(small.read_text().replace("model.hidden=16", "model.hidden=24"))
    capsys.readouterr()
    assert main(["reproduce", str(small), "--resume", "auto", "--seeds", "1", "--json"]) == 0
    said = capsys.readouterr()
    assert re.findall(r"run \d of 3: .*", said.err) == ["run 3 of 3: pretrained, wide, seed 0"]
    sizes = {arm: one["value"] for arm, one in json.loads(said.out)["measures"]["size"].items()}
    assert sizes["wide"] > 2.5 * sizes["narrow"] == 2.5 * sizes["narrow again"]


def test_a_stopped_experiment_goes_on_where_it_was(small: Path, capsys, monkeypatch):
    carry_out, begun = carrying._carry_out, []

    def stop_at_the_third(one, *given):
        begun.append(one.out.name)
        if len(begun) == 3:
            raise Preempted("SIGTERM")
        return carry_out(one, *given)

    monkeypatch.setattr(carrying, "_carry_out", stop_at_the_third)
    assert main(["reproduce", str(small), "measures.size.better=lower"]) == 75
    assert not Path("runs/reproduce/small/result.json").exists()
    assert main(["reproduce", str(small), "--resume", "auto", "--seeds", "1"]) == 0
    assert begun == ["narrow", "seed-0", "seed-1", "seed-0"]
    assert "not decided" in capsys.readouterr().out  # as one seed has no interval


def test_a_dry_run_writes_nothing_and_a_gpu_is_asked_for_where_one_is_needed(
    small: Path, capsys, monkeypatch
):
    assert main(["reproduce", str(small), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"pretrained +narrow, narrow again +0 to 1 +pretrain-mlm demo/bert +2 steps", shown)
    assert not Path("runs").exists()
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["reproduce", str(small), "needs=gpu"]) == 2
    assert "small needs a GPU, and there is none here" in capsys.readouterr().err


def test_experiments_are_listed_and_an_unknown_one_is_compared_with_them(capsys):
    assert main(["reproduce", "ls"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in experiment.names())
    assert main(["reproduce", "kagnett"]) == 2
    assert "did you mean kagnet?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("arms.wide.pretraind={}", "arms: wide: no step pretraind"),
        ("measures.loss.step=tuning", "measures: loss: no step tuning"),
        ("claims=[{claim: a, measure: lss, order: [wide, narrow]}]", "claims: no measure lss"),
        ("claims=[{claim: a, measure: loss, order: [wide, wider]}]", "claims: no arm wider"),
        ("claims=[{claim: a, measure: loss, order: [wide, narrow], paper: [1]}]", "as many figures as order"),
        (
            "arms.wide.pretrained.set=[model.width=16]",
            "step pretrained of wide: set: model.width=16: unknown key",
        ),
        ("steps.pretrained.recipe=tasks/demo/period", "no recipe of a command"),
        ("measures.loss.figure=mlm_loss", "measures: loss: pretrain-mlm has no figure mlm_loss"),
        ("measures.loss.figure=mlm_acuracy", "did you mean mlm_accuracy"),
        ("measures.loss.step=tokens", "measures: loss: tokenize has no figures"),
        ("measures.loss={step: tuned, figure: macro_f2}", "finetune has no figure macro_f2"),
        ("measures.loss={step: tuned, figure: exact}", "finetune has no figure exact"),
        ("--out=runs/a [b]", "it may not hold \\["),
    ],
)
def test_what_is_wrong_with_an_experiment_is_one_line(
    small: Path, change: str, told: str, capsys, monkeypatch
):
    tuned = '  tuned: {recipe: demo/finetune, set: ["init_from={pretrained}/final"]}\narms:'
    small.write_text(small.read_text().replace("arms:", tuned))
    monkeypatch.setattr(carrying, "_carry_out", None)  # nothing is run
    assert main(["reproduce", str(small), change]) == 2
    assert re.search(told, capsys.readouterr().err)


def test_a_figure_that_a_run_lacks_is_told_after_the_first_one_that_should_have_it(
    small: Path, capsys, monkeypatch
):
    carried = []

    def carry_out(one, *_):
        carried.append(one.step)
        return {"run": str(one.out), "seconds": 0, "figures": {"parameters": 1.0}}

    monkeypatch.setattr(carrying, "_carry_out", carry_out)
    assert main(["reproduce", str(small), "measures.loss.figure=clm"]) == 2
    assert "has no figure clm" in capsys.readouterr().err
    assert carried == ["tokens", "pretrained"]


def decided(order: list, values: dict[str, list[float]], **claim) -> str:
    given = {"claim": "a", "measure": "m", "order": order} | claim
    steps = "steps: {one: {recipe: demo/bert}}"
    figure = "m: {step: one, figure: accuracy}"
    text = f"title: t\nsource: s\nseeds: 3\n{steps}\narms: {{a: {{}}, b: {{}}}}\nmeasures: {{{figure}}}\n"
    one = loads(f"{text}claims: {json.dumps([given])}", Experiment)
    return str(verdicts.claims(one, {"m": values})[0]["verdict"])


def test_verdicts_follow_the_intervals_of_differences():
    apart = {"a": [0.80, 0.81, 0.82], "b": [0.70, 0.71, 0.72]}
    assert decided(["a", "b"], apart) == "holds"
    assert decided(["b", "a"], apart) == "does not hold"
    assert decided(["a", "b"], {"a": [0.8, 0.7, 0.75], "b": [0.7, 0.75, 0.72]}) == "not decided"
    assert decided(["a", 0.5], apart) == "holds"
    assert decided(["a", "b"], apart, within=0.2) == "holds"
    assert decided(["a", "b"], apart, within=0.05) == "does not hold"
    assert decided(["a", "b", 0.9], apart) == "does not hold"
    # differences .1, .05, .06: mean .07, deviation .0265, interval .07 -+ 4.303 * .0265 / sqrt(3): .004 to .136
    assert decided(["a", "b"], {"a": [0.8, 0.75, 0.76], "b": [0.7, 0.7, 0.7]}) == "holds"
    assert decided(["a", "b"], {"a": [0.8, 0.75, 0.755], "b": [0.7, 0.7, 0.7]}) == "not decided"
