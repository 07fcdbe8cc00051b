from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.retrieval.index.id_set import IdSet


@given(st.lists(st.text(max_size=3)), st.integers(1, 5))
def test_behaves_like_a_set(ids, merge_at):
    ours, oracle = IdSet(merge_at), set()
    for identity in (text.encode("utf-8", "replace").decode() for text in ids):
        assert ours.add(identity) == (identity not in oracle)
        oracle.add(identity)
        assert len(ours) == len(oracle)
