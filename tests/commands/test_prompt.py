"""`nlptool prompt` from the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nlptool.cli import main
from nlptool.metric_table import format_score
from nlptool.models import huggingface
from nlptool.models.gpt2.config import Config
from nlptool.prompting.config import Instance
from nlptool.prompting.prompted_model import PromptedModel
from nlptool.prompting.requests import TaskRun, fit_fewshot_examples
from nlptool.prompting.results import model_labels
from nlptool.text.tokenizer import Tokenizer

TASK = """\
name: multiple_choice
prompt: "the {place} is"
choices: ["{a}", "{b}"]
metrics: [accuracy, accuracy_per_token]
"""
WORD = """\
name: loglikelihood
prompt: "the {place}"
answer: " {a}"
metrics: [accuracy, perplexity]
"""


FREE = """\
name: generate_until
prompt: "where is the {place}? the"
answer: " {names}"
stop: ["\\n", "."]
max_new_tokens: 4
metrics: [squad_f1, squad_exact, bleu]
"""


@pytest.fixture(scope="module")
def decoder(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 that reads 96 tokens, with the tokenizer of the tiny store."""
    folder = tmp_path_factory.mktemp("decoder") / "gpt"
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(tiny_store / "tokenizer").bare()
    config = Config(layers=2, hidden=16, heads=2, max_positions=96, init=0.3)
    model = config.build(tokenizer.vocab_size)
    tokenizer.save(folder)
    state = nn.ModuleDict({"backbone": model}).state_dict()
    huggingface.save_pretrained(folder, config, state, tokenizer.special)
    return folder


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: two tasks, and 12 questions with 8 examples."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "towns.yaml").write_text(TASK)
    (tmp_path / "word.yaml").write_text(WORD)
    for task in ("towns", "word"):
        (tmp_path / "data" / task).mkdir(parents=True)
        for split, count in (("validation", 12), ("train", 8)):
            rows = [
                {"place": f"{split} town {n}", "a": "old", "b": "small winter", "label": n % 3 % 2}
                for n in range(count)
            ]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (tmp_path / "data" / task / f"{split}.jsonl").write_text(text)
    return tmp_path


def recipe(room: Path, *models: Path, **keys: Any) -> str:
    given = {"models": [str(m) for m in models], "tasks": ["towns.yaml", "word.yaml"], "data": "data"}
    (room / "r.yaml").write_text(json.dumps(given | {"num_fewshot": [0, 2], "out": "out"} | keys))
    return "r.yaml"


def told(capsys: pytest.CaptureFixture[str], *line: str) -> Any:
    capsys.readouterr()
    assert main(["prompt", *line, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many questions models are asked, call by call."""
    asked: list[int] = []
    plain = PromptedModel.respond
    monkeypatch.setattr(PromptedModel, "respond", lambda *given: asked.append(len(given[1])) or plain(*given))
    return asked


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf8").splitlines()]


def test_models_of_any_kind_are_asked_the_same(room: Path, decoder: Path, tiny_run: Path, capsys):
    found = told(capsys, recipe(room, decoder, tiny_run / "final"))
    assert [(one["model"], one["task"], one["num_fewshot"]) for one in found[:4]] == [
        (found[0]["model"], task, shots) for task in ("towns", "word") for shots in (0, 2)
    ]
    assert [one["kind"] for one in found] == ["likelihood"] * 4 + ["pseudo-likelihood"] * 4
    assert found[0]["questions"] == 12
    assert found[0]["baselines"] == {"chance": 0.5, "majority": pytest.approx(2 / 3)}
    score = found[0]["scores"]["accuracy"]
    assert 0 <= score["value"] <= 1
    assert score["error"] == pytest.approx((score["value"] * (1 - score["value"]) / 11) ** 0.5)
    assert found[2]["scores"]["perplexity"]["value"] > 1


def test_questions_beyond_the_positions_that_were_trained_are_told(room: Path, tiny_run: Path, capsys):
    for shots, told_so in ((0, False), (6, True)):
        line = recipe(room, tiny_run / "final", tasks=["towns.yaml"], num_fewshot=[shots], out=f"out-{shots}")
        assert main(["prompt", line]) == 0
        assert ("training has reached 32 positions" in capsys.readouterr().err) == told_so


def test_every_answer_is_kept_with_the_text_that_was_read(room: Path, decoder: Path, capsys):
    found = told(capsys, recipe(room, decoder))
    kept = lines("out/answers/gpt/towns-2.jsonl")
    assert len(kept) == 12
    first = kept[0]
    assert first["place"] == "data/towns/validation.jsonl:1"
    assert first["prompt"].endswith("\n\nthe validation town 0 is")
    assert first["prompt"].count("the train town") == 2
    assert first["answers"] == [" old", " small winter"]
    right = sum(max((0, 1), key=lambda i: one["replies"][i]["logprob"]) == one["gold"] for one in kept)
    assert found[1]["scores"]["accuracy"]["value"] == pytest.approx(right / 12)


def test_both_models_see_the_same_demonstrations(room: Path, decoder: Path, tiny_run: Path, capsys):
    told(capsys, recipe(room, decoder, tiny_run / "final", tasks=["towns.yaml"]))
    one, other = (lines(str(path)) for path in sorted(Path("out/answers").glob("*/towns-2.jsonl")))
    assert [entry["prompt"] for entry in one] == [entry["prompt"] for entry in other]


def test_what_is_answered_is_not_asked_again(room: Path, decoder: Path, capsys, monkeypatch):
    line = recipe(room, decoder)
    first = told(capsys, line)
    asked = counted(monkeypatch)
    assert told(capsys, line, "--resume", "auto") == first
    assert sum(asked) == 0
    told(capsys, line, "--resume", "auto", "seed=1")
    assert asked[4::2] == [0, 0]
    assert min(asked[5::2]) > 6  # other demonstrations are other questions, unless two seeds draw the same


def test_more_questions_keep_the_answers_to_the_first_ones(room: Path, decoder: Path, capsys, monkeypatch):
    line = recipe(room, decoder, tasks=["towns.yaml"], num_fewshot=0)
    told(capsys, line, "limit=5")
    asked = counted(monkeypatch)
    assert told(capsys, line, "--resume", "auto")[0]["questions"] == 12
    assert asked == [7]


def test_fewer_questions_keep_the_answers_to_the_others(room: Path, decoder: Path, capsys, monkeypatch):
    line = recipe(room, decoder, tasks=["towns.yaml"], num_fewshot=0)
    first = told(capsys, line)
    asked = counted(monkeypatch)
    assert told(capsys, line, "--resume", "auto", "limit=5")[0]["questions"] == 5
    assert len(lines("out/answers/gpt/towns-0.jsonl")) == 5
    assert len(lines("out/answers/gpt/towns-0.unused.jsonl")) == 7
    assert told(capsys, line, "--resume", "auto") == first
    assert sum(asked) == 0
    assert not Path("out/answers/gpt/towns-0.unused.jsonl").exists()


def test_a_question_that_stands_twice_is_asked_once_and_has_two_lines(
    room: Path, decoder: Path, capsys, monkeypatch
):
    file = Path("data/towns/validation.jsonl")
    rows = lines(str(file))
    rows[3] |= {"place": rows[0]["place"], "label": 1 - rows[0]["label"]}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = counted(monkeypatch)
    line = recipe(room, decoder, tasks=["towns.yaml"], num_fewshot=0)
    told(capsys, line)
    assert asked == [11]
    kept = lines("out/answers/gpt/towns-0.jsonl")
    assert [entry["place"].rpartition(":")[2] for entry in kept] == [str(n) for n in range(1, 13)]
    assert kept[0]["replies"] == kept[3]["replies"]
    assert kept[0]["gold"] != kept[3]["gold"]
    rows[5]["label"] = 1 - rows[5]["label"]  # a label is mended: nothing to ask, another score
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told(capsys, line, "--resume", "auto")
    assert sum(asked) == 11
    assert lines("out/answers/gpt/towns-0.jsonl")[5]["gold"] == rows[5]["label"]


@pytest.mark.parametrize(
    "damage",
    [
        {"replies": []},
        {"replies": [{"logprob": "much"}]},
        {"replies": [{"logprobs": 1.0}]},
        {"replies": 3},
    ],
)
def test_an_answer_that_is_not_as_it_was_written_is_told(room: Path, decoder: Path, damage: dict, capsys):
    line = recipe(room, decoder, tasks=["towns.yaml"], num_fewshot=0)
    told(capsys, line)
    path = Path("out/answers/gpt/towns-0.jsonl")
    kept = lines(str(path))
    kept[1] |= damage
    path.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
    assert main(["prompt", line, "--resume", "auto"]) == 3
    told_of = capsys.readouterr().err
    assert "towns-0.jsonl" in told_of
    assert "Traceback" not in told_of


def test_a_long_prompt_loses_its_first_demonstrations(room: Path, decoder: Path, capsys):
    found = told(capsys, recipe(room, decoder, tasks=["towns.yaml"], num_fewshot=[6]))
    assert found[0]["fewer_shots"] == 12
    kept = lines("out/answers/gpt/towns-6.jsonl")
    assert all(0 < entry["num_fewshot"] < 6 for entry in kept)
    assert all(entry["prompt"].count("train town") == entry["num_fewshot"] for entry in kept)
    tokenizer = Tokenizer.load(decoder)
    assert all(len(tokenizer.encode(entry["prompt"])) <= 96 for entry in kept)
    main(["prompt", "r.yaml", "--overwrite"])
    assert "fewer few-shot examples, to fit the model, in 12 of 12 questions" in capsys.readouterr().err


def test_as_many_demonstrations_stay_as_have_room():
    asked = [Instance(f"f:{n}", "", (f"{'q' * n}",), (" a",), ("a",), 0) for n in range(1, 30)]

    class Examples:
        header, separator = "", ""

        def requests(self, question: Instance, prefix: str) -> list[tuple[str, str]]:
            return [(prefix + question.prompts[0], question.answers[0])]

    class Sized(TaskRun):
        def prefix(self, number: int, shots: int) -> str:
            return "x" * (10 + number) * shots

    sheet = Sized("t", Examples(), asked, list(range(29)), {}, 0)
    calls = []

    def count(texts: list[str]) -> list[int]:
        calls.append(len(texts))
        return [len(text) for text in texts]

    found = fit_fewshot_examples(sheet, 20, 220, count)
    for number, one in enumerate(found):
        room = (220 - len(asked[number].prompts[0]) - 2) // (10 + number)
        assert one.shots == min(20, room)
        assert len(one.requests[0][0]) == one.shots * (10 + number) + number + 1
    assert calls[0] == 29
    assert len(calls) <= 6  # 20 shots, halved


def test_an_answer_longer_than_the_model_reads_is_told_before_anything_is_asked(
    room: Path, decoder: Path, tiny_run: Path, capsys
):
    with Path("data/word/validation.jsonl").open("a") as file:
        file.write(json.dumps({"place": "town", "a": "bell " * 70, "b": "x", "label": 0}) + "\n")
    assert main(["prompt", recipe(room, decoder, tiny_run / "final")]) == 3
    printed = capsys.readouterr().err
    assert "data/word/validation.jsonl:13: an answer of" in printed
    assert f"{tiny_run / 'final'} reads 62" in printed  # of 64 positions
    assert not Path("out").exists()


def test_the_table_stands_on_stdout_and_in_the_folder(room: Path, decoder: Path, capsys):
    assert main(["prompt", recipe(room, decoder)]) == 0
    printed = capsys.readouterr().out
    assert "task   shots  questions  score" in printed
    table = Path("out/results.md").read_text("utf8").splitlines()
    assert table[0] == "| task | shots | questions | score | gpt | chance | majority |"
    assert [line.split(" | ")[0].strip("| ") for line in table[2::2]] == ["towns", "towns", "word", "word"]
    assert json.loads(Path("out/results.json").read_text())[0]["task"] == "towns"


def test_a_dry_run_shows_the_first_question_and_writes_nothing(room: Path, decoder: Path, capsys):
    assert main(["prompt", recipe(room, decoder), "--dry-run"]) == 0
    assert "the validation town 0 is⟦ old⟧" in capsys.readouterr().out
    assert not Path("out").exists()


def test_a_dry_run_shows_the_right_answer_of_a_partial_evaluation(room: Path, decoder: Path, capsys):
    partly = 'prompt: "it is {choice}"\nchoices: ["{b}", "{a}"]\nanswer: " in {place}"\n'
    Path("towns.yaml").write_text(f"name: multiple_choice\n{partly}label: 1\n")
    assert main(["prompt", recipe(room, decoder, tasks=["towns.yaml"], num_fewshot=0), "--dry-run"]) == 0
    assert "it is old⟦ in validation town 0⟧" in capsys.readouterr().out


def test_a_dry_run_tells_what_a_run_would(room: Path, decoder: Path, tiny_run: Path, capsys):
    file = asked_freely(room, ["bell"])
    tasks = [{"task": "free.yaml", "data": str(file)}]
    line = recipe(room, tiny_run / "final", tasks=tasks, num_fewshot=0, data=None)
    assert main(["prompt", line, "--dry-run"]) == 3
    assert "an encoder writes no text" in capsys.readouterr().err
    (room / "free.yaml").write_text(FREE.replace("max_new_tokens: 4", "max_new_tokens: 400"))
    assert main(["prompt", recipe(room, decoder, tasks=tasks, num_fewshot=0, data=None), "--dry-run"]) == 3
    assert "free: an answer of 400 tokens" in capsys.readouterr().err


def test_one_file_is_questions_and_examples(room: Path, decoder: Path, capsys):
    source = Path("data/towns/validation.jsonl")
    asked = [{"task": "towns.yaml", "data": str(source)}]
    told(capsys, recipe(room, decoder, tasks=asked, data=None, num_fewshot=[1]))
    for number, entry in enumerate(lines("out/answers/gpt/towns-1.jsonl")):
        shown, question = entry["prompt"].split("\n\n")
        assert question == f"the validation town {number} is"
        assert not shown.startswith(question + " ")


@pytest.mark.parametrize(
    ("keys", "code", "message"),
    [
        ({"num_fewshot": [9]}, 3, "9 few-shot examples requested, 8 other examples there"),
        ({"num_fewshot": [1, 1]}, 2, "num_fewshot: 1 is given twice"),
        ({"data": "nowhere"}, 2, "r.yaml:1: data: nowhere does not exist"),
        ({"data": None}, 2, "towns names no data set of the hub"),
        ({"models": "gone"}, 2, "no Hugging Face folder at gone"),
        ({"tasks": ["nothing.yaml"]}, 2, "nothing.yaml: no such prompt"),
        ({"tasks": ["r.yaml"]}, 2, "r.yaml: is a recipe, not a prompted task"),
        ({"tasks": [{"task": "towns.yaml", "data": "gone.jsonl"}]}, 2, "no file or folder gone.jsonl"),
        ({"num_fewshot": [-1]}, 2, "at least 0"),
        ({"contamination": "data"}, 2, "no token store at data"),
    ],
)
def test_what_is_wrong_is_told(room: Path, decoder: Path, keys: dict, code: int, message: str, capsys):
    assert main(["prompt", recipe(room, decoder, **keys)]) == code
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_row_without_a_column_is_told_with_its_line(room: Path, decoder: Path, capsys):
    with Path("data/towns/validation.jsonl").open("a") as file:
        file.write('{"place": "x", "a": "b", "label": 0}\n')
    assert main(["prompt", recipe(room, decoder)]) == 3
    assert "data/towns/validation.jsonl:13: no column 'b'; it has place, a, label" in capsys.readouterr().err


def test_questions_that_stood_in_the_training_text_are_scored_apart(
    room: Path, decoder: Path, tiny_store: Path, capsys
):
    from nlptool.text.store import TokenStore

    split = TokenStore(tiny_store).split("train")
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    seen = tokenizer.decode(split.document(3)[0].tolist()) + tokenizer.decode(split.document(3)[1].tolist())
    rows = [{"place": seen.strip().upper() + "!", "a": "old", "b": "new", "label": 0}]
    rows += [
        {"place": f"town {n} of eight words that nobody has read", "a": "old", "b": "new", "label": 0}
        for n in (1, 2)
    ]
    Path("data/towns/validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    line = recipe(room, decoder, tasks=["towns.yaml"], num_fewshot=0, contamination=str(tiny_store))
    (found,) = told(capsys, line)
    apart = found["contamination"]
    assert 8 <= apart["n"] <= 13
    assert (apart["clean"]["questions"], apart["dirty"]["questions"]) == (2, 1)
    right = [
        apart[kind]["scores"]["accuracy"]["value"] * apart[kind]["questions"] for kind in ("clean", "dirty")
    ]
    assert sum(right) / 3 == pytest.approx(found["scores"]["accuracy"]["value"])
    assert main(["prompt", line, "--resume", "auto"]) == 0
    assert f"accuracy: {apart['n']} words in common" in capsys.readouterr().out


def test_few_parts_stand_in_the_table_one_by_one(room: Path, decoder: Path, capsys):
    line = recipe(room, decoder, tasks=["arithmetic"], num_fewshot=[0, 1], limit=3)
    (found, _) = told(capsys, line)
    assert found["questions"] == 30
    assert [one["questions"] for one in found["parts"].values()] == [3] * 10
    assert main(["prompt", line, "--resume", "auto"]) == 0
    assert "accuracy: 5ds" in capsys.readouterr().out
    kept = lines("out/answers/gpt/arithmetic-1.jsonl")
    assert {entry["part"] for entry in kept} == set(found["parts"])
    assert all(entry["prompt"].startswith("Q: What is ") for entry in kept)


def asked_freely(room: Path, places: list[str]) -> Path:
    """A task that is answered by writing, and its questions."""
    (room / "free.yaml").write_text(FREE)
    rows = [{"place": place, "names": ["old town", "town"]} for place in places]
    (room / "free.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return room / "free.jsonl"


def test_a_decoder_writes_what_it_would_write_by_itself(room: Path, decoder: Path, capsys):
    from nlptool.evaluation.generation.generate import Generator

    pytest.importorskip("sacrebleu")
    file = asked_freely(room, ["bell", "river", "small house in the wood"])
    (found,) = told(
        capsys,
        recipe(room, decoder, tasks=[{"task": "free.yaml", "data": str(file)}], num_fewshot=1, data=None),
    )
    assert found["kind"] == "generation"
    kept = lines("out/answers/gpt/free-1.jsonl")
    assert kept[0]["references"] == ["old town", "town"]
    assert kept[0]["prompt"].count("? the old town\n\n") == 1
    (alone,) = Generator(decoder).complete([kept[2]["prompt"]], 4, ["\n", "."])
    assert kept[2]["replies"][0]["text"] == alone
    assert found["scores"]["bleu"]["error"] >= 0
    assert 0 <= found["scores"]["squad_f1"]["value"] <= 1


def test_drawn_answers_are_the_same_when_a_run_goes_on(room: Path, decoder: Path, capsys):
    pytest.importorskip("sacrebleu")
    file = asked_freely(room, ["bell", "river", "small house in the wood", "winter"])
    drawn = FREE.replace("max_new_tokens: 4", "max_new_tokens: 12\ntop_k: 40")
    (room / "free.yaml").write_text(drawn)
    asked = recipe(room, decoder, tasks=[{"task": "free.yaml", "data": str(file)}], num_fewshot=0, data=None)
    told(capsys, asked)
    path = room / "out" / "answers" / "gpt" / "free-0.jsonl"
    whole = path.read_text()
    texts = [json.loads(line)["replies"][0]["text"] for line in whole.splitlines()]
    assert len(set(texts)) == 4
    first, _, *rest = whole.splitlines(keepends=True)
    path.write_text(first + "".join(rest))
    told(capsys, asked, "--resume", "auto")
    assert path.read_text() == whole
    told(capsys, asked, "seed=1", "--overwrite")
    assert path.read_text() != whole


def test_beams_search_for_the_answer(room: Path, decoder: Path, capsys):
    from nlptool.evaluation.generation.beam_search import Beams
    from nlptool.evaluation.generation.generate import Generator

    pytest.importorskip("sacrebleu")
    file = asked_freely(room, ["bell", "river"])
    (room / "free.yaml").write_text(FREE.replace("max_new_tokens: 4", "max_new_tokens: 4\nnum_beams: 3"))
    told(
        capsys,
        recipe(room, decoder, tasks=[{"task": "free.yaml", "data": str(file)}], num_fewshot=0, data=None),
    )
    kept = lines("out/answers/gpt/free-0.jsonl")
    prompts = [entry["prompt"] for entry in kept]
    expected = Generator(decoder).complete(prompts, 4, ["\n", "."], Beams(3))
    assert [entry["replies"][0]["text"] for entry in kept] == expected


def test_a_prompt_that_is_too_long_is_read_from_its_end(room: Path, decoder: Path, capsys):
    from nlptool.evaluation.generation.generate import Generator

    pytest.importorskip("sacrebleu")
    file = asked_freely(room, ["bell " * 90, "bell"])
    asked = [{"task": "free.yaml", "data": str(file)}]
    (found,) = told(capsys, recipe(room, decoder, tasks=asked, num_fewshot=0, data=None))
    assert found["cut"] == 1
    entry, tokenizer = lines("out/answers/gpt/free-0.jsonl")[0], Tokenizer.load(decoder)
    ids = tokenizer.encode(entry["prompt"])
    assert entry["replies"][0]["cut"] == len(ids) - 92
    (alone,) = Generator(decoder).complete([tokenizer.decode(ids[-92:])], 4, ["\n", "."])
    assert entry["replies"][0]["text"] == alone


def test_an_encoder_is_not_asked_to_write(room: Path, decoder: Path, tiny_run: Path, capsys):
    file = asked_freely(room, ["bell"])
    asked = ["towns.yaml", {"task": "free.yaml", "data": str(file)}]
    assert main(["prompt", recipe(room, decoder, tiny_run / "final", tasks=asked, num_fewshot=0)]) == 3
    assert "final: an encoder writes no text, and free is answered by writing" in capsys.readouterr().err
    assert not Path("out").exists()


def test_without_a_recipe_it_says_what_to_give(capsys):
    assert main(["prompt"]) == 2
    assert "nlptool prompt prompt/" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="signals")
def test_a_stopped_run_keeps_its_answers(room: Path, decoder: Path, capsys):
    rows = "".join(
        json.dumps({"place": f"town {n}", "a": "old", "b": "small", "label": 0}) + "\n" for n in range(9000)
    )
    Path("data/towns/validation.jsonl").write_text(rows)
    line = recipe(room, decoder, tasks=["towns.yaml"], num_fewshot=0)
    process = subprocess.Popen(
        [sys.executable, "-m", "nlptool", "prompt", line], stderr=subprocess.PIPE, text=True
    )
    path, deadline = Path("out/answers/gpt/towns-0.jsonl"), time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 75
    assert "--resume auto continues" in said
    assert 0 < len(lines(str(path))) < 9000
    assert not Path("out/results.json").exists()


def test_models_are_called_by_what_tells_them_apart():
    assert model_labels(["runs/a/final"]) == ["a"]
    assert model_labels(["runs/x/a/final", "runs/x/b/final"]) == ["a", "b"]
    assert model_labels(["a/final", "b/c"]) == ["a", "b/c"]
    assert model_labels(["runs/a", "runs/a/final"]) == ["runs/a", "runs/a/final"]
    assert model_labels(["/tmp/a/final", "b/final"]) == ["/tmp/a", "b"]
    assert model_labels(["./"]) == model_labels([str(Path.cwd())]) == [Path.cwd().name]


def test_scores_are_shown_with_their_error():
    assert format_score("accuracy", 0.6131, 0.0112) == "61.3 ± 1.1"
    assert format_score("perplexity", 35.13, 2.31) == "35.13 ± 2.3"
    assert format_score("perplexity", None, None) == "∞"


def test_a_long_article_keeps_its_lead_and_the_question_behind_it(room: Path, decoder: Path, capsys):
    words = " ".join(f"town{n}" for n in range(60))
    (room / "long.yaml").write_text(
        'name: generate_until\nprompt: "{article}\\nTL;DR:"\nanswer: " {highlights}"\nshorten: article\n'
        "stop: []\nmax_new_tokens: 4\nmetrics: [exact]\ntrain: null\n"
    )
    rows = [{"article": f"The lead. {words}", "highlights": "a"}, {"article": "short", "highlights": "b"}]
    (room / "long.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = [{"task": "long.yaml", "data": "long.jsonl"}]
    (found,) = told(capsys, recipe(room, decoder, tasks=tasks, num_fewshot=0, data=None))
    assert (found["shortened"], found["cut"]) == (1, 0)
    first, second = map(json.loads, (room / "out/answers/gpt/long-0.jsonl").read_text().splitlines())
    assert first["prompt"].startswith("The lead. town0")
    assert first["prompt"].endswith("\nTL;DR:")
    tokens = len(Tokenizer.load(decoder).encode(first["prompt"]))
    assert 80 <= tokens <= 92  # of 96 positions, 4 to be written
    assert first["left_out"] + len(first["prompt"]) >= len(f"The lead. {words}\nTL;DR:")
    assert (second["prompt"], "left_out" in second) == ("short\nTL;DR:", False)


@pytest.mark.parametrize("column", ["highlights", "nothing"])
def test_a_column_to_shorten_stands_in_the_prompt(column: str, room: Path, decoder: Path, capsys):
    (room / "long.yaml").write_text(
        f'name: generate_until\nprompt: "{{article}}"\nanswer: " {{highlights}}"\nshorten: {column}\n'
        "stop: []\nmax_new_tokens: 4\nmetrics: [exact]\n"
    )
    tasks = [{"task": "long.yaml", "data": "long.jsonl"}]
    assert main(["prompt", recipe(room, decoder, tasks=tasks, num_fewshot=0, data=None)]) == 2
    assert f"{{{column}}} stands 0 times" in capsys.readouterr().err
