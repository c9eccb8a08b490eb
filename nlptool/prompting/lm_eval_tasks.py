"""Translates task files of lm-evaluation-harness to prompted tasks, if they name columns and no code. No torch here.

| lm-eval                                        | here                                         |
|------------------------------------------------|----------------------------------------------|
| output_type                                    | name                                         |
| dataset_path, dataset_name                     | source.hub, source.name                      |
| fewshot_split or training_split                | train                                        |
| test_split or validation_split                 | validation                                   |
| doc_to_text                                    | prompt                                       |
| doc_to_choice                                  | choices                                      |
| doc_to_target                                  | label, labels; answer, references            |
| target_delimiter, description, fewshot_delimiter | begin of answer; the same keys             |
| metric_list                                    | metrics                                      |
| generation_kwargs: until, max_gen_toks, ...    | stop, max_new_tokens, ...                    |
"""

import re
from collections.abc import Mapping
from typing import Any

from nlptool import notices
from nlptool.formatting import json_value
from nlptool.recipe.source import Problem, RecipeSource

KINDS = ("multiple_choice", "loglikelihood", "generate_until")
METRICS = {
    "multiple_choice": {"acc": "accuracy", "acc_norm": "acc_norm"},
    "loglikelihood": {"acc": "accuracy", "perplexity": "perplexity"},
    "generate_until": {"exact_match": "exact", "bleu": "bleu"},
}
GENERATION = {
    "until": "stop",
    "max_gen_toks": "max_new_tokens",
    **{key: key for key in ("temperature", "top_k", "top_p", "num_beams", "repetition_penalty")},
}
READ = (
    *("output_type", "dataset_path", "dataset_name", "training_split", "fewshot_split", "validation_split"),
    *("test_split", "doc_to_text", "doc_to_choice", "doc_to_target", "target_delimiter", "description"),
    *("fewshot_delimiter", "metric_list", "generation_kwargs", "num_fewshot"),
)
WITHOUT_EFFECT = (
    *("task", "task_alias", "tag", "group", "metadata", "should_decontaminate"),
    *("doc_to_decontamination_query", "dataset_kwargs"),
)
TOKENS = 256
"""The default max_gen_toks of lm-eval."""
COLUMN = re.compile(r"[^\W\d]\w*(?:\.\w+|\[(?:\d+|'[^']*'|\"[^\"]*\")\])*")
INDEX = re.compile(rf"\{{\{{\s*(?P<names>.+?)\.index\((?P<label>{COLUMN.pattern})\)\s*\}}\}}")
COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
JINJA = re.compile(r"\{\{(.*?)\}\}|\{%.*?%\}", re.DOTALL)


def translate(source: RecipeSource) -> None:
    """Translate the keys of an lm-eval task in place; other files are unchanged. Failures are added to `problems`."""
    given = source.data
    if "output_type" not in given and "doc_to_text" not in given:
        return
    task = _Task(source, given)
    block = task.block()
    if not source.problems:
        source.data = {
            key: tuple(value) if isinstance(value, list) else value for key, value in block.items()
        }
        if shots := given.get("num_fewshot"):
            notices.notify(f"{source.name}: num_fewshot is a key of the recipe: num_fewshot={shots}")


class _Task:
    """Translates one file, key by key."""

    def __init__(self, source: RecipeSource, given: Mapping[str, Any]) -> None:
        self.source, self.given = source, given
        self.delimiter = str(given.get("target_delimiter", " "))

    def block(self) -> dict[str, Any]:
        """The translated task."""
        given, kind = self.given, self.given.get("output_type", "generate_until")
        for key in given:
            if key not in (*READ, *WITHOUT_EFFECT):
                self._refuse(key, "lm-eval's key has no counterpart here")
        if kind not in KINDS:
            self._refuse("output_type", f"{json_value(kind)}; one of {', '.join(KINDS)} can be read")
            return {}
        found: dict[str, Any] = {"name": kind, "prompt": self._template("doc_to_text")}
        found |= {key: given[key] for key in ("description", "fewshot_delimiter") if key in given}
        found["train"] = given.get("fewshot_split") or given.get("training_split")
        found["validation"] = given.get("test_split") or given.get("validation_split") or "validation"
        if "/" in (path := str(given.get("dataset_path", ""))):
            found["source"] = {"hub": path, "name": given.get("dataset_name")}
        found["metrics"] = self._metrics(kind)
        if kind == "multiple_choice":
            return found | self._choices()
        target = self._template("doc_to_target")
        found["answer"] = f"{self.delimiter}{target}"
        return found | (self._generation() | {"references": target} if kind == "generate_until" else {})

    def _refuse(self, key: str, why: str) -> None:
        self.source.problems.append(Problem(key, why))

    def _template(self, key: str) -> str:
        """A template of columns for a Jinja template; a single word is a column, as in lm-eval."""
        text = self.given.get(key)
        if not isinstance(text, str):
            self._refuse(key, f"a text is expected; found {json_value(text)}")
            return ""
        if COLUMN.fullmatch(text):
            return self._column(text)
        text = COMMENT.sub("", text)
        parts, end = [], 0
        for part in JINJA.finditer(text):
            inside = (part[1] or "").strip()
            if not COLUMN.fullmatch(inside):
                self._refuse(key, f"{part[0]} is more than a column; write what it gives into the rows")
                return ""
            parts += [_braces(text[end : part.start()]), self._column(inside)]
            end = part.end()
        return "".join([*parts, _braces(text[end:])])

    @staticmethod
    def _column(name: str) -> str:
        return f"{{{_dotted(name)}}}"

    def _choices(self) -> dict[str, Any]:
        """The choices and the right one."""
        given, target = self.given.get("doc_to_choice"), self.given.get("doc_to_target")
        found: dict[str, Any] = {"answer": f"{self.delimiter}{{choice}}"}
        if isinstance(given, list | tuple):
            found |= {"choices": [_braces(str(one)) for one in given], "labels": list(map(str, given))}
        elif isinstance(given, str) and (entries := _list(given)) is not None:
            found["choices"] = [one if quoted else self._column(one) for quoted, one in entries]
        else:
            found["choices"] = self._template("doc_to_choice")
        if isinstance(target, int):
            return found | {"label": target, "labels": []}
        if isinstance(target, str) and (index := INDEX.fullmatch(target)):
            entries = _list(f"{{{{{index['names']}}}}}")
            names = [one for _, one in entries] if entries is not None else _dotted(index["names"])
            return found | {"label": _dotted(index["label"]), "labels": names}
        column = self._template("doc_to_target")
        if column and not re.fullmatch(r"\{[^{}]+\}", column):
            self._refuse(
                "doc_to_target", f"{json_value(target)} is more than a column; write it into the rows"
            )
        return found | {"label": column.strip("{}")}

    def _metrics(self, kind: str) -> list[str]:
        """The metrics; by default lm-eval's own for this kind of task."""
        known, found = METRICS[kind], []
        for entry in self.given.get("metric_list") or [{"metric": name} for name in list(known)[:1]]:
            name = entry.get("metric") if isinstance(entry, Mapping) else entry
            changed = [
                key for key in ("ignore_case", "ignore_punctuation", "regexes_to_ignore") if entry.get(key)
            ]
            if name not in known or changed:
                what = f"{name} with {changed[0]}" if changed else f"{json_value(name)}"
                self._refuse("metric_list", f"{what}; of {kind} are known: {', '.join(known)}")
            else:
                found.append(known[name])
        return found

    def _generation(self) -> dict[str, Any]:
        """The keys of `generation`."""
        given = dict(self.given.get("generation_kwargs") or {})
        sampled = given.pop("do_sample", False)
        if not sampled:  # greedy, whatever else is there
            given = {
                key: value for key, value in given.items() if key not in ("temperature", "top_k", "top_p")
            }
        for key in given:
            if key not in GENERATION:
                self._refuse(f"generation_kwargs.{key}", "lm-eval's key has no counterpart here")
        found = {GENERATION[key]: value for key, value in given.items() if key in GENERATION}
        stop = found.get("stop", [self.given.get("fewshot_delimiter", "\n\n")])
        found["stop"] = [stop] if isinstance(stop, str) else stop
        return {"max_new_tokens": TOKENS} | found


def _braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _dotted(name: str) -> str:
    """choices['text'][0] as choices.text.0."""
    return re.sub(r"\[['\"]?(.*?)['\"]?\]", r".\1", name)


def _list(text: str) -> list[tuple[bool, str]] | None:
    """The entries of `{{[sol1, "no"]}}`, each with whether it is quoted; None for anything else."""
    inside = re.fullmatch(r"\{\{\s*\[(.*)\]\s*\}\}", text, re.DOTALL)
    if inside is None:
        return None
    entry = re.compile(rf"\s*(?:'([^']*)'|\"([^\"]*)\"|({COLUMN.pattern}))\s*(?:,|$)")
    found, at = list[tuple[bool, str]](), 0
    while at < len(inside[1]):
        part = entry.match(inside[1], at)
        if part is None:
            return None
        found.append((part[3] is None, part[1] or part[2] or _dotted(part[3] or "")))
        at = part.end()
    return found
