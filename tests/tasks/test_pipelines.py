"""What is exported is what transformers computes: its pipelines, and its model classes where it has no pipeline, give
on an exported folder the labels, tokens and scores that nlptool gives.

Families are found by their folders, heads by the kinds of task and the language models of pretraining. Each pair of
family and head, and of head and tokenizer, is tried; every triple by the slow tests.
"""

import json
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import small
import tokenizers
import torch
from torch import nn

from nlptool import registry
from nlptool.cli import main
from nlptool.commands.finetune.recipe import Recipe as Tuning
from nlptool.commands.finetune.setup import FinetuneSetup as TunePlan
from nlptool.commands.pretrain.recipe import Recipe as Pretraining
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.console import Console
from nlptool.models.config import EncoderConfig
from nlptool.recipe import loads
from nlptool.runs import model_use
from nlptool.tasks.text_generation.objective import prompt
from nlptool.text.store import SplitWriter, dtype_for
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer
from nlptool.train.distributed import DistributedContext
from nlptool.train.interrupts import SignalHandler

transformers = pytest.importorskip("transformers")

CLOSE = 1e-4
SIZES = {"layers": 2, "hidden": 16, "heads": 2, "max_positions": 192, "init": 0.4}
FURTHER = {"albert": {"embedding_size": 8}, "electra": {"embedding_size": 8}}
OBJECTIVES = {"albert": "sop", "electra": "electra", "gpt2": "clm"}  # of others mlm
EXEMPT = {"kagnet": "transformers has no model over schema graphs; the encoder is exported as it is"}
"""Kinds of task that transformers has no class for, and why."""
NO_CLASS = {
    "ernie": "transformers has no class for its entities; tests/models/test_ernie.py has the released code's"
}
"""Families that transformers has no class for, and why."""
ALIKE = ("relation_classification", "entity_typing", "multi_label_classification")
"""Kinds whose head is that of classification, which is tried with every family."""

TEXTS = [
    "The old town by the river reads a small bell.",
    " A winter house of stone and wood, 12 bells!",
    "한국어 문장은 겨울의 강을 읽는다.",
    "中文也在这里。猫坐在垫子上。",
    "Ça coûte déjà 3 €, señor 😀.",
]


# ---- tokenizers ----


def byte_level() -> Tokenizer:
    """As nlptool trains it."""
    return Tokenizer.train([*TEXTS, *(" " + " ".join(small.WORDS) for _ in range(3))] * 3, 360)


def word_piece(folder: Path) -> Tokenizer:
    """A vocab.txt with BERT's settings."""
    characters = sorted({c for text in (*TEXTS, *small.WORDS) for c in text.lower() if not c.isspace()})
    words = [*small.WORDS, "read", "##s"]
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters)]
    lines += [word for word in dict.fromkeys(words) if word not in lines]
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return Tokenizer.load(folder)


def imported(folder: Path) -> Tokenizer:
    """RoBERTa's: byte-level, its own names, <mask> that takes the space before it, two separators between texts."""
    trained = byte_level()
    names = {"pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
    text = json.dumps(trained.content, ensure_ascii=False)
    for role, name in names.items():
        text = text.replace(f'"{trained.tokens[trained.special[role]]}"', f'"{name}"')
    content = json.loads(text)
    content["post_processor"] = {
        "type": "RobertaProcessing",
        "sep": ["</s>", trained.special["sep"]],
        "cls": ["<s>", trained.special["cls"]],
        "trim_offsets": True,
        "add_prefix_space": False,
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))
    settings = {f"{role}_token": name for role, name in names.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return Tokenizer.load(folder)


def quick_tour(folder: Path) -> Tokenizer:
    """BPE over words, as the quick tour of tokenizers makes it: nothing stands around a text."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    names = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=220, special_tokens=names, show_progress=False)
    made.train_from_iterator([*TEXTS, " ".join(small.WORDS)] * 5, trainer)
    made.save(str(folder / "tokenizer.json"))
    return Tokenizer.load(folder)


def sentence_piece(folder: Path) -> Tokenizer:
    """ALBERT's kind: Unigram, words begin with a mark for the space before them."""
    made = tokenizers.Tokenizer(tokenizers.models.Unigram())
    made.normalizer = tokenizers.normalizers.NFKC()
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.decoder = tokenizers.decoders.Metaspace()
    names = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=220, special_tokens=names, unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator([*TEXTS, " ".join(small.WORDS)] * 5, trainer)
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made.save(str(folder / "tokenizer.json"))
    roles = ("pad", "unk", "cls", "sep", "mask")
    settings = {f"{role}_token": name for role, name in zip(roles, names, strict=True)}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return Tokenizer.load(folder)


TOKENIZERS: dict[str, Callable[[Path], Tokenizer]] = {
    "byte-level": lambda folder: byte_level(),
    "word-piece": word_piece,
    "imported": imported,
    "sentence-piece": sentence_piece,
    "quick-tour": quick_tour,
}


# ---- what is tried ----


def config(family: str) -> Any:
    block = {"name": family} | SIZES | FURTHER.get(family, {})
    return registry.config("models", family).model_validate(block)


FAMILIES = [name for name in registry.names("models") if name not in NO_CLASS]
ENCODERS = [name for name in FAMILIES if isinstance(config(name), EncoderConfig)]
DECODERS = [name for name in FAMILIES if name not in ENCODERS]
KINDS = [name for name in registry.names("tasks") if name not in EXEMPT]
OF = {
    architecture: [kind for kind in KINDS if architecture in registry.config("tasks", kind).kinds]
    for architecture in ("encoder", "decoder")
}
OF_ENCODERS = ["fill-mask", *OF["encoder"]]
OF_DECODERS = ["text-generation", *OF["decoder"]]


def cases() -> list[Any]:
    """Family, head, tokenizer and variant of the head; pairs of family, head and tokenizer at once, the rest slow."""
    found = []
    for families, heads in ((ENCODERS, OF_ENCODERS), (DECODERS, OF_DECODERS)):
        for (f, family), (h, head), (t, tokenizer) in product(*map(enumerate, (families, heads, TOKENIZERS))):
            variants = COMPARE[head].variants() if head in COMPARE else [{}]
            for v, settings in enumerate(variants):
                chosen = (f + h) % len(TOKENIZERS) == t and (f + h) % len(variants) == v
                chosen &= head not in ALIKE or f == ALIKE.index(head)
                marks = [] if chosen else [pytest.mark.slow]
                name = f"{family}-{head}-{v}-{tokenizer}"
                found.append(pytest.param(family, head, tokenizer, settings, marks=marks, id=name))
    return found


@pytest.fixture(autouse=True, scope="module")
def quiet():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A token store of a tokenizer, by its name, made once."""

    @cache
    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp(f"store-{name}")
        tokenizer = TOKENIZERS[name](folder)
        tokenizer.save(folder / "tokenizer")
        for split in ("train", "heldout"):
            writer = SplitWriter(folder / split, dtype_for(tokenizer.vocab_size))
            for _ in range(6):
                ids = tokenizer.encode_batch(TEXTS)
                writer.add(np.concatenate(ids), np.array([len(i) for i in ids], np.int32))
            writer.close()
        facts = {
            "fingerprint": tokenizer.fingerprint,
            "vocab_size": tokenizer.vocab_size,
            "special": tokenizer.special,
        }
        (folder / "store.json").write_text(json.dumps(facts))
        return folder

    return make


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory, store) -> Callable[[str, str], Path]:
    """The final/ of a run that pretrains a family on a store, its weights random."""

    @cache
    def make(family: str, tokenizer: str) -> Path:
        out = tmp_path_factory.mktemp(f"{family}-{tokenizer}")
        block = {"name": family} | SIZES | FURTHER.get(family, {})
        recipe = loads(
            json.dumps(
                {
                    "store": str(store(tokenizer)),
                    "model": block,
                    "objective": {"name": OBJECTIVES.get(family, "mlm")},
                    "train": {"steps": 1, "batch_size": 2, "sequence_length": 24},
                    "out": str(out),
                }
            ),
            Pretraining,
        )
        plan = PretrainSetup(recipe)
        objective = plan.objective()
        randomise(objective)
        (out / "final").mkdir()
        plan.export(objective, out / "final")
        return out / "final"

    return make


def randomise(model: nn.Module) -> None:
    """Biases and norms away from 0 and 1, so that a forgotten one shows."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.2)


# ---- language models ----


def compare_fill_mask(final: Path, capsys) -> None:
    inside = final / "generator"  # of ELECTRA
    final = inside if inside.is_dir() else final
    texts = [
        "The old [MASK] by the river.",
        "[MASK] house, the [MASK]",
        "a  [MASK]bell\n[MASK]",
        "겨울의 [MASK] 읽는다 😀",
        " 中文[MASK]在",
    ]
    assert main(["fill-mask", str(final), *texts, "--json", "--top", "5"]) == 0
    ours = json.loads(capsys.readouterr().out)
    pipe = transformers.pipeline("fill-mask", model=str(final))
    theirs = []
    for text in texts:
        found = pipe(text.replace("[MASK]", pipe.tokenizer.mask_token), top_k=5)
        theirs += found if isinstance(found[0], list) else [found]
    assert len(ours) == len(theirs) == 7
    for one, other in zip(ours, theirs, strict=True):
        assert [guess["text"] for guess in one["predictions"]] == [g["token_str"].strip() for g in other]
        scores = [guess["probability"] for guess in one["predictions"]]
        assert scores == pytest.approx([g["score"] for g in other], abs=CLOSE)


def continued(pipe: Any, text: str, tokens: int) -> str:
    """What the pipeline writes, decoded with the token before it, which says whether a space is between."""
    prompt = pipe.tokenizer(text).input_ids
    (made,) = pipe(text, max_new_tokens=tokens, do_sample=False, return_tensors=True)
    ids = made["generated_token_ids"]
    assert ids[: len(prompt)] == prompt
    last = len(prompt) - 1
    before, whole = (
        pipe.tokenizer.decode(some, skip_special_tokens=True) for some in (ids[last : last + 1], ids[last:])
    )
    return str(whole[len(before) :])


def compare_texts(final: Path, capsys) -> None:
    pipe = transformers.pipeline("text-generation", model=str(final))
    for text in ("The old town", "겨울의 강", "a bell "):
        asked = [str(final), "--text", text, "--temperature", "0", "--max-new-tokens", "12", "--json"]
        assert main(["generate", *asked]) == 0
        assert json.loads(capsys.readouterr().out)["continuations"] == [continued(pipe, text, 12)]


# ---- fine-tuned heads ----


class Tuned(NamedTuple):
    """A run of finetune, its weights random where they were not pretrained."""

    task: Any
    final: Path
    split: Any
    """The validation rows."""
    numbers: np.ndarray
    """What the model says of them, [N, W]."""
    said: list[dict[str, Any]]
    """What predictions/validation.jsonl has."""


def tuned(kind: str, settings: dict, rows: list[dict], start: Path, work: Path) -> Tuned:
    """What finetune makes of these rows, without a step of training."""
    folder = work / "run"
    (folder / "data").mkdir(parents=True)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    for split in ("train", "validation"):
        (folder / "data" / f"{split}.jsonl").write_text(lines)
    recipe = {
        "task": {"name": kind} | settings,
        "data": str(folder / "data"),
        "init_from": str(start),
        "train": {"sequence_length": 192, "batch_size": 8},
        "out": str(folder / "run"),
    }
    plan = TunePlan(loads(json.dumps(recipe), Tuning))
    plan.encode(folder / "rows", Console())
    plan.open(folder / "rows")
    objective = plan.objective().eval()
    objective.load_state_dict(plan.state, strict=False)
    randomise(objective)
    (folder / "final").mkdir()
    plan.export(objective, folder / "final")
    with SignalHandler(alone=True) as interrupts, torch.inference_mode():
        numbers = plan.predict_split(
            objective, "validation", DistributedContext(0, 1, torch.device("cpu")), interrupts
        )
    split = plan.splits["validation"]
    return Tuned(plan.task, folder / "final", split, numbers, list(plan.shape.answers(split, numbers)))


def softmax(logits: Any) -> list[float]:
    return torch.as_tensor(np.asarray(logits)).double().softmax(-1).tolist()


class Compare:
    """How a kind of task is put to transformers. `small` knows rows and variants of most."""

    kind: str

    def variants(self) -> list[dict]:
        every = small.facts(self.kind).VARIANTS.values()
        return [settings for settings in every if "graph" not in settings]

    def rows(self, settings: dict, number: int = 4) -> list[dict]:
        rng = np.random.default_rng(0)
        made = [small.facts(self.kind).row(rng, small.WORDS, settings) for _ in range(number)]
        return [self.abroad(row, n) for n, row in enumerate(made)]

    def abroad(self, row: dict, number: int) -> dict:
        """Other scripts in some rows."""
        return row

    def check(self, run: Tuned, rows: list[dict]) -> None:
        raise NotImplementedError


class Classify(Compare):
    kind = "classification"

    def abroad(self, row: dict, number: int) -> dict:
        return row | ({"a": TEXTS[number]} if number % 2 else {"b": TEXTS[number]})

    def check(self, run: Tuned, rows: list[dict]) -> None:
        pipe = transformers.pipeline("text-classification", model=str(run.final), top_k=None)
        names = run.task.inputs
        for row, ours in zip(rows, run.said, strict=True):
            asked = dict(zip(("text", "text_pair"), (row[name] for name in names), strict=False))
            theirs = {one["label"]: one["score"] for one in pipe(asked)}
            if run.task.labels:
                assert ours["scores"] == pytest.approx(theirs, abs=CLOSE)
                assert ours["prediction"] == max(theirs, key=theirs.__getitem__)
            else:
                assert {"LABEL_0": ours["prediction"]} == pytest.approx(theirs, abs=CLOSE)


class Choose(Compare):
    kind = "multiple_choice"

    def check(self, run: Tuned, rows: list[dict]) -> None:
        tokenizer = transformers.AutoTokenizer.from_pretrained(run.final)
        model = transformers.AutoModelForMultipleChoice.from_pretrained(run.final)
        for row, ours in zip(rows, run.said, strict=True):
            listed = [one["text"] for one in row["listed"]]
            choices = [row[name] for name in run.task.choices] if "a" in run.task.choices else listed
            read = tokenizer([row["question"]] * len(choices), choices, padding=True, return_tensors="pt")
            with torch.inference_mode():
                logits = model(**{name: value[None] for name, value in read.items()}).logits[0]
            assert list(ours["scores"].values()) == pytest.approx(softmax(logits), abs=CLOSE)


class Span(Compare):
    kind = "extractive_qa"
    BEST, LONGEST = 20, 30

    def check(self, run: Tuned, rows: list[dict]) -> None:
        tokenizer = transformers.AutoTokenizer.from_pretrained(run.final)
        model = transformers.AutoModelForQuestionAnswering.from_pretrained(run.final)
        for row, ours in zip(rows, run.said, strict=True):
            read = tokenizer(
                row["question"], row["context"], return_offsets_mapping=True, return_tensors="pt"
            )
            places, inside = read.pop("offset_mapping")[0].tolist(), read.sequence_ids(0)
            with torch.inference_mode():
                out = model(**read)
            start, end = out.start_logits[0].double(), out.end_logits[0].double()
            text = [at for at, part in enumerate(inside) if part == 1]
            pairs = [
                (float(start[a] + end[b]), a, b) for a in text for b in text if a <= b < a + self.LONGEST
            ]
            best: dict[str, float] = {}
            for logit, a, b in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:]))[: self.BEST]:
                best.setdefault(row["context"][places[a][0] : places[b][1]].strip(), logit)
            top = max(best.values())
            if "null_odds" in ours:
                assert ours["null_odds"] == pytest.approx(float(start[0] + end[0]) - top, abs=CLOSE)
            expected = dict(zip(best, softmax(list(best.values())), strict=True))
            found = {one["text"]: one["probability"] for one in ours["best"]}
            assert list(found) == list(expected)[: len(found)]
            assert found == pytest.approx({text: expected[text] for text in found}, abs=CLOSE)


class Tag(Compare):
    kind = "token_classification"

    def check(self, run: Tuned, rows: list[dict]) -> None:
        pipe = transformers.pipeline("token-classification", model=str(run.final), ignore_labels=[])
        between = "" if run.task.characters else " "
        first = 0
        for number, (row, ours) in enumerate(zip(rows, run.said, strict=True)):
            theirs = {one["index"]: one for one in pipe(between.join(row["tokens"]))}
            placed = run.split.take(np.array([number]))
            begins = np.flatnonzero(run.split.begins[first : first + len(row["tokens"])])
            for token, at, decision in zip(
                begins, placed.positions.tolist(), placed.encoded.rows.tolist(), strict=True
            ):
                assert ours["prediction"][token] == theirs[at]["entity"]
                assert max(softmax(run.numbers[decision])) == pytest.approx(theirs[at]["score"], abs=CLOSE)
            first += len(row["tokens"])


class Relate(Compare):
    kind = "relation_classification"

    def abroad(self, row: dict, number: int) -> dict:
        text, words = TEXTS[number], {1: ("wood", "winter"), 3: ("中文", "垫子")}.get(number)
        if words is None:
            return row
        return row | {
            "text": text,
            "ents": [[None, text.index(one), text.index(one) + len(one)] for one in words],
        }

    def check(self, run: Tuned, rows: list[dict]) -> None:
        pipe = transformers.pipeline("text-classification", model=str(run.final), top_k=None)
        for row, ours in zip(rows, run.said, strict=True):
            theirs = {
                one["label"]: one["score"] for one in pipe({"text": run.task.marked(Row("row", row)).text})
            }
            assert ours["scores"] == pytest.approx(theirs, abs=CLOSE)
            assert ours["prediction"] == max(theirs, key=theirs.__getitem__)


class Types(Compare):
    kind = "entity_typing"

    def check(self, run: Tuned, rows: list[dict]) -> None:
        pipe = transformers.pipeline("text-classification", model=str(run.final), top_k=None)
        for row, ours in zip(rows, run.said, strict=True):
            theirs = {
                one["label"]: one["score"] for one in pipe({"text": run.task.marked(Row("row", row)).text})
            }
            assert ours["scores"] == pytest.approx(theirs, abs=CLOSE)
            assert set(ours["prediction"]) == {name for name, share in theirs.items() if share > 0.5}


class Labels(Compare):
    kind = "multi_label_classification"

    def abroad(self, row: dict, number: int) -> dict:
        return row | {"a": TEXTS[number]}

    def check(self, run: Tuned, rows: list[dict]) -> None:
        pipe = transformers.pipeline(
            "text-classification", model=str(run.final), top_k=None, function_to_apply="sigmoid"
        )
        for row, ours in zip(rows, run.said, strict=True):
            texts = (row[name] for name in run.task.inputs)
            theirs = {
                one["label"]: one["score"]
                for one in pipe(dict(zip(("text", "text_pair"), texts, strict=False)))
            }
            assert ours["scores"] == pytest.approx(theirs, abs=CLOSE)
            assert set(ours["prediction"]) == {name for name, share in theirs.items() if share > 0.5}


class Answer(Compare):
    kind = "text_generation"

    def variants(self) -> list[dict]:
        asked = {"question": "Which {what}?", "context": "{text}", "metrics": ["exact"], "max_new_tokens": 6}
        return [asked, {"question": "Which {what}?", "metrics": ["exact"], "max_new_tokens": 6}]

    def rows(self, settings: dict, number: int = 4) -> list[dict]:
        return [{"what": "town", "text": text, "answer": "a bell"} for text in TEXTS[:number]]

    def check(self, run: Tuned, rows: list[dict]) -> None:
        pipe = transformers.pipeline("text-generation", model=str(run.final))
        for row, ours in zip(rows, run.said, strict=True):
            (asked,) = run.task.parts[""].examples(Row("row", row), labelled=True)
            text = "".join(prompt(asked)[:2])
            assert ours["prediction"] == continued(pipe, text, 6).strip()


COMPARE = {
    one.kind: one for one in (Classify(), Choose(), Span(), Tag(), Relate(), Types(), Labels(), Answer())
}


def use(final: Path, task: dict) -> None:
    """The code of a model card, as it stands there."""
    settings = json.loads((final / "config.json").read_text())
    code = model_use.of(settings["architectures"][0], task, in_transformers=True).code
    exec(code.replace("PATH_OR_ID", str(final)), {})


@pytest.mark.parametrize(("family", "head", "tokenizer", "settings"), cases())
def test_transformers_say_what_nlptool_says(
    family: str, head: str, tokenizer: str, settings: dict, pretrained, tmp_path: Path, capsys
):
    start = pretrained(family, tokenizer)
    if head == "fill-mask":
        compare_fill_mask(start, capsys)
        use(start, {})
    elif head == "text-generation":
        compare_texts(start, capsys)
        use(start, {})
    else:
        rows = COMPARE[head].rows(settings)
        run = tuned(head, settings, rows, start, tmp_path)
        COMPARE[head].check(run, rows)
        use(run.final, run.task.model_dump(mode="json"))
        assert capsys.readouterr().out, "the card's code prints what the model says"


def test_every_kind_of_task_is_compared_or_exempt_by_name():
    assert set(COMPARE) == set(KINDS)
