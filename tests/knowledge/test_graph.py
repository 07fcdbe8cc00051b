"""Graph scores against networkx, and their properties."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx_paths import simple_paths

from medr3_plugin.knowledge.graph import Graph, jaccard, path_counts, path_jaccard
from medr3_plugin.records import Triple

RELATIONS = ["causes", "leads to", "does not cause", "rules out"]
triples = st.lists(
    st.builds(Triple, st.sampled_from("abcdefg"), st.sampled_from(RELATIONS), st.sampled_from("abcdefg")),
    max_size=25,
)


def logic(a, b):
    return path_jaccard(Graph(a), Graph(b))


def statistic(a, b):
    return jaccard(Graph(a).entities, Graph(b).entities)


def make(n_edges, n_nodes, seed=0):
    rng = random.Random(seed)
    name = lambda: f"entity {rng.randrange(n_nodes)}"  # noqa: E731
    return [Triple(name(), rng.choice(RELATIONS), name()) for _ in range(n_edges)]


@settings(max_examples=150, deadline=None)
@given(triples, triples)
def test_logic_is_the_jaccard_index_of_networkx_paths(a, b):
    paths_a, paths_b = simple_paths(Graph(a).edges), simple_paths(Graph(b).edges)
    assert sum(path_counts(Graph(a).edges)) == len(paths_a)
    union = paths_a | paths_b
    expected = len(paths_a & paths_b) / len(union) if union else 0.0
    assert logic(a, b) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_nodes", [40, 60])
def test_logic_on_larger_graphs_that_share_half_their_edges(n_nodes):
    shared = make(60, n_nodes, 1)
    a, b = shared + make(60, n_nodes, 2), shared + make(60, n_nodes, 3)
    paths_a, paths_b = simple_paths(Graph(a).edges), simple_paths(Graph(b).edges)
    assert 0 < logic(a, b) == pytest.approx(len(paths_a & paths_b) / len(paths_a | paths_b), abs=1e-12)


@settings(max_examples=100)
@given(triples, triples, st.randoms(use_true_random=False))
def test_order_repetition_symmetry_and_bounds(a, b, rng):
    shuffled = [*a, *a]
    rng.shuffle(shuffled)
    for score in (logic, statistic):
        assert score(a, b) == score(shuffled, b) == score(b, a)
        assert 0.0 <= score(a, b) <= 1.0
        has_something = bool(Graph(a).edges if score is logic else Graph(a).entities)
        assert score(a, a) == (1.0 if has_something else 0.0)


def test_a_pure_cycle_agrees_with_itself():
    cycle = [Triple("a", "causes", "b"), Triple("b", "causes", "c"), Triple("c", "causes", "a")]
    assert logic(cycle, cycle[1:] + cycle[:1]) == 1.0


def test_wording_does_not_matter_but_negation_does():
    a = [Triple("Aortic stenosis", "causes", "syncope")]
    assert logic(a, [Triple("aortic stenoses", "leads to", "Syncope.")]) == 1.0
    assert logic(a, [Triple("aortic stenosis", "does not cause", "syncope")]) == 0.0
    assert statistic(a, [Triple("aortic stenosis", "does not cause", "syncope")]) == 1.0


def test_direction_matters():
    assert logic([Triple("a", "causes", "b")], [Triple("b", "causes", "a")]) == 0.0


def test_worked_example():
    # a: 3 edges, ab bc cd, 6 paths; b: ab bc bd; paths of b: ab bc bd abc abd; common: ab bc abc
    a = [Triple("a", "r", "b"), Triple("b", "r", "c"), Triple("c", "r", "d")]
    b = [Triple("a", "r", "b"), Triple("b", "r", "c"), Triple("b", "r", "d")]
    assert logic(a, b) == 3 / 8
    assert statistic(a, b) == 1.0


def test_empty_self_loops_and_blank_names():
    assert logic([], []) == statistic([], []) == 0.0
    assert logic([Triple("a", "is", "A")], [Triple("a", "is", "a")]) == 0.0
    assert statistic([Triple("a", "is", "A")], [Triple("a", "is", "b")]) == 0.5
    assert Graph([Triple(" ", "is", "?"), Triple("", "", "y")]).entities == {"y"}
    assert Graph([Triple(" ", "is", "?"), Triple("", "", "y")]).edges == frozenset()


def test_dense_graph_is_counted_not_enumerated():
    # the complete graph of 46 entities: 46·45·(1 + 44 + 44·43) = 3.99 million paths
    names = [f"n{i}" for i in range(46)]
    edges = {(a, "+", b) for a in names for b in names if a != b}
    assert sum(path_counts(edges)) == 46 * 45 * (1 + 44 + 44 * 43)


def test_path_jaccard_of_a_subgraph():
    whole = Graph(make(2000, 60, 5))
    part = Graph(make(2000, 60, 5)[:1000])
    assert path_jaccard(whole, part) == pytest.approx(sum(part.path_counts) / sum(whole.path_counts))
