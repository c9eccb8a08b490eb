"""The tokenizer.json that a tokenizer class of transformers builds from a vocabulary and its tokenizer_config.json.

These classes rebuild their tokenizer, so tokenizer_config.json, or their default, overrides a tokenizer.json beside
it. Source: transformers 5, models/{bert,gpt2,roberta,clip,albert}/tokenization_*.py.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors

Content = dict[str, Any]
Config = Mapping[str, Any]

CLIP_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class TokenizerClass(NamedTuple):
    """How a class builds its tokenizer."""

    model: str
    """Type of its model in tokenizer.json."""
    build: Callable[[Content, Config], tokenizers.Tokenizer]
    """Builds it from the model's block of tokenizer.json, and the configuration."""


def _bert(model: Content, config: Config) -> tokenizers.Tokenizer:
    unknown = text_of(config.get("unk_token")) or "[UNK]"
    encoder = tokenizers.Tokenizer(models.WordPiece(model["vocab"], unk_token=unknown))
    encoder.normalizer = bert_normalizer(config)
    encoder.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    encoder.decoder = decoders.WordPiece(prefix="##")
    _, cls, sep = _tokens(encoder, config, unk="[UNK]", cls="[CLS]", sep="[SEP]")
    encoder.post_processor = template(cls, sep)
    return encoder


def bert_normalizer(config: Config) -> normalizers.Normalizer:
    """Lower case unless the configuration says otherwise, and then without accents (google-research/bert)."""
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", True),
    )


def _gpt2(model: Content, config: Config) -> tokenizers.Tokenizer:
    encoder = tokenizers.Tokenizer(models.BPE(model["vocab"], _pairs(model)))
    encoder.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=bool(config.get("add_prefix_space", False))
    )
    encoder.decoder = decoders.ByteLevel()
    return encoder


def _roberta(model: Content, config: Config) -> tokenizers.Tokenizer:
    encoder = _gpt2(model, config)
    sep, cls = _tokens(encoder, config, sep="</s>", cls="<s>")
    encoder.post_processor = processors.RobertaProcessing(sep, cls)
    return encoder


def _clip(model: Content, config: Config) -> tokenizers.Tokenizer:
    unknown = text_of(config.get("unk_token")) or "<|endoftext|>"
    bpe = models.BPE(model["vocab"], _pairs(model), unk_token=unknown, end_of_word_suffix="</w>")
    encoder = tokenizers.Tokenizer(bpe)
    encoder.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True)
    encoder.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    encoder.decoder = decoders.ByteLevel()
    return encoder


def _albert(model: Content, config: Config) -> tokenizers.Tokenizer:
    encoder = tokenizers.Tokenizer(models.Unigram([tuple(entry) for entry in model["vocab"]], 1, False))
    steps: list[normalizers.Normalizer] = [
        normalizers.Replace("``", '"'), normalizers.Replace("''", '"')
    ]  # fmt: skip
    if not config.get("keep_accents", False):
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if config.get("do_lower_case", True):
        steps.append(normalizers.Lowercase())
    encoder.normalizer = normalizers.Sequence(steps)
    scheme = "always" if config.get("add_prefix_space", True) else "never"
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme)
    encoder.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    encoder.decoder = decoders.Metaspace(replacement="▁", prepend_scheme=scheme)
    return encoder


BERT = TokenizerClass("WordPiece", _bert)
GPT2 = TokenizerClass("BPE", _gpt2)
ROBERTA = TokenizerClass("BPE", _roberta)
CLIP = TokenizerClass("BPE", _clip)
ALBERT = TokenizerClass("Unigram", _albert)

CLASSES = {
    **dict.fromkeys(("Bert", "DistilBert", "Electra", "ConvBert", "MobileBert", "SqueezeBert", "LayoutLM"), BERT),
    "GPT2": GPT2,
    **dict.fromkeys(("Roberta", "Longformer", "Bart", "LED"), ROBERTA),
    "CLIP": CLIP,
    "Albert": ALBERT,
}  # fmt: skip
"""By class name without `Tokenizer` and `Fast`."""

MODELS = {
    **dict.fromkeys(("bert", "distilbert", "electra", "convbert", "mobilebert", "squeezebert", "ernie"), "Bert"),
    **dict.fromkeys(("gpt2", "gptj", "gpt_neo", "opt"), "GPT2"),
    **dict.fromkeys(("roberta", "roberta-prelayernorm", "longformer", "bart", "data2vec-text", "ibert"), "Roberta"),
    "clip": "CLIP",
    "albert": "Albert",
}  # fmt: skip
"""Class for a model type, where no configuration names one."""

AS_IT_IS = ("gpt_bigcode", "modernbert", "modernbert-decoder", "nystromformer", "stablelm", "xlm-roberta-xl")
"""Model types whose tokenizer.json is used unchanged, whatever class is named."""


def rebuilt(kind: TokenizerClass, given: Content, config: Config) -> Content:
    """tokenizer.json as this class builds it from the vocabulary in `given`. ValueError for another model type."""
    found = given["model"]
    if found.get("type", kind.model) != kind.model:
        raise ValueError(f"its model is {found['type']}, that of its tokenizer_class is {kind.model}")
    content: Content = json.loads(kind.build(found, config).to_str())
    if kind is ALBERT:  # SentencePiece's own normaliser, which cannot be built in Python
        content["normalizer"]["normalizers"] += _precompiled(given.get("normalizer"))
    return content | {"post_processor": content["post_processor"] or given.get("post_processor")}


def _precompiled(normalizer: Content | None) -> list[Content]:
    steps = (normalizer or {}).get("normalizers", [normalizer] if normalizer else [])
    return [step for step in steps if step["type"] == "Precompiled"]


def _pairs(model: Content) -> list[tuple[str, str]]:
    found = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    return [(a, b) for a, b in found]


def template(cls: tuple[str, int], sep: tuple[str, int]) -> processors.TemplateProcessing:
    """[CLS] A [SEP] and [CLS] A [SEP] B [SEP], B the second segment (Devlin et al. 2019, section 3); names with ids."""
    return processors.TemplateProcessing(
        single=[cls[0], "$A", sep[0]],
        pair=[cls[0], "$A", sep[0], "$B:1", f"{sep[0]}:1"],
        special_tokens=[cls, sep],
    )


def _tokens(encoder: tokenizers.Tokenizer, config: Config, **usual: str) -> list[tuple[str, int]]:
    """The tokens of these roles with their ids. usual: their default names, by role."""
    names = [text_of(config.get(f"{role}_token")) or name for role, name in usual.items()]
    ids = encoder.get_vocab()
    if missing := [name for name in names if name not in ids]:
        raise ValueError(f"no {', '.join(missing)} in this vocabulary")
    return [(name, ids[name]) for name in names]


def text_of(token: object) -> str | None:
    """A token of a configuration, given as a text or a block."""
    content = token["content"] if isinstance(token, dict) else token
    return content if isinstance(content, str) else None
