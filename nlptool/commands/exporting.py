"""A net with its tokenizer as a Hugging Face folder: what final/ is, and what a student begins from."""

from pathlib import Path

from nlptool.models import huggingface
from nlptool.objectives.base import Folder
from nlptool.text.imported import FINGERPRINT
from nlptool.text.tokenizer import Tokenizer


def write(path: Path, made: Folder, tokenizer: Tokenizer) -> None:
    """Write config.json, which carries the tokenizer's fingerprint, the weights and the tokenizer into a folder.

    An encoder's tokenizer puts [CLS] and [SEP] around a text, as the rows of training have them; a decoder's nothing.
    """
    settings = {**made.settings, FINGERPRINT: tokenizer.fingerprint}
    huggingface.save_pretrained(path, made.config, made.state, tokenizer.special, settings)
    own = tokenizer.framed() if made.template else tokenizer.bare()
    own.save(path, max_length=made.config.model_dump()["positions"])
