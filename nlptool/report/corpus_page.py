"""The report of a corpus as a self-contained HTML page, without scripts."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from nlptool.formatting import counted, percent, significant
from nlptool.report import histogram, html_page
from nlptool.report.html_page import html_text, unbroken

TEMPLATE = Path(__file__).with_name("corpus_page.html")

EXCERPT = 700  # characters of a sample
Samples = Mapping[str, Sequence[Mapping[str, Any]]]
"""Some dropped documents of each rule, from dropped/."""


def page(name: str, report: Mapping[str, Any], samples: Samples, recipe: str) -> str:
    """The page of a corpus. report: report.json. recipe: its YAML."""
    read, kept = report["read"]["documents"], report["kept"]
    lead = (
        f"{counted(kept['documents'], 'documents')} of {read:,} are kept ({_share(kept['documents'], read)}): "
        f"{_bytes(kept['bytes'])} of text, {counted(kept['words'], 'words')}."
    )
    parts = {
        "lead": unbroken(lead),
        "blocks": _blocks(report),
        "sources": _sources(report["read"]["sources"]),
        "rules": _rules(report, samples),
        "counts": _counts("Languages", report["languages"], kept["documents"])
        + _counts("Most frequent domains", report["domains"], kept["documents"]),
        "recipe": html_text(recipe),
    }
    return html_page.filled(TEMPLATE, name, parts, width=78)


def _blocks(report: Mapping[str, Any]) -> str:
    read = report["read"]["documents"]
    rows = ""
    for name, block in report["blocks"].items():
        dropped = sum(block["dropped"].values())
        left = block["documents"] - dropped
        bar = f'<i class="bar" style="width: {100 * left / max(read, 1):.2f}%"></i>'
        cells = (
            f"{block['documents']:,}",
            f"{left:,}",
            _share(dropped, block["documents"]) if dropped else "",
            f"{block['changed']:,}" if block["changed"] else "",
            _bytes(block["bytes"]),
            _bytes(block["bytes"] - sum(block["dropped_bytes"].values())),
        )
        numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        rows += f'<tr><th>{html_text(name)}</th>{numbers}<td class="track">{bar}</td></tr>\n'
    head = ("in", "out", "dropped", "changed", "bytes in", "bytes out")
    names = "".join(f'<th class="n">{one}</th>' for one in head)
    return f"<table><thead><tr><th>block</th>{names}<th>left of what was read</th></tr></thead>{rows}</table>"


def _sources(sources: Mapping[str, Any]) -> str:
    rows = ""
    for name, one in sources.items():
        bad = ", ".join(f"{count:,} {html_text(why)}" for why, count in one["dropped"].items())
        numbers = (f"{one['documents']:,}", f"{one['kept_documents']:,}", _bytes(one["kept_bytes"]))
        cells = "".join(f'<td class="n">{number}</td>' for number in numbers)
        rows += f"<tr><th>{html_text(name)}</th>{cells}<td>{bad}</td></tr>\n"
    head = '<th>source</th><th class="n">read</th><th class="n">kept</th><th class="n">bytes kept</th>'
    return f"<table><thead><tr>{head}<th>not read</th></tr></thead>{rows}</table>"


def _rules(report: Mapping[str, Any], samples: Samples) -> str:
    found = ""
    rules = report["rules"].items()
    for block, members in groupby(rules, key=lambda pair: pair[0].partition(".")[0]):
        cards = "".join(_rule(name, rule, report, samples.get(name, ())) for name, rule in members)
        note = _note(block, report)
        found += f'<h3>{html_text(block)}</h3>\n{note}<div class="cards">{cards}</div>\n'
    return found or '<p class="note">The recipe has no rules.</p>'


def _note(block: str, report: Mapping[str, Any]) -> str:
    """The text above the rules of a block."""
    if block not in report:
        return ""
    if block == "quality":
        return _classifier(report["quality"])
    return _repeated(report["repeated_lines"]) if block == "repeated_lines" else _mix(report["mix"])


def _repeated(lines: Sequence[Mapping[str, Any]]) -> str:
    """The lines removed from most documents."""
    if not lines:
        return '<p class="note">No line repeats so often.</p>\n'
    rows = "".join(
        f'<tr><td dir="auto">{html_text(one["line"][:EXCERPT])}</td><td class="n">{one["documents"]:,}</td></tr>'
        for one in lines
    )
    head = '<tr><th>line</th><th class="n">documents</th></tr>'
    return f'<div class="wide"><table><thead>{head}</thead>{rows}</table></div>\n'


def _mix(sources: Mapping[str, Any]) -> str:
    """The share of each source, before and after mixing."""
    rows = ""
    for name, one in sources.items():
        cells = (
            f"{one['characters']:,}",
            f"{one['kept_characters']:,}",
            f"{100 * one['share']:.1f} %",
            f"{100 * one['wanted_share']:.1f} %",
        )
        rows += f"<tr><th>{html_text(name)}</th>{''.join(f'<td class=n>{cell}</td>' for cell in cells)}</tr>"
    names = ("characters", "kept", "share", "by weight")
    head = "".join(f'<th class="n">{one}</th>' for one in names)
    return f'<div class="wide"><table><thead><tr><th>source</th>{head}</tr></thead>{rows}</table></div>\n'


def _classifier(facts: Mapping[str, Any]) -> str:
    """Accuracy of the quality classifier."""
    shown = (
        f"Scores are those of a classifier trained on {counted(facts['positive_samples'], 'good documents')} and "
        f"{facts['negative_samples']:,} others."
    )
    if facts["heldout_roc_auc"] is not None:
        shown += (
            f" On {facts['heldout_samples']:,} that it had not seen, its accuracy is "
            f"{percent(facts['heldout_accuracy'])} and its ROC AUC {facts['heldout_roc_auc']:.3f}."
        )
    return f'<p class="note">{unbroken(shown)}</p>\n'


def _rule(name: str, rule: Mapping[str, Any], report: Mapping[str, Any], samples: Sequence[Any]) -> str:
    limits = {key: rule[key] for key in ("at_least", "at_most")}
    words = [
        f"{key.replace('_', ' ')} {significant(limit)}" for key, limit in limits.items() if limit is not None
    ]
    shown = f"{rule['documents']:,} in, none dropped"
    if rule["dropped"]:
        shown = f"{rule['documents']:,} in, {rule['dropped']:,} dropped ({_share(rule['dropped'], rule['documents'])})"
    drawn = ""
    if shape := report["histograms"].get(name):
        label = html_text(f"{name}: documents by value")
        drawn = histogram.draw(shape["counts"], shape["bins"], rule["at_least"], rule["at_most"], label)
    shown = unbroken(shown)
    limit = f'<span class="limit">{" and ".join(words)}</span>' if words else ""
    return (
        f'<section class="{"quiet" if not rule["dropped"] else "active"}" id="{html_text(name)}"><h4>'
        f"{html_text(name.partition('.')[2])} {limit}</h4><p>{shown}</p>{drawn}{_samples(samples)}</section>\n"
    )


def _samples(samples: Sequence[Mapping[str, Any]]) -> str:
    if not samples:
        return ""
    shown = ""
    for one in samples:
        value = "" if one.get("value") is None else f" <b>{significant(one['value'])}</b>"
        of = f" like {html_text(one['duplicate_of'])}" if one.get("duplicate_of") else ""
        text = one["text"]
        more = (
            f' <span class="more">… {len(text) - EXCERPT:,} characters more</span>'
            if len(text) > EXCERPT
            else ""
        )
        shown += (
            f'<li><div class="id">{html_text(one["id"])}{value}{of}</div>'
            f'<div class="sample" dir="auto">{html_text(text[:EXCERPT])}{more}</div></li>'
        )
    return f"<details><summary>{counted(len(samples), 'documents')} that it dropped</summary><ol>{shown}</ol></details>"


def _counts(title: str, counts: Mapping[str, int], total: int) -> str:
    if not counts:
        return ""
    rows = "".join(
        f'<tr><th>{html_text(name)}</th><td class="n">{count:,}</td><td class="n">{_share(count, total)}</td></tr>'
        for name, count in counts.items()
    )
    head = '<tr><th></th><th class="n">documents</th><th class="n">share</th></tr>'
    return f'<h2>{title}</h2>\n<div class="wide"><table><thead>{head}</thead>{rows}</table></div>\n'


def _share(part: int, whole: int) -> str:
    share = 100 * part / max(whole, 1)
    return f"{share:.1f} %" if share >= 0.95 or not part else f"{significant(share, 2)} %"


def _bytes(count: int) -> str:
    for size, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
