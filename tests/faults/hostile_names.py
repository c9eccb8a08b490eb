"""Names that a terminal, a page or a table would take for something else, wherever a name can stand."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hostile import Change, Trial, writing

from nlptool.recipe.load import dump_values

NAMES = (
    "\x1b[31mred", "\x1b]0;title\x07", "\x9b2J", "\u202egnirts", "\u2066a\u2069", "a\nerror: forged", "a\rb", "a\x00b",
    "\x7f\b\b", '"><xhostile onhostile=1>', "' onhostile=1 x='", "</script><xhostile>", "</style><xhostile>",
    "--><xhostile>", "<xhostile/>", "]]><xhostile/>", "&lt;xhostile&gt;", "a|b|c", "[a](javascript:b)", "`a`|`",
    "**a** | _b_", "\\", "$\\frac{a$", "$", "%s%n{0}{x!r}", "\ud800", "\udcff", "\ufffe", "", " ", "x" * 300,
    "x" * 5_000, "🙂",
    "한국어", "中文", "é" * 80, "a b", "-", "--out", "#", "---\nxhostile: 1\n---", "..", "con", "[bold]red[/bold]",
    "{{7*7}}",
)  # fmt: skip
LINES = "the old town has a bell and the river a house\n"
Place = tuple[str, Change, list[str]] | tuple[str, Change, list[str], tuple[list[str], ...]]
"""What is called so, how, and the commands that meet it."""


def trials() -> Iterator[Trial]:
    """Each name in each place."""
    for name in NAMES:
        for places in (_files, _folders, _columns, _labels, _tokens, _keys, _figures, _texts, _facts):
            for kind, change, line, *then in places(name):
                lines = [line, *(then[0] if then else ())]
                if not any("\0" in word for one in lines for word in one):
                    yield Trial(kind, f"{name[:40]}", change, line, then=tuple(lines[1:]))


def _files(name: str) -> Iterator[Place]:
    if _is_no_name(name):
        return
    yield (
        "text files",
        writing(f"other/{name}.txt", LINES * 20),
        _words("tokenize tokenize.yaml source.files=other/* out=new"),
    )
    yield (
        "text files",
        writing(f"other/{name}.txt", b"\xff\xfe\n"),
        _words("tokenize tokenize.yaml source.files=other/* out=new"),
    )
    yield (
        "text files",
        writing(f"other/{name}.gz", b"\x1f\x8b\x08no"),
        _words("tokenize tokenize.yaml source.files=other/* out=new"),
    )
    yield "pages", writing(f"pages/{name}.jsonl", '{"text": 7}\n'), _words("corpus corpus.yaml")
    yield "recipes", writing(f"{name}.yaml", "stor: x\n"), ["pretrain-mlm", f"./{name}.yaml"]
    yield (
        "recipes",
        writing(f"{name}.yaml", "name: x\n"),
        ["finetune", "tune.yaml", f"task={name}.yaml", "--dry-run"],
    )
    for rows in ("", "{}\n", '{"sentence": "a bell"}\n'):
        yield "rows", writing(f"{name}.jsonl", rows), ["predict", "bert-bell", f"./{name}.jsonl"]
        yield "rows", writing(f"{name}.csv", rows), ["embed", "model", f"./{name}.csv"]
    yield (
        "outputs",
        writing("none", ""),
        ["predict", "bert-bell", "data/validation.jsonl", "--out", f"{name}.csv", "--json"],
    )
    yield (
        "outputs",
        writing("none", ""),
        ["embed", "model", "data/validation.jsonl", "--column", "sentence", "--out", f"{name}.npy"],
    )
    yield "outputs", writing("none", ""), ["inspect", "store", "--out", f"{name}.html"]
    yield (
        "triples",
        writing(f"{name}.tsv", "a\tb\n"),
        ["knowledge", "graph.yaml", f"source.files={name}.tsv", "out=new"],
    )


def _is_no_name(name: str) -> bool:
    """Whether no file can be called so."""
    return name in ("", "..", ".") or any(sign in name for sign in "/\0\ud800")


def _folders(name: str) -> Iterator[Place]:
    """Models, runs, stores and graphs that are called so."""
    if _is_no_name(name):
        return

    def called(what: str) -> Change:
        return lambda world: shutil.copytree(world / what, world / name)

    this = f"./{name}"
    for line in (
        ["doctor", this], ["fill-mask", this, "the [MASK]"], ["embed", this, "--text", "a"],
        ["predict", this, "--text", "a"],
        ["evaluate", "model", this, "--store", "store", "--max-chars", "40", "--out", "rated"],
        ["finetune", "tune.yaml", f"init_from={this}", "train.steps=1", "out=new"],
        ["prompt", "ask.yaml", f"models=[model, {json.dumps(this)}]"],
    ):  # fmt: skip
        yield "models", called("model"), line
    for line in (
        ["doctor", this], ["report", this, "run", "--out", "page"], ["report", this, "run", "--diff"], ["plan", this],
        ["export", this, "--license", "mit", "--out", "hf"], ["inspect", this, "--out", "rows.html"],
        ["pretrain-mlm", "bert.yaml", f"out={this}", "--resume", "auto"], ["pretrain-mlm", "bert.yaml", f"out={this}"],
    ):  # fmt: skip
        yield "runs", called("run"), line
    for line in (
        ["doctor", this], ["pretrain-mlm", "bert.yaml", f"store={this}", "train.steps=1", "out=new"],
        ["inspect", this, "--out", "rows.html"],
    ):  # fmt: skip
        yield "stores", called("store"), line
    yield (
        "graphs",
        called("graph"),
        ["pretrain-transe", "transe.yaml", f"graph={this}", "train.steps=1", "out=new"],
    )
    finished = ["pretrain-mlm", "bert.yaml", "train.steps=1", "evaluate.every=1", f"out={this}"]
    yield (
        "runs",
        writing("none", ""),
        finished,
        (["report", this, "--out", "page"], ["export", this, "--license", "mit"]),
    )


def _columns(name: str) -> Iterator[Place]:
    row, both = json.dumps({name: "a bell"}), json.dumps({name: "a", "sentence": "a bell", "label": 0})
    yield "columns", writing("rows.jsonl", f"{row}\n"), _words("predict bert-bell rows.jsonl")
    yield (
        "columns",
        writing("rows.jsonl", f"{both}\n" * 3),
        _words("predict bert-bell rows.jsonl --keep --out all.csv"),
    )
    yield "columns", writing("rows.jsonl", f"{both}\n" * 3), _words("predict bert-bell rows.jsonl --keep")
    yield (
        "columns",
        writing("rows.jsonl", f"{row}\n"),
        ["embed", "model", "rows.jsonl", "--column", name or "x"],
    )
    yield "columns", writing("rows.csv", f'"{name}",b\n1,2\n'), _words("embed model rows.csv")
    yield "columns", writing("data/train.jsonl", f"{row}\n"), _words("finetune tune.yaml out=new")
    yield (
        "columns",
        writing("data/train.jsonl", f"{both}\n" * 9),
        _words("finetune tune.yaml train.steps=1 out=new"),
    )
    yield "columns", writing("pages/b.jsonl", f"{row}\n"), _words("corpus corpus.yaml")
    yield (
        "columns",
        writing("text/b.jsonl", f"{row}\n"),
        _words("tokenize tokenize.yaml source.files=text/b.jsonl out=new"),
    )


def _labels(name: str) -> Iterator[Place]:
    task = dump_values(
        {"name": "classification", "inputs": ["sentence"], "labels": [name, "bell"], "metrics": ["accuracy"]}
    )
    report = (
        ["report", "new", "--out", "page"],
        ["predict", "new", "--text", "a"],
        ["export", "new", "--license", "mit"],
    )
    yield "labels", writing("bell.yaml", task), _words("finetune tune.yaml train.steps=2 out=new"), report
    rows = json.dumps({"sentence": "a", "label": name}) + "\n"
    yield "labels", writing("data/train.jsonl", rows * 9), _words("finetune tune.yaml train.steps=1 out=new")

    def renamed(world: Path) -> None:
        _edit(world / "bert-bell/task.json", lambda whole: whole["task"].update(labels=[name, "bell"]))
        _edit(world / "bert-bell/config.json", lambda whole: whole.update(id2label={"0": name, "1": "bell"}))

    for line in (
        "predict bert-bell --text a", "predict bert-bell data/validation.jsonl --out all.csv", "doctor bert-bell",
        "evaluate bert-bell --task data/validation.jsonl --out rated", "export bert-bell --out hf --license mit",
        "inspect tune.yaml init_from=bert-bell --out rows.html",
    ):  # fmt: skip
        yield "labels", renamed, _words(line)


def _tokens(name: str) -> Iterator[Place]:
    def renamed(world: Path) -> None:
        for folder in ("model", "gpt2", "store/tokenizer"):
            _edit(world / folder / "tokenizer.json", rename)
            _edit(
                world / folder.removesuffix("/tokenizer") / "config.json",
                lambda whole: whole.pop("tokenizer_fingerprint", 0),
            )

    def rename(whole: Any) -> None:
        vocab = whole["model"]["vocab"]
        for token in [token for token in vocab if len(token) > 3][-9:]:
            number = vocab.pop(token)
            vocab[f"{name}{number}"] = number

    for line in (
        ["fill-mask", "model", "the [MASK]", "--top", "300"],
        ["fill-mask", "model", "the [MASK]", "--top", "300", "--json"],
        ["generate", "gpt2", "--text", "the", "--max-new-tokens", "60", "--temperature", "9"],
        ["inspect", "store", "--out", "rows.html"], ["inspect", "store"], ["doctor", "model"],
        ["tokenize", "tokenize.yaml", "~tokenizer.vocab_size", "tokenizer.load=model", "out=new"],
    ):  # fmt: skip
        yield "tokens", renamed, line


def _keys(name: str) -> Iterator[Place]:
    for line in (
        [f"{name}=1"], [f"model.{name}=1"], [f"model={json.dumps({name: 1})}"], [f"~{name}"], [f"~model.{name}"],
        [name], [f"--{name}"],
        [f"train.lr={name}"], ["--out", name], ["--resume", name],
    ):  # fmt: skip
        yield "arguments", writing("none", ""), ["pretrain-mlm", "bert.yaml", *line, "--dry-run"]
    yield "arguments", writing("none", ""), [name]
    yield "arguments", writing("none", ""), ["help", name]
    yield "arguments", writing("none", ""), ["help", "tokenize", name]
    yield "arguments", writing("none", ""), ["recipes", "show", name]
    yield (
        "keys",
        _appending("bert.yaml", dump_values({name: {name: name}})),
        _words("pretrain-mlm bert.yaml --dry-run"),
    )
    yield "keys", _appending("run/recipe.yaml", dump_values({name: name})), _words("report run --out page")
    yield "keys", _appending("order.yaml", dump_values({name: name})), _words("prompt ask.yaml")


def _figures(name: str) -> Iterator[Place]:
    def figures(world: Path) -> None:
        lines = [
            {"step": n, name: n, f"heldout/{name}": n, f"heldout/{name}_accuracy": n / 9, f"{name}_loss": n}
            for n in (1, 2, 3)
        ]
        (world / "run/metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def machine(world: Path) -> None:
        _edit(
            world / "run/environment.json",
            lambda whole: whole.update({key: name for key in whole if key != "models"} | {name: name}),
        )

    def recipe(world: Path) -> None:
        path = world / "run/recipe.yaml"
        path.write_text(
            path.read_text().replace("store: store", dump_values({"store": name}).strip()),
            "utf8",
            "surrogatepass",
        )

    for change in (figures, machine, recipe):
        yield "figures", change, _words("report run --out page")
        yield "figures", change, _words("report run tuned --diff")
        yield "figures", change, _words("export run --out hf --license mit")
        yield "figures", change, _words("doctor run")


def _texts(name: str) -> Iterator[Place]:
    rows = "".join(
        json.dumps({"text": f"{name} {LINES} {n}", "id": name, "url": f"https://{name}/{n}"}) + "\n"
        for n in range(30)
    )
    show = tuple(
        _words(f"corpus corpus --show{more}") for more in ("", " --rule gopher_quality.min_stop_words")
    )
    yield "texts", writing("pages/a.jsonl", rows), _words("corpus corpus.yaml output.dropped=1.0"), show
    yield "texts", writing("pages/a.jsonl", rows), _words("corpus corpus.yaml --sample 9")
    yield "texts", writing("text/b.txt", f"{name} {LINES}" * 40), _words("tokenize tokenize.yaml out=new"), (
        _words("inspect new"), _words("inspect new --out rows.html"),
    )  # fmt: skip
    for line in ("predict bert-bell --text", "embed model --text", "generate gpt2 --text", "fill-mask model"):
        yield "texts", writing("none", ""), [*line.split(), f"{name} [MASK]"]
    row = json.dumps({"sentence": name, "label": 0}) + "\n"
    yield (
        "texts",
        writing("data/validation.jsonl", row * 3),
        _words("evaluate bert-bell --task data/validation.jsonl --out rated"),
    )
    yield "texts", writing("data/train.jsonl", row * 9), _words("inspect tune.yaml --out rows.html")
    yield (
        "texts",
        writing("data/order/validation.jsonl", row * 3),
        _words("prompt ask.yaml"),
        (_words("report asked --out page"),),
    )
    yield "texts", writing("data/order/validation.jsonl", row * 3), _words("inspect ask.yaml")


def _facts(name: str) -> Iterator[Place]:
    triples = "".join(f"{name}{n % 7}\t{name}\tb{n}\n" for n in range(60))
    train = _words("pretrain-transe transe.yaml graph=new train.steps=2 out=embedded")
    yield "entities", writing("triples.tsv", triples), _words("knowledge graph.yaml out=new"), (
        train, _words("evaluate embedded/final --graph new --out rated"), _words("report embedded --out page"),
    )  # fmt: skip
    yield "entities", writing("triples.tsv", f"a\t{name}\n"), _words("knowledge graph.yaml out=new")
    for option in ("--license", "--language", "--checkpoint"):
        yield "cards", writing("none", ""), ["export", "run", "--out", "hf", "--license", "mit", option, name]
    prompted = dump_values(
        {
            "name": "multiple_choice",
            "prompt": f"{name} {{sentence}}",
            "choices": [name, "b"],
            "metrics": ["accuracy"],
        }
    )
    yield (
        "tasks",
        writing("order.yaml", prompted),
        _words("prompt ask.yaml"),
        (_words("report asked --out page"),),
    )
    for key in ("name", "metrics", "group", "description"):
        yield "tasks", _appending("order.yaml", dump_values({key: name})), _words("prompt ask.yaml")


def _words(line: str) -> list[str]:
    return line.split()


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    if path.exists():
        whole = json.loads(path.read_text())
        change(whole)
        path.write_text(json.dumps(whole))


def _appending(name: str, text: str) -> Change:
    def change(world: Path) -> None:
        with (world / name).open("a", encoding="utf8", errors="surrogatepass") as file:
            file.write(text)

    return change
