"""The preset `paper`: every term worked out by hand, paths enumerated by networkx, whole rewards, wrong options."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networkx_paths import simple_paths

from medr3_plugin.errors import UserError
from medr3_plugin.knowledge.graph import Graph
from medr3_plugin.records import Document, Hit, Reference, Sample, SearchTurn, Triple
from medr3_plugin.rewards import paper
from medr3_plugin.rewards.formula import formula
from medr3_plugin.rewards.options import read_options, stage_options
from medr3_plugin.rewards.paper import PaperOptions
from medr3_plugin.rewards.record import KEYS
from medr3_plugin.rewards.scorer import build_scorer

RELATIONS = ("causes", "leads to", "does not cause")
triples = st.lists(
    st.builds(Triple, st.sampled_from("abcde"), st.sampled_from(RELATIONS), st.sampled_from("abcde")),
    max_size=14,
)


def graph(*edges):
    return Graph([Triple(*edge.split(" > ")) for edge in edges])


def logical_by_networkx(own, references, hops):
    def against(reference):
        a, b = (
            {hops: {path for path in simple_paths(of.edges) if len(path) == hops} for hops in (1, 2, 3)}
            for of in (own, reference)
        )
        indices = [len(a[j] & b[j]) / len(a[j] | b[j]) if a[j] | b[j] else 0.0 for j in range(1, hops + 1)]
        return 2 / (hops * (hops + 1)) * sum(j * index for j, index in enumerate(indices, start=1))

    return max(map(against, references), default=0.0)


@given(triples, st.lists(triples, max_size=3), st.sampled_from([1, 2, 3]))
def test_logical_is_what_networkx_finds(own, references, hops):
    mine, others = Graph(own), [Graph(reference) for reference in references]
    found = paper.logical(mine, others, hops)
    assert found == pytest.approx(logical_by_networkx(mine, others, hops), abs=1e-12)
    assert 0.0 <= found <= 1.0 + 1e-12


def test_longer_chains_weigh_more():
    chain = graph("a > causes > b", "b > causes > c", "c > causes > d")
    # hops 1, 2, 3 weigh 1/6, 2/6, 3/6; own has two of three edges and one of two two-hop paths
    assert paper.logical(graph("a > causes > b", "b > causes > c"), [chain], 3) == pytest.approx(
        1 / 6 * 2 / 3 + 2 / 6 * 1 / 2
    )
    # the same edges torn apart: one of three edges in common with K = 1, nothing longer
    assert paper.logical(graph("a > causes > b", "c > causes > b"), [chain], 1) == pytest.approx(1 / 4)
    assert paper.logical(chain, [chain], 3) == pytest.approx(1.0)
    assert paper.logical(graph("a > does not cause > b"), [chain], 3) == paper.logical(chain, [], 3) == 0.0


def test_statistic_adds_entities_and_relations():
    own = graph("flu > causes > fever", "flu > is treated with > rest")
    same_words = graph("flu > can cause > cough")
    # entities flu fever rest / flu cough: 1 of 4; relations cause, treat / cause: 1 of 2
    assert paper.statistic(own, [same_words]) == pytest.approx(1 / 4 + 1 / 2)
    assert paper.statistic(own, [same_words, own]) == pytest.approx(2.0)
    denied = graph("flu > does not cause > fever")
    assert paper.statistic(denied, [graph("flu > causes > fever")]) == pytest.approx(1.0)  # entities alone
    assert paper.statistic(Graph([]), [own]) == paper.statistic(own, []) == 0.0


def test_relations_in_chinese():
    assert paper.statistic(graph("流感 > 引起 > 发热"), [graph("流感 > 引起 > 发热")]) == pytest.approx(2.0)
    assert paper.statistic(graph("流感 > 不引起 > 发热"), [graph("流感 > 引起 > 发热")]) == pytest.approx(1.0)


def test_semantic_number_quality_breadth():
    assert paper.semantic([-0.2, 0.4, 0.1]) == 0.4
    assert paper.semantic([-0.2]) == paper.semantic([]) == 0.0
    assert [paper.retrieval_number(n, 2) for n in range(4)] == [0.0, 0.0, 1.0, 1.0]
    assert paper.quality([1, 1]) == 6.0
    assert paper.quality([1, 2, 6]) == pytest.approx((6 + 5 + 1) / 3)
    assert paper.quality([]) == 0.0
    assert paper.breadth([True, False, False, True]) == 0.5
    assert paper.breadth([]) == 0.0


def test_default_weights_make_the_terms_comparable():
    options = PaperOptions()
    # every term at its most: semantic 1, statistic 2, logical 1; quality 6, breadth 1
    assert options.alpha * 1 == pytest.approx(options.beta * 2) == pytest.approx(options.gamma * 1)
    assert options.alpha + 2 * options.beta + options.gamma == pytest.approx(1.0)
    assert options.lambda_ * 6 == pytest.approx(options.mu * 1)
    assert 6 * options.lambda_ + options.mu == pytest.approx(1.0)


def test_the_pyramid_takes_each_study_type_once():
    options = PaperOptions()
    assert [options.rung(level) for level in range(9, 0, -1)] == [1, 1, 1, 2, 3, 4, 5, 5, 6]
    own = PaperOptions(levels={"I": [9], "II": [8], "III": [7], "IV": [6], "V": [5], "VI": [4, 3, 2, 1]})
    assert [own.rung(level) for level in (9, 5, 4, 1)] == [1, 5, 6, 6]


# --- whole trajectories -------------------------------------------------------------------------------------------

GUIDELINE = Document("d1", "Hyperuricemia leads to gout.", "Gout", "g", "guideline", 7)
TRIAL = Document("d2", "Colchicine against knee pain.", "Colchicine", "t", "rct", 6)
OWN = (Triple("hyperuricemia", "leads to", "gout"), Triple("alcohol", "causes", "hyperuricemia"))
REFERENCES = (
    Reference(
        (Triple("hyperuricemia", "leads to", "gout", True), Triple("thiazide", "causes", "hyperuricemia"))
    ),
)
THINK = "The uric acid is high, and he drinks a lot of beer, so that this is what I think of first of all."


def sample(stage, answer="gout", *, searches=None, triples=OWN, response=None):
    shown = f"<document>{GUIDELINE.text}</document><document>{TRIAL.text}</document>"
    if searches is None:
        searches = (SearchTurn("gout", (Hit(GUIDELINE, 1.0), Hit(TRIAL, 0.5)), ("d1", "d2")),)
    text = f"<think>{THINK}<search>gout</search>{shown}</think><answer>{answer}</answer>"
    return Sample("s", "What is it?", response or text, ("gout",), references=REFERENCES, searches=searches,
                  triples=triples, stage=stage, forged=False)  # fmt: skip


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    path = tmp_path_factory.mktemp("terms") / "terms.jsonl"
    names = ("hyperuricemia", "gout", "alcohol", "thiazide", "colchicine", "knee pain")
    path.write_text("".join(json.dumps({"name": name}) + "\n" for name in names))
    return {"preset": "paper", "extractor": {"vocabularies": [str(path)]}}


def scored(options, *samples):
    return asyncio.run(build_scorer(options).score(samples))


# entities 2 of 4, relations: lead and cause, both in both; paths: 1 of 3 edges, none of two hops
STATISTIC, LOGICAL = 2 / 4 + 2 / 2, 1 / 6 * 1 / 3
REASONING = STATISTIC / 6 + LOGICAL / 3
QUALITY, BREADTH = (6 + 5) / 2, 1 / 2  # a guideline and a trial; of two own triples one stands in d1
RETRIEVAL = QUALITY / 12 + BREADTH / 2


@pytest.mark.parametrize(
    ("stage", "bonus"), [("reasoning", REASONING + 1), ("retrieval", RETRIEVAL), ("joint", 0.0)]
)
@pytest.mark.parametrize(("answer", "term"), [("gout", 2.0), ("asthma", 0.0)])
def test_rewards_by_hand(options, stage, bonus, answer, term):
    [one] = scored(options, sample(stage, answer))
    record = one.record
    assert tuple(record) == KEYS
    assert record["answer"] == term and record["acc"] == float(term == 2.0) and record["format"] == 1.0
    assert record["score"] == pytest.approx(term + 1 + bonus)
    found = {key[6:]: value for key, value in record.items() if key.startswith("paper_")}
    assert found == pytest.approx(
        {
            "semantic": 0.0, "statistic": STATISTIC, "logical": LOGICAL, "reasoning": REASONING,
            "retrieval_number": 1.0, "quality": QUALITY, "breadth": BREADTH, "retrieval": RETRIEVAL,
        }
    )  # fmt: skip
    assert all(record[key] == 0.0 for key in KEYS if key.startswith("penalty_"))
    assert one.reasons["composition"]["terms"]


def test_weights_and_delta_are_options(options):
    own = {"alpha": 0, "beta": 1, "gamma": 2, "lambda": 0.5, "mu": 3, "delta": 2, "K": 1}
    first, second = scored(options | {"paper": own}, sample("reasoning"), sample("retrieval"))
    assert first.record["score"] == pytest.approx(2 + 1 + STATISTIC + 2 * 1 / 3 + 0)  # one search of two
    assert second.record["score"] == pytest.approx(2 + 1 + 0.5 * QUALITY + 3 * BREADTH)


def test_the_flag_is_decided_from_the_documents_shown(options):
    claimed = tuple(Triple(t.head, t.relation, t.tail, True) for t in OWN)
    nothing, all_claimed = scored(
        options, sample("retrieval", searches=()), sample("retrieval", triples=claimed)
    )
    assert all_claimed.record["paper_breadth"] == BREADTH  # what a row claims of its own triples is not asked
    unseen = SearchTurn("gout", (Hit(GUIDELINE, 1.0), Hit(TRIAL, 0.5)), ("d2",))
    [hidden] = scored(options, sample("retrieval", searches=(unseen,)))
    assert hidden.record["paper_breadth"] == 0.0 and hidden.record["paper_quality"] == 5.0
    assert nothing.record["valid"] == 1.0


def test_without_an_answer_or_with_a_forged_document_there_is_nothing(options):
    silent = sample("reasoning", response=f"<think>{THINK}</think>", searches=())
    forged = sample(
        "reasoning", response=f"<think>{THINK}<document>x</document></think><answer>gout</answer>"
    )
    for one in scored(options, silent, replace(forged, forged=True)):
        assert one.record["score"] == 0.0 and one.record["valid"] == 1.0


def test_a_search_counts_without_an_answer(options):
    broken_off = sample("reasoning", response=f"<think>{THINK}")
    assert broken_off.searches
    forged = replace(broken_off, forged=True)
    [one] = scored(options, broken_off)
    assert one.record["score"] == one.record["paper_retrieval_number"] == 1.0 and one.record["format"] == 0.0
    assert "retrieval_number" in str(one.reasons["composition"]["terms"])
    for other in scored(
        options, forged, replace(broken_off, stage="retrieval"), replace(broken_off, stage="joint")
    ):
        assert other.record["score"] == 0.0


def test_the_overlong_ramp_counts(options):
    ramp = options | {"penalties": {"overlong": {"max_tokens": 1000, "buffer": 100}}}
    long = sample("joint")
    [one] = scored(ramp, replace(long, response_tokens=950))
    assert one.record["score"] == pytest.approx(2 + 1 - 0.5)


def test_other_presets_leave_the_terms_at_zero(options):
    for preset in ("medr3", "authors"):
        [one] = scored(options | {"preset": preset}, sample("reasoning"))
        assert tuple(one.record) == KEYS
        assert all(value == 0.0 for key, value in one.record.items() if key.startswith("paper_"))


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"alpha": -0.1}, "medr3.reward.paper.alpha"),
        ({"lambda": -1}, "medr3.reward.paper.lambda"),
        ({"mu": float("nan")}, "medr3.reward.paper.mu"),
        ({"K": 0}, "medr3.reward.paper.K"),
        ({"K": 4}, "medr3.reward.paper.K"),
        ({"delta": 0}, "medr3.reward.paper.delta"),
        ({"epsilon": 1}, "medr3.reward.paper.epsilon"),
        ({"levels": {"I": [9, 8, 7], "II": [7, 6], "III": [5], "IV": [4], "V": [3, 2], "VI": [1]}},
         "medr3.reward.paper.levels"),
        ({"levels": {"I": [9, 8, 7], "II": [6], "III": [5], "IV": [4], "V": [3], "VI": [1]}},
         "medr3.reward.paper.levels"),
        ({"levels": {"I": [9, 8, 7, 10], "II": [6], "III": [5], "IV": [4], "V": [3, 2], "VI": [1]}},
         "medr3.reward.paper.levels"),
        ({"levels": {"I": [9, 8, 7, 6, 5, 4, 3, 2, 1]}}, "medr3.reward.paper.levels"),
    ],
)  # fmt: skip
def test_wrong_options_name_their_yaml_path(wrong, path):
    with pytest.raises(UserError) as error:
        read_options({"preset": "paper", "paper": wrong})
    assert str(error.value).startswith(path + ":")


def test_a_stage_without_a_formula_names_its_yaml_path():
    with pytest.raises(UserError, match=r"medr3\.reward\.stages\.warm-up\.preset"):
        formula("warm-up", stage_options({"preset": "paper"}, "warm-up"))
    with pytest.raises(UserError, match=r"medr3\.reward\.stages\.warm-up\.preset"):
        build_scorer({"preset": "paper", "stages": {"warm-up": {}}})
    with pytest.raises(UserError, match=r"medr3\.reward\.weights"):
        build_scorer({"preset": "paper", "weights": {"reasoning": 1.0}})
