"""A model folder to the Hugging Face hub, or to another server that HF_ENDPOINT names."""

from pathlib import Path

from nlptool.errors import DataError, UsageError
from nlptool.models.hub import first_line

LEFT = (".*", "**/.*")
"""What is not uploaded: locks, and files that are being written."""
LOGIN = "log in with: hf auth login; or set HF_TOKEN to a token that may write"
BUSY = "the folder is as it was; run the same command again later"


def upload(folder: Path, repository: str, *, private: bool) -> str:
    """Make the repository where there is none, and commit the folder's files to it in one commit; its address.

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


def _refused(repository: str, status: int, message: str) -> DataError:
    """What an answer of the hub means, and what to do."""
    if status == 401:
        return DataError(f"{repository}: the hub does not know who uploads (401)", hint=LOGIN)
    if status == 403:
        return DataError(f"{repository}: the token may not write there (403)", hint=LOGIN)
    if status >= 500:
        return DataError(f"{repository}: the hub has an error of its own ({status})", hint=BUSY)
    return DataError(f"{repository}: the hub refuses ({status}): {message}")
