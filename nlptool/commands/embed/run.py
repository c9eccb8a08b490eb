"""Implementation of `embed`: texts are read, encoded and written in chunks, in their order."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nlptool.commands.embed.options import EmbedOptions
from nlptool.console import Console, Options
from nlptool.errors import DataError
from nlptool.evaluation import vector_files
from nlptool.evaluation.embedding import Embedder
from nlptool.formatting import counted
from nlptool.models import hub
from nlptool.runs import machine
from nlptool.text import input_rows
from nlptool.text.row_formats import Rows

CHUNK = 1024  # rows held at once, and sorted by length
SMALLEST = 1e-12  # shorter vectors are divided by this norm, as in torch.nn.functional.normalize


def run(request: tuple[str, EmbedOptions], output: Options, console: Console) -> None:
    """Write the embeddings of a file's rows, or print that of one text. request: the model and the options."""
    model, options = request
    folder = hub.folder(model)
    rows = (
        None
        if options.file is None
        else input_rows.read(options.file, options.format, default="lines", texts=(options.column,))
    )
    pooling = options.pooling or Embedder.natural_pooling(folder)
    embedder = Embedder(folder, pooling, options.layers, machine.device(), options.batch_size)
    if rows is None:
        assert options.text is not None
        _print(embedder, options, as_json=output.json, console=console)
        return
    assert options.out is not None
    reading = _Reading(rows, options, console)
    cut = done = 0
    with (
        vector_files.writing(options.out, embedder.width) as writer,
        console.progress("embedding", None, "rows") as bar,
    ):
        for texts in reading.chunks():
            ids, shortened = embedder.encode(texts)
            writer.add(texts, _vectors(embedder, ids, options))
            cut, done = cut + shortened, done + len(texts)
            bar.to(done)
        if not done:
            raise DataError(f"{options.file}: no text to embed")
    if cut:
        console.note(
            f"{counted(cut, 'texts')} cut to {embedder.positions:,} tokens, which the model reads at most"
        )
    facts = {
        "rows": done,
        "width": embedder.width,
        "pooling": pooling,
        "layers": ", ".join(map(str, embedder.layers)),
        "cut": cut,
        "left out": reading.skipped,
    }
    if output.json:
        written = {"out": str(options.out)} | facts | {"layers": embedder.layers}
        console.json({name.replace(" ", "_"): value for name, value in written.items()})
    else:
        console.facts(str(options.out), facts)


class _Reading:
    """Texts in chunks; rows without one stop the command, or are skipped and counted."""

    def __init__(self, rows: Rows, options: EmbedOptions, console: Console) -> None:
        self.rows, self.options, self.console, self.skipped = rows, options, console, 0

    def chunks(self) -> Iterator[list[str]]:
        texts = self._texts()
        while chunk := list(islice(texts, CHUNK)):
            yield chunk

    def _texts(self) -> Iterator[str]:
        for row in self.rows:
            try:
                if isinstance(row, DataError):
                    raise row
                yield row.text(self.options.column)
            except DataError as error:
                if not self.options.skip:
                    raise
                self.console.note(f"left out: {error.message}")
                self.skipped += 1


def _print(embedder: Embedder, options: EmbedOptions, *, as_json: bool, console: Console) -> None:
    assert options.text is not None
    ids, _ = embedder.encode([options.text])
    vector = _vectors(embedder, ids, options)[0].tolist()
    if as_json:
        console.json({"text": options.text, "embedding": vector})
    else:
        console.result(" ".join(f"{value:.6g}" for value in vector))


def _vectors(embedder: Embedder, ids: list[list[int]], options: EmbedOptions) -> NDArray[np.float32]:
    found = embedder.vectors(ids)
    if options.normalize:
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), SMALLEST)
    return found
