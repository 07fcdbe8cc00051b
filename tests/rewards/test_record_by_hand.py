"""Whole records of `medr3 score`, every number worked out by hand from DESIGN's formulas.

Nothing of the package computes what is expected here: paths are enumerated with networkx, the rest is arithmetic.
"""

from __future__ import annotations

import asyncio
import json
import math
import random

import pytest
from networkx_paths import simple_paths

from medr3_plugin.rewards.record import KEYS
from medr3_plugin.rewards.score_rows import trajectory_of
from medr3_plugin.rewards.scorer import build_scorer

TERMS = (
    "gout",
    "thiazide",
    "hyperuricemia",
    "urate crystals",
    "inflammation",
    "alcohol",
    "colchicine",
    "pain",
    "asthma",
)
QUESTION = "A man on a thiazide has a painful toe. What is the diagnosis?"
THINK = "The thiazide comes first; the rest of this thought is only here to be longer than the answer."

A, B, C, D = "thiazide", "hyperuricemia", "urate crystals", "inflammation"
CHAIN = [[A, "causes", B, True], [B, "leads to", C, True], [C, "triggers", D, False]]


def logic(own, reference):
    """Jaccard of the simple directed paths with one to three edges, polarity kept, by networkx."""
    a, b = (
        simple_paths(
            (head, "-" if "not" in relation.split() else "+", tail) for head, relation, tail, *_ in triples
        )
        for triples in (own, reference)
    )
    return len(a & b) / len(a | b) if a | b else 0.0


def document(identity, text, level=None, source=""):
    return {"id": identity, "text": text, "evidence_level": level, "source": source}


def row(**changes):
    answer = changes.pop("said", "gout")
    think = changes.pop("think", THINK)
    return {
        "id": "r", "question": QUESTION, "answer": "gout",
        "response": f"<think>{think}</think><answer>{answer}</answer>", **changes,
    }  # fmt: skip


def searching(*turns):
    """A thought with a search for each list of documents, and words after the last."""
    return "".join(
        f"{before}<search>q</search>" + "".join(f"<document>{d['text']}</document>" for d in documents)
        for before, documents in turns
    )


CAUSES = document("d1", "Thiazide causes hyperuricemia.", 8, "reviews")
FLARES = document("d2", "Colchicine against gout. Hyperuricemia and urate crystals.", 6, "trials")
ASTHMA = document("d3", "Inhalers against asthma.", 9, "reviews")
# two searches: the second returns d1 again and d3; afterwards the model names what d1 and d2 brought
TWO_TURNS = {
    "think": searching((THINK, [CAUSES, FLARES]), ("Hyperuricemia, then. ", [ASTHMA]))
    + " Colchicine would help.",
    "retrieved": [[CAUSES, FLARES], [CAUSES, ASTHMA]],
}
# utilisation: d1 brought hyperuricemia, d2 colchicine, and both are named later (half); d3 brought asthma, never named.
# breadth: the first search brings d1 and d2, the second no relevant document that is new


def t(coverage, quality, utilisation=0.5, breadth=1 / 2):
    return 0.3 * coverage + 0.1 * quality + 0.35 * utilisation + 0.25 * breadth


def answered(score, answer, **parts):
    """A well-formed, valid record; every part that is not named is 0."""
    return {
        "score": score,
        "answer": answer,
        "acc": float(answer == 1.0),
        "format": 1.0,
        "valid": 1.0,
        **parts,
    }


REVERSED = [[B, "causes", A, True], *CHAIN[1:]]
HALF_S = (logic(CHAIN[:2], CHAIN) + 3 / 4) / 3  # entities: 3 of 4
CYCLE = [*CHAIN, [D, "causes", A, False]]
CYCLE_S = (logic(CHAIN, CYCLE) + 1) / 3
DENIED = [[A, "does not cause", B, False], *CHAIN[1:]]
DENIED_S = (logic(DENIED, CHAIN) + 1) / 3
TWO = {"searches": 2.0, "documents": 3.0, "retrieval_utilisation": 0.5, "retrieval_breadth": 1 / 2}
HAND_MADE = [
    [B, "causes", "gout", True],
    [A, "causes", B, True],
    ["alcohol", "causes", B, False],
    [D, "causes", "pain", False],
]

CASES = {
    "reasoning: the reference itself": (
        "reasoning",
        row(triples=CHAIN, references=[{"triples": CHAIN}]),
        answered(1 + 0.8 * 2 / 3, 1.0, reasoning=2 / 3, reasoning_logic=1.0, reasoning_statistic=1.0),
    ),
    "reasoning: half of it": (
        "reasoning",
        row(triples=CHAIN[:2], references=[{"triples": CHAIN}]),
        answered(
            1 + 0.8 * HALF_S, 1.0, reasoning=HALF_S, reasoning_logic=logic(CHAIN[:2], CHAIN),
            reasoning_statistic=0.75
        ),
    ),
    "reasoning: the better of two references, one a cycle": (
        "reasoning",
        row(triples=CHAIN, references=[{"triples": REVERSED[:1]}, {"triples": CYCLE, "text": "kept apart"}]),
        answered(1 + 0.8 * CYCLE_S, 1.0, reasoning=CYCLE_S, reasoning_logic=logic(CHAIN, CYCLE),
                 reasoning_statistic=1.0),
    ),
    "reasoning: an edge denied": (
        "reasoning",
        row(triples=DENIED, references=[{"triples": CHAIN}]),
        answered(
            1 + 0.8 * DENIED_S, 1.0, reasoning=DENIED_S, reasoning_logic=logic(DENIED, CHAIN),
            reasoning_statistic=1.0
        ),
    ),
    "reasoning: a wrong answer": (
        "reasoning",
        row(said="asthma", triples=CHAIN, references=[{"triples": CHAIN}]),
        answered(0.1 + 0.2 * 0.5 * 2 / 3, 0.1, reasoning=2 / 3, reasoning_logic=1.0, reasoning_statistic=1.0),
    ),
    "reasoning: an answer that no rule decides, and no judge": (
        "reasoning",
        row(said="gout", answer="Gout, type 2", triples=CHAIN, references=[{"triples": CHAIN}]),
        answered(0.1 + 0.2 * 0.5 * 2 / 3, 0.1, reasoning=2 / 3, reasoning_logic=1.0, reasoning_statistic=1.0),
    ),
    "reasoning: an option's letter, the options as a list": (
        "reasoning",
        row(said="B", answer="B", options=["asthma", "gout"],
            references=None, triples=None, dataset=None, gold_docs=None),
        # L = (1 - exp(-2)) / (1 - exp(-2)): the thought is longer than twice the answer
        answered(1.0, 1.0),
    ),
    "reasoning: accepted by a list, nothing else known": (
        "reasoning",
        row(answer=["podagra", "gout"]),
        answered(1.0, 1.0),
    ),
    "retrieval: gold documents known": (
        "retrieval",
        row(**TWO_TURNS, gold_docs=["d1", "d9"], references=[{"triples": CHAIN}], triples=[]),
        answered(
            1 + 0.8 * t(1 / 2, 8 / 9), 1.0, retrieval=t(1 / 2, 8 / 9),
            retrieval_coverage=1 / 2, retrieval_quality=8 / 9, **TWO
        ),
    ),
    "retrieval: facts of a reference": (
        "retrieval",
        # of the two triples from retrieval, thiazide-hyperuricemia meets in d1, hyperuricemia-urate crystals in d2
        row(**TWO_TURNS, references=[{"triples": CHAIN}, {"triples": [["alcohol", "causes", "pain", True]]}],
            triples=[]),
        answered(1 + 0.8 * t(1.0, 7 / 9), 1.0, retrieval=t(1.0, 7 / 9),
                 retrieval_coverage=1.0, retrieval_quality=7 / 9, **TWO),
    ),
    "retrieval: the answer is stated": (
        "retrieval",
        row(**TWO_TURNS, references=[{"triples": [[A, "causes", B, False]]}], triples=[]),
        answered(1 + 0.8 * t(1.0, 6 / 9), 1.0, retrieval=t(1.0, 6 / 9),
                 retrieval_coverage=1.0, retrieval_quality=6 / 9, **TWO),
    ),
    "retrieval: nothing to cover": (
        "retrieval",
        row(**TWO_TURNS, said="yes", answer="yes", triples=[]),
        answered(1.0, 1.0, searches=2.0, documents=3.0),
    ),
    "retrieval: a search without hits": (
        "retrieval",
        row(think=f"<search>q</search>{THINK}", retrieved=[[]]),
        answered(1.0, 1.0, searches=1.0),
    ),
    "retrieval: no search": ("retrieval", row(gold_docs=["d1"]), answered(1.0, 1.0)),
    "joint: everything": (
        "joint",
        # to gout lead hyperuricemia-gout (in d2, which is not relevant), thiazide-hyperuricemia (in d1, which is) and
        # alcohol-hyperuricemia (none): 1 of 3; inflammation-pain leads nowhere
        row(**TWO_TURNS, gold_docs=["d1"], triples=HAND_MADE, references=[{"triples": HAND_MADE}]),
        answered(
            1 + 0.8 * (0.6 * 2 / 3 + 0.2 * t(1.0, 8 / 9) + 0.2 * 1 / 3),
            1.0,
            reasoning=2 / 3, reasoning_logic=1.0, reasoning_statistic=1.0, retrieval=t(1.0, 8 / 9),
            retrieval_coverage=1.0, retrieval_quality=8 / 9, coordination=1 / 3, **TWO,
        ),
    ),
    "a short thought in another language": (
        "reasoning",
        row(think="痛风", said="gouty arthritis", answer="gouty arthritis"),
        answered(
            1.0 - 0.1 - 0.1 * (1 - (1 - math.exp(-2 / 15)) / (1 - math.exp(-2))),
            1.0,
            penalty_language=-0.1,
            penalty_length=-0.1 * (1 - (1 - math.exp(-2 / 15)) / (1 - math.exp(-2))),
        ),
    ),
    "text outside, and a wrong answer without a thought": (
        "reasoning",
        row() | {"response": "<think></think> so <answer>asthma</answer>"},
        # format and length cost 0.1 each, the empty thought is in no language
        answered(0.1 - 0.3, 0.1, format=0.0, penalty_format=-0.1, penalty_length=-0.1, penalty_language=-0.1),
    ),
    "forged": (
        "joint",
        row(think=f"{THINK}<document>Gout, certainly.</document>"),
        {"score": -1.0, "forged": 1.0, "format": 0.0, "valid": 1.0, "penalty_format": -0.1},
    ),
    "no answer": (
        "joint",
        row(triples=CHAIN, references=[{"triples": CHAIN}]) | {"response": f"<think>{THINK}</think>"},
        {"score": -0.5, "valid": 1.0, "penalty_format": -0.1, "penalty_length": -0.1, "penalty_language": -0.1},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    path = tmp_path_factory.mktemp("terms") / "terms.jsonl"
    path.write_text("".join(json.dumps({"name": name}) + "\n" for name in TERMS))
    return build_scorer({"extractor": {"vocabularies": [str(path)]}})


def record(scorer, case, stage):
    [scored] = asyncio.run(scorer.score([trajectory_of(case, "rows.jsonl:1", stage)]))
    return scored.record


@pytest.mark.parametrize("name", CASES)
def test_every_number_of_the_record(name, scorer):
    stage, case, expected = CASES[name]
    index = {"reasoning": 0.0, "retrieval": 1.0, "joint": 2.0}[stage]
    everything = dict.fromkeys(KEYS, 0.0) | {"stage": index} | expected
    found = record(scorer, case, stage)
    assert tuple(found) == KEYS
    assert all(isinstance(value, float) for value in found.values())
    assert found == pytest.approx(everything, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_order_of_triples_never_matters(seed, scorer):
    chance = random.Random(seed)
    relations = ["causes", "does not cause"]
    edges = [[chance.choice(TERMS), chance.choice(relations), chance.choice(TERMS), False] for _ in range(14)]
    own, reference = edges[:9], edges[5:]
    expected = record(scorer, row(**TWO_TURNS, triples=own, references=[{"triples": reference}]), "joint")
    assert expected["reasoning_logic"] == pytest.approx(
        logic([e for e in own if e[0] != e[2]], [e for e in reference if e[0] != e[2]])
    )
    for _ in range(3):
        chance.shuffle(own)
        chance.shuffle(reference)
        assert (
            record(scorer, row(**TWO_TURNS, triples=own, references=[{"triples": reference}]), "joint")
            == expected
        )


def test_the_release_preset_by_hand(tmp_path):
    half = row(triples=CHAIN[:2], references=[{"triples": CHAIN}])
    found = record(build_scorer({"preset": "authors"}), half, "reasoning")
    assert found["score"] == pytest.approx(1 + 0.8 * HALF_S)
    found = record(build_scorer({"preset": "authors"}), half | {"response": "gout"}, "reasoning")
    # not judged: 0.1, format -0.1, length -0.1, language of the absent answer -0.1
    assert found["score"] == pytest.approx(0.1 - 0.1 - 0.1 - 0.1)
