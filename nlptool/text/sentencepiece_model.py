"""Converts SentencePiece models (`spiece.model`) to tokenizer.json, with SentencePiece's own ids.

The file is a protocol buffer (sentencepiece_model.proto of google/sentencepiece); only the fields that decide ids are
read. The conversion follows transformers (convert_slow_tokenizer.py, SpmConverter), without what its classes add, such
as ALBERT's lower case and stripping of accents, which takes Hangul apart. Known differences from the library
sentencepiece: names of control symbols in a text are these symbols; in a model that keeps white space, a space at the
beginning of a text is the prefix.
"""

import struct
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, NamedTuple

from nlptool.text.tokenizer_json import added_token, template_processing

SPACE = "▁"
UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4  # ModelProto.SentencePiece.Type
UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType
ROLES = ("[PAD]", "<pad>", "[UNK]", "<unk>", "[CLS]", "<s>", "[SEP]", "</s>", "[MASK]", "<mask>")


class Piece(NamedTuple):
    """A vocabulary entry."""

    text: str
    score: float
    kind: int


def content(data: bytes) -> dict[str, Any]:
    """The tokenizer.json of a model. Raises ValueError if the bytes are no such model, or one that is not supported."""
    pieces: list[Piece] = []
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for number, value in _fields(data):
        if number == 1:
            pieces.append(_piece(value))
        elif number in (2, 3):
            (trainer if number == 2 else normalizer).update(_fields(value))
    if not pieces or not any(piece.kind == UNKNOWN for piece in pieces):
        raise ValueError("no SentencePiece model")
    if trainer.get(3, UNIGRAM) not in (UNIGRAM, BPE):
        raise ValueError("a SentencePiece model of words or characters; unigram and bpe are read")
    if trainer.get(24, 0):
        raise ValueError("a SentencePiece model with white space behind words (treat_whitespace_as_suffix)")
    model = _unigram(pieces, trainer) if trainer.get(3, UNIGRAM) == UNIGRAM else _bpe(pieces, trainer)
    space = {
        "type": "Metaspace",
        "replacement": SPACE,
        "prepend_scheme": "first" if normalizer.get(3, 1) else "never",
        "split": not any(SPACE in piece.text[1:] for piece in pieces),
    }
    return {
        "version": "1.0",
        "added_tokens": [
            added_token(number, piece.text, special=piece.kind != USER_DEFINED or piece.text in ROLES)
            for number, piece in enumerate(pieces)
            if piece.kind in (UNKNOWN, CONTROL, USER_DEFINED)
        ],
        "normalizer": {"type": "Sequence", "normalizers": list(_normalizers(normalizer))},
        "pre_tokenizer": space,
        "post_processor": _template(pieces),
        "decoder": space if not trainer.get(35, 0) else _byte_decoder(space),
        "model": model,
    }


def _unigram(pieces: list[Piece], trainer: dict[int, Any]) -> dict[str, Any]:
    unknown = next(number for number, piece in enumerate(pieces) if piece.kind == UNKNOWN)
    vocab = [[piece.text, piece.score] for piece in pieces]
    return {"type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": bool(trainer.get(35, 0))}


def _bpe(pieces: list[Piece], trainer: dict[int, Any]) -> dict[str, Any]:
    """The BPE merges: two pieces are merged if the result is a piece, the highest score first."""
    ids = {piece.text: number for number, piece in enumerate(pieces)}
    found = []
    for piece in pieces:
        splits = [(piece.text[:at], piece.text[at:]) for at in range(1, len(piece.text))]
        pairs = [(left, right) for left, right in splits if left in ids and right in ids]
        found += [
            (piece.score, *pair) for pair in sorted(pairs, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        ]
    found.sort(key=lambda one: (one[0], len(one[1]), len(one[2])), reverse=True)
    return {
        "type": "BPE",
        "vocab": ids,
        "merges": [[left, right] for _, left, right in found],
        "unk_token": next(piece.text for piece in pieces if piece.kind == UNKNOWN),
        "fuse_unk": True,
        "byte_fallback": bool(trainer.get(35, 0)),
    }


def _normalizers(spec: dict[int, Any]) -> Iterator[dict[str, Any]]:
    name, charsmap = spec.get(1, b""), spec.get(2, b"")
    if not (isinstance(name, bytes) and isinstance(charsmap, bytes)):
        raise ValueError("no SentencePiece model")
    if b"nfkc" in name:
        yield {"type": "NFC"}  # the library tokenizers applies the map to single letters of decomposed Hangul
    if charsmap:
        yield {"type": "Precompiled", "precompiled_charsmap": b64encode(charsmap).decode("ascii")}
    if spec.get(4, 1):
        # with a dummy prefix a space at the beginning stays, which Metaspace makes the prefix
        yield {"type": "Strip", "strip_left": not spec.get(3, 1), "strip_right": True}
        yield {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}


def _template(pieces: list[Piece]) -> dict[str, Any] | None:
    """The post-processor [CLS] A [SEP] B [SEP], if the vocabulary has both tokens."""
    ids = {piece.text: number for number, piece in enumerate(pieces)}
    first = next((name for name in ("[CLS]", "<s>") if name in ids), None)
    last = next((name for name in ("[SEP]", "</s>") if name in ids), None)
    if first is None or last is None:
        return None
    return template_processing((first, ids[first]), (last, ids[last]), 1)


def _byte_decoder(space: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}, space]}


def _piece(data: bytes) -> Piece:
    found = dict(_fields(data))
    text, score, kind = found.get(1, b""), found.get(2, 0.0), found.get(3, 1)
    if not (isinstance(text, bytes) and isinstance(score, float) and isinstance(kind, int)):
        raise ValueError("no SentencePiece model")
    return Piece(text.decode("utf8"), score, kind)


def _fields(data: Any) -> Iterator[tuple[int, Any]]:
    """The fields of a message, as numbers and values. Raises ValueError if it is not a message."""
    if not isinstance(data, bytes):
        raise ValueError("no SentencePiece model")
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value: Any
            value, at = _varint(data, at)
        elif wire == 2:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = data[at : at + size].ljust(size, b"\0"), at + size
            (value,) = struct.unpack("<d" if wire == 1 else "<f", value)
        else:
            raise ValueError("no SentencePiece model")
        if at > len(data):
            raise ValueError("a SentencePiece model that breaks off")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("no SentencePiece model")
