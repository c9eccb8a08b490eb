"""Dry runs of every shipped recipe; `make demo` runs the demo's in full."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from nlptool.cli import main
from nlptool.commands.suite import recipe as suite

RECIPES = Path(__file__).parents[1] / "recipes"
BY_NAME = {
    str(path.relative_to(RECIPES))[:-5]: YAML(typ="safe").load(path) for path in RECIPES.glob("**/*.yaml")
}
DISTILLING = sorted(name for name, recipe in BY_NAME.items() if "objective" in recipe and "teacher" in recipe)
GRAPHS = sorted(
    name
    for name, recipe in BY_NAME.items()
    if "out" in recipe and "source" in recipe and "tokenizer" not in recipe
)
EMBEDDING = sorted(name for name, recipe in BY_NAME.items() if {"graph", "objective"} <= set(recipe))
PRETRAINING = sorted(
    name
    for name, recipe in BY_NAME.items()
    if "objective" in recipe and name not in (*DISTILLING, *EMBEDDING)
)
TOKENIZING = sorted(name for name, recipe in BY_NAME.items() if "tokenizer" in recipe)
CORPORA = sorted(name for name, recipe in BY_NAME.items() if "sources" in recipe and "out" in recipe)
TEACHING = sorted(name for name, recipe in BY_NAME.items() if {"task", "teacher"} <= set(recipe))
TUNING = sorted(name for name, recipe in BY_NAME.items() if "task" in recipe and name not in TEACHING)
TASKS = sorted(name.removeprefix("tasks/") for name in BY_NAME if name.startswith("tasks/"))
PROMPTING = sorted(
    name for name, recipe in BY_NAME.items() if "num_fewshot" in recipe
)  # carried out by tests/prompts
PROMPTS = sorted(name for name in BY_NAME if name.startswith("prompted-tasks/"))
ENCODED = sorted(
    name for name in TASKS if not name.startswith("deca/")
)  # decaNLP's: tests/tasks/test_deca_rows.py
SUITES = sorted(name.removeprefix("suites/") for name in BY_NAME if name.startswith("suites/"))
EXPERIMENTS = sorted(name for name in BY_NAME if name.startswith("experiments/"))
ALL = sorted(BY_NAME)


def test_every_recipe_is_of_a_known_kind():
    training = {*PRETRAINING, *DISTILLING, *GRAPHS, *EMBEDDING, *TOKENIZING, *CORPORA, *TUNING, *TEACHING}
    assert set(BY_NAME) == {
        *training,
        *(f"tasks/{name}" for name in TASKS),
        *PROMPTING,
        *PROMPTS,
        *EXPERIMENTS,
        *(f"suites/{name}" for name in SUITES),
    }


def of_objective(name: str) -> list[str]:
    """The pretraining recipes with this objective."""
    return [recipe for recipe in PRETRAINING if BY_NAME[recipe]["objective"]["name"] == name]


@pytest.mark.parametrize(
    ("command", "recipes"),
    [
        *((f"pretrain-{name}", of_objective(name)) for name in ("mlm", "sop", "electra", "clm")),
        ("distill", DISTILLING),
        ("tokenize", TOKENIZING),
        ("knowledge", GRAPHS),
        ("pretrain-transe", EMBEDDING),
        ("corpus", CORPORA),
        ("distill-task", TEACHING),
        ("finetune", TUNING),
        ("prompt", PROMPTING),
        ("task", [f"tasks/{name}" for name in TASKS]),
    ],
)
def test_an_editor_that_knows_the_schema_has_nothing_to_say(command: str, recipes: list[str], capsys):
    jsonschema = pytest.importorskip("jsonschema")
    assert main(["schema", command]) == 0
    schema = jsonschema.Draft202012Validator(json.loads(capsys.readouterr().out))
    told = [f"{name}: {error.message}" for name in recipes for error in schema.iter_errors(BY_NAME[name])]
    assert recipes
    assert not told
    assert list(schema.iter_errors({"nothing": 1}))


def put(row: dict, column: str, value: object) -> None:
    """Set a column; dots lead into objects."""
    *above, last = column.split(".")
    for name in above:
        row = row.setdefault(name, {})
    row[last] = value


def a_row(task: dict, number: int) -> dict:
    """A row with the columns of a task."""
    if task["name"] == "extractive_qa":
        none = task.get("unanswerable") and number % 2
        answers = {"text": [], "answer_start": []} if none else {"text": ["river"], "answer_start": [8]}
        return {"id": str(number), "question": "what?", "context": "the old river", "answers": answers}
    if task["name"] == "token_classification":
        return {
            task.get("tokens", "tokens"): ["old", "river"],
            task.get("tags", "ner_tags"): ["O", 1 + number % 2],
        }
    if task["name"] == "relation_classification":
        ents = [["Q1", 4, 7, 1.0], ["Q2", 8, 13, 1.0]]
        return {"text": "the old river", "ents": ents, "label": task["labels"][number % 2]}
    if task["name"] == "entity_typing":
        mention = {"start": 8, "end": 13, "ents": [["Q2", 8, 13, 0.9]]}
        return {"sent": "the old river", **mention, "labels": task["labels"][: number % 2 + 1]}
    row: dict = {}
    for column in task["inputs"]:
        put(row, column, "the old river")
    listed = len(task.get("choices", [])) == 1
    for column in task.get("choices", []):
        put(row, column, ["a bell"] * len(task["labels"]) if listed else "a bell")
    put(row, task.get("label", "label"), number % len(task["labels"]) if "labels" in task else 0.5 * number)
    return row


def write_rows(task: dict, folder: Path) -> None:
    """Ten rows for every split of a task."""
    for split in (task.get("train", "train"), *task.get("validation", ["validation"]), *task.get("test", [])):
        lines = [json.dumps(a_row(task, number)) for number in range(10)]
        path = folder / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines))


def further(task: dict, folder: Path) -> list[str]:
    """What a task needs besides rows: KagNet's a graph."""
    if task["name"] != "kagnet":
        return []
    sys.path.append(str(Path(__file__).parent / "tasks"))
    graph, vectors = import_module("kinds.kagnet").graph(folder)
    removed = ["~task.schema_graphs"] if "schema_graphs" in task else []
    return [f"task.graph={graph}", f"task.entity_embeddings={vectors}", *removed]


@pytest.mark.parametrize("recipe", sorted(set(TUNING) - {"finetune/deca"}))
def test_a_fine_tuning_recipe_can_be_planned(recipe: str, tiny_run: Path, tmp_path: Path, capsys):
    task = BY_NAME[f"tasks/{BY_NAME[recipe]['task']}"]
    write_rows(task, tmp_path)
    arguments = [
        f"init_from={tiny_run}/final",
        f"data={tmp_path}",
        "train.sequence_length=32",
        "--dry-run",
        "--json",
        *further(task, tmp_path),
    ]
    assert main(["finetune", recipe, *arguments, "--out", str(tmp_path / "run")]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["train"] == 10


@pytest.mark.parametrize("recipe", TEACHING)
def test_a_recipe_that_distils_a_task_can_be_planned(recipe: str, tiny_run: Path, tmp_path: Path, capsys):
    task = BY_NAME[recipe]["task"]
    write_rows(BY_NAME[f"tasks/{task}"], tmp_path)
    learnt = [
        f"task={task}",
        f"init_from={tiny_run}/final",
        f"data={tmp_path}",
        "train.steps=1",
        "train.sequence_length=32",
    ]
    assert main(["finetune", "finetune/bert", *learnt, "--out", str(tmp_path / "teacher")]) == 0
    capsys.readouterr()
    teacher = f"teacher={tmp_path}/teacher/seed-0/final"
    student = ["layers=1"] if "layers" in BY_NAME[recipe] else [f"init_from={tiny_run}/final"]
    lengths = [f"{stage}.sequence_length=32" for stage in ("intermediate", "prediction")]
    guesser = [f"augment.model={tiny_run}/final"] if BY_NAME[recipe].get("augment", {}).get("model") else []
    arguments = [teacher, *student, f"data={tmp_path}", *lengths, *guesser, "--dry-run", "--json"]
    assert main(["distill-task", recipe, *arguments, "--out", str(tmp_path / "run")]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]["train"]
    assert rows > 10 if "augment" in BY_NAME[recipe] else rows == 10


@pytest.mark.parametrize("task", ENCODED)
def test_a_task_reads_its_columns(task: str, tiny_run: Path, tmp_path: Path, capsys):
    write_rows(BY_NAME[f"tasks/{task}"], tmp_path)
    arguments = [
        f"init_from={tiny_run}/final",
        f"data={tmp_path}",
        "train.sequence_length=32",
        "--dry-run",
        "--json",
        *further(BY_NAME[f"tasks/{task}"], tmp_path),
    ]
    assert main(["finetune", "finetune/bert", f"task={task}", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["rows"].values()) == {10}
    assert told["baseline"]


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_finds_its_tasks_and_their_rows(name: str, tmp_path: Path):
    written = BY_NAME[f"suites/{name}"]
    tasks = written.get("finetune", {}).get("tasks", [])
    for task in tasks:
        (tmp_path / task).mkdir(parents=True)
    exams = suite.read(name, str(tmp_path))
    assert [(exam.task, exam.recipe.data) for exam in exams.tuned] == [(t, str(tmp_path / t)) for t in tasks]
    asked = [] if exams.prompted is None else [task.name for task in exams.prompted.tasks]
    assert asked == written.get("prompt", {}).get("tasks", [])
    assert tasks or asked
    assert f"--suite {name} " in (RECIPES / "suites" / f"{name}.yaml").read_text()


# A plan of a model of billions of parameters takes seconds; the others of a family differ in numbers alone.
ONE_OF_A_KIND = (
    "bert/tiny", "albert/base", "electra/small", "gpt2/small", "compare/mlm", "compare/sop", "compare/electra",
)  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[] if name in ONE_OF_A_KIND or name.startswith("demo/") else pytest.mark.slow
        )
        for name in PRETRAINING
    ],
)
def test_a_pretraining_recipe_can_be_planned(
    name: str, tiny_store: Path, tiny_run: Path, write_linked, tmp_path: Path, capsys
):
    keys = {"store": str(tiny_store)}
    if "entity_embeddings" in BY_NAME[name]:
        keys = write_linked(tmp_path, BY_NAME[name].get("model", {}).get("entity_size", 16))
    if "init_from" in BY_NAME[name]:
        keys["init_from"] = f"{tiny_run}/final"
    arguments = [
        *(f"{key}={value}" for key, value in keys.items()),
        "--out",
        str(tmp_path / "run"),
        "--dry-run",
        "--json",
    ]
    assert main([f"pretrain-{BY_NAME[name]['objective']['name']}", name, *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    least = 10**4 if "init_from" in keys else 10**5  # a tiny run's
    assert told["parameters"] > least
    assert told["flops_per_token"] > least
    assert told["memory"]["activations"] > least


@pytest.mark.parametrize("name", DISTILLING)
def test_a_distilling_recipe_can_be_planned(
    name: str, tiny_store: Path, write_teacher, tmp_path: Path, capsys
):
    block = {"name": "gpt2" if "gpt2" in name else "bert", "layers": 12, "hidden": 24}
    teacher = write_teacher(tmp_path / "teacher", block)
    arguments = [f"store={tiny_store}", f"teacher={teacher}", "--out", str(tmp_path / "run")]
    assert main(["distill", name, *arguments, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parameters"] > 10**4
    assert told["flops_per_token"] > 10**4


@pytest.fixture(scope="module")
def triples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 40 triples."""
    path = tmp_path_factory.mktemp("triples") / "triples.tsv"
    path.write_text("".join(f"river {a}\tflows to\triver {a + 1}\n" for a in range(40)))
    return path


def graph_of(name: str, triples: Path, out: Path) -> int:
    """Make the graph of a recipe on other triples, without what is of its own."""
    own = [f"~{key}" for key in BY_NAME[name] if key not in ("source", "split", "loops", "out")]
    return main(
        ["knowledge", name, *own, "~source", f"source.files={triples}", "--out", str(out), "--overwrite"]
    )


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_made(name: str, triples: Path, tmp_path: Path):
    assert graph_of(name, triples, tmp_path / "graph") == 0


@pytest.mark.parametrize("name", EMBEDDING)
def test_a_graph_is_embedded(name: str, triples: Path, tmp_path: Path):
    assert graph_of("demo/knowledge", triples, tmp_path / "graph") == 0
    changes = [f"graph={tmp_path}/graph", "--out", str(tmp_path / "t"), "--dry-run"]
    assert main(["pretrain-transe", name, *changes]) == 0


@pytest.mark.parametrize("name", [name for name in TOKENIZING if "links" in BY_NAME[name]])
def test_text_is_linked_to_a_graph(
    name: str, triples: Path, tiny_store: Path, sample_data: Path, tmp_path: Path
):
    assert graph_of("demo/knowledge", triples, tmp_path / "graph") == 0
    keys = {"source.files": f"{sample_data}/sample.en.txt", "tokenizer.load": f"{tiny_store}/tokenizer"}
    keys |= {"links.graph": f"{tmp_path}/graph", "out": f"{tmp_path}/linked"}
    changes = [f"{key}={value}" for key, value in keys.items()]
    assert main(["tokenize", name, "~source", *changes, "--dry-run"]) == 0


@pytest.mark.parametrize("name", [name for name in TOKENIZING if "links" not in BY_NAME[name]])
def test_a_tokenizing_recipe_can_be_planned(name: str, sample_data: Path, tmp_path: Path, capsys):
    language = "ko" if name.endswith("ko") else "en"
    source = ["~source", f"source.files={sample_data}/sample.{language}.txt"]
    assert main(["tokenize", name, *source, "--out", str(tmp_path / "tokens"), "--dry-run"]) == 0
    assert not (tmp_path / "tokens").exists()


@pytest.mark.parametrize("name", CORPORA)
def test_a_recipe_of_a_corpus_can_be_planned(name: str, sample_data: Path, tmp_path: Path, capsys):
    language = "ko" if name.endswith("korean") else "en"
    sources = []
    for source, given in BY_NAME[name]["sources"].items():
        sources += [f"~sources.{source}", f"sources.{source}.files={sample_data}/sample.{language}.txt"]
        sources += [f"sources.{source}.pages={given['pages']}"] if "pages" in given else []
    for samples in ("positive", "negative"):
        if samples in BY_NAME[name].get("quality", {}):
            sources += [f"quality.{samples}.files={sample_data}/sample.{language}.txt"]
    assert main(["corpus", name, *sources, "--out", str(tmp_path / "corpus"), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dedup"]
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("name", ALL)
def test_a_recipe_opens_with_what_it_is_and_the_command(name: str):
    comment = [line for line in (RECIPES / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    assert len(comment) >= 3
    assert any("nlptool " in line for line in comment)
