"""Implementation of `inspect`: the rows of a training batch, of a store, or of prompts."""

import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlptool.atomic_files import write_text
from nlptool.commands.finetune.recipe import Recipe as FinetuneRecipe
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.commands.inspect.links import StoreLinks, graph_of
from nlptool.commands.inspect.options import InspectOptions
from nlptool.commands.inspect.page import page
from nlptool.commands.inspect.prompts import prompted_rows
from nlptool.commands.inspect.rows import SPECIAL, Part, ShownRow, format_facts, of_view, spelled
from nlptool.commands.pretrain.recipe import Recipe as PretrainRecipe
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.commands.prompt.recipe import Recipe as PromptRecipe
from nlptool.console import Console, Options
from nlptool.data.linked_texts import LinkedTextDataset
from nlptool.data.pair_inputs import TextPairDataset
from nlptool.data.row_view import (
    ANSWER,
    CUT,
    ENTITY,
    KEPT,
    MASKED,
    MEANING,
    ONLY,
    REPLACED,
    TAG,
    UNKNOWN,
    Fact,
    RowView,
)
from nlptool.errors import UsageError
from nlptool.formatting import counted
from nlptool.launch import ALONE
from nlptool.models import hub, huggingface
from nlptool.objectives.base import Objective
from nlptool.prompting.prompted_model import PromptedModel
from nlptool.prompting.requests import read_task
from nlptool.runs import machine
from nlptool.tasks.kagnet.schema_batches import KagNetDataset
from nlptool.text.store import TokenStore
from nlptool.text.token_texts import TokenTexts
from nlptool.text.tokenizer import Tokenizer
from nlptool.train import distributed
from nlptool.train.trainer import derive_seed, seed_dropout

STYLES = {
    MASKED: "bold blue", REPLACED: "bold red", KEPT: "bold magenta", ANSWER: "bold green", ONLY: "green",
    TAG: "bold yellow", ENTITY: "bold cyan", UNKNOWN: "bold red reverse", CUT: "red strike", SPECIAL: "dim",
}  # fmt: skip
LONGEST = 2000  # tokens shown of a document

Found = tuple[dict[str, Fact], list[ShownRow]]
"""Facts about all rows, and the rows."""


def run(options: InspectOptions, shared: Options, console: Console) -> None:
    """Show rows on the terminal, as a page, or as JSON."""
    if isinstance(options.subject, Path):
        facts, rows = _of_store(options, TokenStore(options.subject))
    elif isinstance(options.subject, PretrainRecipe):
        facts, rows = _of_pretraining(options, options.subject, console)
    elif isinstance(options.subject, FinetuneRecipe):
        facts, rows = _of_task(options, options.subject, console)
    else:
        facts, rows = _of_prompts(options, options.subject, console)
    if options.out is not None:
        write_text(options.out, page(options.title, facts, rows))
    if shared.json:
        console.json({"title": options.title, **facts, "rows": [row.json() for row in rows]})
    elif options.out is not None:
        console.result(f"{counted(len(rows), 'rows')} on {options.out}")
    else:
        _show(options.title, facts, rows, console)


def _show(title: str, facts: Mapping[str, Fact], rows: list[ShownRow], console: Console) -> None:
    """The rows on the terminal."""
    console.styled([(title, "bold")])
    console.inline(format_facts(facts))
    kinds = set().union(*(row.kinds for row in rows))
    for kind, meaning in MEANING.items():
        if kind in kinds:
            console.styled([(f"⟦{kind}⟧", STYLES[kind]), (f" {meaning}", "dim")])
    for row in rows:
        console.result("")
        known = "".join(f"   {name}: {value}" for name, value in format_facts(row.facts).items())
        console.styled([(row.title, "bold"), (known, "dim")])
        for part in row.parts:
            line: list[tuple[str, str]] = [(f"{part.name}  ", "bold dim")] if part.name else []
            line += [(text, STYLES.get(kind, "")) for piece in part.pieces for text, kind in spelled(piece)]
            console.styled(line)


def _of_pretraining(options: InspectOptions, recipe: PretrainRecipe, console: Console) -> Found:
    """The rows of a step of the run, with the recipe's seed, on one process."""
    setup = PretrainSetup(recipe)
    if setup.entities is not None:
        setup.entities.names = graph_of(setup.store)
    console.notes(setup.remarks())
    if setup.seconds is None and options.batch >= setup.steps:
        raise UsageError(f"--batch {options.batch}: the run has {counted(setup.steps, 'steps')}, from 0")
    world = distributed.join(ALONE)
    torch.manual_seed(derive_seed(recipe.seed))
    objective = _with_weights(setup, console, options.batch) if setup.shape.makes_rows else setup.shape
    stage = setup.stages[sum(first <= options.batch for first in setup.first_steps) - 1][0]
    views: list[RowView] = []
    for index, batch in enumerate(setup.batches(objective, world).get(options.batch)):
        seed_dropout(derive_seed(recipe.seed, options.batch, world.rank, index), torch.device("cpu"))
        half = recipe.train.precision == "bf16"
        with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
            views += objective.row_views(batch)
        if len(views) >= options.rows:
            break
    texts = TokenTexts(setup.tokenizer)
    rows = [of_view(view, f"row {n}", texts) for n, view in enumerate(views[: options.rows])]
    facts: dict[str, Fact] = {
        "objective": str(recipe.objective.name),
        "step": options.batch,
        "batch_size": stage.batch_size,
        "sequence_length": stage.sequence_length,
        "vocab_size": setup.tokenizer.vocab_size,
        "seed": recipe.seed,
    }
    return facts, rows


def _with_weights(setup: PretrainSetup, console: Console, step: int) -> Objective:
    """The initial objective, for rows that one part of the model generates for another."""
    objective = setup.objective()
    if setup.pretrained is not None:
        huggingface.load(objective, setup.state, setup.model.new_parts)
    if step:
        console.note(
            f"what replaces tokens at step {step:,} is drawn by weights that have been trained by then; here by those "
            "that the run begins with"
        )
    return objective.train()


def _of_task(options: InspectOptions, recipe: FinetuneRecipe, console: Console) -> Found:
    """The rows of a fine-tuning step with the first seed."""
    setup = FinetuneSetup(recipe)
    with tempfile.TemporaryDirectory() as aside:
        setup.encode(Path(aside) / "rows", console)
        setup.open(Path(aside) / "rows")
        setup.remark(console)
        if options.batch >= setup.steps:
            raise UsageError(f"--batch {options.batch}: the run has {counted(setup.steps, 'steps')}, from 0")
        batches = setup.batches(setup.shape, recipe.seeds[0], distributed.join(ALONE))
        views = [view for batch in batches.get(options.batch) for view in setup.shape.row_views(batch)]
        data: Any = setup.splits[setup.task.train]
        data = data.rows if isinstance(data, KagNetDataset) else data
        data = data.texts if isinstance(data, LinkedTextDataset) else data
        rows, texts = [], TokenTexts(setup.tokenizer)
        choices = data.choices if isinstance(data, TextPairDataset) else 1
        for number, view in enumerate(views[: options.rows * choices]):
            if isinstance(data, TextPairDataset) and view.row is not None:
                view.cut = data.cut_off(view.row, number % choices)
            known = f"row {number // choices} of the step" if view.row is None else f"row {view.row}"
            rows.append(of_view(view, f"{setup.task.train}, {known}", texts))
    facts: dict[str, Fact] = {
        "task": str(recipe.task.name),
        "step": options.batch,
        "batch_size": recipe.train.batch_size,
        "sequence_length": recipe.train.sequence_length,
        "seed": recipe.seeds[0],
    }
    return facts, rows


def _of_prompts(options: InspectOptions, recipe: PromptRecipe, console: Console) -> Found:
    """Instances of each task, with each number of few-shot examples, as read by the recipe's first model."""
    name = recipe.models[0]
    model = PromptedModel(name, name, hub.folder(name), machine.device())
    data = Path(recipe.data) if recipe.data is not None else None
    questions = slice(options.batch * options.rows, (options.batch + 1) * options.rows)
    rows: list[ShownRow] = []
    for spec in recipe.tasks:
        run = read_task(spec, data, max(recipe.num_fewshot), recipe.limit, recipe.seed)
        console.notes(f"{run.name}: {remark}" for remark in run.remarks)
        for shots in recipe.num_fewshot:
            rows += prompted_rows(run, shots, questions, model)
    tasks = ", ".join(spec.name for spec in recipe.tasks)
    return {"model": name, "tasks": tasks, "seed": recipe.seed}, rows


def _of_store(options: InspectOptions, store: TokenStore) -> Found:
    """Documents of a store's training text, evenly spaced; --batch shifts them."""
    split, tokenizer = store.split("train"), Tokenizer.of_store(store)
    texts, rows, size = TokenTexts(tokenizer), [], len(split)
    links = StoreLinks(store, "train")
    chosen = (np.arange(options.rows) * size // options.rows + options.batch) % max(size, 1)
    for number in dict.fromkeys(chosen.tolist() if size else []):
        sentences, left = split.document(number), LONGEST
        total = sum(map(len, sentences))
        first = int(split.sentence_range(np.array([number]))[0][0])
        row = ShownRow(f"document {number:,}", {"sentences": len(sentences), "tokens": total}, ids=[])
        for place, sentence in enumerate(sentences):
            ids = sentence[:left].tolist()
            if not ids:
                break
            begin, _ = split.token_range(first + place)
            shown = of_view(RowView(ids, marks=links.marks(begin, begin + len(ids))), "", texts)
            row.parts.append(Part(f"{place + 1}", shown.parts[0].pieces))
            row.ids = [*(row.ids or ()), *ids]
            left -= len(ids)
        lost = sum(piece.kind == UNKNOWN for part in row.parts for piece in part.pieces)
        row.facts |= {"unknown_tokens": lost} if lost else {}
        row.facts |= {"tokens_shown": LONGEST} if total > LONGEST else {}
        rows.append(row)
    facts: dict[str, Fact] = {
        "documents": size,
        "sentences": split.sentences,
        "tokens": split.tokens,
        "documents_held_out": len(store.split("heldout")),
        "vocab_size": store.vocab_size,
    } | ({"linked_tokens": len(links)} if "links" in store.info else {})
    return facts, rows
