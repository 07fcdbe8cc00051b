from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.errors import UserError
from medr3_plugin.records import Document
from medr3_plugin.retrieval.index.filters import Filters
from medr3_plugin.retrieval.index.store import DocumentStore, StoreWriter, indexed_text

encodable = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
documents = st.lists(
    st.builds(
        Document,
        id=encodable,
        text=encodable,
        title=encodable,
        source=st.sampled_from(["a", "b", "ü"]),
        evidence_type=st.sampled_from(["rct", ""]),
        evidence_level=st.integers(1, 9),
        year=st.none() | st.integers(-3000, 3000),
        extra=st.dictionaries(st.sampled_from(["pmid", "mesh"]), st.lists(encodable, max_size=2)),
    ),
    min_size=1,
    max_size=8,
)


def bounds(values):
    """A lower and an upper bound, in this order; either may be missing."""
    return st.tuples(st.none() | values, st.none() | values).map(
        lambda pair: pair if None in pair else tuple(sorted(pair))
    )


some_filters = st.builds(
    lambda sources, levels, years: Filters(
        sources=sources,
        min_evidence_level=levels[0],
        max_evidence_level=levels[1],
        min_year=years[0],
        max_year=years[1],
    ),
    st.none() | st.lists(st.sampled_from(["a", "b", "c"]), max_size=2).map(tuple),
    bounds(st.integers(1, 9)),
    bounds(st.integers(-100, 3000)),
)


def write(folder, items):
    with StoreWriter(folder) as writer:
        for document in items:
            writer.add(document)
    return DocumentStore(folder)


def passes(filters, document):
    lowest, highest = filters.min_evidence_level or 1, filters.max_evidence_level or 9
    dated = filters.min_year is not None or filters.max_year is not None
    return (
        (filters.sources is None or document.source in filters.sources)
        and lowest <= document.evidence_level <= highest
        and not (dated and document.year is None)
        and (filters.min_year is None or document.year >= filters.min_year)
        and (filters.max_year is None or document.year <= filters.max_year)
    )


@given(items=documents, filters=some_filters)
def test_what_was_written_comes_back_and_is_filtered(tmp_path_factory, items, filters):
    store = write(tmp_path_factory.mktemp("store"), items)
    assert list(store) == items
    assert list(store.texts()) == [indexed_text(document) for document in items]
    assert sum(store.columns()["sources"].values()) == len(items)
    if set(filters.sources or ()) <= {document.source for document in items}:
        assert filters.mask(store).tolist() == [passes(filters, document) for document in items]
    else:
        with pytest.raises(UserError):
            filters.mask(store)
    store.close()


def test_rows_out_of_range(tmp_path):
    store = write(tmp_path, [Document(id="a", text="x")])
    with pytest.raises(IndexError):
        store[1]
    with pytest.raises(IndexError):
        store[-1]


def test_many_threads_read_at_once(tmp_path):
    items = [Document(id=str(number), text="x" * number) for number in range(200)]
    store = write(tmp_path, items)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda row: store[row % 200], range(2000))) == items * 10


@pytest.mark.parametrize("name", ["rows.jsonl", "offsets.npy", "levels.npy", "sources.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "short"])
def test_a_damaged_store_is_refused(tmp_path, name, damage):
    write(tmp_path, [Document(id=str(number), text="x") for number in range(9)]).close()
    path = tmp_path / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3] if damage == "short" else b"")
    with pytest.raises(UserError, match=str(tmp_path)):
        DocumentStore(tmp_path)


@pytest.mark.parametrize("wrong", [{"sources": "pubmed"}, {"min_year": "2000"}, {"min_evidence_level": True}])
def test_filters_of_a_wrong_type(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Filters(**wrong)


def test_sources_may_be_a_list():
    assert hash(Filters(sources=["a"])) == hash(Filters(sources=("a",)))  # type: ignore[arg-type]
