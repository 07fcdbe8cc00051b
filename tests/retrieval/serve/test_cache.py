from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.records import Document, Hit
from medr3_plugin.retrieval.serve.cache import ResultCache


def hits(count: int) -> tuple[Hit, ...]:
    return tuple(Hit(Document(str(i), "t"), 1.0) for i in range(count))


@given(
    st.integers(0, 12),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.integers(0, 5)), max_size=60),
)
def test_holds_the_most_recent_entries_that_fit(capacity, operations):
    cache, model = ResultCache(capacity), []  # model: (key, hits), oldest first
    for key, count in operations:
        if count is None:
            expected = next((value for name, value in model if name == key), None)
            assert cache.get(key) == expected
            if expected is not None:
                model = [entry for entry in model if entry[0] != key] + [(key, expected)]
        elif max(1, count) <= capacity:
            cache.put(key, hits(count))
            model = [entry for entry in model if entry[0] != key] + [(key, hits(count))]
            while sum(max(1, len(value)) for _, value in model) > capacity:
                model.pop(0)
        else:
            cache.put(key, hits(count))
        assert len(cache) == len(model)


def test_an_empty_result_is_a_hit_of_the_cache():
    cache = ResultCache(1)
    cache.put("nothing found", ())
    assert cache.get("nothing found") == ()
    assert cache.get("never asked") is None
