"""The pure parts: format, penalties, language, copying, retrieval, coordination, reasoning, options."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.errors import UserError
from medr3_plugin.knowledge.agreement import Said
from medr3_plugin.knowledge.graph import Graph
from medr3_plugin.knowledge.text import word_forms
from medr3_plugin.records import Triple
from medr3_plugin.rewards.coordination import coordination, leading_to
from medr3_plugin.rewards.copying import RUN, SHINGLE, Source, without_copies
from medr3_plugin.rewards.format import format_score
from medr3_plugin.rewards.language import language, same_cjk_flag_share, same_language_share
from medr3_plugin.rewards.options import BonusWeights, Overlong, ReasoningWeights, read_options, stage_options
from medr3_plugin.rewards.penalties import length_score, overlong_penalty, think_and_answer
from medr3_plugin.rewards.reasoning import NOTHING_STATED, best_reference, centred
from medr3_plugin.rewards.retrieval import breadth, coverage, quality, utilisation
from medr3_plugin.trajectory import parse

GOOD = "<think>why</think><answer>a</answer>"


@pytest.mark.parametrize(
    ("text", "score"),
    [
        (GOOD, 1.0),
        (f" {GOOD}\n", 1.0),
        ("<think>a <search>q</search><document>d</document> b</think>\n<answer>x</answer>", 1.0),
        ("<think>why</think>", 0.0),
        ("<answer>a</answer>", 0.0),
        ("<think>why</think><answer> </answer>", 0.0),
        ("<think>why <answer>a</answer></think>", 0.0),
        ("<think>why <answer>a</answer></think><answer>a</answer>", 0.0),
        ("<think>never closed", 0.0),
        (f"Well, {GOOD}", 0.0),
        (f"{GOOD} bye", 0.0),
        ("<think>why</think> so <answer>a</answer>", 0.0),
        ("<think>a</think><think>b</think><answer>a</answer>", 0.0),
        ("<think>a</think><answer>a</answer><answer>b</answer>", 0.0),
        ("why</think><answer>a</answer>", 0.0),
        ("<think>a</think><search>q</search><document>d</document><answer>a</answer>", 0.0),
        ("<think>a <search>b</think><answer>a</answer>", 0.0),
        ("<think>a <document>b</document></think><answer>a</answer>", 0.0),
    ],
)
def test_format(text, score):
    assert format_score(parse(text)) == score


@pytest.mark.parametrize(
    ("think", "answer", "penalty"),
    # the values that the paper's release gives: 0.027 at ratio 1, 0.055 at ratio 0.5
    [(20, 10, 0.0), (500, 10, 0.0), (10, 10, 0.0269), (5, 10, 0.0545), (0, 10, 0.1), (10, 0, 0.1)],
)
def test_length(think, answer, penalty):
    assert 0.1 * (1 - length_score("x" * think, "y" * answer)) == pytest.approx(penalty, abs=5e-5)


@pytest.mark.parametrize(
    ("tokens", "expected"), [(None, 0), (0, 0), (11264, 0), (12800, -0.5), (14336, -1.0), (20000, -1.0)]
)
def test_overlong(tokens, expected):
    assert overlong_penalty(tokens, Overlong(max_tokens=14336)) == expected
    assert overlong_penalty(tokens, Overlong()) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The patient has fever.", "latin"),
        ("患者发热三天", "zh"),
        ("考虑马凡综合征 (Marfan syndrome)，建议检查", "zh"),
        ("Marfan syndrome, in Chinese 马凡", "latin"),
        ("C", None),
        ("12.5 %", None),
        ("", None),
        ("β-blocker", "latin"),
        ("У пациента лихорадка и кашель", "other"),
        ("患者の発熱はいつからですか、ということです", "other"),
    ],
)
def test_language(text, expected):
    assert language(text) == expected


def test_language_switch_half_way_costs_half():
    english = "The patient has a high fever. " * 20
    chinese = "患者发热三天并有皮疹。" * 60
    text = english[:600] + chinese[:600]
    assert same_language_share(text, "What is it?") == pytest.approx(0.5, abs=0.17)
    assert same_language_share("B", "这是什么病？") == 1.0
    assert same_language_share("  ", "What?") == 0.0
    assert same_cjk_flag_share("a" * 200 + "病" * 200, "What?") == 0.5
    assert same_cjk_flag_share("", "What?") == 0.0


def test_think_and_answer_as_in_the_release():
    text = "<think>a <search>q</search><document>d</document>b</think> c <answer>x</answer>"
    assert think_and_answer(parse(text)) == ("a b", "c x")
    assert think_and_answer(parse("<think>cut off")) == ("cut off", "")


NOTHING = Source([])


def own_words(text, *documents, question=NOTHING):
    [kept] = without_copies([text], [Source(word_forms(document)) for document in documents], question)
    return kept


def test_copied_runs_are_cut_out_and_short_quotes_stay():
    source = "Marfan syndrome is a disorder of connective tissue that affects the heart, eyes and skeleton of patients."
    short_quote = "It is a disorder of connective tissue, I think."
    assert own_words(short_quote, source) == short_quote
    text = f"I recall: {source.upper()} So aortic root imaging is needed."
    for own in (own_words(text, source), own_words(text, question=Source(word_forms(source)))):
        assert own.startswith("I recall:") and own.endswith("So aortic root imaging is needed.")
        assert "CONNECTIVE" not in own
    assert own_words(text, "other " * RUN) == text


@given(st.lists(st.sampled_from("abcdef"), max_size=60), st.lists(st.sampled_from("abcdef"), max_size=60))
def test_a_whole_copy_leaves_nothing_and_what_shares_no_words_stays(text, source):
    written, copied = " ".join(text), " ".join(source)
    kept = own_words(written, copied)
    assert len(word_forms(kept)) in (len(text), *range(len(text) - RUN + 1))
    if not Source(text).shingles & Source(source).shingles:
        assert kept == written
    if RUN <= len(source) == len(Source(source).shingles) + SHINGLE - 1:  # it does not repeat itself
        assert not own_words(copied, copied).strip()


GUIDELINE = (
    "Patients with Marfan syndrome need imaging of the aortic root every year, because dilation goes on unnoticed. "
    "Beta blockers slow it, and surgery is advised from a diameter of fifty millimetres on."
)


@pytest.mark.parametrize(
    "change",
    [
        lambda words: words,
        lambda words: [f"{word} well" if i % 9 == 8 else word for i, word in enumerate(words)],
        lambda words: [f"{word} so to say" if i % 4 == 3 else word for i, word in enumerate(words)],
        lambda words: ["thing" if i % 5 == 4 else word for i, word in enumerate(words)],
        lambda words: [word for i, word in enumerate(words) if i % 7 != 6],
    ],
)
def test_a_copy_with_small_changes_is_cut(change):
    own = "This man is taller than his brothers and his lenses are displaced."
    text = f"{own} {' '.join(change(GUIDELINE.split()))}"
    kept = own_words(text, GUIDELINE)
    assert kept.startswith(own)
    left = set(word_forms(kept)) - set(word_forms(own))
    assert left <= {"well", "so", "to", "say", "thing", *word_forms(GUIDELINE)[-SHINGLE:]}


@pytest.mark.parametrize(
    "own",
    [
        "He has Marfan syndrome. Imaging of the aortic root is due, and beta blockers slow dilation.",
        "Surgery is advised from a diameter of fifty millimetres on; patients with Marfan syndrome need imaging.",
        "The lens is displaced. Patients with Marfan syndrome need imaging of the aortic root. His is wide.",
    ],
)
def test_terms_phrases_and_another_order_are_kept(own):
    assert own_words(own, GUIDELINE) == own


def test_a_chinese_copy_counts_characters_by_half():
    source = "马方综合征患者每年需要检查主动脉根部，因为扩张往往不被察觉而继续发展。"
    assert own_words("马方综合征患者需要检查主动脉根部。", source) == "马方综合征患者需要检查主动脉根部。"
    kept = own_words("马方综合征患者每年啊需要检查主动脉根部，嗯因为扩张往往不被察觉而继续发展。", source)
    assert len(word_forms(kept)) <= 2


def test_quality():
    assert quality([]) == 0.0
    assert quality([9]) == quality([9, 9]) == 1.0
    assert quality([1]) == pytest.approx(1 / 9)
    assert quality([9, 6, 3]) == pytest.approx(6 / 9)


def test_coverage():
    assert coverage([], ["a"]) == 0.0
    assert coverage(["a", "b", "b"], ["b", "c"]) == 0.5
    assert coverage(["a"], ["a", "a"]) == 1.0


def test_utilisation():
    assert utilisation([], {"a": 1.0}) == 0.0
    assert utilisation(["a", "b"], {"a": 1.0}) == 0.5
    assert (
        utilisation(["a", "b"], {"a": 1.0, "b": -1.0}) == 0.0
    )  # use and contradiction count with opposite sign
    assert utilisation(["a", "b"], {"a": 1.0, "b": 0.5}) == 0.75
    assert (
        utilisation(["a"], {"z": 1.0, "y": -1.0}) == 0.0
    )  # of documents that are not relevant, neither counts


def test_breadth():
    assert breadth([], {"a"}) == breadth([[], []], {"a"}) == 0.0
    assert breadth([["a", "b"]], {"a", "b"}) == 1.0
    assert breadth([["a", "b"], []], {"a", "b"}) == 0.5  # a search for nothing
    assert breadth([["a", "b"], ["a", "b"]], {"a", "b"}) == 0.5  # nothing new the second time
    assert breadth([["a", "b", "c"]], {"a"}) == 1.0  # how many come back is the service's choice
    assert breadth([["a", "b"]], set()) == 0.0


EDGES = [("fever", "+", "flu"), ("rash", "-", "fever"), ("flu", "+", "cough"), ("x", "+", "y")]


def test_leading_to_the_answer():
    assert leading_to(EDGES, {"flu"}) == [EDGES[0], EDGES[2], EDGES[1]]
    assert leading_to(EDGES, {"nothing"}) == leading_to(EDGES, set()) == []
    cycle = [("a", "+", "b"), ("b", "+", "a")]
    assert leading_to(cycle, {"a"}) == cycle


def test_coordination():
    supports = lambda edge: edge == EDGES[0]  # noqa: E731
    none = Said()
    assert coordination(EDGES, {"flu"}, supports, none, none, 0) == (pytest.approx(1 / 3), [EDGES[0]])
    assert coordination(EDGES, {"z"}, supports, none, none, 0) == (0.0, [])
    assert coordination(EDGES, {"z"}, supports, Said(3, 1), Said(3, 1), 4)[0] == 0.5
    assert coordination(EDGES, {"flu"}, supports, none, Said(1, 3), 4)[0] == -0.5
    # one statement or edge alone is half a chain; who contradicts as much as he agrees has no supported edge
    assert coordination([EDGES[0]], {"flu"}, supports, none, none, 0)[0] == 0.5
    assert coordination(EDGES, {"z"}, supports, Said(1, 0), Said(1, 0), 1)[0] == 0.5
    assert coordination(EDGES, {"flu"}, supports, none, Said(2, 2), 4)[0] == 0.0


def test_centred():
    assert centred(1.0, 0.35) == 1.0
    assert centred(0.35, 0.35) == centred(-1.0, 0.35) == 0.0
    assert centred(1.0 + 1e-7, 0.0) == 1.0


def graph(*edges):
    return Graph([Triple(a, "causes", b) for a, b in edges])


def test_best_reference_wins_as_a_whole():
    own, nothing = graph(("a", "b"), ("b", "c")), [NOTHING_STATED] * 3
    references = [graph(("c", "b")), graph(("a", "b")), graph(("a", "b"))]
    score = best_reference(own, references, [0.9, 0.0, 0.6], nothing, Said(), ReasoningWeights())
    assert score.reference == 2
    assert (score.logic, score.statistic, score.semantic) == (pytest.approx(1 / 3), pytest.approx(2 / 3), 0.6)
    assert score.total == pytest.approx((1 / 3 + 2 / 3 + 0.6) / 3)
    only_semantic = ReasoningWeights(logic=0, statistic=0)
    assert best_reference(own, references, [0.9, 0.0, 0.6], nothing, Said(), only_semantic).reference == 0
    denied = [replace(NOTHING_STATED, written=Said(1, 3))] * 3
    assert best_reference(own, references, [0.9, 0.0, 0.6], denied, Said(), ReasoningWeights()).total == 0.0
    agreed = best_reference(own, references, [0.9, 0.0, 0.6], denied, Said(6, 0), ReasoningWeights())
    assert agreed.total == pytest.approx(score.total * (7 - 3) / (7 + 3))
    assert best_reference(own, [], [], [], Said(), ReasoningWeights()).total == 0.0


def test_weights_move_linearly():
    weights = BonusWeights(reasoning=[0.8, 0.2], retrieval=0.1)
    others = {"retrieval": 0.1, "coordination": 0.0, "searched": 0.0}
    assert weights.at(0.0) == {"reasoning": 0.8, **others}
    assert weights.at(0.5) == pytest.approx({"reasoning": 0.5, **others})
    assert weights.at(1.0) == weights.at(7.0) == pytest.approx({"reasoning": 0.2, **others})


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"pres": "medr3"}, r"medr3\.reward\.pres: unknown key"),
        ({"preset": "best"}, r"medr3\.reward\.preset"),
        ({"weights": {"reasonig": 1}}, r"medr3\.reward\.weights\.reasonig: unknown key"),
        ({"paper": {"lambda_": 1}}, r"medr3\.reward\.paper\.lambda_: unknown key; did you mean lambda\?"),
        (
            {"penalties": {"overlong": {"max_token": 1}}},
            r"overlong\.max_token: unknown key; did you mean max_tokens\?",
        ),
        ({"weights": {"reasoning": 0.8, "retrieval": 0.3}}, r"weights: the weights sum to 1\.1"),
        ({"weights": {"reasoning": [0.1, 0.9], "retrieval": [0.9, 0.2]}}, r"sum to 1\.1 at the end"),
        ({"weights": {"reasoning": -0.1}}, r"weights\.reasoning"),
        ({"weights": {"reasoning": math.nan}}, r"weights\.reasoning"),
        ({"gate": {"wrong": 0.5, "partly": 0.4, "right": 0.8}}, "answer and gate"),
        ({"gate": {"wrong": 0.1}}, r"gate\.partly"),
        ({"floors": {"forged": 0.0}}, r"floors: must rise"),
        ({"penalties": {"overlong": {"buffer": 0}}}, r"penalties\.overlong\.buffer"),
        ({"reasoning": {"logic": 0, "semantic": 0, "statistic": 0}}, r"reasoning: at least one"),
        ({"extractor": {"kind": "magic"}}, r"extractor\.kind"),
        ({"encoder": {"c0": 1.0}}, r"encoder\.c0"),
    ],
)
def test_wrong_options_name_their_yaml_path(options, path):
    with pytest.raises(UserError, match=path):
        read_options(options)


def test_stage_overrides():
    options = {
        "weights": {"reasoning": 0.5},
        "penalties": {"format": 0.3, "length": 0.2},
        "judge": {"kind": "rule"},
        "stages": {"joint": {"weights": {"retrieval": 0.7}, "penalties": {"format": 0.0}}, "reasoning": None},
    }
    joint = stage_options(options, "joint")
    assert joint.weights == BonusWeights(retrieval=0.7)  # weights are replaced as a whole
    assert (joint.penalties.format, joint.penalties.length) == (0.0, 0.2)  # the rest is merged
    assert stage_options(options, "reasoning").weights == BonusWeights(reasoning=0.5)
    with pytest.raises(UserError, match=r"stages\.joint\.judge"):
        stage_options({"stages": {"joint": {"judge": {}}}}, "joint")
    with pytest.raises(UserError, match=r"medr3\.reward\.stages\.joint"):
        stage_options({"stages": {"joint": [1]}}, "joint")
