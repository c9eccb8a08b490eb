"""Every batch key that is read is documented, also those that no conformance suite produces."""

import ast
import re
from pathlib import Path

import batch_keys
import torch

from nlptool.data.batches import Batch
from nlptool.objectives.base import Objective

PACKAGE = Path(__file__).parents[2] / "nlptool"
DOCUMENTED_BY = ("collate", "Batch")


def read(tree: ast.Module) -> set[str]:
    """Keys taken from a `batch`: batch["key"], batch.shared["key"], "key" in batch, batch.tensors.get("key")."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=whole, slice=ast.Constant(value=str(key))):
                pass
            case ast.Compare(left=ast.Constant(value=str(key)), ops=[ast.In()], comparators=[whole]):
                pass
            case ast.Call(func=ast.Attribute(value=whole, attr="get"), args=[ast.Constant(value=str(key))]):
                pass
            case _:
                continue
        inside = whole.value if isinstance(whole, ast.Attribute) else whole
        if isinstance(inside, ast.Name) and inside.id == "batch":
            found.add(key)
    return found


def test_every_key_that_is_read_is_documented() -> None:
    keys, texts = set(), []
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text("utf8")
        if "batch" not in source and "Batch" not in source:
            continue
        tree = ast.parse(source)
        keys |= read(tree)
        texts += [
            ast.get_docstring(node) or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in DOCUMENTED_BY
        ]
    assert {"ids", "labels", "entity_at", "commonest", "answers"} <= keys
    missing = {key for key in keys if not any(re.search(rf"\b{key}\b{batch_keys.SHAPE}", t) for t in texts)}
    assert missing == set()


def test_a_key_without_its_shape_is_seen() -> None:
    class Other(Objective):
        def collate(self, examples: object, draws: object) -> Batch:
            """ids [B, T] and more [B]; flat and none []."""

    tensors = {name: torch.zeros(2) for name in ("ids", "more", "flat", "other")}
    assert batch_keys.undocumented(Other(), Batch(tensors, {}, 0)) == ["ids [2]", "flat [2]", "other [2]"]
