"""A model with its tokenizer as a Hugging Face folder: what final/ is, and what a student begins from."""

from pathlib import Path

from nlptool.models import huggingface
from nlptool.objectives.base import ExportSpec
from nlptool.text.imported import FINGERPRINT
from nlptool.text.tokenizer import Tokenizer


def write_hf_folder(path: Path, spec: ExportSpec, tokenizer: Tokenizer, trained_positions: int) -> None:
    """Write config.json, the weights and the tokenizer into a folder.

    trained_positions: how many positions training has reached; config.json carries it, with the tokenizer's
    fingerprint. An encoder's tokenizer puts [CLS] and [SEP] around a text, as the rows of training have them; a
    decoder's nothing.
    """
    settings = {
        **spec.settings,
        huggingface.TRAINED: trained_positions,
        FINGERPRINT: tokenizer.fingerprint,
    }
    huggingface.save_pretrained(path, spec.config, spec.state, tokenizer.special, settings, spec.architecture)
    own = tokenizer.framed() if spec.template else tokenizer.bare()
    own.save(path, max_length=spec.config.max_positions)
