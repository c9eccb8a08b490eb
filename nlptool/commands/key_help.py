"""`nlptool help COMMAND KEY`: meaning, possible values and default of a recipe key."""

import re
from difflib import get_close_matches

from nlptool.console import Console
from nlptool.errors import UsageError
from nlptool.recipe import RecipeBlock
from nlptool.recipe.keys import ANY, Key, keys

MOST_VALUES = 40


def run(command: str, schema: type[RecipeBlock], path: str, console: Console) -> None:
    """Explain a key, or list those of a block. Raises UsageError for an unknown key."""
    known = list(keys(schema, command=command))
    found = [key for key in known if _fits(key.path, path)]
    if not found:
        raise UsageError(f"{command}: a recipe has no key {path}", hint=_meant(command, path, known))
    inside = [key for key in known if _is_inside(key.path, path)]
    if found[0].is_block:
        console.facts(path, _facts(found[0]))
        if inside:
            console.result("")
            rows = [(name, _default(key), key.description) for name, key in merged(inside)]
            console.table(("key", "default", "meaning"), rows)
        return
    for name, key in merged(found):
        console.facts(name, _facts(key))


def merged(found: list[Key]) -> list[tuple[str, Key]]:
    """Keys common to all kinds of a block once; others with their kinds."""
    alike: dict[tuple[object, ...], list[Key]] = {}
    for key in found:
        alike.setdefault((key.path, key.default, str(key.type), key.description), []).append(key)
    kinds = {key.kind for key in found if key.kind}
    return [(same[0].path + _of_kinds(same, kinds), same[0]) for same in alike.values()]


def _of_kinds(same: list[Key], kinds: set[str]) -> str:
    having = [key.kind for key in same if key.kind]
    return f" ({', '.join(having)})" if having and len(having) < len(kinds) else ""


def _fits(known: str, given: str) -> bool:
    """Whether a known path matches; its * stands for any name or number."""
    return re.fullmatch(re.escape(known).replace(re.escape(ANY), "[^.]+"), given) is not None


def _is_inside(known: str, given: str) -> bool:
    """Whether a known path is inside of a block, or of the blocks that a key holds."""
    above = known.rpartition(".")[0]
    return _fits(above, given) or _fits(above.removesuffix(f".{ANY}"), given)


def _default(key: Key) -> str:
    if key.is_block:
        return "a block"
    return "must be given" if key.default is None else key.default


def _facts(key: Key) -> dict[str, str]:
    facts = {"meaning": key.description, "type": str(key.type)}
    values = key.values()
    if values and len(values) <= MOST_VALUES and ", ".join(values) not in facts["type"]:
        facts["values"] = ", ".join(values)
    if not key.is_block:
        facts["default"] = _default(key)
    return {name: text for name, text in facts.items() if text}


def _meant(command: str, path: str, known: list[Key]) -> str:
    last = path.rpartition(".")[2]
    same = [key.path for key in known if key.path.rpartition(".")[2] == last]
    close = list(dict.fromkeys(same or get_close_matches(path, [key.path for key in known], 3)))
    return f"did you mean {' or '.join(close[:3])}?" if close else f"nlptool schema {command} lists all"
