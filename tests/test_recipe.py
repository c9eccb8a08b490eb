"""Recipes as values: read, overridden, written out, compared."""

from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis.strategies import dictionaries, floats, text
from pydantic import Field

from nlptool.commands.schema import of_command
from nlptool.errors import RecipeError
from nlptool.models.bert.config import Config as Bert
from nlptool.recipe import Budget, Problem, RecipeBlock, difference, digest, dump, load, loads, only
from nlptool.registry import DiscriminatedBy


class Stage(RecipeBlock):
    length: int = Field(gt=3, description="tokens")
    share: float = Field(1.0, gt=0, le=1, description="share of the run")


class Toy(RecipeBlock):
    tokens: str = Field("store", description="a folder")
    lr: float = Field(1e-4, gt=0, description="peak # rate")
    steps: int | None = Field(None, description="steps")
    budget: Budget | None = Field(None, description="in place of steps")
    stages: tuple[Stage, ...] = Field((), description="stretches")
    first: Stage = Field(Stage(length=8), description="one block")
    weights: dict[str, float] = Field({}, description="of terms")
    fast: bool = Field(False, description="or slow")
    model: Annotated[RecipeBlock, DiscriminatedBy("models")] | None = Field(None, description="the model")


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf8")
        return path

    return write


def test_unquoted_3e_4_is_a_number_and_no_is_text() -> None:
    assert loads("lr: 3e-4\ntokens: no", Toy) == Toy(lr=3e-4, tokens="no")


def test_a_whole_number_is_taken_for_a_number_but_true_is_not_one() -> None:
    assert loads("lr: 1", Toy).lr == 1.0
    with pytest.raises(RecipeError, match=r"lr: expected a number above 0; found true"):
        loads("lr: true", Toy)


def test_a_quoted_number_is_text() -> None:
    with pytest.raises(
        RecipeError, match=r'steps: expected a whole number; found the text "32"; drop the quotes'
    ):
        loads("steps: '32'", Toy)


def test_infinity_is_no_value() -> None:
    with pytest.raises(RecipeError, match="found inf"):
        loads("lr: .inf", Toy)


def test_hexadecimal_octal_and_underscores_are_yaml_1_2() -> None:
    assert [loads(f"steps: {text}", Toy).steps for text in ("0x10", "0o17", "1_000", "012", "-3")] == [
        16,
        15,
        1000,
        12,
        -3,
    ]


def test_a_recipe_is_frozen_and_its_lists_are_tuples() -> None:
    recipe = loads("stages: [{length: 8}, {length: 16}]", Toy)
    assert recipe.stages == (Stage(length=8), Stage(length=16))
    with pytest.raises(ValueError, match="frozen"):
        recipe.lr = 2.0  # type: ignore[misc]


def test_an_anchor_is_written_once_and_used_twice() -> None:
    recipe = loads("first: &a {length: 8}\nstages: [*a]", Toy)
    assert recipe.stages == (recipe.first,)


def test_the_name_of_a_block_chooses_its_type() -> None:
    assert loads("model: {name: bert, layers: 2}", Toy).model == Bert(layers=2)


@pytest.mark.parametrize(
    ("written", "amount", "measure"),
    [
        ("2B tokens", 2e9, "tokens"),
        ("300M tokens", 3e8, "tokens"),
        ("12345 tokens", 12345, "tokens"),
        ("1.5 epochs", 1.5, "epochs"),
        ("1 epoch", 1, "epochs"),
        ("30 min", 1800, "seconds"),
        ("90s", 90, "seconds"),
        ("2 h", 7200, "seconds"),
        ("2 days", 172800, "seconds"),
        ("1e17 flops", 1e17, "flops"),
        ("0.1 h", 360, "seconds"),
    ],
)
def test_a_budget_is_read_with_its_unit_and_written_so_that_it_reads_back(
    written: str, amount: float, measure: str
) -> None:
    budget = loads(f"budget: {written}", Toy).budget
    assert budget == Budget(amount, measure)  # type: ignore[arg-type]
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize("text", ["30", "30 apples", "B tokens", "-1 epochs", "1,5 epochs", "30 minn"])
def test_a_budget_without_a_known_unit_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"such as 2B tokens, 1\.5 epochs, 30 min or 1e17 flops"):
        loads(f"budget: {text}", Toy)


@pytest.mark.parametrize(
    ("argument", "field", "value"),
    [
        ("lr=3e-4", "lr", 3e-4),
        ("steps=null", "steps", None),
        ("tokens='3'", "tokens", "3"),
        ("tokens=runs/a b", "tokens", "runs/a b"),
        ("fast=true", "fast", True),
        ("weights={a: 1, b: 2.5}", "weights", {"a": 1.0, "b": 2.5}),
        ("weights.a=3", "weights", {"a": 3.0}),
        ("first.length=9", "first", Stage(length=9, share=0.5)),
        ("~first.share", "first", Stage(length=4)),
        ("~first", "first", Stage(length=8)),
        ("stages.1.length=99", "stages", (Stage(length=5), Stage(length=99))),
        ("~stages.0", "stages", (Stage(length=6),)),
        ("stages=[]", "stages", ()),
        ("model.name=bert", "model", Bert()),
        ("budget=30 min", "budget", Budget(1800, "seconds")),
    ],
)
def test_the_command_line_changes_a_key(write, argument: str, field: str, value: object) -> None:
    path = write("steps: 7\nfirst: {length: 4, share: 0.5}\nstages: [{length: 5}, {length: 6}]")
    assert getattr(load(path, [argument], Toy).recipe, field) == value


def test_the_last_change_of_a_key_counts(write) -> None:
    assert load(write("lr: 1"), ["lr=2", "lr=3"], Toy).recipe.lr == 3


FULL = Toy(
    tokens="a: b # 안녕\n'\"\\\x07\U0001f600",
    lr=1e-5,
    budget=Budget(1e17, "flops"),
    stages=(Stage(length=8, share=0.1), Stage(length=9)),
    weights={"mlm": 1.0, "no": 0.5, "3": 2.0},
    fast=True,
    model=Bert(layers=2, hidden=8, heads=2),
)


def test_what_is_written_out_reads_back_to_an_equal_value() -> None:
    assert loads(dump(FULL), Toy) == FULL
    assert loads(dump(Toy()), Toy) == Toy()


AWKWARD = """null ~ true No 3 3e-4 0x1 1_0 .inf - a: # [a] {a} *a &a !a | > % @ ` ' " = << ? --- ... . +1 1.
    2001-01-01 c:\\d 안녕 12:30 y off"""


@pytest.mark.parametrize(
    "text", [*AWKWARD.split(), "", " ", "- a", "a: b", "a #b", "a\tb", "\u2028", "1 h", "a  b", "b "]
)
def test_text_that_looks_like_something_else_reads_back(text: str) -> None:
    assert loads(dump(Toy(tokens=text)), Toy).tokens == text


@given(text())
def test_any_text_is_written_so_that_it_reads_back(tokens: str) -> None:
    assert loads(dump(Toy(tokens=tokens)), Toy).tokens == tokens


@given(floats(min_value=1e-300, allow_nan=False, allow_infinity=False), dictionaries(text(), floats(0, 1)))
def test_any_number_and_any_key_read_back(lr: float, weights: dict[str, float]) -> None:
    recipe = Toy(lr=lr, weights=weights)
    assert loads(dump(recipe), Toy) == recipe


def test_what_is_written_out_explains_every_key() -> None:
    lines = dump(Toy()).splitlines()
    assert "lr: 0.0001  # peak # rate" in lines
    assert "  length: 8  # tokens" in lines


def test_the_digest_tells_values_apart_but_not_ways_of_writing_them() -> None:
    assert digest(loads("lr: 0.0003", Toy)) == digest(loads("lr: 3e-4\nfast: false", Toy))
    assert digest(loads("lr: 0.0003", Toy)) != digest(Toy())


def test_the_digest_stays_what_it_is() -> None:
    class One(RecipeBlock):
        a: int = 1

    # sha256 of {"a":1}
    assert digest(One()) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


def test_the_difference_names_each_changed_key_with_both_values() -> None:
    new = FULL.model_copy(update={"lr": 1.0, "stages": (Stage(length=8, share=0.2), Stage(length=9))})
    assert difference(FULL, FULL) == []
    assert difference(FULL, new) == [("lr", 1e-5, 1.0), ("stages.0.share", 0.1, 0.2)]


def test_a_difference_is_told_as_a_recipe_is_written() -> None:
    old: dict[str, Any] = {"keep": True, "labels": ["가", "10"], "augment": None}
    new: dict[str, Any] = {"keep": False, "labels": ["가", "a b"], "augment": {"copies": 2}}
    assert list(map(str, difference(old, new))) == [
        "keep: true -> false",
        'labels: ["가", "10"] -> ["가", a b]',
        "augment: null -> {copies: 2}",
    ]


def test_the_difference_of_lists_of_unequal_length_is_the_lists() -> None:
    assert difference(Toy(), Toy(stages=(Stage(length=8),))) == [
        ("stages", [], [{"length": 8, "share": 1.0}]),
    ]


def test_rules_across_blocks_are_shown_with_their_lines(write) -> None:
    loaded = load(write("lr: 1\nfirst:\n  length: 9\n"), ["steps=3"], Toy)
    loaded.require([])
    with pytest.raises(RecipeError) as caught:
        loaded.require(
            [Problem("first.length", "too long"), Problem("steps", "too few"), Problem("first.share", "no")]
        )
    assert caught.value.message.splitlines()[1:] == [
        f"  {loaded.source.name}:2: first.share: no",
        f"  {loaded.source.name}:3: first.length: too long",
        "  command line: steps=3: too few",
    ]


def test_a_key_may_have_the_name_of_a_mark_of_the_schema() -> None:
    class Inner(RecipeBlock):
        only: str | None = Field(None, description="a key")

    class Marked(RecipeBlock):
        only_command: ClassVar[str | None] = "other"
        x: int = 1

    class Outer(RecipeBlock):
        mine: int = Field(1, json_schema_extra=only("this"))
        theirs: int = Field(1, json_schema_extra=only("other"))
        marked: Marked | None = None
        only: Inner = Field(default_factory=Inner, description="a block")

    found = of_command("this", Outer.model_json_schema())
    assert list(found["properties"]) == ["mine", "marked", "only"]
    assert list(found["$defs"]) == ["Inner"]
    assert list(found["$defs"]["Inner"]["properties"]) == ["only"]


def test_the_json_schema_knows_budgets_choices_and_descriptions() -> None:
    schema = Toy.model_json_schema()
    assert schema["properties"]["lr"]["description"] == "peak # rate"
    assert schema["additionalProperties"] is False
    choice = schema["properties"]["model"]["anyOf"][0]
    assert choice["discriminator"]["propertyName"] == "name"
    assert "bert" in choice["discriminator"]["mapping"]
    budget = schema["properties"]["budget"]["anyOf"][0]
    assert budget["type"] == "string"
