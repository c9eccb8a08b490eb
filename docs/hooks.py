"""Writes the reference pages while the site is built: commands, recipe keys, metrics, all from the code itself."""

import json
import re
from typing import Any

import typer.main
from mkdocs.structure.files import File, Files

from nlptool.cli import main
from nlptool.cli.app import app
from nlptool.commands.specs import COMMANDS
from nlptool.metric_table import TABLE


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    pages = {"commands": commands(), "recipes": recipes(), "outputs": outputs()}
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def cell(text: object) -> str:
    """A text in a table of Markdown."""
    return str(text or "").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def commands() -> str:
    """What `--help` says, of every command."""
    group = typer.main.get_command(app)
    parts = [
        "# Commands",
        "`nlptool COMMAND --help` prints the same. Results go to stdout, messages and progress to stderr; "
        "with `--json` a result is JSON.",
    ]
    for name, command in sorted(inside(group).items()):
        parts += section(command, name, 2)
    return "\n\n".join(parts) + "\n"


def inside(command: Any) -> dict[str, Any]:
    """The commands of a group; none of a command. Typer brings a click of its own, so no class is asked for."""
    return dict(getattr(command, "commands", {}))


def section(command: Any, name: str, level: int) -> list[str]:
    """A command's heading, what it does, arguments and options."""
    parts = [f"{'#' * level} {name}", command.help or ""]
    rows = []
    for one in command.params:
        if one.param_type_name == "option":
            shown = ", ".join(f"`{flag}`" for flag in (*one.opts, *one.secondary_opts))
            if shown == "`--help`":
                continue
            rows.append((shown, cell(one.help)))
        else:
            rows.append((f"`{(one.metavar or one.name or '').strip()}`", cell(getattr(one, "help", ""))))
    if rows:
        parts.append("\n".join(["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]))
    for inner, one in sorted(inside(command).items()):
        parts += section(one, f"{name} {inner}", level + 1)
    return parts


def schema(command: str) -> dict[str, Any]:
    """The JSON schema of a command's recipe."""
    import contextlib
    import io

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["schema", command]) == 0
    found = json.loads(said.getvalue())
    assert isinstance(found, dict)
    return found


def of_type(value: dict[str, Any]) -> str:
    """A field's type in a word or two."""
    if "enum" in value:
        return " or ".join(f"`{one}`" for one in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "$ref" in value:
        block = value["$ref"].rpartition("/")[2]
        return f"[{block}](#{re.sub(r'[^a-z0-9_-]', '', block.lower())})"
    if "anyOf" in value or "oneOf" in value:
        kinds = [of_type(one) for one in value.get("anyOf") or value["oneOf"]]
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind))
    if value.get("type") == "array":
        inner = of_type(value["items"]) if isinstance(value.get("items"), dict) else ""
        return f"list of {inner}" if inner else "list"
    return {"integer": "whole number", "string": "text", "boolean": "true or false", "object": "block"}.get(
        str(value.get("type", "")), str(value.get("type", ""))
    )


def table(properties: dict[str, Any]) -> str:
    """Keys of a block, with type, default and meaning."""
    lines = ["| key | type | default | |", "|---|---|---|---|"]
    for key, value in properties.items():
        is_block = isinstance(value.get("default"), dict)
        default = (
            ""
            if is_block or "default" not in value
            else f"`{json.dumps(value['default'], ensure_ascii=False)}`"
        )
        lines.append(
            f"| `{key}` | {cell(of_type(value))} | {cell(default)} | {cell(value.get('description'))} |"
        )
    return "\n".join(lines)


def recipes() -> str:
    """The keys of all commands' recipes; blocks that several share stand once."""
    parts = [
        "# Recipe keys",
        "A recipe is a YAML file. `key=value` on the command line sets a key, dots lead into blocks "
        "(`train.lr=3e-4`), `~key` removes one. A key without a default must be given. "
        "`nlptool schema COMMAND` prints the JSON schema, with which editors complete and check a recipe.",
    ]
    blocks: dict[str, Any] = {}
    for command in (spec.name for spec in COMMANDS):
        found = schema(command)
        parts += [f"## {command}", found.get("description", ""), table(found.get("properties", {}))]
        blocks |= found.get("$defs", {})
    parts.append("## Blocks")
    for name, block in sorted(blocks.items()):
        described = (block.get("description") or "").replace("<", "&lt;")
        parts += [f"### {name}", described, table(block.get("properties", {}))]
    return "\n\n".join(parts) + "\n"


def outputs() -> str:
    """Folders that are written, and every figure."""
    lines = ["| name in JSON | figure | unit | better |", "|---|---|---|---|"]
    lines += [
        f"| `{m.key}` | {cell(m.title)} | {cell(m.unit)} | {cell(m.direction)} |" for m in TABLE.values()
    ]
    return OUTPUTS + "\n\n## Figures\n\n" + "\n".join(lines) + "\n"


OUTPUTS = """# Outputs

## A run folder

| file | |
|---|---|
| `recipe.yaml` | every setting, defaults written out |
| `command.txt` | the command lines |
| `environment.json` | versions, device, threads |
| `run.json` | how far the run goes, whether it has ended |
| `metrics.jsonl` | figures by step, one JSON object a line |
| `checkpoints/` | to resume from |
| `final/` | the Hugging Face folder |

Fine-tuning writes a folder for each seed (`seed-0/`), and beside them `scores.json`.

## A token store

| file | |
|---|---|
| `tokens.bin`, `tokens.idx` | Megatron-LM's indexed data set |
| `tokenizer/` | a folder that `AutoTokenizer.from_pretrained` opens |
| `manifest.json` | digests, counts, the tokenizer's fingerprint, what was dropped |

With `--json` every command prints one JSON object on stdout. Figures have these names."""
