"""The data set of a prompted task: a folder, a file, the hub, or generated rows."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from nlptool.errors import DataError
from nlptool.prompting import synthetic
from nlptool.prompting.config import PromptConfig
from nlptool.prompting.preprocess import preprocess
from nlptool.text import squad_files, tabular
from nlptool.text.sources import File
from nlptool.text.tabular import Row


class PromptDataset:
    """The rows of one task, by part and split.

    name: the task's, such as `superglue/boolq`. folder: holds a folder for each task, with a file for each split, or a
    file for each task; None: the hub. own: a folder with a file for each split of this task alone, or the file of
    its questions.
    """

    def __init__(
        self, task: PromptConfig, name: str, folder: Path | None, own: Path | None, seed: int
    ) -> None:
        self.task, self.name, self.folder, self.own, self.seed = task, name, folder, own, seed

    def parts(self) -> list[str]:
        """The existing parts of the task, or one without a name. Raises DataError if there is none."""
        source = self.task.source
        if source is None or not source.parts:
            return [""]
        if self._local() is None or (source.synthetic and self.own is None):
            return list(source.parts)
        found = [part for part in source.parts if self._files(part, self.task.validation)]
        if not found:
            raise DataError(
                f"{self._local()}: no file for any part of {self.name}: {', '.join(source.parts[:4])}, ...",
                hint=f"name them after the parts, e.g. {source.parts[0]}.jsonl.gz",
            )
        return found

    def rows(self, part: str, limit: int | None) -> list[Row]:
        """The first rows of the evaluated split. Raises DataError if it is empty, or a row is faulty."""
        found = list(islice(self._read(part, self.task.validation), limit))
        if not found:
            raise DataError(f"{self.name}: the split {self.task.validation} has no row")
        return found

    def examples(self, part: str) -> list[Row]:
        """All rows from which few-shot examples are sampled: those of the training split.

        If there is none, those of the evaluated split.
        """
        split = self.task.train
        if split is None or (self._local() is not None and not self._files(part, split)):
            split = self.task.validation
        return list(self._read(part, split))

    def _read(self, part: str, split: str) -> Iterator[Row]:
        for row in self._rows(part, split):
            for question in squad_files.questions(row):
                yield from preprocess(question, self.task.preprocess)

    def _rows(self, part: str, split: str) -> Iterator[Row]:
        source, where = self.task.source, self._local()
        if source is not None and source.synthetic and self.own is None:
            return synthetic.rows(source.synthetic, part, split, self.seed)
        if where is not None:
            found = self._files(part, split)
            if not found:
                hint = f"put it at {self._place(part, split)}.jsonl (or .csv, .tsv, .parquet; also .gz, .xz)"
                if self.own is None:
                    hint += ", or name a folder of this task alone: tasks='[{task: TASK, data: FOLDER}]'"
                raise DataError(
                    f"{where}: no file for the task {self.name}, split {split}; the folder holds "
                    f"{tabular.listing(where)}",
                    hint=hint,
                )
            return tabular.read(found)
        if source is None or not source.hub:
            raise DataError(f"{self.name}: names no data set of the hub", hint="name a folder: data=FOLDER")
        return tabular.hub(source.hub, part or source.name, split)

    def _local(self) -> Path | None:
        return self.own or self.folder

    def _place(self, part: str, split: str) -> Path:
        """Expected place of a split's file, without its suffix."""
        inside = self.own or Path(self.folder or "") / self._names()[-1]
        return inside / part / split

    def _names(self) -> list[str]:
        """Possible names of the task in a folder: superglue/boolq, boolq."""
        return list(dict.fromkeys([self.name, Path(self.name).name]))

    def _files(self, part: str, split: str) -> list[File]:
        """The files of a split; empty if it does not exist."""
        if self.own is not None and self.own.is_file():
            beside = tabular.files(self.own.parent, self.own.name.partition(".")[0])
            return [file for file in beside if file.path == self.own] if split == self.task.validation else []
        if self.own is not None:
            return _of_part(self.own, part, split, self.task.validation)
        assert self.folder is not None
        for name in self._names():
            inside = self.folder / name
            if inside.is_dir():
                return _of_part(inside, part, split, self.task.validation)
            whole = split == self.task.validation and not part and inside.parent.is_dir()
            if whole and (found := tabular.files(inside.parent, inside.name)):
                return found
        return []


def _of_part(folder: Path, part: str, split: str, validation: str) -> list[File]:
    """FOLDER/SPLIT.*; for a part FOLDER/PART/SPLIT.*, or FOLDER/PART.* with its questions."""
    if not part:
        return tabular.of_split(folder, split)
    if (folder / part).is_dir():
        return tabular.of_split(folder / part, split)
    return tabular.files(folder, part) if split == validation else []
