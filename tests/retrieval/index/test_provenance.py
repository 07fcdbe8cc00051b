from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_helpers import rows, write_jsonl

from medr3_plugin.retrieval.index.encoder import EncoderConfig
from medr3_plugin.retrieval.index.provenance import difference, provenance


def record(*sources, encoder=None, skip_bad=False, **options):
    return provenance(sources, "dense", encoder, options, skip_bad=skip_bad)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_folders_are_their_corpus_files(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    write_jsonl(folder / "b.jsonl", rows(3))
    write_jsonl(folder / "a.jsonl", rows(2))
    (folder / "evidence.journal").write_text("x")
    one = record(folder)
    assert list(one["corpus"][0]["files"]) == ["a.jsonl", "b.jsonl"]
    (folder / "evidence.journal").write_text("y")
    assert difference(one, record(folder / "a.jsonl", folder / "b.jsonl")) == ""
    assert "order" in difference(one, record(folder / "b.jsonl", folder / "a.jsonl"))
    assert "files of the corpus" in difference(one, record(folder / "a.jsonl"))
    write_jsonl(folder / "b.jsonl", rows(4))
    assert "b.jsonl" in difference(one, record(folder))


def test_a_hub_data_set_is_known_by_its_name():
    assert difference(record("owner/name"), record("owner/name")) == ""
    assert difference(record("owner/name"), record("owner/name:dev")).startswith("owner/name:dev")


def test_an_encoder_is_known_by_its_files_and_a_hub_model_by_its_name(tmp_path, model):
    here = record("o/n", encoder=EncoderConfig(str(model), device="cpu"))
    moved = model.rename(tmp_path / "moved")
    assert difference(here, record("o/n", encoder=EncoderConfig(str(moved)))) == ""
    prefixed = record("o/n", encoder=EncoderConfig(str(moved), query_prefix="query: "))
    assert difference(here, prefixed) == "the encoder's query prefix was '', now 'query: '"
    (moved / "model.safetensors").write_bytes(b"others")
    assert difference(here, record("o/n", encoder=EncoderConfig(str(moved)))) == "the encoder is different"
    hub = record("o/n", encoder=EncoderConfig("hub/one"))
    two = record("o/n", encoder=EncoderConfig("hub/two"))
    assert difference(hub, two) == "the encoder's query model was 'hub/one', now 'hub/two'"


def test_skipped_rows():
    strict, lenient = record("o/n"), record("o/n", skip_bad=True)
    assert difference(strict, lenient) == ""
    assert difference(lenient, strict) == "wrong rows were skipped, now they are not"


contents = st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=4)


@given(old=contents, new=contents, names=st.permutations(["a", "b", "c", "d"]))
def test_the_same_contents_in_the_same_order_and_nothing_else(tmp_path_factory, old, new, names):
    def written(parts, labels):
        folder = tmp_path_factory.mktemp("c")
        paths = [folder / f"{label}.jsonl" for label in labels[: len(parts)]]
        for path, part in zip(paths, parts, strict=True):
            path.write_bytes(part)
        return record(*paths)

    one, two = written(old, "abcd"), written(new, names)
    assert (difference(json.loads(json.dumps(one)), two) == "") == (old == new)
