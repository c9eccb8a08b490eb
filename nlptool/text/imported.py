"""Reads tokenizer files like transformers' AutoTokenizer: the same ids, or an error that says how to convert.

The class decides how: that of tokenizer_config.json, else of config.json, else that of the model type. Without one,
transformers uses a tokenizer.json unchanged and refuses a bare vocabulary, which is read here as BERT's or GPT-2's.
"""

import json
import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any, NamedTuple

from nlptool.atomic_files import read_bytes
from nlptool.errors import DataError
from nlptool.formatting import percent
from nlptool.text import sentencepiece_model
from nlptool.text.classes import (
    AS_IT_IS,
    CLASSES,
    MODELS,
    Content,
    TokenizerClass,
    bert_normalizer,
    rebuilt,
    text_of,
)
from nlptool.text.tokenizer_json import PLAIN

ROLES = ("pad", "unk", "cls", "sep", "mask", "eos")
KNOWN = {  # names of these tokens in tokenizers without a configuration
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
    "eos": ("<|endoftext|>", "</s>"),
}
MAX_LENGTH = 512  # default maximum length (BERT)
FINGERPRINT = "tokenizer_fingerprint"  # in config.json: of the tokenizer that a model was trained with
FILES = ("tokenizer.json", "vocab.txt", "vocab.json")
GENERIC = ("PreTrained", "TokenizersBackend", "PythonBackend")
CODE = {  # classes written in Python, which no tokenizer.json represents
    "BertJapanese": "splits words with MeCab", "Bertweet": "normalises tweets", "Phobert": "reads words split before",
    "Flaubert": "splits words with Moses", "XLM": "splits words with Moses", "FSMT": "splits words with Moses",
    "BioGpt": "splits words with Moses", "CTRL": "is Python code", "Canine": "reads characters", "ByT5": "reads bytes",
    "RoCBert": "is Python code", "Esm": "is Python code", "ProphetNet": "is Python code", "Tapas": "reads tables",
}  # fmt: skip
SENTENCEPIECE = ".model"
TRAIN = "train one on your own text: nlptool tokenize ... ~tokenizer.load"
CONVERT = (
    'convert it where transformers and sentencepiece are installed: python -c "from transformers import AutoTokenizer; '
    "AutoTokenizer.from_pretrained('{}').save_pretrained('NEW')\", then name NEW"
)
FEW, MANY = 0.01, 0.1  # shares of unreachable tokens: by chance, and with a wrong default


class Imported(NamedTuple):
    """A tokenizer as read."""

    content: Content
    """tokenizer.json."""
    special: dict[str, str]
    """Special tokens by role."""
    max_length: int


def read(path: Path) -> Imported:
    """Read a Hugging Face folder, a tokenizer.json, a WordPiece vocab.txt, GPT-2's vocab.json beside its merges.txt, or
    a SentencePiece model, whose ids are those of SentencePiece.

    Raises DataError where there is no tokenizer, or its ids would differ from transformers'; ValueError, KeyError
    and the errors of `tokenizers` for a damaged file.
    """
    folder = path if path.is_dir() else path.parent
    found = found_in(path)
    if found.is_file() and found.suffix == SENTENCEPIECE:
        content = sentencepiece_model.content(read_bytes(found))
        return Imported(content, _special({}, content, None), MAX_LENGTH)
    if not found.is_file() or (found.name not in FILES and found.suffix not in (".json", ".txt")):
        raise _none(path, folder)
    config = _config(folder)
    name, kind = _class(folder, found, config)
    given = _given(found, folder)
    added = _added(folder, config, given)
    if name is None and found.name == "vocab.json":
        _require_bytes(folder, given)
    if kind is not None:
        config = _settled(found, config, name, given) if kind.model == "WordPiece" else config
        given = rebuilt(kind, given, config)
    content = given | {"added_tokens": added}
    limit = config.get("model_max_length") or MAX_LENGTH
    return Imported(content, _special(config, content, kind), int(limit) if limit < 1 << 30 else MAX_LENGTH)


def found_in(path: Path) -> Path:
    """The file of a folder to read; a path to a file itself."""
    return next((path / name for name in FILES if (path / name).is_file()), path)


def _config(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, and the names in the special_tokens_map.json of older folders."""
    config = read_json(folder / "tokenizer_config.json")
    return (
        config if "added_tokens_decoder" in config else config | read_json(folder / "special_tokens_map.json")
    )


def _class(folder: Path, found: Path, config: dict[str, Any]) -> tuple[str | None, TokenizerClass | None]:
    """Name of the class, if files name one, and how it rebuilds the vocabulary; None: it does not."""
    model = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    name = config.get("tokenizer_class") or model.get("tokenizer_class")
    if "auto_map" in config and "AutoTokenizer" in str(config["auto_map"]):
        raise DataError(
            f"{folder}: its tokenizer is Python code of its own (auto_map in tokenizer_config.json), which is not run",
            hint="if tokenizer.json is all of it, remove auto_map and set tokenizer_class to PreTrainedTokenizerFast; "
            "a SentencePiece model (*.model) can be named alone",
        )
    short = (name or "").removesuffix("Fast").removesuffix("Tokenizer")
    if short in CODE:
        raise DataError(
            f"{folder}: a {name} {CODE[short]}, which is not part of the files, so its ids cannot be computed",
            hint=TRAIN,
        )
    if model.get("model_type") in AS_IT_IS and found.name == "tokenizer.json":
        return name, None
    if not name or short in GENERIC:
        short = MODELS.get(model.get("model_type", ""), "") if not name else ""
        if short or (found.suffix == ".json" and found.name != "vocab.json"):
            return short or None, CLASSES.get(short)
        return None, CLASSES["Bert" if found.suffix == ".txt" else "GPT2"]
    if short not in CLASSES and found.name in ("vocab.txt", "vocab.json"):
        raise DataError(
            f"{found}: is the vocabulary of a {name}, which is not supported", hint=CONVERT.format(folder)
        )
    return short, CLASSES.get(short)


def _given(found: Path, folder: Path) -> Content:
    """tokenizer.json, or what a vocabulary gives of one."""
    if found.suffix == ".txt":
        lines = _text(found).removesuffix("\n").split("\n")
        return {
            "model": {
                "type": "WordPiece",
                "vocab": {line.rstrip(): number for number, line in enumerate(lines)},
            }
        }
    if found.name != "vocab.json":
        return read_json(found)
    merges = folder / "merges.txt"
    if not merges.is_file():
        raise ValueError("no merges.txt beside it")
    first, *rest = _text(merges).split("\n")
    pairs = [line for line in (rest if first.startswith("#version") else [first, *rest]) if line]
    return {"model": {"type": "BPE", "vocab": read_json(found), "merges": pairs}}


def _require_bytes(folder: Path, given: Content) -> None:
    """Raise DataError where no file names the class of a vocabulary other than GPT-2's."""
    if any(token.endswith("</w>") for token in given["model"]["vocab"]):
        raise DataError(
            f"{folder / 'vocab.json'}: its words end in </w>, which GPT-2's do not, and no file names its class",
            hint='write it into tokenizer_config.json, e.g. {"tokenizer_class": "CLIPTokenizer"}',
        )


def _settled(found: Path, config: dict[str, Any], name: str | None, given: Content) -> dict[str, Any]:
    """BERT's configuration with do_lower_case. Raises DataError where its default does not fit the vocabulary.

    If no file names a class, transformers refuses; here the vocabulary decides, since no text produces a token that
    lower-casing or stripping accents would change.
    """
    vocab = given["model"]["vocab"]
    if "do_lower_case" in config:
        return config
    if name is None:
        lower = _altered(vocab, {"strip_accents": False}) < FEW
        strip = lower and _altered(vocab, {}) < FEW
        return {"strip_accents": strip} | config | {"do_lower_case": lower}
    if (share := _altered(vocab, config)) > MANY:
        raise DataError(
            f"{found}: a {name}Tokenizer turns text to lower case and strips accents by default, so "
            f"{percent(share, 0)} of this vocabulary's tokens (capitals, accents, Hangul) would never occur",
            hint='set it in tokenizer_config.json, e.g. "do_lower_case": false',
        )
    return config


def _altered(vocab: dict[str, int], config: dict[str, Any]) -> float:
    """Share of a vocabulary's ordinary tokens that its own normaliser would change, so that no text produces them."""
    normalizer = bert_normalizer(config | {"tokenize_chinese_chars": False})
    ordinary = [token for token in vocab if not re.fullmatch(r"\[.+\]|<.+>", token)]
    changed = sum(normalizer.normalize_str(token) != token for token in ordinary)
    return changed / max(len(ordinary), 1)


def _added(folder: Path, config: dict[str, Any], given: Content) -> list[Content]:
    """Added tokens with their ids: from tokenizer.json, added_tokens_decoder, or added_tokens.json.

    For a vocabulary without a tokenizer.json also its special tokens.
    """
    special = {text_of(config.get(f"{role}_token")) for role in (*ROLES, "bos")}
    for key in ("additional_special_tokens", "extra_special_tokens"):
        special |= {text_of(token) for token in config.get(key) or ()}
    found = {}
    if "added_tokens" not in given:  # a bare vocabulary does not mark its special tokens
        vocab = given["model"]["vocab"]
        names = special | {name for names in KNOWN.values() for name in names}
        found = {vocab[name]: {"content": name, "special": True} | PLAIN for name in names & vocab.keys()}
    for number, token in config.get("added_tokens_decoder", {}).items():
        found[int(number)] = (
            PLAIN
            | {"special": False}
            | {key: token[key] for key in (*PLAIN, "content", "special") if key in token}
        )
    if "added_tokens_decoder" not in config:
        for name, number in read_json(folder / "added_tokens.json").items():
            found[number] = (
                {"content": name, "special": name in special} | PLAIN | {"normalized": name not in special}
            )
    found |= {token["id"]: token for token in given.get("added_tokens") or ()}
    return [{"id": number} | found[number] for number in sorted(found)]


def _special(config: dict[str, Any], content: Content, kind: TokenizerClass | None) -> dict[str, str]:
    """Special tokens by role: those of the configuration, of the class, or with known names."""
    named = {role: token for role in ROLES if (token := text_of(config.get(f"{role}_token")))}
    if named and kind is None:
        return named
    vocab = content["model"]["vocab"]
    tokens = set(vocab) if isinstance(vocab, dict) else {entry[0] for entry in vocab}
    tokens |= {token["content"] for token in content["added_tokens"]}
    return {
        role: token
        for role, names in KNOWN.items()
        if (token := next((n for n in names if n in tokens), None))
    } | named


def _none(path: Path, folder: Path) -> DataError:
    """The error for a folder without a readable file, which says how to convert its files."""
    there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    models = sorted(name for name in there if name.endswith(SENTENCEPIECE))
    if models and path.is_dir():
        return DataError(
            f"{folder / models[0]}: a SentencePiece model; what its class does besides, no file here says",
            hint="for the ids of SentencePiece itself, name the file; for those of the class, "
            + CONVERT.format(folder),
        )
    if {"encoder.json", "vocab.bpe"} & there:
        return DataError(
            f"{folder}: OpenAI's names of files are not read",
            hint="rename encoder.json to vocab.json and vocab.bpe to merges.txt",
        )
    return DataError(
        f"{path}: no tokenizer here",
        hint="name a folder with tokenizer.json, vocab.txt or vocab.json, one of these files, or a SentencePiece model "
        "(*.model)",
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file; empty if it is missing."""
    if not path.exists():
        return {}
    value = json.loads(_text(path))
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return value


def _text(path: Path) -> str:
    data = read_bytes(path)
    if data.startswith(BOM_UTF8):
        raise DataError(
            f"{path}: begins with a byte order mark, which would be part of its first token",
            hint=f"remove it: sed -i '1s/^\\xEF\\xBB\\xBF//' {path}",
        )
    return data.decode("utf8").replace("\r\n", "\n").replace("\r", "\n")
