"""README.md of a corpus: a dataset card for the Hugging Face hub."""

import json
from typing import Any

from nlptool.commands.corpus.report import limit_of
from nlptool.commands.corpus.setup import CorpusSetup
from nlptool.formatting import bullets, counted, markdown

HEAD = "---\n# nlptool corpus\n"
"""The beginning of each card; the hub ignores the comment."""
SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B")
MOST_LANGUAGES = 20


def card(setup: CorpusSetup, report: dict[str, Any]) -> str:
    """The card: metadata of the hub, how the corpus was built, and what every rule dropped."""
    kept, read = report["kept"], report["read"]
    size = SIZES[min(max(len(str(kept["documents"])) - 3, 0), len(SIZES) - 1)]
    ending = "jsonl.zst" if setup.output.format == "jsonl.zst" else "parquet"
    languages = list(report["languages"])[:MOST_LANGUAGES]
    head = [
        f"license: {json.dumps(setup.output.license)}",
        f"pretty_name: {json.dumps(setup.name, ensure_ascii=False)}",
        *(["language:", *(f"- {json.dumps(code)}" for code in languages)] if languages else []),
        "task_categories:",
        "- text-generation",
        "- fill-mask",
        "size_categories:",
        f"- {size}",
        "configs:",
        "- config_name: default",
        f"  data_files: {json.dumps(f'data/*.{ending}')}",
    ]
    tokenized = "demo/tokenize-ko" if languages[:1] == ["ko"] else "demo/tokenize"
    needs = "  # and the package zstandard, which opens the files" if ending == "jsonl.zst" else ""
    columns = "id (where it stood in its source), text, source; url, title, date, language where they are known; copies"
    parts = [
        HEAD + "\n".join(head) + "\n---",
        f"# {_plain(setup.name)}",
        f"{counted(kept['documents'], 'documents')}, {kept['words']:,} words, {kept['bytes']:,} bytes of text; of "
        f"{counted(read['documents'], 'documents')} that were read. Made by `nlptool corpus`; "
        "`recipe.yaml` says how, `report.html` shows what every rule did.",
        f"Columns: {columns} (how many duplicates were dropped for it).",
        "## Sources",
        markdown(
            ("source", "read", "kept", "bytes"),
            [
                (one, f"{facts['documents']:,}", f"{facts['kept_documents']:,}", f"{facts['kept_bytes']:,}")
                for one, facts in read["sources"].items()
            ],
        ),
        "## Rules",
        _rules(report),
        "## Use",
        f"```python\nimport datasets{needs}\n\ncorpus = datasets.load_dataset(FOLDER)\n```",
        f"```sh\nnlptool tokenize {tokenized} '~source' source.files=FOLDER\n```",
        "## Limits",
        bullets(
            [
                f"Licence: {_plain(setup.output.license)}. Texts may be under terms of their own.",
                "Personal data: "
                + (
                    "nothing was replaced."
                    if not setup.replaced
                    else f"{', '.join(setup.replaced)} replaced, as far as their patterns find them."
                ),
                "Rules check words and lines; the content of texts has not been reviewed.",
            ]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _rules(report: dict[str, Any]) -> str:
    rows = [
        (rule, f"{found['documents']:,}", f"{found['dropped']:,}", limit_of(found))
        for rule, found in report["rules"].items()
        if found["dropped"]
    ]
    return markdown(("rule", "documents", "dropped", "limit"), rows) if rows else "No rule dropped anything."


def _plain(text: str) -> str:
    return " ".join(text.split())
