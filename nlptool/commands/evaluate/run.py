"""Implementation of `evaluate`."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlptool.atomic_files import write_json, write_text
from nlptool.commands.evaluate import graph_vectors, labelled_task
from nlptool.commands.evaluate.options import Evaluation, EvaluationOptions, GraphRanking, TaskQuestion
from nlptool.commands.suite import run as suite_run
from nlptool.console import Console, Options
from nlptool.errors import DataError, UsageError
from nlptool.evaluation import perplexity
from nlptool.evaluation.metrics import confidence
from nlptool.evaluation.metrics.confidence import Proportion
from nlptool.evaluation.scoring import FRAME, CausalScorer, MaskedScorer, Scorer, scorer
from nlptool.formatting import counted, finite, markdown, quantity, safe_exp
from nlptool.manifests import plain_names
from nlptool.metric_table import PERPLEXITY, format_score
from nlptool.models import hub, huggingface
from nlptool.prompting.multiple_choice import minimal_pairs
from nlptool.prompting.multiple_choice.minimal_pairs import Pair
from nlptool.prompting.results import model_labels, model_name
from nlptool.report import suite_scores
from nlptool.runs import machine
from nlptool.text.coverage import Loss
from nlptool.text.store import TokenStore
from nlptool.text.tokenizer import Tokenizer


def run(
    evaluation: Evaluation | tuple[list[str], TaskQuestion | GraphRanking, Path | None],
    options: Options,
    console: Console,
) -> None:
    """Evaluate every model equally; write and show one table, or two."""
    if not isinstance(evaluation, Evaluation):
        names, question, folder = evaluation
        if isinstance(question, GraphRanking):
            graph_vectors.run(names, question, folder, options, console)
        else:
            labelled_task.run(names, question, folder, options, console)
        return
    models, requested, suite, out = evaluation
    texts = _texts(requested) if requested.store is not None else []
    files = (
        minimal_pairs.read(requested.minimal_pairs, requested.limit)
        if requested.minimal_pairs is not None
        else {}
    )
    results: list[dict[str, Any]] = [{"model": name} for name in models]
    tables = []
    if texts or files:
        results = [_evaluate(name, texts, files, requested, console) for name in models]
        tables.append((*table(results), ""))
    if suite is not None and out is not None:
        if options.overwrite:
            shutil.rmtree(out / "suite", ignore_errors=True)
        kept = plain_names(map(model_name, models))
        for found, name, inside in zip(results, models, kept, strict=True):
            console.note(f"the suite: {name}")
            found["suite"] = suite_run.take(suite, hub.folder(name), out / "suite" / inside, console)
        if not any(found["suite"] for found in results):
            raise DataError("none of these models can take any task of the suite")
        short = model_labels(models)
        suites = dict(zip(short, (found["suite"] for found in results), strict=True))
        tables.append((*suite_scores.table(suites), suite.caption))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "evaluate.json", results)
        write_text(out / "evaluate.md", "\n".join(markdown(*one) for one in tables))
    if options.json:
        console.json(results)
        return
    evaluated = []
    if texts:
        size = sum(len(text.encode()) for text in texts)
        strided = "" if requested.stride is None else f", stride {requested.stride:,}"
        evaluated.append(f"{counted(len(texts), 'held-out documents')}, {quantity(size, 'B')}{strided}")
    if files:
        by = "" if requested.pll == "original" else f" by {requested.pll}"
        evaluated.append(f"{counted(sum(map(len, files.values())), 'minimal pairs')}{by}")
    for columns, rows, caption in tables:
        console.table(columns, rows, title=caption or "; ".join(evaluated))


def _evaluate(
    name: str,
    texts: Sequence[str],
    files: dict[str, list[Pair]],
    requested: EvaluationOptions,
    console: Console,
) -> dict[str, Any]:
    """The figures of one model. Raises DataError for a model without a suitable head."""
    path = hub.folder(name)
    pretrained = huggingface.load_pretrained(path)
    try:
        model = scorer(
            pretrained,
            Tokenizer.of_model(path, pretrained.vocab_size),
            machine.device(),
            requested.pll,
            requested.batch_size,
        )
    except DataError as error:
        raise DataError(f"{name}: {error.message}", error.hint) from error
    found: dict[str, Any] = {
        "model": name,
        "parameters": sum(tensor.numel() for tensor in pretrained.state.values()),
        "kind": model.kind,
    }
    if texts and isinstance(model, CausalScorer | MaskedScorer):
        found |= _perplexity(model, texts, requested.stride, name, console)
        longest = max(len(ids) for ids in model.tokenizer.encode_batch(list(texts)))
        for remark in huggingface.beyond(path, pretrained.config, longest):
            console.note(f"{name}: {remark}")
    elif texts:
        console.note(f"{name}: gives no likelihood of a text; only minimal pairs can be scored")
    if files:
        if requested.pll != "original":
            _note_words(model, name, console)
        found["minimal_pairs"] = _minimal_pairs(model, files, name, console)
    return found


def _note_words(model: Scorer, name: str, console: Console) -> None:
    """Note where masking the rest of a word has no effect."""
    if not isinstance(model, MaskedScorer):
        console.note(f"{name}: scores by {model.kind}, to which --pll-metric is nothing")
    elif not model.tokenizer.knows_word_boundaries:
        console.note(f"{name}: its tokens do not show word boundaries, so each counts as a word")


def _perplexity(
    model: CausalScorer | MaskedScorer,
    texts: Sequence[str],
    stride: int | None,
    name: str,
    console: Console,
) -> dict[str, Any]:
    room = model.positions - (len(FRAME) if isinstance(model, MaskedScorer) else 0)
    if stride is not None and stride >= room:
        raise UsageError(
            f"--stride {stride}: {name} reads {counted(room, 'tokens')} at once, and windows must overlap",
            hint=f"--stride {max(1, room // 2)}",
        )
    costs = []
    with console.progress(name, len(texts), "documents") as bar:
        for number, text in enumerate(texts, start=1):
            costs.append(perplexity.cost(model, text, stride))
            bar.to(number)
    bits, nats = perplexity.bits_per_byte(costs), perplexity.nats_per_token(costs)
    loss = Loss()
    model.tokenizer.counting(loss).encode_batch(texts)
    if loss.lost:
        console.note(f"{name}: no bits per byte, since its tokenizer cannot spell these texts: {loss}")
    return {
        "bits_per_byte": None if loss.lost else finite(bits.value),
        "bits_per_byte_half_interval": None if loss.lost else finite(bits.half),
        "lost_bytes": loss.lost_share,
        "perplexity": finite(safe_exp(nats.value)),
        "nats_per_token": finite(nats.value),
        "nats_per_token_half_interval": finite(nats.half),
        **({} if stride is None else {"stride": stride}),
        "documents": len(costs),
        "tokens": sum(c.tokens for c in costs),
        "bytes": sum(c.bytes for c in costs),
    }


def _minimal_pairs(
    model: Scorer, files: dict[str, list[Pair]], name: str, console: Console
) -> dict[str, Any]:
    """All pairs together, and by file."""
    shares = {}
    with console.progress(f"{name}: minimal pairs", len(files), "files") as bar:
        for number, (file, pairs) in enumerate(files.items(), start=1):
            shares[file] = minimal_pairs.accuracy(model, pairs)
            bar.to(number)
    whole = Proportion(sum(s.right for s in shares.values()), sum(s.total for s in shares.values()))
    return _figures(whole) | {"files": {file: _figures(share) for file, share in shares.items()}}


def _figures(share: Proportion) -> dict[str, float]:
    low, high = share.interval
    return {"value": share.value, "low": low, "high": high, "of": share.total, "chance": 0.5}


def _texts(requested: EvaluationOptions) -> list[str]:
    """Beginnings of the held-out documents. Raises DataError where the store has none, or cannot decode them."""
    assert requested.store is not None
    store = TokenStore(requested.store)
    tokenizer, split = Tokenizer.of_store(store), store.split("heldout")
    if not len(split):
        raise DataError(
            f"{store.path}: has no held-out documents", hint="tokenize again with heldout=0.05, for instance"
        )
    if tokenizer.byte_counts() is None:
        raise DataError(
            f"{store.path}: its tokens do not decode to the original text, so bytes cannot be counted",
            hint="make a store of the same text with a byte-level tokenizer: nlptool tokenize",
        )
    texts = ["".join(tokenizer.decode(ids.tolist()) for ids in split.document(i)) for i in range(len(split))]
    return [text[: requested.max_chars] for text in texts if text.strip()]


def table(results: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows, without figures that no model has."""
    has_perplexity = any("bits_per_byte" in found for found in results)
    paired = any("minimal_pairs" in found for found in results)
    columns = ["model", "parameters"]
    columns += ["by", "bits per byte", "perplexity"] if has_perplexity else []
    columns += ["minimal pairs (chance 50 %)"] if paired else []
    rows = []
    for found in results:
        cells = [found["model"], quantity(found["parameters"], "").strip()]
        if has_perplexity and "bits_per_byte" in found:
            bits, half = found["bits_per_byte"], found["bits_per_byte_half_interval"]
            shown = "" if bits is None else f"{bits:.3f}" + ("" if half is None else f" ± {half:.3f}")
            cells += [found["kind"], shown, format_score(PERPLEXITY, found["perplexity"], None)]
        elif has_perplexity:
            cells += ["", "", ""]
        if paired:
            pairs = found["minimal_pairs"]
            cells.append(confidence.format_interval(pairs["value"], pairs["low"], pairs["high"]))
        rows.append(cells)
    return columns, rows
