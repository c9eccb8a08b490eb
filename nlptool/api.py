"""nlptool from Python: run a recipe, load a model and use it.

    import nlptool

    nlptool.run("tokenize", "demo/tokenize", out="runs/tokens")
    nlptool.run("pretrain-mlm", "demo/bert", {"store": "runs/tokens", "train.steps": 200}, out="runs/bert")
    nlptool.load("runs/bert").fill_mask("The United [MASK] of America")

Every function raises the errors of the command line, as nlptool.errors.NlptoolError with `message` and `hint`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from nlptool import notices
from nlptool.errors import DataError, UsageError
from nlptool.formatting import brief, counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nlptool.commands.predict.run import Ensemble
    from nlptool.evaluation.embedding import Embedder, Pooling
    from nlptool.evaluation.fill_mask import FillMask, Prediction
    from nlptool.evaluation.generation.generate import Generator
    from nlptool.evaluation.scoring import Scorer
    from nlptool.text.tokenizer import Tokenizer

SHOWN = 40  # characters of an argument shown in a message


def run(
    command: str,
    recipe: str | Path,
    changes: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    resume: str | None = None,
    overwrite: bool = False,
) -> None:
    """Run a recipe like `nlptool COMMAND RECIPE key=value ...`, in this process.

    recipe: a file, or the name of a shipped one. changes: keys with dots, and their values as in YAML; a key with the
    value `...` is removed. out, resume, overwrite: as the options of these names.
    Raises NlptoolError; Preempted when a signal stopped the run, whose state is saved.
    """
    from nlptool.cli import app
    from nlptool.commands.specs import COMMANDS

    names = [spec.name for spec in COMMANDS]
    if command not in names:
        raise UsageError(f"no command {command} that takes a recipe", hint=f"one of {', '.join(names)}")
    if not isinstance(recipe, str | Path) or not isinstance(changes, Mapping | None):
        raise UsageError(
            f"a recipe's name or file is expected, and changes by key; found {brief(repr(recipe), SHOWN)} and "
            f"{brief(repr(changes), SHOWN)}",
            hint='run("finetune", "finetune/bert", {"train.lr": 1e-3})',
        )
    words = [command, str(recipe)]
    for key, value in (changes or {}).items():
        words.append(f"~{key}" if value is ... else f"{key}={json.dumps(value, ensure_ascii=False)}")
    options = {"--out": None if out is None else str(out), "--resume": resume}
    words += [word for name, value in options.items() if value is not None for word in (name, value)]
    if overwrite:
        words.append("--overwrite")
    app(args=words, prog_name="nlptool", standalone_mode=False)


def load(model: str | Path) -> "Model":
    """A model for inference: a Hugging Face folder, a run that has one, or an id of the hub, hf://OWNER/NAME."""
    return Model(model)


class Model:
    """A pretrained model, on the GPU if there is one. Its parts are loaded on first use, and kept.

    Methods are thread-safe. Every method raises UsageError for invalid arguments.
    """

    def __init__(self, name: str | Path) -> None:
        from nlptool.models import hub

        if not isinstance(name, str | os.PathLike) or not os.fspath(name):
            raise UsageError(f"a model is a folder or hf://OWNER/NAME; found {name!r}")
        self.folder = hub.folder(str(name))
        self._embedders: dict[tuple[Pooling, tuple[int, ...]], Embedder] = {}
        self._loading = Lock()

    def __repr__(self) -> str:
        return f"nlptool.load({str(self.folder)!r})"

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The model's tokenizer: `encode(text)` gives ids, `decode(ids)` a text."""
        from nlptool.models import huggingface
        from nlptool.text.tokenizer import Tokenizer

        return Tokenizer.of_model(self.folder, huggingface.load_pretrained(self.folder).vocab_size)

    def fill_mask(self, text: str, top_k: int = 5) -> "list[list[Prediction]]":
        """For each [MASK] in a text the `top_k` most probable tokens, as (text, probability)."""
        if not isinstance(text, str):
            raise UsageError(f"text: a text is expected, one at a time; found {brief(repr(text), SHOWN)}")
        return self._fill_mask.predictions(text, _count("top_k", top_k))

    def score(self, texts: Sequence[str]) -> list[float]:
        """Log-likelihood of each text in nats; of a masked model the pseudo-log-likelihood (Salazar et al. 2020)."""
        return self._scorer.scores(_texts(texts))

    def generate(
        self,
        texts: Sequence[str],
        *,
        max_new_tokens: int = 50,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        no_repeat_ngram_size: int = 0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> list[str]:
        """The continuation of each text by a decoder. temperature 0 is greedy.

        top_k 0, top_p 1, repetition_penalty 1 and no_repeat_ngram_size 0 have no effect.
        """
        from nlptool.evaluation.generation.generate import strategy
        from nlptool.evaluation.generation.keys import generation_config

        if isinstance(stop, str):
            raise UsageError(
                f"stop: a list of texts is expected; found one text, {stop!r}", hint="stop=[TEXT]"
            )
        given = {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "top_k": top_k or None,
            "top_p": None if top_p == 1 else top_p,
            "repetition_penalty": repetition_penalty,
            "no_repeat_ngram_size": no_repeat_ngram_size,
            "stop": tuple(stop),
        }
        config = generation_config(given)
        choose = strategy(config._replace(seed=seed))
        return self._generator.complete(_texts(texts), config.max_new_tokens, config.stop, choose)

    def embed(
        self, texts: Sequence[str], *, pooling: "Pooling | None" = None, layers: Sequence[int] = (-1,)
    ) -> "NDArray[np.float32]":
        """The embedding of each text, [N, D]; by default an encoder's mean over tokens, a decoder's last token."""
        if isinstance(layers, int):
            raise UsageError(f"layers: a list is expected; found {layers}", hint=f"layers=[{layers}]")
        embedder = self._embedder(pooling, tuple(layers))
        rows, cut = embedder.encode(_texts(texts))
        if cut:
            notices.notify(
                f"{counted(cut, 'texts')} cut to {embedder.positions:,} tokens, which the model reads at most"
            )
        return embedder.vectors(rows)

    def predict(self, rows: "Sequence[str | Sequence[str] | Mapping[str, Any]]") -> list[dict[str, Any]]:
        """A fine-tuned model's predictions for each row: class with scores, spans, tags or answer.

        rows: texts; or several texts each, in the order of the task's columns, such as premise and hypothesis; or
        columns by name. Raises DataError for an invalid row, or a model that was not fine-tuned.
        """
        from nlptool.commands.predict.options import PredictOptions
        from nlptool.commands.predict.run import predicted
        from nlptool.tasks.row_source import text_columns
        from nlptool.text.row import Row

        if isinstance(rows, str | Mapping):
            raise UsageError(
                f"rows: a list of rows is expected; found one, {brief(repr(rows), SHOWN)}",
                hint="put it into a list: [ROW]",
            )
        ensemble = self._ensemble

        def named(number: int, row: str | Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
            if isinstance(row, Mapping):
                return dict(row)
            if not isinstance(row, str | Sequence):
                raise UsageError(
                    f"row {number}: a text, a list of texts or columns by name are expected; found {row!r}"
                )
            texts, columns = [row] if isinstance(row, str) else list(row), text_columns(ensemble.task)
            if len(texts) != len(columns):
                raise UsageError(f"row {number}: a row has {', '.join(columns)}; {len(texts)} given")
            return ensemble.task.row_of(texts)

        given = (Row(f"row {number}", named(number, row)) for number, row in enumerate(rows))
        chunks = list(predicted(ensemble, given, PredictOptions(str(self.folder)), 0))
        for cut in (one for chunk, *_ in chunks if chunk.dataset is not None for one in chunk.dataset.cuts):
            if cut.rows:
                notices.notify(cut.message_of_rows())
        return [{key: line[key] for key in line if key != "row"} for _, lines, _ in chunks for line in lines]

    def _embedder(self, pooling: "Pooling | None", layers: tuple[int, ...]) -> "Embedder":
        from nlptool.evaluation.embedding import Embedder
        from nlptool.runs import machine

        key = (pooling or Embedder.natural_pooling(self.folder), layers)
        with self._loading:
            if key not in self._embedders:
                self._embedders[key] = Embedder(self.folder, *key, machine.device())
            return self._embedders[key]

    @cached_property
    def _ensemble(self) -> "Ensemble":
        from nlptool.commands.predict.options import PredictOptions
        from nlptool.commands.predict.run import Ensemble
        from nlptool.train.interrupts import SignalHandler

        # The handler is not entered: Ctrl-C stops a prediction like any other call, in any thread.
        return Ensemble([str(self.folder)], PredictOptions(str(self.folder)), SignalHandler(alone=True))

    @cached_property
    def _fill_mask(self) -> "FillMask":
        from nlptool.evaluation.fill_mask import FillMask

        return FillMask(self.folder)

    @cached_property
    def _generator(self) -> "Generator":
        from nlptool.evaluation.generation.generate import Generator
        from nlptool.runs import machine

        return Generator(self.folder, machine.device())

    @cached_property
    def _scorer(self) -> "Scorer":
        from nlptool.evaluation.scoring import scorer
        from nlptool.models import huggingface
        from nlptool.runs import machine

        try:
            return scorer(huggingface.load_pretrained(self.folder), self.tokenizer, machine.device())
        except DataError as error:
            raise DataError(f"{self.folder}: {error.message}", error.hint) from error


def _texts(texts: Sequence[str]) -> list[str]:
    """Texts as a list. Raises UsageError for a single text, and for other types."""
    if isinstance(texts, str):
        found = brief(repr(texts), SHOWN)
        raise UsageError(
            f"texts: a list of texts is expected; found one text, {found}", hint="put it into a list: [TEXT]"
        )
    found_texts = list(texts)
    for number, text in enumerate(found_texts):
        if not isinstance(text, str):
            raise UsageError(f"texts[{number}]: a text is expected; found {brief(repr(text), SHOWN)}")
    return found_texts


def _count(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise UsageError(f"{name}: a whole number of at least 1 is expected; found {value!r}")
    return value
