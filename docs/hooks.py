"""Writes the reference pages while the site is built: commands, recipe keys, metrics, all from the code itself.

On all pages it keeps figures and dates from being broken over lines.
"""

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer.main

from nlptool.cli.app import app
from nlptool.commands.key_help import merged
from nlptool.commands.specs import COMMANDS
from nlptool.metric_table import TABLE
from nlptool.recipe.keys import Key, keys
from nlptool.report.html_page import unbroken

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

VERBATIM = re.compile(r"(<(pre|code)\b.*?</\2>|<[^>]*>)", re.DOTALL)
DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
HYPHENED = re.compile(r"(?<![^\s>])[\w./=-]{,24}-[\w./=-]{,12}(?![^\s<])")
"""A word of code that is short enough for a line: `--vary`, `finetune/ernie-typing`."""


def on_files(files: "Files", config: Any) -> "Files":
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    pages = {"commands": commands(), "recipes": recipes(), "figures": figures()}
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_content(html: str, **_given: Any) -> str:
    """A page whose figures and dates are on one line each; code, which is copied, keeps its spaces."""
    pieces = VERBATIM.split(html)  # text, what is verbatim, the name of its tag, text, ...
    pieces[::3] = [DATE.sub(r"<nobr>\g<0></nobr>", unbroken(text)) for text in pieces[::3]]
    pieces[1::3] = [
        HYPHENED.sub(r"<nobr>\g<0></nobr>", text) if tag == "code" else text
        for text, tag in zip(pieces[1::3], pieces[2::3], strict=True)
    ]
    return "".join(piece for number, piece in enumerate(pieces) if number % 3 < 2)


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
            if shown == "`--help`" or one.hidden:
                continue
            rows.append((shown, cell(one.help)))
        else:
            rows.append((f"`{(one.metavar or one.name or '').strip()}`", cell(getattr(one, "help", ""))))
    if rows:
        parts.append("\n".join(["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]))
    for inner, one in sorted(inside(command).items()):
        parts += section(one, f"{name} {inner}", level + 1)
    return parts


def recipes() -> str:
    """The keys of all commands' recipes, as `nlptool help COMMAND KEY` explains them."""
    parts = [
        "# Recipe keys",
        "A recipe is a YAML file. `key=value` on the command line sets a key, dots lead into blocks "
        "(`train.lr=3e-4`), `~key` removes one. `*` stands for a name of your own, or a number in a list. A key of one "
        "kind of block alone has that kind behind it. `nlptool help COMMAND KEY` says the same, and "
        "`nlptool schema COMMAND` prints the JSON schema, with which editors complete and check a recipe.",
    ]
    for spec in COMMANDS:
        recipe = import_module(f"nlptool.commands.{spec.module}.recipe").Recipe
        parts += [f"## {spec.name}", spec.help]
        blocks: dict[str, list[Key]] = {}
        for key in keys(recipe, command=spec.name):
            blocks.setdefault(
                key.path.partition(".")[0] if key.is_block or "." in key.path else "", []
            ).append(key)
        for block, inside in sorted(blocks.items(), key=lambda one: one[0] != ""):
            parts += [f"### {spec.name}: {block}"] if block else []
            lines = ["| | |", "|---|---|", *(row(name, key) for name, key in merged(inside))]
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def row(name: str, key: Key) -> str:
    """A key with the kinds of block that have it; what it means, its type and default. It may be broken at its dots."""
    path, kinds = name.partition(" ")[::2]
    given = "" if key.is_block else "; must be given" if key.default is None else f"; default `{key.default}`"
    code = path.replace(".", ".<wbr>")
    return (
        f"| <code>{code}</code> {cell(kinds)} | {cell(key.description)}<br>*{cell(key.type)}*{cell(given)} |"
    )


def figures() -> str:
    """Every figure."""
    lines = ["| name in JSON | figure | unit | better |", "|---|---|---|---|"]
    lines += [
        f"| `{m.key}` | {cell(m.title)} | {cell(m.unit)} | {cell(m.direction)} |" for m in TABLE.values()
    ]
    return (
        "# Figures\n\nWith `--json` every command prints JSON on stdout, in which figures have these names. "
        "Shares and scores are from 0 to 1, losses in nats.\n\n" + "\n".join(lines) + "\n"
    )
