"""Names of pretrained models: a folder on this machine, or an id of the Hugging Face hub.

An id has the form owner/name; the prefix hf:// marks it where a folder could be meant, and a suffix @ with a branch,
tag or commit selects a version: hf://google/electra-small-discriminator@main. The core takes folders only. Uploads
go to the same hub, or to another server set by HF_ENDPOINT.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from nlptool import folder_kinds, weights_record
from nlptool.errors import DataError, UsageError

SCHEME = "hf://"
ID = re.compile(r"([\w.-]+/)?[\w.-]+(@[\w./-]+)?")
FILES = ("*.json", "*.safetensors", "*.txt")
"""Files that are read of a model: settings, safetensors, the tokenizer."""
OF_TOKENIZER = ("*.json", "*.txt")
LEFT = (".*", "**/.*")
"""Files that are not uploaded: locks, and files being written."""
LOGIN = "log in with: hf auth login; or set HF_TOKEN to a token that may write"
BUSY = "the folder is unchanged; run the same command again later"


def problem(name: str) -> str | None:
    """What is wrong with a model's name, as far as it can be checked on this machine."""
    path = Path(name)
    several = folder_kinds.finals(path)
    if _id(name) is not None or (path / "config.json").exists() or len(several) == 1:
        return None
    if several:
        return f"{name} is a run with several models; name one of them, such as {several[0]}"
    if SCHEME in name:
        return f"no Hugging Face folder at {name} (no config.json)"
    hint = "" if path.exists() else f"; for a model of the hub, {SCHEME}OWNER/NAME"
    return f"no Hugging Face folder at {name} (no config.json): {folder_kinds.describe(path)}{hint}"


def origin_problem(name: str) -> str | None:
    """What is wrong with a model as the start of another one: as `problem`, or its run has continued since."""
    return problem(name) or weights_record.superseded_final(_of_run(Path(name)))


def folder(name: str) -> Path:
    """The model's folder; for a run with one model its final/, with a note if the run has continued since.

    A model of the hub is downloaded once, into the hub's own cache.
    Raises UsageError where the name is neither; DataError where the hub does not have it or cannot be reached.
    """
    found = _id(name)
    if found is None:
        if message := problem(name):
            raise UsageError(message)
        path = _of_run(Path(name))
        weights_record.notify_if_superseded(path)
        return path
    path = _downloaded(name, found, FILES)
    if not (path / "config.json").exists():
        raise DataError(f"{name}: has no config.json, so it is not a model of transformers")
    return path


def tokenizer_problem(name: str) -> str | None:
    """What is wrong with a tokenizer's name."""
    if _id_of_tokenizer(name) is not None or Path(name).exists():
        return None
    hint = f"; for a tokenizer of the hub, {SCHEME}OWNER/NAME" if SCHEME not in name else ""
    return f"{name}: no such file or folder{hint}"


def tokenizer(name: str) -> Path:
    """A tokenizer's file or folder: that of a token store, of a run's final/, or of the hub, as `folder` finds it."""
    found = _id_of_tokenizer(name)
    if found is not None:
        return _downloaded(name, found, OF_TOKENIZER)
    path = Path(name)
    return path / "tokenizer" if (path / "store.json").exists() else _of_run(path)


def upload(folder: Path, repository: str, *, private: bool) -> str:
    """Create the repository if it does not exist, commit the folder's files to it in one commit, and return its URL.

    Raises UsageError for a name that is none, DataError where the hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi, errors

    api = HfApi()
    try:
        api.create_repo(repository, private=private or None, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message="Upload the model of nlptool",
            ignore_patterns=list(LEFT),
        )
    except errors.HFValidationError as error:
        raise UsageError(
            f"--push-to-hub {repository}: {first_line(error)}", hint="expected OWNER/NAME"
        ) from None
    except errors.HfHubHTTPError as error:
        raise _refused(repository, error.response.status_code, first_line(error)) from error
    except (errors.LocalTokenNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise DataError(f"{repository}: {first_line(error)}", hint=LOGIN) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{repository}: the hub cannot be reached: {first_line(error)}", hint=BUSY) from error
    return str(done.commit_url)


def _of_run(path: Path) -> Path:
    found = [] if (path / "config.json").exists() else folder_kinds.finals(path)
    return found[0] if len(found) == 1 else path


def _downloaded(name: str, found: str, files: Sequence[str]) -> Path:
    from huggingface_hub import errors, snapshot_download

    from nlptool.text.hub import answers

    repository, _, revision = found.partition("@")
    reached = answers()
    try:
        return Path(str(snapshot_download(repository, revision=revision or None, allow_patterns=list(files))))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise DataError(
            f"{name}: the hub has no such model or version, or it is private",
            hint="check the name; for a private model, log in with: hf auth login",
        ) from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError, ValueError) as error:
        why = f": {first_line(error)}" if reached else ", or HF_HUB_OFFLINE is set"
        raise DataError(
            f"{name}: is not on this machine, and the hub cannot be reached{why}",
            hint="download it where there is a network, and name its folder",
        ) from error


def _id_of_tokenizer(name: str) -> str | None:
    """As `_id`; a name with a tokenizer file's suffix is a path."""
    return None if Path(name).suffix in (".json", ".txt", ".model") else _id(name)


def _id(name: str) -> str | None:
    """The id behind a name; None where it is a folder.

    A name without hf:// whose first part is an existing folder is a misspelt path.
    """
    if name.startswith(SCHEME):
        rest = name.removeprefix(SCHEME)
        return rest if ID.fullmatch(rest) else None
    first, slash, _ = name.partition("/")
    here = Path(name).exists() or Path(first).exists() or first in (".", "..")
    return name if slash and not here and ID.fullmatch(name) else None


def first_line(error: Exception) -> str:
    """The first line of an error."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _refused(repository: str, status: int, message: str) -> DataError:
    """The error for a response of the hub, with what to do."""
    if status == 401:
        return DataError(f"{repository}: the hub does not know who uploads (401)", hint=LOGIN)
    if status == 403:
        return DataError(f"{repository}: the token may not write there (403)", hint=LOGIN)
    if status >= 500:
        return DataError(f"{repository}: the hub has an error of its own ({status})", hint=BUSY)
    return DataError(f"{repository}: the hub refuses ({status}): {message}")
