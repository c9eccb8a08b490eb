"""`nlptool evaluate VECTORS --graph GRAPH`: filtered ranks of a graph's triples by entity embeddings.

OUT/evaluate.json, evaluate.md    all figures
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlptool.atomic_files import write_json, write_text
from nlptool.commands.evaluate.options import GraphRanking
from nlptool.console import Console, Options
from nlptool.errors import DataError
from nlptool.formatting import counted, markdown
from nlptool.knowledge.embeddings import CONFIG, EntityEmbeddings
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.ranking import KnownTriples, rank_figures, rank_sums
from nlptool.metric_table import describe
from nlptool.objectives.transe.objective import ranks

AT_ONCE = 1024  # triples of a batch
TRANSE = "transe"


def run(
    folders: list[str], ranking: GraphRanking, out: Path | None, options: Options, console: Console
) -> None:
    """Rank the triples of each split by each folder's embeddings, and show the figures."""
    graph = Graph(ranking.graph)
    known = KnownTriples(graph)
    results = []
    for name in folders:
        embeddings = EntityEmbeddings(Path(name), graph)
        norm = embeddings.config.get("norm", 1)
        if norm not in (1, 2):
            raise DataError(f"{Path(name) / CONFIG}: norm is {norm!r}; 1 or 2 is expected")
        entities = torch.from_numpy(np.array(embeddings.entities))
        relations = torch.from_numpy(np.array(embeddings.relations))
        for split in ranking.splits:
            columns = graph.triples(split)
            if not len(columns):
                raise DataError(
                    f"{ranking.graph}: has no {split} triples",
                    hint="--split names train, validation or test; knowledge sets some aside: split={validation: 0.05}",
                )
            triples = torch.from_numpy(np.stack(columns, 1).astype(np.int64))
            with console.progress(f"ranking {split} by {name}", len(triples), "triples") as bar:
                found = []
                for part in torch.split(triples, AT_ONCE):
                    found.append(ranks(entities, relations, norm, part, known))
                    bar.advance(len(part))
            figures = rank_figures(rank_sums(torch.cat(found, 1)))
            results.append({"model": name, "split": split, "triples": len(triples), "figures": figures})
    _show(results, out, options, console)


def _show(results: list[dict[str, Any]], out: Path | None, options: Options, console: Console) -> None:
    metrics = list(results[0]["figures"])
    columns = ["vectors", "split", *(describe(name, TRANSE).title for name in metrics)]
    rows = [
        [one["model"], one["split"], *(describe(name, TRANSE).show(one["figures"][name]) for name in metrics)]
        for one in results
    ]
    title = ", ".join(
        dict.fromkeys(f"{one['split']}: {counted(one['triples'], 'triples')}" for one in results)
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "evaluate.json", results)
        write_text(out / "evaluate.md", markdown(columns, rows))
    if options.json:
        console.json(results)
    else:
        console.table(columns, rows, title=f"filtered ranks, {title}")
