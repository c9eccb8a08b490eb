"""`nlptool export GRAPH --to openke|pykeen`: a knowledge graph with embeddings for other programs."""

from pathlib import Path
from typing import Any

from nlptool.commands.export.options import ExportOptions
from nlptool.console import Console, Options
from nlptool.knowledge.embeddings import EntityEmbeddings
from nlptool.knowledge.exchange import unnamed, write_openke, write_pykeen
from nlptool.knowledge.graph import Graph
from nlptool.manifests import atomic_folder
from nlptool.runs import folder

MARKS = {"openke": "entity2id.txt", "pykeen": "train"}
"""Characteristic files of earlier exports, which --overwrite replaces."""


def export(options: ExportOptions, console: Console) -> dict[str, Any]:
    """Write a graph in another program's format and return the facts. Raises DataError for any other folder."""
    source, form = Path(options.source), str(options.to)
    graph = Graph(source)
    vectors = None if options.vectors is None else EntityEmbeddings(options.vectors, graph)
    out = options.out or source.with_name(f"{source.name}-{form}")
    reads = [str(source), *([] if options.vectors is None else [str(options.vectors)])]
    folder.prepare_output_folder(out, Options(overwrite=options.overwrite), holds=MARKS[form], reads=reads)
    with atomic_folder(out) as aside:
        if options.to == "openke":
            write_openke(aside, graph, vectors)
        else:
            for split in write_pykeen(aside, graph, vectors):
                _write_base(split / "base.pth", graph)
    if options.to == "pykeen" and (lost := [*unnamed(graph.entities), *unnamed(graph.relations)]):
        console.note(
            f"{', '.join(map(repr, lost))}: pandas takes such a name for no value, and PyKEEN reads nan in its place"
        )
    counts = {key: number for key, number in graph.counts.items() if number}
    return {"folder": str(out), "format": form, **counts, "vectors": 0 if vectors is None else vectors.width}


def _write_base(path: Path, graph: Graph) -> None:
    """PyKEEN's own file of a factory, written by torch.save."""
    import torch

    facts = {
        "num_entities": len(graph.entities),
        "num_relations": len(graph.relations),
        "create_inverse_triples": False,
        "metadata": {},
    }
    torch.save(facts, path)
