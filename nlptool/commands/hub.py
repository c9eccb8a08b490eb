"""A pretrained model's name: a folder on this machine, or an id of the Hugging Face hub.

An id has the form owner/name; hf:// in front of it says so where a folder could be meant, and @ with a branch, tag or
commit after it names a version: hf://google/electra-small-discriminator@main. The core takes folders only.
"""

import re
from pathlib import Path

from nlptool.errors import DataError, UsageError

SCHEME = "hf://"
ID = re.compile(r"([\w.-]+/)?[\w.-]+(@[\w./-]+)?")
FILES = ("*.json", "*.safetensors", "*.txt")
"""What is read of a model: settings, weights that need no unpickling, the tokenizer."""


def problem(name: str) -> str | None:
    """What is wrong with a model's name, as far as this machine knows."""
    if _id(name) is not None or (Path(name) / "config.json").exists():
        return None
    hint = f"; for a model of the hub, {SCHEME}OWNER/NAME" if SCHEME not in name else ""
    return f"no Hugging Face folder at {name} (no config.json){hint}"


def folder(name: str) -> Path:
    """The model's folder. A model of the hub is downloaded once, into the hub's own cache.

    Raises UsageError where the name is neither; DataError where the hub does not have it or cannot be reached.
    """
    found = _id(name)
    if found is None:
        if message := problem(name):
            raise UsageError(message)
        return Path(name)
    from huggingface_hub import errors, snapshot_download

    repository, _, revision = found.partition("@")
    try:
        path = Path(str(snapshot_download(repository, revision=revision or None, allow_patterns=list(FILES))))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise DataError(
            f"{name}: the hub has no such model or version, or it is private",
            hint="check the name; for a private model, log in with: hf auth login",
        ) from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError, ValueError) as error:
        raise DataError(
            f"{name}: is not on this machine, and the hub cannot be reached: {_first_line(error)}",
            hint="download it where there is a network, and name its folder",
        ) from error
    if not (path / "config.json").exists():
        raise DataError(f"{name}: has no config.json, so it is no model of transformers")
    return path


def _id(name: str) -> str | None:
    """The id that a name stands for; None where it is a folder's.

    A name without hf:// whose first part is a folder here was meant as a path, and has a slip in it.
    """
    if name.startswith(SCHEME):
        rest = name.removeprefix(SCHEME)
        return rest if ID.fullmatch(rest) else None
    first, slash, _ = name.partition("/")
    here = Path(name).exists() or Path(first).exists() or first in (".", "..")
    return name if slash and not here and ID.fullmatch(name) else None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
