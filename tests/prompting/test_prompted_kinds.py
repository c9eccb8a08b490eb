"""What holds for every kind of prompted task. A kind is found by its folder; its facts are in kinds/NAME.py."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from nlptool import registry
from nlptool.errors import DataError
from nlptool.models import heads, huggingface
from nlptool.prompting import prompted_model
from nlptool.prompting.config import PromptConfig, Response
from nlptool.prompting.prompted_model import PromptedModel, require_decoders
from nlptool.prompting.requests import TaskRun, fit_fewshot_examples, read_task
from nlptool.prompting.results import record
from nlptool.prompting.spec import TaskSpec
from nlptool.prompting.task_evaluation import TaskEvaluation
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

ROWS, POOL = 10, 6
CPU = torch.device("cpu")


def facts(kind: str) -> ModuleType:
    """What must be known of a kind of prompted task to try it."""
    found = spec_from_file_location(f"prompt_{kind}", Path(__file__).parent / "kinds" / f"{kind}.py")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


CASES = [(kind, variant) for kind in registry.names("prompting") for variant in facts(kind).VARIANTS]


class PerfectModel(PromptedModel):
    """A model that responds as the facts of a kind say a perfect one does, the last instance first."""

    digest = "perfect"
    tokenizer = SimpleNamespace(coverage=SimpleNamespace(complete=True))

    def __init__(self, run: TaskRun, responses: list[list[Response]]) -> None:
        super().__init__("perfect", "perfect", Path("perfect"), CPU)
        self.by_place = {one.place: found for one, found in zip(run.instances, responses, strict=True)}
        self.requested: list[str] = []

    def max_context(self, generation) -> int:
        return 10**6

    def count_tokens(self, texts) -> list[int]:
        return [len(text) for text in texts]

    def position_remarks(self, requests, generation) -> list[str]:
        return []

    def respond(self, requests, generation, numbers, places) -> Iterator[tuple[int, list[Response]]]:
        for index in reversed(range(len(places))):
            self.requested.append(places[index])
            yield index, self.by_place[places[index]]


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[ModuleType, PromptConfig]:
    kind, variant = request.param
    settings = {"name": kind} | facts(kind).VARIANTS[variant]
    block = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    return facts(kind), registry.config("prompting", kind).model_validate(block)


@pytest.fixture
def folder(case, tmp_path: Path) -> Path:
    rows = [json.dumps(case[0].row(number)) + "\n" for number in range(ROWS + POOL)]
    (tmp_path / "validation.jsonl").write_text("".join(rows[:ROWS]))
    (tmp_path / "train.jsonl").write_text("".join(rows[ROWS:]))
    return tmp_path


@pytest.fixture
def run(case, folder: Path) -> TaskRun:
    return read(case, folder)


@pytest.fixture
def perfect(case, run: TaskRun) -> PerfectModel:
    return PerfectModel(run, [case[0].perfect(run.task, instance) for instance in run.instances])


def read(case, folder: Path, limit: int | None = None) -> TaskRun:
    spec = TaskSpec.model_construct(name="towns", task=case[1], data=str(folder))
    return read_task(spec, None, 3, limit, 0)


def evaluated(model: PromptedModel, run: TaskRun, shots: int, path: Path) -> list[dict]:
    evaluation = TaskEvaluation(model, run, shots, path)
    assert evaluation.remarks == []
    for _ in evaluation.request(nullcontext):
        pass
    return evaluation.entries(nullcontext)


def lengths(texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


@pytest.fixture(scope="module")
def models(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A random decoder and a random encoder."""
    tokenizer = Tokenizer.load(tiny_store / "tokenizer").bare()
    made = {}
    for family in ("gpt2", "bert"):
        torch.manual_seed(0)
        config = registry.config("models", family)(layers=1, hidden=16, heads=2, max_positions=96, init=0.5)
        parts = {"backbone": config.build(tokenizer.vocab_size)}
        if family == "bert":
            parts["mlm"] = heads.MaskedLM.of(config, tokenizer.vocab_size)
        made[family] = tmp_path_factory.mktemp(family)
        tokenizer.save(made[family])
        state = nn.ModuleDict(parts).state_dict()
        huggingface.save_pretrained(made[family], config, state, tokenizer.special)
    return made


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_responses_do_not_depend_on_the_batch_size(
    case, run: TaskRun, models: dict[str, Path], family: str, monkeypatch: pytest.MonkeyPatch
):
    if family == "bert" and run.generation is not None:
        with pytest.raises(DataError, match="an encoder writes no text, and towns is answered by writing"):
            require_decoders([PromptedModel("m", "m", models[family], CPU)], [run])
        return
    model = PromptedModel("m", "m", models[family], CPU)
    requests = [one.requests for one in fit_fewshot_examples(run, 1, 60, model.count_tokens)]
    places = [instance.place for instance in run.instances]
    expected = dict(model.respond(requests, run.generation, run.numbers, places))
    assert sorted(expected) == list(range(ROWS))
    by_threes = PromptedModel("m", "m", models[family], CPU, batch_size=3)
    monkeypatch.setattr(prompted_model, "GENERATION_BATCH", 0)  # is not used
    small = dict(by_threes.respond(requests, run.generation, run.numbers, places))
    monkeypatch.undo()
    alone = {}
    for number in range(ROWS):
        one = slice(number, number + 1)
        ((_, alone[number]),) = model.respond(requests[one], run.generation, run.numbers[one], places[one])
    for other in (small, alone):
        for index, responses in expected.items():
            for one, two in zip(responses, other[index], strict=True):
                assert one.logprob == pytest.approx(two.logprob, abs=1e-4)
                assert one._replace(logprob=0.0) == two._replace(logprob=0.0)


def test_a_perfect_model_scores_100(run: TaskRun, perfect: PerfectModel, tmp_path: Path):
    entries = evaluated(perfect, run, 2, tmp_path / "cache.jsonl")
    found = record("perfect", "likelihood", 1, run, 2, entries)
    assert set(found["scores"]) == set(run.task.metrics)
    for name, score in found["scores"].items():
        assert score["value"] == pytest.approx(1.0), name
    assert [found[key] for key in ("questions", "fewer_shots", "shortened", "cut")] == [ROWS, 0, 0, 0]
    assert all(0 <= value < 1 for value in found["baselines"].values())


def test_one_wrong_response_costs_its_share_or_more(
    case, run: TaskRun, perfect: PerfectModel, tmp_path: Path
):
    right = case[0].perfect(run.task, run.instances[0])
    wrong = [one._replace(logprob=-99.0, greedy=False, text=" stone") for one in right]
    perfect.by_place[run.instances[0].place] = [
        one if at != run.instances[0].gold else wrong[at] for at, one in enumerate(right)
    ]
    entries = evaluated(perfect, run, 0, tmp_path / "cache.jsonl")
    for name, score in record("perfect", "likelihood", 1, run, 0, entries)["scores"].items():
        assert (score["value"] > 2) if name == "perplexity" else (score["value"] < 0.96), name
        assert score["error"] > 0, name


def test_shots_change_the_prompt_and_nothing_else(case, run: TaskRun):
    none, few = (fit_fewshot_examples(run, shots, 10**6, lengths) for shots in (0, 2))
    examples = {f"{case[0].row(number)['place']}" for number in range(ROWS, ROWS + POOL)}
    for zero_shot, few_shot in zip(none, few, strict=True):
        assert (zero_shot.shots, few_shot.shots) == (0, 2)
        assert [a for _, a in zero_shot.requests] == [a for _, a in few_shot.requests]
        added = set()
        for (before, _), (after, _) in zip(zero_shot.requests, few_shot.requests, strict=True):
            bare = before.removeprefix(run.task.description)
            assert after.endswith(bare)
            added.add(after.removesuffix(bare))
        shown = max(added, key=len)
        assert sum(place in shown for place in examples) == 2
        assert added <= {shown, ""}  # what is unconditional stays so
        assert shown.startswith(run.task.description)


def test_metrics_do_not_depend_on_the_order_of_instances(run: TaskRun, perfect: PerfectModel):
    one, other = (
        run.task.compute_metrics(instances, [perfect.by_place[instance.place] for instance in instances])
        for instances in (run.instances, run.instances[::-1])
    )
    for name in run.task.metrics:
        assert one[name] == pytest.approx(other[name])


def test_a_limit_changes_no_prompt(case, run: TaskRun, folder: Path):
    some = fit_fewshot_examples(read(case, folder, limit=4), 2, 10**6, lengths)
    assert some == fit_fewshot_examples(run, 2, 10**6, lengths)[:4]


@pytest.mark.parametrize("nothing", ["", "  ", None])
def test_a_row_with_empty_fields_is_one_clear_error(case, nothing: str | None):
    empty = {
        key: [nothing for _ in value] if isinstance(value, list) else nothing
        for key, value in case[0].row(0).items()
    }
    with pytest.raises(DataError) as error:
        case[1].instance(Row("f.jsonl:1", empty | {"label": 0}), "")
    assert error.value.message.startswith("f.jsonl:1: ")
    assert "\n" not in error.value.message
    assert len(error.value.message) < 200


def test_a_row_without_a_column_is_told_with_its_line(case, folder: Path):
    with (folder / "validation.jsonl").open("a") as file:
        file.write('{"other": 1}\n')
    with pytest.raises(DataError, match=rf"validation.jsonl:{ROWS + 1}: no column '\w+'; it has other"):
        read(case, folder)


def test_a_half_answered_run_requests_only_what_is_missing(
    run: TaskRun, perfect: PerfectModel, tmp_path: Path
):
    path = tmp_path / "cache.jsonl"
    expected = evaluated(perfect, run, 1, path)
    assert len(perfect.requested) == ROWS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:9])  # broken off by a kill
    perfect.requested.clear()
    assert evaluated(perfect, run, 1, path) == expected
    assert sorted(perfect.requested) == sorted(one.place for one in run.instances[4:])
    assert path.read_bytes() == b"".join(lines)


def test_other_shots_and_other_models_are_requested_anew(run: TaskRun, perfect: PerfectModel, tmp_path: Path):
    path = tmp_path / "cache.jsonl"
    evaluated(perfect, run, 1, path)
    evaluated(perfect, run, 2, path)
    assert len(perfect.requested) == 2 * ROWS
    perfect.digest = "another"
    evaluated(perfect, run, 2, path)
    assert len(perfect.requested) == 3 * ROWS
