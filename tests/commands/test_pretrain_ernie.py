"""`pretrain-ernie`: behaviour beyond that of every objective."""

import json
from pathlib import Path
from typing import Any

import pytest
from objectives import tiny
from safetensors.torch import load_file, save_file

from nlptool.cli import main
from nlptool.models import huggingface

MODEL = {"name": "ernie", "layers": 2, "hidden": 32, "heads": 2, "max_positions": 40, "entity_size": 16}


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory, write_linked) -> dict[str, str]:
    return write_linked(tmp_path_factory.mktemp("linked"), 16)


def written(folder: Path, linked: dict[str, str], **changes: Any) -> Path:
    recipe = linked | {
        "model": MODEL,
        "objective": {"name": "ernie"},
        "train": {"steps": 2, "batch_size": 4, "sequence_length": 32, "lr": 1e-3},
        "evaluate": {"every": 2, "batches": 1},
        "out": str(folder / "run"),
    }
    path = folder / "recipe.yaml"
    path.write_text(
        json.dumps({key: value for key, value in (recipe | changes).items() if value is not None})
    )
    return path


def test_it_goes_on_from_a_bert_and_the_vectors_are_in_no_checkpoint(
    linked, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = {"model": None, "init_from": str(tiny_run / "final")}
    path = written(tmp_path, linked, **start, objective={"name": "ernie", "next_sentence": False})
    assert main(["pretrain-ernie", str(path), "--json"]) == 0
    told = capsys.readouterr()
    assert "has no dea, backbone.entities: random weights to begin with" in told.err
    figures = json.loads(told.out)["heldout"]
    assert {"dea_accuracy", "dea_majority"} <= figures.keys()
    final = huggingface.load_pretrained(tmp_path / "run" / "final")
    assert (final.config.name, final.config.layer_types, final.config.entity_size) == (
        "ernie",
        ("mix", "norm"),
        16,
    )
    sizes = {
        tensor.shape[0]
        for file in tmp_path.glob("run/**/*.safetensors")
        for tensor in load_file(file).values()
        if tensor.ndim == 2 and tensor.shape[1] == 16
    }
    assert tiny.ENTITIES not in sizes
    assert "entity_embeddings" in json.loads((tmp_path / "run" / "environment.json").read_text())["models"]


def test_without_an_entity_of_cls_the_bert_that_it_is_lies_beside_it(linked, tmp_path: Path) -> None:
    path = written(tmp_path, linked, model=MODEL | {"cls_entity": False})
    assert main(["pretrain-ernie", str(path)]) == 0
    assert huggingface.load_pretrained(tmp_path / "run" / "final" / "bert").config.name == "bert"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"entity_embeddings": None}, "entity_embeddings: name vectors of the graph's entities"),
        (
            {"model": {"name": "bert", "layers": 2, "hidden": 32, "heads": 2}},
            "a model that reads them: ernie",
        ),
        ({"objective": {"name": "mlm"}}, "only nlptool pretrain-ernie has them"),
        ({"model": MODEL | {"entity_size": 12}}, "the vectors have width 16, and model.entity_size is 12"),
        ({"objective": {"name": "ernie", "entity_split": [0.8, 0.1, 0.2]}}, "three shares that add up to 1"),
    ],
)
def test_what_does_not_go_together_is_told(
    linked, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], told: str
) -> None:
    path = written(tmp_path, linked, **changes)
    command = f"pretrain-{changes.get('objective', {}).get('name', 'ernie')}"
    assert main([command, str(path)]) in (2, 3)
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_vectors_of_another_graph_are_refused(
    linked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tiny.entity_embeddings(tmp_path / "other", 16, graph="c" * 64)
    assert main(["pretrain-ernie", str(written(tmp_path, linked, entity_embeddings=str(other)))]) == 3
    assert "links to another graph" in capsys.readouterr().err


def test_a_store_without_links_is_refused(
    linked, tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pretrain-ernie", str(written(tmp_path, linked, store=str(tiny_store)))]) == 3
    assert "without links to a graph" in capsys.readouterr().err


def test_a_run_does_not_go_on_with_other_vectors(
    linked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = tiny.entity_embeddings(tmp_path / "vectors", 16)
    path = written(tmp_path, linked, entity_embeddings=str(vectors))
    assert main(["pretrain-ernie", str(path)]) == 0
    tables = load_file(vectors / "model.safetensors")
    save_file({name: table + 1 for name, table in tables.items()}, vectors / "model.safetensors")
    assert main(["pretrain-ernie", str(path), "train.steps=4", "--resume", "auto"]) == 3
    assert "is not the entity_embeddings that" in capsys.readouterr().err
