"""Shell completion of commands, options, recipes, and the keys of recipes with their values.

`nlptool completion SHELL` prints a short script; at each press of the tab key it calls `nlptool completion SHELL
--line LINE` for the matching words, one a line. A line `/` before them stands for files, which shells find and quote
themselves; where no word matches they complete files, too.
"""

import shlex
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from nlptool.cli.app import is_change
from nlptool.commands.specs import COMMANDS, command_of
from nlptool.errors import RecipeError
from nlptool.recipe import KEPT, catalog
from nlptool.recipe.extends import read
from nlptool.recipe.field_types import FieldType
from nlptool.recipe.keys import ANY, Key, keys

Candidates = Mapping[str, str]
"""Matching words with their meanings."""

SCRIPTS = {
    "bash": """\
# nlptool completion bash > ~/.local/share/bash-completion/completions/nlptool
_nlptool() {
    local IFS=$'\\n' file quoted
    COMPREPLY=($(nlptool completion bash --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    if [[ ${#COMPREPLY[@]} -gt 0 && ${COMPREPLY[0]} == / ]]; then
        COMPREPLY=("${COMPREPLY[@]:1}")
        for file in $(compgen -f -- "$2"); do
            if [[ -d ${file/#\\~/$HOME} ]]; then file+=/; fi
            quoted=$(printf %q "$file")
            if [[ $file == "~"* ]]; then quoted=${quoted#\\\\}; fi
            COMPREPLY+=("$quoted")
        done
    fi
    if [[ ${#COMPREPLY[@]} -gt 0 && ${COMPREPLY[0]} == *[.=/] ]]; then compopt -o nospace; fi
}
complete -o default -F _nlptool nlptool
""",
    "zsh": """\
#compdef nlptool
# nlptool completion zsh > a folder of $fpath, as _nlptool; or: source <(nlptool completion zsh)
_nlptool() {
    local -a whole open
    local word meaning files
    [[ $PREFIX == *=* ]] && compset -P '*='
    for word in "${(@f)$(nlptool completion zsh --line "$LBUFFER" 2>/dev/null)}"; do
        meaning=${word#*$'\\t'}
        word=${${word%%$'\\t'*}//:/\\\\:}
        case $word in
            '') ;;
            /) files=1 ;;
            *[.=]) open+=("$word${meaning:+:$meaning}") ;;
            *) whole+=("$word${meaning:+:$meaning}") ;;
        esac
    done
    (( $#whole + $#open )) || { _files; return }
    (( $#open )) && _describe 'nlptool' open -S ''
    (( $#whole )) && _describe 'nlptool' whole
    [[ -n $files ]] && _files
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _nlptool "$@"; else compdef _nlptool nlptool; fi
""",
    "fish": """\
# nlptool completion fish > ~/.config/fish/completions/nlptool.fish
complete -c nlptool -a '(nlptool completion fish --line (commandline -cp | string collect) 2>/dev/null)'
""",
}
MEANING = 70  # characters
FILES = "/"
OF_ANY_RECIPE = ("plan", "compare", "inspect", "verify-resume")
"""Commands that accept recipes of other commands."""


def reply(shell: str, line: str, group: Any) -> Iterator[str]:
    """The lines that a shell's script reads. group: the application as typer's command."""
    words, current = split(line)
    found = candidates(group, words[1:], current)
    key, equals, _ = current.partition("=")
    # the other shells replace only the part after =
    whole = f"{key}=" if shell == "fish" and equals else ""
    if FILES in found and shell == "fish":  # which offers files by itself
        found = {word: meaning for word, meaning in found.items() if word != FILES}
    for word, meaning in found.items():
        yield word if shell == "bash" else f"{whole}{word}\t{meaning.partition(';')[0][:MEANING]}"


def split(line: str) -> tuple[list[str], str]:
    """The words of a command line before the cursor, and the word at the cursor; quotes may be open."""
    line = line.removesuffix("\\")
    for closing in ("", '"', "'"):
        try:
            words = shlex.split(line + closing)
        except ValueError:  # an open quote, or a backslash at the end
            continue
        if line[-1:].isspace() and not closing:
            words.append("")
        return words[:-1] or ["nlptool"], words[-1] if len(words) > 1 else ""
    return ["nlptool"], ""


def candidates(group: Any, before: list[str], current: str) -> Candidates:
    """Completions of `current` after the words `before`; after `key=`, values. None: a file, or anything."""
    command, path, arguments, option = group, "", [], None
    for word in before:
        if option is not None:
            option = None
        elif inner := dict(getattr(command, "commands", {})).get(word):
            command, path = inner, f"{path} {word}".lstrip()
        elif word.startswith("-"):
            option = next((one for one in _options(command) if word in one.opts and not one.is_flag), None)
        else:
            arguments.append(word)
    if option is not None and "--vary" in option.opts:
        return _keys(path, next(iter(arguments), None), current, end="=") if arguments else {}
    if option is not None:
        return _fitting(_choices(option), current)
    if current.startswith("-"):
        return _fitting(
            {flag: one.help or "" for one in _options(command) for flag in sorted(one.opts)[:1]}, current
        )
    if inner := dict(getattr(command, "commands", {})):
        return _fitting({name: _first(one.help) for name, one in inner.items() if not one.hidden}, current)
    return _argument(group, path, arguments, current)


def _argument(group: Any, command: str, before: list[str], current: str) -> Candidates:
    """Completions of an argument; `before` are the command's arguments so far."""
    named = {spec.name: _first(spec.help) for spec in COMMANDS}
    recipes = dict.fromkeys(catalog.shipped(), "")
    first: dict[str, Candidates] = {
        "help": {name: _first(one.help) for name, one in group.commands.items()},
        "schema": named,
        "completion": dict.fromkeys(SCRIPTS, ""),
        "reproduce": {"ls": "list them", **dict.fromkeys(catalog.shipped("experiments"), "")},
        "recipes show": recipes,
        "recipes cp": recipes,
        "recipes ls": dict.fromkeys((name.partition("/")[0] for name in recipes), ""),
    }
    if command == "help" and before:
        return _keys(before[0], None, current, end="")
    if command in first:
        return {} if before else _fitting(first[command], current)
    if command not in named and command not in OF_ANY_RECIPE:
        return {}
    fit = {
        name: f"nlptool {of}" * (of != command)
        for name, of in catalog.commands().items()
        if (of == command or command in OF_ANY_RECIPE) and name.startswith(current)
    }
    if not before or (command == "compare" and current and fit):
        return _or_files(fit)
    recipe = next((word for word in before if not is_change(word)), None)
    return _keys(command, recipe, current, end="=")


def _keys(command: str, recipe: str | None, current: str, *, end: str) -> Candidates:
    """Keys of a command's recipe up to their next dot, else with `end`; after `key=` the values of that key."""
    data: Any = None
    if recipe is not None:
        try:
            kept = Path(recipe) / KEPT
            data = read(kept if kept.is_file() else catalog.find(recipe)).data
        except RecipeError:
            return {}
        command = command_of(data) or "" if command in OF_ANY_RECIPE else command
    spec = next((spec for spec in COMMANDS if spec.name == command), None)
    if spec is None:
        return {}
    schema = import_module(f"nlptool.commands.{spec.module}.recipe").Recipe
    offered = list(keys(schema, data, spec.name))
    name, equals, value = current.partition("=")
    if equals:
        fit = _fitting({one: "" for key in offered if key.path == name for one in key.values()}, value)
        return _or_files(fit) if any("/" in one for one in fit) else fit
    sign = "~" * current.startswith("~")
    typed = name.removeprefix("~")
    found: dict[str, str] = {}
    for key in offered:
        if key.path.startswith(typed) and ANY not in key.path:
            word, meaning = _up_to_dot(key, typed, "" if sign else end)
            found.setdefault(sign + word, meaning)
    return found


def _or_files(names: Candidates) -> Candidates:
    """Names of packaged files, where the user may also give a file of their own."""
    return {FILES: "", **names} if names else names


def _up_to_dot(key: Key, typed: str, end: str) -> tuple[str, str]:
    """A key up to its next dot, so that a block is one candidate until it is entered."""
    dot = key.path.find(".", len(typed))
    if dot >= 0:
        return key.path[: dot + 1], "a block"
    if key.has_keys and not key.values():
        return f"{key.path}.", key.description or "a block"
    return key.path + end, key.description


def _options(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "option" and not one.hidden]


def _choices(option: Any) -> Candidates:
    if "--suite" in option.opts:
        return dict.fromkeys(catalog.shipped("suites"), "")
    if "--task" in option.opts:
        return dict.fromkeys(catalog.shipped("tasks"), "")
    if "--resume" in option.opts:
        return {"auto": "from the output folder"}
    declared = getattr(getattr(option, "type_descriptor", None), "annotation", None)
    return dict.fromkeys(FieldType.of(declared).choices, "")


def _fitting(words: Candidates, current: str) -> Candidates:
    return {word: meaning for word, meaning in words.items() if word.startswith(current)}


def _first(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
