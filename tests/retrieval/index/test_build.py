from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest
from index_helpers import rows, write_jsonl

from medr3_plugin.errors import RunFailed, UserError
from medr3_plugin.retrieval.corpus.documents import BadRows
from medr3_plugin.retrieval.engine import Filters, SearchOptions, open_index
from medr3_plugin.retrieval.index import build as build_module
from medr3_plugin.retrieval.index import manifest as manifest_file
from medr3_plugin.retrieval.index.build import BuildOptions, build_index
from medr3_plugin.retrieval.index.build_folder import locked


@pytest.fixture
def corpus(tmp_path):
    return write_jsonl(tmp_path / "corpus.jsonl", rows(60))


def leftovers(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("."))


def test_build_and_search(tmp_path, corpus):
    manifest = build_index(corpus, tmp_path / "index")
    assert manifest["documents"]["count"] == 60
    assert manifest["documents"]["evidence_levels"] == {"1": 20, "6": 20, "7": 20}
    assert leftovers(tmp_path) == []
    engine = open_index(tmp_path / "index")
    ((first, *_),) = engine.search(["metformin glucose insulin"], 3)
    assert first.document.id == "d0"
    assert first.document.source == "pubmed"
    assert len(engine.search(["metformin"], 10**6)[0]) <= 60
    assert engine.search([], 3) == []
    assert engine.search(["", "asthma"], 3)[0] == []
    with pytest.raises(UserError, match="topk"):
        engine.search(["x"], 0)
    engine.close()


def test_the_same_corpus_gives_the_same_files(tmp_path, corpus):
    first, second = build_index(corpus, tmp_path / "one"), build_index(corpus, tmp_path / "two")
    assert first["files"] == second["files"]


def test_filters_and_prior(tmp_path, corpus):
    build_index(corpus, tmp_path / "index")
    engine = open_index(tmp_path / "index")
    everything = engine.search(["asthma children patients"], 60)[0]
    filters = Filters(sources=("guidelines",), min_year=2000)
    found = engine.search(["asthma children patients"], 60, filters)[0]
    assert found == [
        hit for hit in everything if hit.document.source == "guidelines" and (hit.document.year or 0) >= 2000
    ]
    with pytest.raises(UserError, match="nowhere"):
        engine.search(["asthma"], 5, Filters(sources=("nowhere",)))
    weighed = open_index(tmp_path / "index", SearchOptions(evidence_prior=1.0)).search(
        ["asthma children patients"], 10
    )[0]
    plain = everything[:10]
    mean = lambda hits: sum(hit.document.evidence_level for hit in hits) / len(hits)  # noqa: E731
    assert mean(weighed) > mean(plain)


def test_a_wrong_row_leaves_nothing_behind(tmp_path):
    path = write_jsonl(tmp_path / "corpus.jsonl", [*rows(5), {"id": "bad"}])
    with pytest.raises(UserError, match=r"jsonl:6: "):
        build_index(path, tmp_path / "index")
    assert not (tmp_path / "index").exists()
    assert leftovers(tmp_path) == []


def test_skipped_rows_are_listed(tmp_path):
    path = write_jsonl(tmp_path / "corpus.jsonl", [*rows(5), *({"id": f"bad{n}"} for n in range(41))])
    bad = BadRows()
    manifest = build_index(path, tmp_path / "index", bad_rows=bad)
    counts = manifest["documents"]
    assert (counts["count"], bad.count, counts["skipped_rows"], len(bad.messages)) == (5, 41, 41, 20)
    assert bad.messages[0] == f"{path}:6: field 'text' is missing"
    listed = (tmp_path / "index" / "documents" / "skipped_rows.jsonl").read_text().splitlines()
    assert len(listed) == 41
    assert json.loads(listed[-1]) == {"error": f"{path}:46: field 'text' is missing"}
    build_index(write_jsonl(path, rows(5)), tmp_path / "clean", bad_rows=BadRows())
    assert not (tmp_path / "clean" / "documents" / "skipped_rows.jsonl").exists()


def test_an_existing_index_is_replaced_only_when_asked_and_only_when_done(tmp_path, corpus):
    build_index(corpus, tmp_path / "index")
    broken = write_jsonl(tmp_path / "broken.jsonl", [{"id": "x"}])
    with pytest.raises(UserError, match=r"broken\.jsonl.*--overwrite"):
        build_index(broken, tmp_path / "index")
    with pytest.raises(UserError, match=r"jsonl:1: "):
        build_index(broken, tmp_path / "index", overwrite=True)
    assert len(open_index(tmp_path / "index")) == 60
    build_index(write_jsonl(tmp_path / "other.jsonl", rows(7)), tmp_path / "index", overwrite=True)
    assert len(open_index(tmp_path / "index")) == 7
    assert leftovers(tmp_path) == []


def test_an_index_that_is_up_to_date_is_left_alone(tmp_path, corpus, monkeypatch):
    built = build_index(corpus, tmp_path / "index")
    told = []
    again = {"out": tmp_path / "index", "notify": told.append}
    # read another way, touched, renamed, with rows to skip that it does not have: the content is the same
    monkeypatch.chdir(tmp_path)
    os.utime(corpus, (1, 1))
    for source in ("corpus.jsonl", shutil.copy(corpus, tmp_path / "copy.jsonl")):
        assert build_index(source, bad_rows=BadRows(), **again) == built
    assert told == [f"{tmp_path / 'index'}: is up to date, nothing was built"] * 2

    assert build_index(corpus, overwrite=True, **again)["created"] >= built["created"]
    (tmp_path / "index" / "documents" / "rows.jsonl").write_text("tampered")
    with pytest.raises(UserError, match=r"rows\.jsonl: .* --overwrite"):
        build_index(corpus, **again)
    build_index(corpus, overwrite=True, **again)
    assert len(open_index(tmp_path / "index")) == 60


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"corpus": ["corpus.jsonl", "more.jsonl"]}, "more.jsonl is new or has changed"),
        ({"corpus": "more.jsonl"}, "more.jsonl is new or has changed"),
        ({"corpus": "changed/corpus.jsonl"}, "corpus.jsonl is new or has changed"),
        ({"options": BuildOptions(chunk_tokens=9)}, "chunk tokens was 0, now 9"),
        ({"options": BuildOptions(k1=2.0)}, "k1 was 1.5, now 2.0"),
        ({"engine": "hybrid", "encoder": "hub/model"}, "engine was 'bm25', now 'hybrid'"),
    ],
)
def test_an_index_of_something_else_says_why(tmp_path, corpus, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    build_index("corpus.jsonl", "index")
    write_jsonl(tmp_path / "more.jsonl", [{"id": "m", "text": "more"}])
    (tmp_path / "changed").mkdir()
    write_jsonl(tmp_path / "changed" / "corpus.jsonl", rows(59))
    with pytest.raises(UserError, match=rf"index: .*{why}"):
        build_index(**{"corpus": "corpus.jsonl", "out": "index", **arguments})
    assert len(open_index("index")) == 60


def test_an_index_that_does_not_say_of_what_it_was_built_is_another(tmp_path, corpus):
    build_index(corpus, tmp_path / "index")
    file = tmp_path / "index" / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["built_from"]
    file.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="--overwrite"):
        build_index(corpus, tmp_path / "index")
    build_index(corpus, tmp_path / "index", overwrite=True)


def test_a_folder_that_is_no_index_is_never_overwritten(tmp_path, corpus):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    with pytest.raises(UserError, match="thesis"):
        build_index(corpus, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "years of work"


def test_a_full_disk_is_reported(tmp_path, corpus, monkeypatch):
    def full(*args, **options):
        raise OSError("30 requested and 9 written")

    with monkeypatch.context() as patched:
        patched.setattr(build_module, "build_lexical", full)
        with pytest.raises(RunFailed, match=r"index: 30 requested"):
            build_index(corpus, tmp_path / "index")
    assert not (tmp_path / "index").exists() and not leftovers(tmp_path)
    build_index(corpus, tmp_path / "index")
    assert len(open_index(tmp_path / "index")) == 60


def test_a_really_full_disk_does_not_kill_the_process(tmp_path):
    """The scores are written to a memory-mapped file: without reserving its space a full disk means SIGBUS."""
    path = write_jsonl(tmp_path / "corpus.jsonl", rows(2000))
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000))\n"
        "from medr3_plugin.retrieval.index.build import build_index\n"
        "from medr3_plugin.errors import RunFailed\n"
        "try:\n    build_index(sys.argv[1], sys.argv[2])\n"
        "except RunFailed as error:\n    print('failed:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "index")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "failed:" in done.stdout
    assert "File too large" in done.stdout
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("before", ["documents", "first rename", "second rename"])
def test_a_killed_build_loses_no_finished_index(tmp_path, corpus, before):
    """Killed between the two renames, the old index is beside the target for as long as no new one is built."""
    index = tmp_path / "index"
    build_index(write_jsonl(tmp_path / "other.jsonl", rows(7)), index)
    code = (
        "import os, pathlib, sys\n"
        "from medr3_plugin.retrieval.index import build\n"
        "if sys.argv[3] == 'documents':\n"
        "    build.StoreWriter = lambda *args: os._exit(9)\n"
        "rename, left = pathlib.Path.rename, [sys.argv[3] == 'second rename']\n"
        "def limited(path, target):\n"
        "    if not left[0]:\n        os._exit(9)\n"
        "    left[0] = False\n"
        "    return rename(path, target)\n"
        "pathlib.Path.rename = limited\n"
        "build.build_index(sys.argv[1], sys.argv[2], overwrite=True)\n"
    )
    arguments = [sys.executable, "-c", code, str(corpus), str(index), before]
    assert subprocess.run(arguments, check=False).returncode == 9
    old = tmp_path / ".index.old" if before == "second rename" else index
    assert len(open_index(old)) == 7
    build_index(corpus, index, overwrite=True)
    assert len(open_index(index)) == 60
    assert leftovers(tmp_path) == []


def test_a_target_that_is_a_file(tmp_path, corpus):
    (tmp_path / "index").write_text("mine")
    with pytest.raises(UserError, match=str(tmp_path / "index")):
        build_index(corpus, tmp_path / "index", overwrite=True)
    assert (tmp_path / "index").read_text() == "mine"


def test_two_builds_of_one_index(tmp_path, corpus):
    with locked(tmp_path / "index"), pytest.raises(UserError, match=str(tmp_path / "index")):
        build_index(corpus, tmp_path / "index")
    build_index(corpus, tmp_path / "index")


def test_chunking_is_part_of_the_index(tmp_path, corpus):
    manifest = build_index(corpus, tmp_path / "index", options=BuildOptions(chunk_tokens=5, chunk_overlap=1))
    assert manifest["documents"]["count"] > 60
    assert manifest["chunking"] == {"tokens": 5, "overlap": 1, "tokenizer": None}
    hit = open_index(tmp_path / "index").search(["metformin"], 1)[0][0]
    assert hit.document.id.startswith(f"{hit.document.extra['parent_id']}#c")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"engine": "magic"}, "engine 'magic'"),
        ({"engine": "dense"}, "needs --encoder"),
        ({"corpus": "nowhere.jsonl"}, "no such corpus"),
        ({"corpus": "empty.jsonl"}, "no document"),
        ({"options": BuildOptions(chunk_tokens=5, chunk_overlap=9)}, "chunk overlap"),
    ],
)
def test_wrong_arguments(tmp_path, corpus, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(UserError, match=says):
        build_index(**{"corpus": corpus, "out": tmp_path / "index", **arguments})
    assert not (tmp_path / "index").exists()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["documents/rows.jsonl", "bm25/data.csc.index.npy", "bm25/vocab.index.json"])
def test_a_flipped_byte_anywhere_is_refused(tmp_path, corpus, name):
    build_index(corpus, tmp_path / "index")
    path = tmp_path / "index" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=name):
        open_index(tmp_path / "index")


def test_the_manifest_says_what_is_inside(tmp_path, corpus):
    build_index(corpus, tmp_path / "index")
    manifest = json.loads((tmp_path / "index" / "manifest.json").read_text())
    assert manifest["bm25"]["k1"] == 1.5
    content = corpus.read_bytes()
    described = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert manifest["built_from"]["corpus"] == [{"source": str(corpus), "files": {"corpus.jsonl": described}}]
    assert manifest["versions"]["numpy"]
    assert set(manifest["files"]) == {
        path.relative_to(tmp_path / "index").as_posix()
        for path in (tmp_path / "index").rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.mark.parametrize("version", [None, 3])
def test_an_index_of_an_older_analyser_names_the_remedy(tmp_path, corpus, caplog, version):
    """Version 3 has nothing that this one lacks, and is searched; what came before version 2 is refused."""
    index = tmp_path / "index"
    build_index(corpus, index)
    content = manifest_file.read(index)
    for key in ("files", "digest", "format", "format_version", "created"):
        del content[key]
    for section in (content["bm25"], content["built_from"]["options"]):
        del section["analyser"]
        section.update({"analyser": version} if version else {})
    manifest_file.write(index, content)
    with pytest.raises(UserError) if version is None else contextlib.nullcontext() as refused:
        open_index(index).close()
    told = caplog.text if version else str(refused.value)
    assert f"--corpus {corpus}" in told and "--overwrite" in told
    with pytest.raises(UserError, match=r"analyser .*4"):
        build_index(corpus, index)
    assert build_index(corpus, index, overwrite=True)["bm25"]["analyser"] > 3
    caplog.clear()
    open_index(index).close()
    assert not caplog.text
