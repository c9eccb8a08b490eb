"""Links beside a token store: by position, memory-mapped, with the fingerprints of graph and tokenizer."""

from types import SimpleNamespace

import numpy as np
import pytest

from nlptool.errors import DataError
from nlptool.text.links import LinkFile, Links, LinkWriter, open_links

GRAPH, TOKENIZER = "ab" * 32, "cd" * 32


def links(*rows: tuple[int, int, int]) -> Links:
    return Links(*(np.array(column) for column in (zip(*rows, strict=True) if rows else ((), (), ()))))


def written(folder) -> LinkFile:
    writer = LinkWriter(folder / "train", GRAPH, TOKENIZER)
    writer.add(links((3, 2, 7), (10, 1, 0)))
    writer.add(links((11, 1, 5), (40, 65535, 2**31 - 1)))
    writer.close()
    return LinkFile(folder / "train")


def test_links_of_a_stretch_are_those_that_begin_in_it(tmp_path):
    found = written(tmp_path)
    assert len(found) == 4
    assert [column.tolist() for column in found.all] == [
        [3, 10, 11, 40],
        [2, 1, 1, 65535],
        [7, 0, 5, 2**31 - 1],
    ]
    first, last = found.ranges(np.array([0, 3, 11, 12, 12, 41]), np.array([11, 11, 41, 40, 41, 50]))
    assert (first.tolist(), last.tolist()) == ([0, 0, 2, 3, 3, 4], [2, 2, 4, 3, 4, 4])
    assert [path.name for path in tmp_path.iterdir()] == ["train.links"]


def test_the_last_documents_links_can_be_taken_back(tmp_path):
    writer = LinkWriter(tmp_path / "train", GRAPH, TOKENIZER)
    writer.add(links((3, 2, 7), (10, 1, 0), (11, 1, 5)))
    assert [column.tolist() for column in writer.pop(10)] == [[10, 11], [1, 1], [0, 5]]
    writer.add(links((12, 1, 1)))
    writer.close()
    assert [column.tolist() for column in LinkFile(tmp_path / "train").all] == [[3, 12], [2, 1], [7, 1]]


def test_a_file_without_a_link_is_whole(tmp_path):
    LinkWriter(tmp_path / "train", GRAPH, TOKENIZER).close()
    assert len(LinkFile(tmp_path / "train").all.positions) == 0


def test_another_graph_another_tokenizer_and_a_cut_file_are_refused(tmp_path):
    written(tmp_path)
    store = SimpleNamespace(path=tmp_path, info={"links": {}}, fingerprint=TOKENIZER, files={})
    assert len(open_links(store, "train", GRAPH)) == 4
    with pytest.raises(DataError, match="another graph"):
        open_links(store, "train", TOKENIZER)
    store.fingerprint = GRAPH
    with pytest.raises(DataError, match="another tokenizer"):
        open_links(store, "train", GRAPH)
    with pytest.raises(DataError, match="without links"):
        open_links(SimpleNamespace(path=tmp_path, info={}), "train", GRAPH)
    file = tmp_path / "train.links"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="not a whole file"):
        LinkFile(tmp_path / "train")
