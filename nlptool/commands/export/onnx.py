"""`nlptool export MODEL --to onnx`: an ONNX graph, compared with the model; optionally with 8-bit weights.

OUT/model.onnx model_int8.onnx   the graphs
OUT/onnx.json                    opset, differences, agreement, scores, sizes, rows a second
OUT/config.json, tokenizer ...   as in the model's folder
OUT/README.md                    a description of the graph, and code that runs it
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool import __version__
from nlptool.atomic_files import write_json
from nlptool.commands.export import onnx_card, task_scores
from nlptool.commands.export.options import ExportOptions
from nlptool.commands.export.task_scores import TaskRows
from nlptool.console import Console, Options
from nlptool.errors import DataError, UsageError
from nlptool.formatting import counted, percent, quantity, scientific
from nlptool.manifests import atomic_folder
from nlptool.metric_table import describe
from nlptool.models import hf_family, hub, huggingface, onnx_export
from nlptool.models.onnx_export import FILE, OPSET, QUANTIZED, Exported, Feeds, OnnxModel
from nlptool.runs import folder
from nlptool.tasks import task_record
from nlptool.text import input_rows
from nlptool.text.row_template import RowTemplate
from nlptool.text.tokenizer import Tokenizer

CLOSE = 1e-4
"""Largest difference of outputs, absolute for values up to 1, relative to the largest value above."""
ROWS, BATCH, ROUNDS = 512, 16, 5
"""Most rows compared; rows of a batch; rounds whose median is the speed, the models taking turns."""
LEFT = (".safetensors", "run.json", "README.md")
Answer = Callable[[Feeds], list[NDArray[np.float32]]]
Table = tuple[list[str], list[list[str]]]


class Graphs(NamedTuple):
    """The graphs and their measurements."""

    facts: dict[str, Any]
    measured: dict[str, dict[str, float]]
    """By name: the model, and each graph."""
    metric: str
    """The main metric, if rows are labelled."""

    def table(self) -> Table:
        """Columns and cells: a line for the model and each graph."""
        model, metric = self.measured["model"], describe(self.metric)
        columns = ["graph", "size", "rows/s", "speed", "difference", "agreement"]
        if self.metric in model:
            columns.append(metric.title)
        lines = []
        for name, facts in self.measured.items():
            speed = facts["rows_per_second"]
            line = [name, quantity(facts["bytes"], "B") if "bytes" in facts else "", f"{speed:,.0f}"]
            line.append(f"{speed / model['rows_per_second']:.2f}x")
            compared = facts is not model
            line.append(scientific(facts["difference"]) if compared else "")
            line.append(percent(facts["agreement"]) if compared and "agreement" in facts else "")
            if self.metric in model:
                line.append(metric.show(facts[self.metric]))
            lines.append(line)
        used = [at for at in range(len(columns)) if any(line[at] for line in lines)]
        return [columns[at] for at in used], [[line[at] for at in used] for line in lines]


class _Rows(NamedTuple):
    """Rows for the comparison: batches, and the class of each row, if it is known."""

    batches: list[Feeds]
    labels: NDArray[np.int64] | None
    what: str
    multi_label: bool = False
    """Whether each logit is a binary decision, so that there is no predicted class."""


def export(options: ExportOptions, console: Console) -> Graphs:
    """Write the graphs and compare them with the model. Raises DataError where outputs differ."""
    onnx_export.require_packages()
    source = hub.folder(options.source)
    out = options.out or source.parent / "onnx"
    folder.prepare_output_folder(
        out, Options(overwrite=options.overwrite), holds=FILE, reads=[str(source), options.source]
    )
    settings = huggingface.read_config(source)
    model = _opened(source, settings)
    with ExitStack() as stack, atomic_folder(out) as aside:
        known = None
        if options.rows is not None and task_scores.can_read(source, options):
            known = stack.enter_context(TaskRows(source, options.rows, console, of_choices=model.of_choices))
            what = f"{counted(len(known.rows), 'rows')} of {options.rows}"
            rows = _Rows(known.batches(ROWS, BATCH), None, what, _is_multi_label(settings))
        else:
            rows = (
                _read(options, model, source, settings)
                if options.rows
                else _random(model, multi_label=_is_multi_label(settings))
            )
        console.note("tracing the graph")
        onnx_export.write(model, aside / FILE)
        answers: dict[str, Answer] = {
            "model": lambda feeds: onnx_export.outputs(model, feeds),
            FILE: OnnxModel(aside / FILE),
        }
        if options.quantize is not None:
            onnx_export.quantize(aside / FILE, aside / QUANTIZED)
            answers[QUANTIZED] = OnnxModel(aside / QUANTIZED)
        measured = _measure(answers, rows)
        for name, figures in {} if known is None else known.figures(answers, BATCH).items():
            measured[name].pop("agreement", None)
            measured[name] |= figures
        if not measured[FILE]["difference"] <= CLOSE:
            raise DataError(
                f"{source}: the graph's outputs differ from the model's by {scientific(measured[FILE]['difference'])}; "
                f"{scientific(CLOSE)} at most is expected, so nothing is written"
            )
        for name in answers.keys() - {"model"}:
            measured[name]["bytes"] = (aside / name).stat().st_size
        metric = "accuracy" if known is None else known.model.objective.metric
        facts = {"folder": str(out), "opset": OPSET, "compared on": rows.what}
        graphs = Graphs(facts, measured, metric)
        report = {"nlptool": __version__, "opset": OPSET, "rows": rows.what, "graphs": measured}
        write_json(aside / "onnx.json", report)
        for path in source.iterdir():
            if path.is_file() and not path.name.endswith(LEFT) and not path.name.startswith("."):
                shutil.copyfile(path, aside / path.name)
        onnx_card.write(aside, options.source, facts, graphs.table())
    return graphs


def _opened(source: Path, settings: dict[str, Any]) -> Exported:
    """The model of a folder. Raises DataError where it has no graph."""
    pretrained = huggingface.load_pretrained(source)
    if pretrained.config.reads_entities:
        raise DataError(
            f"{source}: {pretrained.config.name} reads entities beside tokens, and a graph in ONNX takes tokens alone",
            hint="fine-tune a model that reads none on the same rows, such as bert, and export that",
        )
    try:
        huggingface.class_names(settings)  # the card and labelled rows need it
        return Exported(pretrained, hf_family.architecture(settings))
    except DataError as error:
        raise DataError(f"{source}: {error.message}", error.hint) from error
    except ValueError as error:
        raise DataError(f"{source}: config.json: {error}") from error


def _measure(answers: dict[str, Answer], rows: _Rows) -> dict[str, dict[str, float]]:
    """For each graph: the largest difference from the model, agreement with it, accuracy, and rows a second."""
    seconds: dict[str, list[float]] = {name: [] for name in answers}
    outputs: dict[str, list[list[NDArray[np.float32]]]] = {}
    for _ in range(ROUNDS):
        for name, answer in answers.items():
            begun = time.perf_counter()
            outputs[name] = [answer(feeds) for feeds in rows.batches]
            seconds[name].append(time.perf_counter() - begun)
    count = sum(len(feeds["input_ids"]) for feeds in rows.batches)
    return {
        name: _compared(outputs[name], outputs["model"], rows)
        | {"rows_per_second": count / median(seconds[name])}
        for name in answers
    }


def _compared(
    outputs: Sequence[Sequence[NDArray[np.float32]]],
    right: Sequence[Sequence[NDArray[np.float32]]],
    rows: _Rows,
) -> dict[str, float]:
    difference, scale, agree, total = 0.0, 1.0, 0, 0
    chosen: list[NDArray[np.int64]] = []
    for feeds, ours, theirs in zip(rows.batches, outputs, right, strict=True):
        real_BT = feeds["attention_mask"].astype(bool)
        for one, other in zip(ours, theirs, strict=True):
            by_token = one.shape[:2] == real_BT.shape  # outputs at padding do not count
            mine, model = (one[real_BT], other[real_BT]) if by_token else (one, other)
            difference = max(difference, float(np.abs(mine - model).max()))
            scale = max(scale, float(np.abs(model).max()))
            if mine.shape[-1] > 1 and mine.ndim > 1:  # a single number is not a decision
                both = [(one > 0) if rows.multi_label else one.argmax(-1) for one in (mine, model)]
                same = both[0] == both[1]
                agree, total = agree + int(same.sum()), total + same.size
        if rows.labels is not None:
            chosen.append(ours[0].argmax(-1))
    found = {"difference": difference / scale}
    if total:
        found["agreement"] = agree / total
    if rows.labels is not None:
        found["accuracy"] = float((np.concatenate(chosen) == rows.labels).mean())
    return found


def _random(model: Exported, *, multi_label: bool) -> _Rows:
    """Rows of random tokens, of all lengths."""
    random, vocab = np.random.default_rng(0), model.backbone.word_embeddings.shape[0]
    longest = model.backbone.config.max_positions
    lengths = np.linspace(2, min(longest, 128), 4 * BATCH).astype(int).tolist()
    rows = [random.integers(0, vocab, length).tolist() for length in lengths]
    batches = [onnx_export.feeds_of(model, rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)]
    return _Rows(batches, None, f"{len(rows)} rows of random tokens", multi_label)


def _read(options: ExportOptions, model: Exported, source: Path, settings: dict[str, Any]) -> _Rows:
    """The first rows of a file, encoded as by the model's pipeline; long ones are truncated."""
    assert options.rows is not None
    tokenizer = Tokenizer.of_model(source, int(settings["vocab_size"]))
    if model.of_choices:
        raise DataError(
            f"{source}: rows with choices are read by a task, and the model carries none, or columns are named",
            hint=f"put its {task_record.FILE} there and leave --column and --label out; or leave --rows out",
        )
    names, multi_label = huggingface.class_names(settings), _is_multi_label(settings)
    if options.label is not None and (multi_label or len(names) < 2):
        raise UsageError(
            f"--label {options.label}: {source} gives no row a single class",
            hint=f"a model with {task_record.FILE} is scored as its task is: leave --label and --column out",
        )
    longest = model.backbone.config.max_positions
    encoded: list[tuple[list[int], list[int]]] = []
    labels: list[int] = []
    texts = options.columns or ("text",)
    form = input_rows.format_of(options.rows, default="lines", texts=texts)
    for row in islice(input_rows.read(options.rows, form, texts=texts[:1]), ROWS):
        if isinstance(row, DataError):
            raise row
        ids = [tokenizer.encode(row.text(column)) for column in texts]
        encoded.append(_framed(ids, tokenizer, model, longest))
        if options.label is not None:
            label = row.get(options.label)
            if label not in names and not (isinstance(label, int) and 0 <= label < len(names)):
                raise DataError(f"{row.place}: the label {label!r} is none of {', '.join(names)}")
            labels.append(names.index(label) if label in names else int(label))
    if not encoded:
        raise DataError(f"{options.rows}: no row")
    order = sorted(range(len(encoded)), key=lambda at: len(encoded[at][0]))
    batches = []
    for begin in range(0, len(order), BATCH):
        some = [encoded[at] for at in order[begin : begin + BATCH]]
        batches.append(onnx_export.feeds_of(model, [ids for ids, _ in some], [types for _, types in some]))
    known = np.array([labels[at] for at in order]) if labels else None
    return _Rows(batches, known, f"{counted(len(encoded), 'rows')} of {options.rows}", multi_label)


def _is_multi_label(settings: Mapping[str, Any]) -> bool:
    """Whether each logit is a binary decision, by config.json."""
    return settings.get("problem_type") == "multi_label_classification"


def _framed(
    texts: Sequence[list[int]], tokenizer: Tokenizer, model: Exported, longest: int
) -> tuple[list[int], list[int]]:
    """Ids and segments of a row: [CLS] A [SEP], or [CLS] A [SEP] B [SEP]; a decoder's as its tokenizer frames them."""
    if model.backbone.config.kind == "decoder":
        around = RowTemplate.read(tokenizer.content).around(len(texts))
    else:
        special = tokenizer.ids_of("cls", "sep")
        around = RowTemplate.of(special["cls"], *[special["sep"]] * 2).around(len(texts))
    room = longest - sum(map(len, around))
    kept = [list(text) for text in texts]
    while sum(map(len, kept)) > room:
        max(kept, key=len).pop()
    ids = list(around[0])
    types = [0] * len(ids)
    for segment, (text, behind) in enumerate(zip(kept, around[1:], strict=True)):
        ids += [*text, *behind]
        types += [segment] * (len(text) + len(behind))
    return (ids, types) if ids else ([0], [0])
