"""Models from the hub, with a fake client."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from nlptool.errors import DataError, UsageError
from nlptool.models import hub
from nlptool.text.hub import answers


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A hub that answers; whom it was asked for."""
    asked: list[str] = []

    class Session:
        def head(self, url: str, timeout: float) -> None:
            asked.append(url)

    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    answers.cache_clear()
    return asked


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "runs" / "bert"
    made.mkdir(parents=True)
    (made / "config.json").write_text("{}")
    return made


def answered(monkeypatch: pytest.MonkeyPatch, answer: Path | Exception) -> list[Any]:
    """Let the hub's client answer so; what it is asked."""
    asked: list[Any] = []

    def download(repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repository, revision))
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return asked


def test_a_folder_is_itself(model: Path):
    assert hub.problem("runs/bert") is None
    assert hub.folder("runs/bert") == Path("runs/bert")


def test_a_slip_in_a_path_is_not_looked_for_on_the_hub(model: Path, monkeypatch: pytest.MonkeyPatch):
    asked = answered(monkeypatch, model)
    assert "no Hugging Face folder at runs/brt" in str(hub.problem("runs/brt"))
    with pytest.raises(UsageError, match="no Hugging Face folder"):
        hub.folder("runs/brt")
    assert not asked


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("google/electra-small", ("google/electra-small", None)),
        ("hf://runs/bert", ("runs/bert", None)),
        ("hf://gpt2@main", ("gpt2", "main")),
        ("owner/name@refs/pr/1", ("owner/name", "refs/pr/1")),
    ],
)
def test_an_id_is_downloaded_at_its_version(
    name: str, asked: Any, model: Path, monkeypatch: pytest.MonkeyPatch
):
    calls = answered(monkeypatch, model)
    assert hub.problem(name) is None
    assert hub.folder(name) == model
    assert calls == [asked]


@pytest.mark.parametrize("name", ["/absent/model", "./model", "a b/c", "model", "hf://a/b/c", "hf://"])
def test_what_is_neither_is_a_problem(name: str, model: Path):
    assert "no Hugging Face folder" in str(hub.problem(name))


def test_a_model_that_the_hub_lacks_is_told(model: Path, monkeypatch: pytest.MonkeyPatch):
    answered(monkeypatch, RepositoryNotFoundError.__new__(RepositoryNotFoundError))
    with pytest.raises(DataError, match="owner/name: the hub has no such model"):
        hub.folder("owner/name")


def test_without_a_network_a_folder_is_asked_for(model: Path, monkeypatch: pytest.MonkeyPatch):
    answered(monkeypatch, LocalEntryNotFoundError("no connection\nmore"))
    with pytest.raises(DataError, match=r"cannot be reached: no connection$") as caught:
        hub.folder("owner/name")
    assert "name its folder" in str(caught.value.hint)


def test_a_hub_that_does_not_answer_is_told_in_plain_words(model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    answered(monkeypatch, LocalEntryNotFoundError("outgoing traffic has been disabled"))
    with pytest.raises(DataError, match=r"the hub cannot be reached, or HF_HUB_OFFLINE is set$"):
        hub.folder("owner/name")


def test_a_repository_without_a_model_is_told(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    answered(monkeypatch, tmp_path)
    with pytest.raises(DataError, match=r"no config\.json"):
        hub.folder("owner/name")


def test_a_run_stands_for_its_final_folder(tmp_path: Path, model: Path):
    (tmp_path / "run" / "final").mkdir(parents=True)
    assert "no Hugging Face folder at run " in str(hub.problem("run"))
    (tmp_path / "run" / "final" / "config.json").write_text("{}")
    assert hub.problem("run") is None
    assert hub.folder("run") == hub.tokenizer("run") == Path("run/final")
    (tmp_path / "run" / "config.json").write_text("{}")
    assert hub.folder("run") == Path("run")


def test_a_run_without_a_final_folder_says_what_to_name(tmp_path: Path, model: Path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "recipe.yaml").write_text("")
    assert "nlptool export run" in str(hub.problem("run"))
    (tmp_path / "run" / "recipe.yaml").write_text("task: {name: classification}")
    assert str(hub.problem("run")).endswith(
        "a run of finetune or distill-task that has no final/ yet; resume it"
    )
    (tmp_path / "run" / "seed-3" / "final").mkdir(parents=True)
    (tmp_path / "run" / "seed-3" / "final" / "config.json").write_text("{}")
    assert hub.problem("run") is None
    assert hub.folder("run") == Path("run/seed-3/final")
    (tmp_path / "run" / "seed-4" / "final").mkdir(parents=True)
    (tmp_path / "run" / "seed-4" / "final" / "config.json").write_text("{}")
    assert "name one of them, such as run/seed-3/final" in str(hub.problem("run"))


def test_a_tokenizer_is_a_file_a_folder_a_store_or_an_id(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
):
    calls = answered(monkeypatch, model)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text("{}")
    assert hub.tokenizer("store") == Path("store/tokenizer")
    assert hub.tokenizer("runs/bert") == Path("runs/bert")
    assert hub.tokenizer_problem("store") is hub.tokenizer_problem("hf://owner/name") is None
    assert "no such file or folder; for a tokenizer of the hub, hf://" in str(hub.tokenizer_problem("vocb"))
    assert "no such file" in str(hub.tokenizer_problem("data/vocab.txt"))
    assert not calls
    assert hub.tokenizer("hf://owner/name@main") == model
    assert calls == [("owner/name", "main")]


def test_a_hub_that_does_not_answer_is_asked_once(
    model: Path, network: list[str], monkeypatch: pytest.MonkeyPatch
):
    assert answers()
    assert answers()
    assert network == [huggingface_hub.constants.ENDPOINT]
    answers.cache_clear()

    def fails() -> None:
        network.append("failed")
        raise ConnectionError

    monkeypatch.setattr(huggingface_hub, "get_session", fails)
    assert not answers()
    assert huggingface_hub.constants.HF_HUB_OFFLINE
    assert not answers()
    assert network[1:] == ["failed"]
