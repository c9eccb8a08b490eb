"""Processor time of encoding by words against whole documents and single sentences, with a WordPiece tokenizer.

    python benchmarks/words.py TEXT.jsonl [--cased] [--mb 5] [--passes 2]

TEXT: JSON lines with `text`. The tokenizer, 16,000 tokens, is trained on it. The three take turns, batch by batch; the
first pass of words begins with an empty memory. Ids of words and of whole documents are compared.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from nlptool.text.bulk_encoder import BulkEncoder
from nlptool.text.config import Sentences
from nlptool.text.coverage import Loss
from nlptool.text.parallel_encode import batches, text_of
from nlptool.text.sentences import segmenter
from nlptool.text.tokenizer import Tokenizer

LONG = 300_000  # characters that are read of a document


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=Path)
    parser.add_argument("--cased", action="store_true")
    parser.add_argument("--mb", type=float, default=5)
    parser.add_argument("--passes", type=int, default=2)
    args = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    texts: list[str] = []
    with args.text.open(encoding="utf8") as lines:
        for line in lines:
            texts.append(json.loads(line)["text"][:LONG])
            if sum(map(len, texts)) > args.mb * 1e6:
                break
    size = sum(len(text.encode()) for text in texts) / 1e6
    tokenizer = _trained(texts, cased=args.cased)
    segment = segmenter(Sentences())
    documents = [[segment(text_of(text)) for text in batch] for batch in batches(texts)]
    words, whole = BulkEncoder(tokenizer, "words"), BulkEncoder(tokenizer, "tokenizers")
    for number in range(args.passes):
        spent = dict.fromkeys(("words", "whole documents", "sentences"), 0.0)
        for batch in documents:
            found = {}
            ways: dict[str, Callable[[], object]] = {
                "words": lambda batch=batch: words.encode(batch, Loss()),  # type: ignore[misc]
                "whole documents": lambda batch=batch: whole.encode(batch, Loss()),  # type: ignore[misc]
                "sentences": lambda batch=batch: tokenizer.encode_batch(list(chain(*batch))),  # type: ignore[misc]
            }
            for name, way in ways.items():
                began = time.process_time()
                found[name] = way()
                spent[name] += time.process_time() - began
            assert all(map(np.array_equal, found["words"], found["whole documents"]))  # type: ignore[call-overload]
        shown = ", ".join(f"{name} {1000 * seconds / size:.0f}" for name, seconds in spent.items())
        print(f"pass {number + 1}, {size:.1f} MB, ms per MB: {shown}")
        for name in ("whole documents", "sentences"):
            print(f"  words / {name}: {spent['words'] / spent[name]:.2f}")


def _trained(texts: list[str], *, cased: bool) -> Tokenizer:
    made = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=not cased, strip_accents=not cased)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=16_000, special_tokens=special, show_progress=False)
    )
    return Tokenizer(json.loads(made.to_str()))


if __name__ == "__main__":
    main()
