"""YAML that no person would write, in every file that is read as YAML."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from hostile import Content, Trial, nothing, writing
from trials import SEED

READ = {
    "tokenize.yaml": ["tokenize tokenize.yaml --dry-run"],
    "bert.yaml": ["pretrain-mlm bert.yaml --dry-run", "inspect bert.yaml", "compare bert.yaml electra.yaml --dry-run"],
    "gpt.yaml": ["pretrain-clm gpt.yaml --dry-run"],
    "electra.yaml": ["pretrain-electra electra.yaml --dry-run"],
    "tune.yaml": ["finetune tune.yaml --dry-run", "plan tune.yaml"],
    "taskwise.yaml": ["distill-task taskwise.yaml --dry-run"],
    "ask.yaml": ["prompt ask.yaml --dry-run"],
    "graph.yaml": ["knowledge graph.yaml --dry-run"],
    "transe.yaml": ["pretrain-transe transe.yaml --dry-run"],
    "corpus.yaml": ["corpus corpus.yaml --dry-run"],
    "bell.yaml": ["finetune tune.yaml --dry-run", "predict bert-bell --text a --task bell.yaml"],
    "order.yaml": ["prompt ask.yaml --dry-run"],
    "suite.yaml": ["evaluate model --suite suite.yaml --data data --out rated"],
    "run/recipe.yaml": [
        "pretrain-mlm bert.yaml --resume auto", "doctor run", "report run --out page", "export run --out hf",
    ],
    "base.yaml": ["pretrain-mlm above.yaml --dry-run"],
}  # fmt: skip
"""Commands, by the file of YAML that they read."""
Edit = Callable[[bytes], bytes]
"""What becomes of a recipe's text."""


DEEP, MANY, LONG = (39, 42, 100, 1_000, 100_000), (21, 3_000, 30_000, 300_000), (10_000, 900_000, 5_000_000)
LARGE: dict[str, tuple[tuple[int, ...], Callable[[int], str]]] = {
    "lists in lists": (DEEP, lambda n: "store: " + "[" * n + "]" * n),
    "open lists": (DEEP, lambda n: "store: " + "[" * n),
    "blocks in blocks": (DEEP, lambda n: "store: " + "{a: " * n + "1" + "}" * n),
    "indented blocks": (DEEP[:4], lambda n: "".join(" " * m + "a:\n" for m in range(n))),
    "dashes": (DEEP, lambda n: "- " * n + "x\n"),
    "question marks": (DEEP, lambda n: "? " * n + "x\n"),
    "keys": (MANY, lambda n: "".join(f"key{m}: 1\n" for m in range(n))),
    "keys like one": (MANY, lambda n: "".join(f"model{m}: 1\n" for m in range(n))),
    "keys in a block": (MANY, lambda n: "train:\n" + "".join(f"  lr{m}: 1\n" for m in range(n))),
    "entries": (MANY, lambda n: "seeds: [" + "1, " * n + "1]\n"),
    "times one key": (MANY, lambda n: "seed: 1\n" * n),
    "anchors": (MANY, lambda n: "".join(f"- &a{m} x\n" for m in range(n))),
    "plain letters": (LONG, lambda n: "store: " + "x" * n),
    "words": (LONG, lambda n: "store: " + "x y " * (n // 4)),
    "quoted letters": (LONG, lambda n: 'store: "' + "x" * n + '"'),
    "escapes": (LONG, lambda n: 'store: "' + r"\u0041" * (n // 6) + '"'),
    "folded words": (LONG, lambda n: "store: >\n  " + "x y " * (n // 4)),
    "digits": (LONG, lambda n: "seed: " + "9" * n),
    "hexadecimal digits": (LONG, lambda n: "seed: 0x" + "f" * n),
    "decimals": (LONG, lambda n: "seed: 0." + "9" * n),
    "digits of an exponent": (LONG, lambda n: "seed: 1e" + "9" * n),
    "underscores": (LONG, lambda n: "seed: 1" + "_" * n + "1"),
    "letters of a key": (LONG, lambda n: "x" * n + ": 1"),
    "letters of a comment": (LONG, lambda n: "#" * n),
    "spaces": (LONG, lambda n: "store:" + " " * n + "x"),
    "lines": (LONG, lambda n: "\n" * n + "seed: x"),
    "digits of a budget": (LONG, lambda n: "train: {budget: " + "9" * n + " tokens}"),
}
"""What is repeated, how often, and the text of so many."""


def _bomb(width: int, levels: int, entry: str = "x", form: str = "[{}]") -> str:
    lines = [f"a0: &a0 {form.format(', '.join([entry] * width))}"]
    lines += [f"a{n}: &a{n} {form.format(', '.join([f'*a{n - 1}'] * width))}" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def _whole() -> Iterator[tuple[str, Content]]:
    """Texts in place of a recipe's."""
    for levels in (2, 4, 5, 6, 9, 30):
        yield f"{levels} levels of aliases", _bomb(9, levels)
        yield f"{levels} levels of aliases in lists in lists", _bomb(9, levels, "[x]", "[[{}]]")
    for levels in (9, 20, 60):
        keys = "\n".join(
            f"a{n}: &a{n} {{b: *a{n - 1}, c: *a{n - 1}}}" if n else "a0: &a0 {b: 1}" for n in range(levels)
        )
        yield f"{levels} blocks of two aliases each", keys
        merged = "\n".join(
            f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}" if n else "a0: &a0 {b: 1}"
            for n in range(levels)
        )
        yield f"{levels} merges", merged
    yield "an alias in itself", "store: &a [*a]\n"
    yield "a block in itself", "train: &a {steps: *a}\n"
    yield "an alias of nothing", "store: *none\n"
    yield "an anchor of 100,000 letters", f"store: &{'a' * 100_000} x\nout: *{'a' * 100_000}\n"
    for what, (sizes, make) in LARGE.items():
        for size in sizes:
            yield f"{size} {what}", partial(make, size)
    for tag in (
        "!!python/object/apply:os.system [touch owned]", "!!python/name:os.system", "!!binary aGFsbG8=",
        "!!set {a, b}",
        "!!omap [a: 1]", "!!pairs [a: 1]", "!own x", "!<tag:yaml.org,2002:python/tuple> [1]", "!!float x", "!!int abc",
        "!!int 08", "!!null x", "!!bool perhaps", "!!timestamp x", "!!timestamp 2001-12-14", "!!merge <<", "!!str [a]",
        "!!seq x", "!!map x", "! x", "!!float .inf", "!!int 1.5", "!e!x y",
    ):  # fmt: skip
        yield f"tag {tag}", f"store: {tag}\n"
        yield f"tag {tag} of a number", f"train: {{steps: {tag}}}\n"
        yield f"tag {tag} of a key", f"? {tag}\n: x\n"
    for text in (
        "", " ", "\n", "#", "---", "...", "--- x", "[]", "{}", "x", "7", "null", "~", "- a", "'", '"', "|", ">", "&",
        "*",
        "!", "%", "@", "`", "%YAML 1.1\n---\nstore: x", "%YAML 9.9\n---\nstore: x", "%TAG ! tag:x,1:\n---\n!a b",
        "%X\n---\nx",
        "a: 1\n---\nb: 2", "a: 1\n...\nb", "? [a, b]\n: x", "? {a: b}\n: x", "? \n: ", ": x", "store\tx", "\tstore: x",
        "store: x\n\ttrain: y", "store: 'x", 'store: "\\ud800"', 'store: "\\x00"', 'store: "\\x1b[31m"', "a: b: c",
        "null: x", "true: x", "1: x", "1.5: x", ".nan: x", "~: x", "[a]: x", "<<: {store: x}", "<<: 7", "<<: [1]",
        "store: x\nstore: y\nstore: z", "train: {steps: 1, steps: 2}", "\ufeff\ufeffstore: x", "store: \ufeffx",
        "store:\u2028x", "store:\u0085x", "store\u202e: x", "\u202estore: x", "store:\u00a0x",
        "\uff53\uff54\uff4f\uff52\uff45: x",
        "extends: bert.yaml",
        "extends: ../../etc/passwd", "extends: [a]", "extends: /dev/zero", "extends: .", "extends: \"\\0\"",
        "extends: " + "x" * 5_000,
    ):  # fmt: skip
        yield f"{text[:40]!r}", text
    for number in range(32):
        yield f"control character {number:#x}", f"store: a{chr(number)}b\n"
    for data in (
        b"\xff",
        b"store: \xe9\n",
        b"store: \x80\n",
        b"\xed\xa0\x80: x",
        b"\xc0\x80: x",
        b"\xf8\x88\x80\x80\x80: x",
        bytes(5_000),
    ):
        yield f"bytes {data[:8]!r}", data
    yield "random bytes", random.Random(SEED).randbytes(4_000)


ENCODINGS = (
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-7",
    "shift-jis",
    "euc-kr",
    "cp500",
)


def _edits() -> Iterator[tuple[str, Edit]]:
    """What is done to the text that is there."""
    for name in ENCODINGS:
        yield (
            f"in {name}",
            lambda text, name=name: text.decode().replace("bell", "bell é").encode(name, "replace"),
        )
    for end in ("\r\n", "\r", "\u0085", "\u2028", "\0", "\n\n\n", "\x0b"):
        yield f"lines end in {end!r}", lambda text, end=end: text.replace(b"\n", end.encode())
    yield "given twice", lambda text: text + text
    yield "a second document", lambda text: text + b"---\n" + text
    yield "a list", lambda text: b"- " + text.replace(b"\n", b"\n  ")
    yield "with tabs", lambda text: text.replace(b"  ", b"\t")
    rng = random.Random(f"{SEED} yaml")
    for number in range(60):
        yield f"mutation {number}", _mutation(rng.randrange(2**30))


def _mutation(seed: int) -> Edit:
    def edit(text: bytes) -> bytes:
        rng = random.Random(seed)
        data = bytearray(text)
        for _ in range(rng.choice((1, 1, 3))):
            at = rng.randrange(len(data))
            way = rng.randrange(5)
            if way == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif way == 1:
                del data[at : at + rng.randrange(1, 12)]
            elif way == 2:
                data[at:at] = rng.choice(
                    (b"{", b"[", b"'", b'"', b": ", b"\n", b"&a ", b"*a ", b"!!", b"-", b"1e999", b"\xff")
                )
            elif way == 3:
                data[at:at] = data[at : at + rng.randrange(1, 40)]
            else:
                data = data[:at] or bytearray(b"x")
        return bytes(data)

    return edit


def _editing(name: str, edit: Edit) -> Callable[[Path], object]:
    def change(world: Path) -> None:
        path = world / name
        path.write_bytes(edit(path.read_bytes()))

    return change


ABOVE = "extends: base.yaml\nseed: 3\n"


def _beside(change: Callable[[Path], object]) -> Callable[[Path], object]:
    """The change, and what else a world needs for its commands."""

    def apply(world: Path) -> None:
        (world / "above.yaml").write_text(ABOVE)
        (world / "base.yaml").write_bytes((world / "bert.yaml").read_bytes())
        change(world)

    return apply


def trials() -> Iterator[Trial]:
    """Every text and every edit, in every file, under every command that reads it."""
    for name, lines in READ.items():
        for line in lines:
            for what, text in _whole():
                yield Trial(f"YAML of {name}", what, _beside(writing(name, text)), line.split())
            for what, edit in _edits():
                yield Trial(f"YAML of {name}", what, _beside(_editing(name, edit)), line.split())
            if name != "base.yaml":
                yield Trial(f"YAML of {name}", "as it is", _beside(nothing), line.split(), (0, 2, 3))


def arguments() -> Iterator[Trial]:
    """The same texts as values on the command line, as far as a system lets them through."""
    for what, text in _whole():
        if callable(text):
            continue
        given = text.decode("latin-1") if isinstance(text, bytes) else text
        if "\0" in given or len(given) > 100_000:
            continue
        for key in ("train", "train.lr", "model.layers", "store", "out"):
            yield Trial(
                "YAML of arguments",
                what,
                nothing,
                ["pretrain-mlm", "bert.yaml", "--dry-run", f"{key}={given}"],
            )
