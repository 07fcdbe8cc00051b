"""Every attack stays under its ceiling, in every preset; honest work beats them all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import cache

import pytest
from attack import FORGED, NO_ANSWER, PARTLY, RIGHT, WRONG, Attack
from attacks import ATTACKS
from cases import (
    CONCLUSION,
    HONEST_THINK,
    HONEST_TURNS,
    REASONING,
    REVIEW,
    VOCABULARY,
    respond,
    sample,
    search,
    turn,
)

from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.verify import verify
from medr3_plugin.rewards.retrieval import NAMED
from medr3_plugin.rewards.scorer import build_scorer

# (preset, stage): the three stages by their own formula, the same by name, and the release's formula
PRESETS = [
    ("medr3", "reasoning"),
    ("medr3", "retrieval"),
    ("medr3", "joint"),
    ("reasoning", "joint"),
    ("retrieval", "reasoning"),
    ("joint", "reasoning"),
    ("authors", "reasoning"),
]
HONEST = Attack("honest", respond(), RIGHT)
# what DESIGN.md promises, written out again here so that a changed constant shows
ANSWER = {WRONG: 0.1, PARTLY: 0.4, RIGHT: 1.0}
GATE = {WRONG: 0.2, PARTLY: 0.4, RIGHT: 0.8}
EPSILON = 1e-9


def formula_of(preset: str, stage: str) -> str:
    return stage if preset == "medr3" else preset


def ceiling(attack: Attack, formula: str) -> float:
    """The reward that the attack's ceilings allow under a formula, without any penalty."""
    if formula == "authors":
        floors = {FORGED: -0.1, NO_ANSWER: 0.1}
        return floors.get(attack.level, ANSWER.get(attack.level, 0.0) + 0.8 * attack.reasoning)
    if attack.level in (FORGED, NO_ANSWER):
        return {FORGED: -1.0, NO_ANSWER: -0.5}[attack.level]
    s, t, c = attack.reasoning, attack.retrieval, attack.coordination
    searched = any(turn.hits for turn in attack.searches)
    first = s if attack.level == RIGHT else 0.5 * s + 0.5 * searched
    bonus = {"reasoning": first, "retrieval": t, "joint": 0.6 * s + 0.2 * t + 0.2 * c}[formula]
    return ANSWER[attack.level] + GATE[attack.level] * bonus


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("vocabulary") / "terms.jsonl"
    path.write_text("\n".join(json.dumps({"name": name}) for name in VOCABULARY), encoding="utf-8")
    return str(path)


@cache
def records(preset: str, stage: str, vocabulary: str) -> Mapping[str, Mapping[str, float]]:
    options = {"preset": preset, "extractor": {"vocabularies": [vocabulary] if vocabulary else []}}
    attacks = [HONEST, *ATTACKS]
    scored = asyncio.run(build_scorer(options).score([as_sample(attack, stage) for attack in attacks]))
    assert all(item.record["valid"] == 1.0 for item in scored)
    return {attack.name: item.record for attack, item in zip(attacks, scored, strict=True)}


def as_sample(attack: Attack, stage: str = "joint") -> Sample:
    return sample(
        attack.response,
        searches=attack.searches,
        options=dict(attack.options) if attack.options else None,
        question=attack.question,
        answers=attack.answers,
        stage=stage,
    )


def test_there_are_enough_and_they_have_names():
    assert len(ATTACKS) >= 150
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize(
    ("preset", "stage", "entities"),
    [*((*preset, "vocabulary") for preset in PRESETS), *((*preset, "phrases") for preset in PRESETS[:3])],
)
def test_every_attack_stays_under_its_ceiling(preset, stage, entities, vocabulary):
    found = records(preset, stage, vocabulary if entities == "vocabulary" else "")
    formula = formula_of(preset, stage)
    over = []
    for attack in ATTACKS:
        record = found[attack.name]
        limits = {
            "score": ceiling(attack, formula),
            "acc": float(attack.level == RIGHT),
            "reasoning": attack.reasoning,
            "retrieval": attack.retrieval,
            "coordination": attack.coordination,
        }
        over += [
            (attack.name, key, record[key], top) for key, top in limits.items() if record[key] > top + EPSILON
        ]
        if attack.level == FORGED and record["forged"] != 1.0:
            over.append((attack.name, "forged", record["forged"], 1.0))
    assert not over


@pytest.mark.parametrize(("preset", "stage"), PRESETS)
def test_no_attack_earns_more_than_honest_work(preset, stage, vocabulary):
    found = records(preset, stage, vocabulary)
    honest = found["honest"]["score"]
    assert honest > 1.0
    better = {name: record["score"] for name, record in found.items() if record["score"] > honest + EPSILON}
    assert not better


def test_in_the_joint_stage_every_attack_earns_less_than_honest_work(vocabulary):
    found = records("medr3", "joint", vocabulary)
    honest = found["honest"]["score"]
    assert [name for name, record in found.items() if record["score"] >= honest - EPSILON] == ["honest"]


@pytest.mark.parametrize("answer", ["gout " * 40_000, "gout or " * 25_000, "A, " * 66_000, "\ufdfa" * 20_000])
def test_a_very_long_answer_is_not_right(answer):
    assert verify(answer, as_sample(HONEST)) is None


def scores(*thoughts: str, searches=(HONEST_TURNS,), vocabulary: str) -> list[Mapping[str, float]]:
    turns = searches * len(thoughts) if len(searches) == 1 else searches
    samples = [sample(respond(think=think), searches=of) for think, of in zip(thoughts, turns, strict=True)]
    scorer = build_scorer({"extractor": {"vocabularies": [vocabulary]}})
    return [item.record for item in asyncio.run(scorer.score(samples))]


def test_saying_it_again_earns_nothing(vocabulary):
    once, often = scores(HONEST_THINK, HONEST_THINK + CONCLUSION * 20, vocabulary=vocabulary)
    for part in ("reasoning", "retrieval", "coordination"):
        assert often[part] <= once[part] + EPSILON


def test_denied_and_unconnected_reasoning_earns_less_than_connected(vocabulary):
    denied = REASONING.replace("causes", "does not cause").replace("increases", "does not increase")
    unconnected = ". ".join(VOCABULARY)
    honest, negative, listed = scores(
        REASONING + CONCLUSION, denied + CONCLUSION, unconnected, searches=((),), vocabulary=vocabulary
    )
    assert negative["reasoning"] < honest["reasoning"]
    assert listed["reasoning"] < honest["reasoning"]


@pytest.mark.parametrize("sentence", ["{}.", "There is {}.", "{} is relevant here."])
def test_who_only_names_things_states_nothing(sentence, vocabulary):
    named = search(REVIEW) + " ".join(map(sentence.format, VOCABULARY))
    stated = f"{search(REVIEW)}Monosodium urate crystals trigger an acute inflammation."
    only_named, honest = scores(named, stated, vocabulary=vocabulary)
    assert (only_named["retrieval_utilisation"], only_named["coordination"]) == (NAMED, 0.0)
    assert (honest["retrieval_utilisation"], honest["coordination"]) == (1.0, 0.5)


def test_searches_that_bring_nothing_new_earn_nothing(vocabulary):
    once, again = scores(
        HONEST_THINK,
        search(REVIEW) + search() * 5 + CONCLUSION,
        searches=((turn(REVIEW),), (turn(REVIEW), *(turn(REVIEW, outcome="duplicate"),) * 5)),
        vocabulary=vocabulary,
    )
    assert again["retrieval"] <= once["retrieval"] + EPSILON


def test_thinking_in_another_language_costs(vocabulary):
    found = records("medr3", "reasoning", vocabulary)
    assert found["Chinese thinking for an English question"]["penalty_language"] < 0
    assert found["honest"]["penalty_language"] == 0
