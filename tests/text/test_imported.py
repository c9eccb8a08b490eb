"""Imported tokenizers: the ids of transformers' AutoTokenizer for the same files, or an error."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from nlptool.errors import DataError
from nlptool.text import tokenizer as ours

TEXTS = (
    "The Old HOUSE stood near the water. They're home!",
    "오늘은 날씨가 좋다. 우리 집에 간다.",
    "今天天气很好。我们去公园。",
    "今日は東京で寿司を食べた。グラン。がぎぐ",
    "Café Müller naïve ÀÉ straße cafe\u0301",
    "good 👍🏽 family 👨‍👩‍👧 <user> [URL]",
)
BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
LLAMA3 = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def trained(model: Any, trainer: Any, before: Any, normalizer: Any = None, decoder: Any = None) -> Tokenizer:
    made = Tokenizer(model)
    made.pre_tokenizer = before
    if normalizer is not None:
        made.normalizer = normalizer
    if decoder is not None:
        made.decoder = decoder
    made.train_from_iterator(TEXTS * 3, trainer)
    return made


def word_piece(*, lowercase: bool, strip_accents: bool | None = None) -> Tokenizer:
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=list(BERT), show_progress=False)
    normal = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    return trained(models.WordPiece(unk_token="[UNK]"), trainer, pre_tokenizers.BertPreTokenizer(), normal)


def byte_level(before: Any = None) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[*ROBERTA, "<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    before = before or pre_tokenizers.ByteLevel(add_prefix_space=False)
    return trained(models.BPE(), trainer, before, decoder=decoders.ByteLevel())


def albert() -> Tokenizer:
    trainer = trainers.UnigramTrainer(
        vocab_size=200,
        special_tokens=["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"],
        unk_token="<unk>",
        show_progress=False,
    )
    before = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    return trained(models.Unigram(), trainer, before, normalizers.Lowercase(), decoders.Metaspace())


def clip() -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    model = models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>")
    return trained(model, trainer, pre_tokenizers.ByteLevel(add_prefix_space=False))


def folder(path: Path, made: Tokenizer | None, *, vocabulary: bool = False, **files: Any) -> Path:
    """A folder with tokenizer.json, or the vocabulary's own files; and JSON files by name."""
    path.mkdir()
    if made is not None and vocabulary:
        made.model.save(str(path))
    elif made is not None:
        made.save(str(path / "tokenizer.json"))
    for name, value in files.items():
        (path / f"{name}.json").write_text(json.dumps(value))
    return path


def config(name: str, **more: Any) -> dict[str, Any]:
    return {"tokenizer_class": f"{name}Tokenizer", **more}


def test_ids_are_those_of_transformers(tmp_path: Path):
    automatic = pytest.importorskip("transformers").AutoTokenizer
    cased, lower = word_piece(lowercase=False), word_piece(lowercase=True)
    plain, digits = byte_level(), pre_tokenizers.Digits(individual_digits=True)
    llama = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    size = cased.get_vocab_size()
    added = {"[URL]": size, "<user>": size + 1}
    special = {"additional_special_tokens": ["<user>"], "mask_token": "[MASK]"}
    folders = [
        folder(tmp_path / "cased", cased, vocabulary=True, tokenizer_config=config("Bert", do_lower_case=False)),
        folder(tmp_path / "accents", cased, vocabulary=True,
               tokenizer_config=config("Bert", do_lower_case=True, strip_accents=False)),
        folder(tmp_path / "chinese", cased, vocabulary=True,
               tokenizer_config=config("Bert", do_lower_case=False, tokenize_chinese_chars=False)),
        folder(tmp_path / "type", lower, vocabulary=True, config={"model_type": "bert"}),
        folder(tmp_path / "class", lower, vocabulary=True, config=config("Electra")),
        folder(tmp_path / "added", cased, vocabulary=True, tokenizer_config=config("Bert", do_lower_case=False),
               added_tokens=added, special_tokens_map=special),
        folder(tmp_path / "against", cased, tokenizer_config=config("BertTokenizer", do_lower_case=True)),
        folder(tmp_path / "partial", lower, tokenizer_config=config("DistilBert")),
        folder(tmp_path / "generic", cased, tokenizer_config={"do_lower_case": True, "unk_token": "[UNK]"}),
        folder(tmp_path / "gpt2", plain, tokenizer_config=config("GPT2", add_prefix_space=True)),
        folder(tmp_path / "roberta", plain, vocabulary=True, tokenizer_config=config("Roberta")),
        folder(tmp_path / "starcoder", byte_level(pre_tokenizers.Sequence([digits, whole])),
               tokenizer_config=config("GPT2"), config={"model_type": "gpt_bigcode"}),
        folder(tmp_path / "llama3", byte_level(pre_tokenizers.Sequence([llama, whole]))),
        folder(tmp_path / "albert", albert(), tokenizer_config=config("Albert", keep_accents=True)),
        folder(tmp_path / "clip", clip(), vocabulary=True, tokenizer_config=config("CLIP")),
    ]  # fmt: skip
    for path in folders:
        loaded, theirs = ours.Tokenizer.load(path), automatic.from_pretrained(path)
        ids = [theirs(text, add_special_tokens=False)["input_ids"] for text in TEXTS[:5]]
        assert [loaded.encode(text) for text in TEXTS[:5]] == ids, path.name
        if path.name != "added":  # names of special tokens in a text are ordinary text here
            assert loaded.encode(TEXTS[5]) == theirs(TEXTS[5], add_special_tokens=False)["input_ids"], (
                path.name
            )
    loaded = ours.Tokenizer.load(tmp_path / "added")
    assert loaded.encode("[URL]") == [size]
    assert loaded.tokens[size + 1] == "<user>"


def test_a_bare_vocabulary_tells_whether_text_is_lowered_and_accents_are_stripped(tmp_path: Path):
    lines = {
        "cased": (["The", "the"], "The the", [5, 6]),
        "uncased": (["the", "cafe"], "The Café", [5, 6]),
        "german": (["haus", "müll", "für", "über"], "Haus Müll", [5, 6]),
        "korean": (["오늘", "##은"], "오늘은", [5, 6]),
    }
    for name, (tokens, text, ids) in lines.items():
        path = folder(tmp_path / name, None)
        (path / "vocab.txt").write_text("\n".join([*BERT, *tokens]) + "\n", encoding="utf8")
        assert ours.Tokenizer.load(path).encode(text) == ids, name


def test_a_default_that_makes_nonsense_of_a_vocabulary_is_refused(tmp_path: Path):
    path = folder(tmp_path / "korean", None, config={"model_type": "bert"})
    (path / "vocab.txt").write_text("\n".join([*BERT, "오늘", "##은"]), encoding="utf8")
    with pytest.raises(
        DataError, match=r"vocab\.txt: a BertTokenizer turns text to lower case .* 100 %"
    ) as raised:
        ours.Tokenizer.load(path)
    assert '"do_lower_case": false' in str(raised.value.hint)
    (path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert ours.Tokenizer.load(path).encode("오늘은") == [5, 6]


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        ({"spiece.model": ""}, r"spiece\.model: a SentencePiece model; what its class does", "name the file"),
        ({"encoder.json": "{}", "vocab.bpe": ""}, "OpenAI's names of files", "rename encoder.json to vocab.json"),
        ({"vocab.txt": "", "tokenizer_config.json": json.dumps(config("BertJapanese"))}, "MeCab", "train one"),
        ({"vocab.txt": "", "tokenizer_config.json": json.dumps(config("MPNet"))}, "of a MPNetTokenizer", "convert"),
        ({"tokenizer.json": "{}", "tokenizer_config.json": '{"auto_map": {"AutoTokenizer": ["a.B", null]}}'},
         "Python code of its own", "remove auto_map"),
        ({"vocab.txt": "\ufeff[PAD]\n"}, r"vocab\.txt: begins with a byte order mark", "sed"),
        ({"vocab.json": '{"a</w>": 0}', "merges.txt": ""}, "words end in </w>", "tokenizer_class"),
    ],
)  # fmt: skip
def test_what_would_get_other_ids_is_refused_with_the_way_to_convert_it(
    tmp_path: Path, files: dict[str, str], message: str, hint: str
):
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf8")
    with pytest.raises(DataError, match=message) as raised:
        ours.Tokenizer.load(tmp_path)
    assert hint in str(raised.value.hint)


def test_an_encoder_s_export_puts_the_special_tokens_of_training_rows_around_a_text_and_a_pair(
    tmp_path: Path,
):
    automatic = pytest.importorskip("transformers").AutoTokenizer
    trainer = trainers.WordLevelTrainer(special_tokens=list(BERT), show_progress=False)
    words = trained(models.WordLevel(unk_token="[UNK]"), trainer, pre_tokenizers.Whitespace())
    without = {"words": folder(tmp_path / "words", words),
               "roberta": folder(tmp_path / "roberta", byte_level(), vocabulary=True)}  # fmt: skip
    for name, path in without.items():
        loaded = ours.Tokenizer.load(path)
        cls, sep = loaded.special["cls"], loaded.special["sep"]
        loaded.framed().save(tmp_path / f"{name}-saved")
        saved = automatic.from_pretrained(tmp_path / f"{name}-saved")
        a, b = loaded.encode("the Old"), loaded.encode("home!")
        assert saved("the Old", "home!")["input_ids"] == [cls, *a, sep, *b, sep]
        assert saved("the Old", "home!")["token_type_ids"] == [0] * (len(a) + 2) + [1] * (len(b) + 1)
        assert loaded.framed().fingerprint == loaded.bare().fingerprint == loaded.fingerprint
