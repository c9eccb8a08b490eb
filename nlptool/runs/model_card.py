"""The model card of a finished model: README.md in the Hugging Face hub's form, generated from its run folder.

Front matter: https://huggingface.co/docs/hub/model-cards. The licence, which the run does not know, is an option.
"""

import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ruamel.yaml
from safetensors import safe_open

from nlptool.atomic_files import Shape, read_json, read_text, write_text
from nlptool.errors import DataError
from nlptool.formatting import counted, markdown, markdown_name
from nlptool.metric_table import describe, held_out, objective_of
from nlptool.models import hf_family, huggingface
from nlptool.recipe import KEPT, dump_values, kept_source
from nlptool.runs import metrics_file, model_use

NAME = "README.md"
REMEDY = "restore the run folder"
STORE: Shape = {"splits?": {str: {str: int}}, "files?": {str: {"sha256": str}}}
ENVIRONMENT: Shape = {"packages?": {str: object}, "models?": {str: str}}
ROWS: Shape = {"rows": {str: int}}
ROWS_FILE = Path("rows", "rows.json")
MOST_LABELS = 30
"""Number of labels listed by name."""


@dataclass(frozen=True)
class Publication:
    """Fields of a card that a run does not know."""

    license: str | None = None
    """In the hub's spelling, e.g. apache-2.0."""
    languages: tuple[str, ...] = ()
    """ISO 639 codes; empty: the language of the token store's sentences."""


def write(
    folder: Path,
    run: Path,
    step: int,
    publication: Publication | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> None:
    """Write README.md into a Hugging Face folder, and into a second model's in it.

    run: the run folder. step: of the weights. recipe: the run's, if it is at hand; else it is read. Raises DataError
    for a run folder that cannot be read.
    """
    recipe = kept_source(run).data if recipe is None else recipe
    for path, text in _cards(folder, run, step, publication or Publication(), recipe).items():
        write_text(path, text)


def write_at_end(folder: Path, run: Path, step: int, recipe: Mapping[str, Any]) -> str | None:
    """As `write`; returns the reason where the run folder cannot be read, since a run must end with its weights."""
    try:
        cards = _cards(folder, run, step, Publication(), recipe)
    except DataError as error:
        return error.message
    for path, text in cards.items():
        write_text(path, text)
    return None


def _cards(
    folder: Path, run: Path, step: int, publication: Publication, recipe: Mapping[str, Any]
) -> dict[Path, str]:
    """The card of a folder's model, and of a second one in it, by path."""
    others = (path for path in sorted(folder.iterdir()) if (path / huggingface.CONFIG).is_file())
    return {model / NAME: card(model, run, step, publication, recipe) for model in (folder, *others)}


def card(model: Path, run: Path, step: int, publication: Publication, recipe: Mapping[str, Any]) -> str:
    """The card of a folder's model, with the weights of `step`, in a run of this recipe."""
    settings = huggingface.read_config(model)
    architecture = hf_family.architecture(settings, "Model")
    figures = _figures(run, step)
    data = _labelled(recipe, run) if recipe.get("task") else _stores(recipe)
    known = huggingface.is_in_transformers(model, settings)
    use = model_use.of(architecture, recipe.get("task") or {}, in_transformers=known)
    objective = str((recipe.get("objective") or recipe.get("task") or {}).get("name", ""))
    title = run.name if not run.name.startswith("seed-") else f"{run.parent.name}, {run.name}"
    matter: dict[str, Any] = {
        "library_name": "transformers" if use.in_transformers else "nlptool",
        "pipeline_tag": use.hub_task,
        "license": publication.license,
        "language": list(publication.languages) or data.languages,
        "datasets": data.datasets,
        "base_model": _base_model(recipe),
        "tags": list(dict.fromkeys(filter(None, ["nlptool", settings.get("model_type"), objective]))),
        "metrics": [name.rpartition("/")[2] for name in figures],
    }
    sections = {
        markdown_name(title): _what_it_is(model, settings, architecture, objective, recipe),
        "Use": _use(use),
        "Data": data.text,
        "Figures": _table(figures, recipe, step),
        "Limits": _limits(settings, data),
        "Recipe": f"{_fenced(dump_values(_without_nulls(recipe)), 'yaml')}\n\nThe command:\n\n"
        f"{_fenced(_read(run / 'command.txt'), 'sh')}\n\n{_versions(run)}",
    }
    if publication.license is None:
        sections["Limits"] += (
            "\n- No licence is stated. `nlptool export --license` writes one into this card."
        )
    front = _yaml({key: value for key, value in matter.items() if value})
    first, *others = sections.items()
    body = [f"# {first[0]}\n\n{first[1]}", *(f"## {name}\n\n{text.rstrip()}" for name, text in others)]
    return f"---\n{front}---\n\n" + "\n\n".join(body) + "\n"


@dataclass(frozen=True)
class _Data:
    text: str
    languages: list[str]
    datasets: list[str]
    labelled: bool = False


def _stores(recipe: Mapping[str, Any]) -> _Data:
    """The sources of the token stores, if these are accessible."""
    given = recipe.get("store") or ()
    paths = [Path(given)] if isinstance(given, str) else [Path(str(one.get("path"))) for one in given]
    found = [_store(path) for path in paths]
    languages = dict.fromkeys(language for one in found for language in one.languages)
    hubs = dict.fromkeys(hub for one in found for hub in one.datasets)
    return _Data("\n\n".join(one.text for one in found), [*languages], [*hubs])


def _store(path: Path) -> _Data:
    if not os.path.isfile(path / "store.json"):
        return _Data(f"The token store `{markdown_name(path.name)}`.", [], [])
    facts = read_json(path / "store.json", dict, REMEDY, STORE)
    rows = [
        [split, *(f"{one.get(name, 0):,}" for name in ("documents", "tokens", "bytes"))]
        for split, one in (facts.get("splits") or {}).items()
    ]
    digests = [[name, str(one["sha256"])] for name, one in sorted((facts.get("files") or {}).items())]
    kept = kept_source(path).data if (path / KEPT).is_file() else {}
    source = kept.get("source") or {}
    texts = [
        f"The token store `{markdown_name(path.name)}`, of {_origin(source) or 'text'}:",
        markdown(["split", "documents", "tokens", "bytes of text"], rows).rstrip() if rows else "",
        markdown(["file", "SHA-256"], digests).rstrip() if digests else "",
    ]
    language = (facts.get("sentences") or {}).get("language")
    hub = [str(source["hub"])] if source.get("hub") else []
    return _Data("\n\n".join(filter(None, texts)), [language] if language else [], hub)


def _labelled(recipe: Mapping[str, Any], run: Path) -> _Data:
    """Source and number of a task's rows."""
    task = recipe.get("task") or {}
    source = task.get("source") or {}
    where = f"`{markdown_name(str(recipe['data']))}`" if recipe.get("data") else _origin(source) or "files"
    text = f"Labelled rows of {where}"
    if columns := task.get("inputs"):
        text += f", of which it reads {markdown_name(', '.join(columns))}"
    kept = next((path for path in (run / ROWS_FILE, run.parent / ROWS_FILE) if path.is_file()), None)
    counts = {} if kept is None else read_json(kept, dict, REMEDY, ROWS)["rows"]
    table = markdown(["split", "rows"], [[split, f"{number:,}"] for split, number in counts.items()])
    hub = [] if recipe.get("data") or not source.get("hub") else [str(source["hub"])]
    return _Data(f"{text}:\n\n{table}" if counts else f"{text}.", [], hub, labelled=True)


def _origin(source: Mapping[str, Any]) -> str:
    """A source as prose: its files, hub data set or package."""
    files = source.get("files")
    listed = (
        files.values() if isinstance(files, Mapping) else [files] if isinstance(files, str) else files or ()
    )
    parts = [f"`{markdown_name(str(name))}`" for name in listed]
    for key, what in (("hub", "the hub's data set"), ("package", "the package")):
        if source.get(key):
            parts.append(f"{what} `{markdown_name(str(source[key]))}`")
    return ", ".join(parts)


def _what_it_is(
    model: Path, settings: Mapping[str, Any], architecture: str, objective: str, recipe: Mapping[str, Any]
) -> str:
    family = str(settings.get("model_type"))
    begun = recipe.get("init_from") or recipe.get("start")
    source = f"the weights of `{markdown_name(str(begun))}`" if begun else "random weights"
    if teacher := recipe.get("teacher"):
        source += f", taught by `{markdown_name(str(teacher))}`"
    sizes = {
        "layers": ("num_hidden_layers", "n_layer", "n_layers"),
        "hidden width": ("hidden_size", "n_embd", "dim"),
        "attention heads": ("num_attention_heads", "n_head", "n_heads"),
        "positions": ("max_position_embeddings", "n_positions"),
        "vocabulary": ("vocab_size",),
    }
    rows = [
        [name, f"{found[0]:,}"]
        for name, keys in sizes.items()
        if (found := [settings[key] for key in keys if isinstance(settings.get(key), int)])
    ]
    rows.append(["parameters", f"{_parameters(model):,}"])
    named = settings.get("id2label")
    names = [markdown_name(str(name)) for name in (named.values() if isinstance(named, dict) else ())]
    if 0 < len(names) <= MOST_LABELS:
        rows.append(["labels", ", ".join(names)])
    return (
        f"`{architecture}` of the family {family}, trained by nlptool from {source}"
        f"{f' (`{objective}`)' if objective else ''}.\n\n{markdown(['', ''], rows).rstrip()}"
    )


def _use(use: model_use.Use) -> str:
    """Code and command that use the model."""
    lead = "" if use.in_transformers else "transformers has no class for this model; nlptool opens it.\n\n"
    return f"{lead}{_fenced(use.code, 'python')}\n\nOr, by nlptool:\n\n{_fenced(use.command, 'sh')}"


def _figures(run: Path, step: int) -> dict[str, float]:
    """The held-out figures of a step, or of the last evaluation before it."""
    found: dict[str, float] = {}
    for line in metrics_file.read(run):
        if (held := held_out(line)) and line["step"] <= step:
            found = held
    return found


def _table(figures: Mapping[str, float], recipe: Mapping[str, Any], step: int) -> str:
    objective = objective_of(dict(recipe))
    rows = [
        [describe(name, objective).title, describe(name, objective).show(value)]
        for name, value in figures.items()
    ]
    seed = recipe.get("seed", (recipe.get("seeds") or [None])[0])
    which = f"Step {step:,}" + (f", seed {seed}" if seed is not None else "")
    if not rows:
        return f"{which}. Nothing was held out, so nothing was measured."
    return f"{which}; of held-out data, one run.\n\n{markdown(['figure', 'value'], rows)}"


def _limits(settings: Mapping[str, Any], data: _Data) -> str:
    reached = settings.get(huggingface.TRAINED)
    lines = []
    if isinstance(reached, int):
        lines.append(
            f"Training has reached {counted(reached, 'positions')}; longer texts are read badly, if at all."
        )
    if data.labelled:
        lines.append(
            "The figures are of one seed on validation rows; other seeds and other texts score otherwise."
        )
    else:
        lines.append("Held-out text is of the training text's source; on other text the figures are worse.")
    lines.append(
        "It repeats what its training text says, its errors and prejudices included; no test of these was made."
    )
    return "\n".join(f"- {line}" for line in lines)


def _versions(run: Path) -> str:
    facts = read_json(run / "environment.json", dict, REMEDY, ENVIRONMENT)
    packages = ", ".join(
        f"{name} {version}" for name, version in (facts.get("packages") or {}).items() if version
    )
    models = [[name, str(digest)] for name, digest in (facts.get("models") or {}).items()]
    text = (
        f"nlptool {facts.get('nlptool')}, Python {facts.get('python')}, {packages}; on {facts.get('device')}."
    )
    return text + (f"\n\n{markdown(['what it was trained with', 'SHA-256'], models)}" if models else "")


def _parameters(model: Path) -> int:
    total = 0
    for path in sorted(model.glob("*.safetensors")):
        with safe_open(path, "np") as file:
            total += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    return total


def _base_model(recipe: Mapping[str, Any]) -> str | None:
    """The hub id of the initial model; None for a folder, whose name means nothing there."""
    begun = recipe.get("init_from") or recipe.get("start")
    if not isinstance(begun, str) or not begun.startswith("hf://"):
        return None
    return begun.removeprefix("hf://").partition("@")[0]


def _without_nulls(value: Any) -> Any:
    """A recipe without null values."""
    if isinstance(value, Mapping):
        return {str(key): _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nulls(one) for one in value]
    return value


def _yaml(value: Any) -> str:
    writer = ruamel.yaml.YAML(typ="safe", pure=True)
    writer.default_flow_style, writer.allow_unicode, writer.width = False, True, 4096
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    writer.dump(value, stream)
    return stream.getvalue()


def _fenced(text: str, language: str) -> str:
    """A code block that may contain backticks."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _read(path: Path) -> str:
    return read_text(path, REMEDY) if path.is_file() else ""
