"""Files that somebody else made: an index or a table is refused by name, or its failure is one of retrieval.

A maker of an index can write whatever checksums fit, so each attack here gets a manifest that agrees with it.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from index_helpers import rows, write_jsonl

from medr3_plugin import tables
from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.retrieval.backend import make_backend
from medr3_plugin.retrieval.engine import open_index
from medr3_plugin.retrieval.index import manifest
from medr3_plugin.retrieval.index.build import build_index

RAN: list[str] = []


class Pickled:
    """What would run if anything unpickled it."""

    def __reduce__(self):
        return RAN.append, ("pickle",)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    corpus = write_jsonl(tmp_path / "corpus.jsonl", rows())
    build_index(corpus, tmp_path / "index")
    return tmp_path / "index"


def sign(index: Path, change=lambda content: None) -> None:
    """A manifest that fits the files as they are now."""
    content = json.loads((index / manifest.NAME).read_text())
    content = {key: value for key, value in content.items() if key not in ("files", "digest")}
    content = manifest.write(index, content)
    change(content)
    content["digest"] = manifest._own_digest(content)
    (index / manifest.NAME).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m["files"].update({"../corpus.jsonl": {"bytes": 1}}), "is not a file of an index"),
        (lambda m: m["files"].update({"/etc/hostname": {"bytes": 1}}), "is not a file of an index"),
        (lambda m: m["files"].update({"documents/../../corpus.jsonl": {"bytes": 1}}), "is not a file"),
        (lambda m: m["files"].update({"documents/rows.jsonl": 3}), "is not a file of an index"),
        (lambda m: m["files"].update({"documents/rows.jsonl": {}}), "corrupted"),
        (lambda m: m.update(files={}), "describes no files"),
        (lambda m: m.update(files=[1]), "describes no files"),
        (lambda m: m.pop("files"), "describes no files"),
        (lambda m: m.pop("engine"), "lacks what an index needs"),
        (lambda m: m.update(engine="rm -rf"), "lacks what an index needs"),
        (lambda m: m.update(engine="dense"), "lacks what an index needs"),
        (lambda m: m.update(bm25=None), "lacks what an index needs"),
        (lambda m: m.update(documents=None), "lacks what an index needs"),
        (lambda m: m["documents"].update(count=10**12), "differ in number"),
    ],
)
def test_a_manifest_of_somebody_elses_making(index, change, says):
    sign(index, change)
    with pytest.raises(UserError, match=says):
        open_index(index)


def pickled(path: Path) -> None:
    np.save(path, np.array([Pickled()], dtype=object), allow_pickle=True)


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", b"\0" * 10_000_000)


def header_of_a_petabyte(path: Path) -> None:
    head = "{'descr': '<i8', 'fortran_order': False, 'shape': (125000000000000,), }".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode())


def code_in_the_header(path: Path) -> None:
    head = "{'descr': __import__('os').system('true'), 'shape': (1,)}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode())


ARRAYS = (
    "documents/offsets.npy",
    "documents/levels.npy",
    "bm25/indptr.csc.index.npy",
    "bm25/data.csc.index.npy",
)
FORGED = {
    "pickle": pickled,
    "raw pickle": lambda path: path.write_bytes(pickle.dumps(Pickled())),
    "archive": archive,
    "petabyte": header_of_a_petabyte,
    "code": code_in_the_header,
    "text": lambda path: np.save(path, np.array(["a", "b"])),
    "matrix": lambda path: np.save(path, np.zeros((2, 2))),
    "one number": lambda path: np.save(path, np.array(3)),
    "no numbers": lambda path: np.save(path, np.array([], dtype=np.int64)),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "wrong magic": lambda path: path.write_bytes(b"\x7fELF" + path.read_bytes()[4:]),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_an_array_of_somebody_elses_making(index, name, forged):
    forged(index / name)
    sign(index)
    with pytest.raises(UserError, match=str(index)):
        open_index(index)
    assert RAN == []


@pytest.mark.parametrize(
    "name", ["documents/sources.json", "bm25/vocab.index.json", "bm25/params.index.json"]
)
@pytest.mark.parametrize("text", ["", "[" * 100_000, "3", '"a"', "null", '{"a": "b"}', "\udcff"])
def test_json_of_somebody_elses_making(index, name, text):
    (index / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    sign(index)
    with pytest.raises(UserError, match=str(index)):
        open_index(index)


def searching_fails(index: Path) -> None:
    """As an environment searches: the sample is invalid, the process lives."""

    async def searched() -> None:
        backend = make_backend({"index": str(index)})
        try:
            with pytest.raises(RetrievalFailure):
                await backend.search(["metformin glucose heart"], 60)
        finally:
            await backend.close()

    asyncio.run(searched())


def edit(index: Path, name: str, change) -> None:
    values = np.load(index / name).copy()
    change(values)
    np.save(index / name, values)
    sign(index)


@pytest.mark.parametrize("number", [-1, -(2**31), 60, 2**31 - 1])
@pytest.mark.parametrize("compiled", [False, True])
def test_postings_that_lead_outside_are_a_failure_of_retrieval(index, number, compiled):
    edit(index, "bm25/indices.csc.index.npy", lambda values: values.fill(number))
    engine = open_index(index)
    if compiled:
        pytest.importorskip("numba")
        engine.warm_up()
    with pytest.raises((ValueError, IndexError)):
        engine.search(["metformin glucose heart"], 3)

    searching_fails(index)


def test_a_term_that_leads_outside_is_refused(index):
    edit(index, "bm25/indptr.csc.index.npy", lambda values: values.__setitem__(1, 2**40))
    with pytest.raises(UserError, match="bm25"):
        open_index(index)


@pytest.mark.parametrize("number", [-1, 10**9, 2**70])
def test_a_word_that_leads_outside_is_refused(index, number):
    path = index / "bm25/vocab.index.json"
    words = json.loads(path.read_text())
    path.write_text(json.dumps({**words, next(iter(words)): number}))
    sign(index)
    with pytest.raises(UserError, match=str(index / "bm25")):
        open_index(index)


@pytest.mark.parametrize("line", [b"{}", b"[]", b"null", b'{"id": 1}', b"\xff", b"[" * 5_000])
def test_rows_that_are_no_documents_are_a_failure_of_retrieval(index, line):
    path = index / "documents/rows.jsonl"
    path.write_bytes(line.ljust(path.stat().st_size))
    edit(index, "documents/offsets.npy", lambda values: values.__setitem__(slice(1, -1), 0))

    searching_fails(index)


def test_links_are_followed_to_what_the_manifest_describes_only(index, tmp_path):
    rows_file, elsewhere = index / "documents/rows.jsonl", tmp_path / "elsewhere"
    rows_file.rename(elsewhere)
    rows_file.symlink_to(elsewhere)
    assert open_index(index).search(["metformin"], 1)[0]  # large files may lie on another disk
    for target in ("/etc/hostname", "/dev/zero", str(rows_file), "/nowhere"):
        rows_file.unlink()
        rows_file.symlink_to(target)
        with pytest.raises(UserError, match=r"rows\.jsonl"):
            open_index(index)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    made = [{"id": str(number), "text": f"Text {number} " * 20} for number in range(500)]
    pq.write_table(pa.Table.from_pylist(made), tmp_path / "table.parquet", compression="none")
    return tmp_path / "table.parquet"


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_table_is_refused_or_read(table, seed):
    """Cut somewhere, and bytes changed somewhere: never anything but rows or a message that names the file."""
    chance = random.Random(seed)
    raw = bytearray(table.read_bytes())
    for _ in range(chance.randint(1, 20)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    table.write_bytes(raw[: chance.randint(0, len(raw))] if seed % 2 else raw)
    try:
        read = list(tables.read_file(table))
    except UserError as error:
        assert "table.parquet" in str(error)
    else:
        assert len(read) <= 500


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"PAR1",
        b"PAR1PAR1",
        b"PK\x03\x04" + b"\0" * 100,
        pickle.dumps(Pickled()),
        b"PAR1" + b"\xff" * 4 + b"\x7fPAR1",
        b"PAR1" + b"{" * 100 + b"\xff\xff\xff\x7fPAR1",
    ],
    ids=["empty", "head", "head and foot", "archive", "pickle", "long foot", "longer foot"],
)
def test_what_is_no_table_is_refused(tmp_path, raw):
    (tmp_path / "table.parquet").write_bytes(raw)
    with pytest.raises(UserError, match=r"table\.parquet"):
        list(tables.read_file(tmp_path / "table.parquet"))
    assert RAN == []


def test_a_pickled_type_in_a_table_is_not_loaded(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    hidden = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Pickled()),
    }
    schema = pa.schema([pa.field("text", pa.string(), metadata=hidden)])
    pq.write_table(pa.table({"text": ["a"]}, schema=schema), tmp_path / "table.parquet")
    assert [row.data for row in tables.read_file(tmp_path / "table.parquet")] == [{"text": "a"}]
    assert RAN == []
