"""The scorer end to end, with real parsing, verifying, extraction and a judge that fails on demand."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest

from medr3_plugin.errors import EncoderFailure, JudgeFailure, UserError
from medr3_plugin.judge.base import Verdict
from medr3_plugin.knowledge.extract import LexiconExtractor
from medr3_plugin.knowledge.vocabulary import Entry, Vocabulary
from medr3_plugin.records import Document, Hit, Reference, Sample, SearchTurn, Triple
from medr3_plugin.rewards.formula import formula
from medr3_plugin.rewards.options import StageOptions
from medr3_plugin.rewards.record import KEYS
from medr3_plugin.rewards.scorer import Scorer, build_scorer

TERMS = [
    "Marfan syndrome",
    "ectopia lentis",
    "aortic dilation",
    "FBN1",
    "homocystinuria",
    "losartan",
    "stroke",
]
VOCABULARY = Vocabulary([*(Entry(term) for term in TERMS), Entry("tall stature", ("tallness",))])

REVIEW = Document(
    "review",
    "Ectopia lentis and aortic dilation are signs of Marfan syndrome, which FBN1 causes.",
    source="PubMed",
    evidence_type="systematic_review",
    evidence_level=8,
)
TRIAL = Document(
    "trial", "Losartan slows aortic dilation.", source="trials", evidence_type="rct", evidence_level=6
)
OTHER = Document("other", "Stroke care.", source="PubMed", evidence_level=1)

REFERENCE = Reference(
    (
        Triple("ectopia lentis", "suggests", "Marfan syndrome"),
        Triple("Marfan syndrome", "causes", "aortic dilation", True),
        Triple("FBN1", "causes", "Marfan syndrome", True),
    ),
    "Ectopia lentis points to Marfan syndrome.",
)
OWN = (
    "<think>Tallness with ectopia lentis. Ectopia lentis suggests Marfan syndrome. "
    "<search>ectopia lentis</search><document>[1] review</document><document>[2] other</document> "
    "FBN1 causes Marfan syndrome. Marfan syndrome causes aortic dilation.</think><answer>Marfan syndrome</answer>"
)
SAMPLE = Sample(
    id="1",
    question="A patient with tall stature and ectopia lentis: which diagnosis?",
    response=OWN,
    answers=("Marfan syndrome",),
    gold_docs=("review", "missing"),
    references=(Reference((Triple("a", "r", "b"),)), REFERENCE),
    searches=(SearchTurn("ectopia lentis", (Hit(REVIEW, 2.0), Hit(OTHER, 1.0)), ("review", "other")),),
    stage="joint",
    forged=False,
)


class FakeJudge:
    """Right for "yes", a failure for "down"; counts how many calls are under way."""

    def __init__(self, latency: float = 0.0):
        self.latency, self.under_way, self.most, self.seen = latency, 0, 0, []

    async def verdict(self, *, question, answer, answers, options, dataset):
        self.seen.append(answer)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(self.latency)
        self.under_way -= 1
        if answer == "down":
            raise JudgeFailure("judge at http://x: no answer", "timeout")
        return Verdict(2 if answer == "open answer" else 1, "fake", "fake")


class FakeEncoder:
    def __init__(self, cosine: float = 1.0, fails_on: str | None = None):
        self.cosine, self.fails_on = cosine, fails_on

    async def encode(self, texts):
        import numpy as np

        if any(self.fails_on and self.fails_on in text for text in texts):
            raise EncoderFailure("out of memory", "outofmemoryerror")
        other = [self.cosine, (1 - self.cosine**2) ** 0.5]
        return [np.array([1.0, 0.0])] + [np.array(other) for _ in texts[1:]]


def scorer(judge=None, encoder=None, c0=0.0, options=None):
    options = options or StageOptions()
    return Scorer(
        formula_of=lambda stage: formula(stage, options),
        judge=judge,
        extractor=LexiconExtractor(VOCABULARY),
        finder=VOCABULARY,
        encoder=encoder,
        c0=c0,
    )


def score(*samples, **arguments):
    return asyncio.run(scorer(**arguments).score(samples))


def with_answer(answer, **changes):
    return dataclasses.replace(
        SAMPLE, response=OWN.replace("<answer>Marfan syndrome", f"<answer>{answer}"), **changes
    )


def test_worked_example():
    [scored] = score(SAMPLE)
    r = scored.record
    assert tuple(r) == KEYS
    assert all(type(value) is float for value in r.values())
    # own edges: lentis -> marfan, fbn1 -> marfan, marfan -> aortic dilation, all in the reference, none missing;
    # its entities are the reference's
    assert (r["reasoning_logic"], r["reasoning_statistic"], r["reasoning_semantic"]) == (1.0, 1.0, 0.0)
    assert r["reasoning"] == pytest.approx(2 / 3)
    assert r["retrieval_quality"] == pytest.approx(8 / 9)
    assert r["retrieval_coverage"] == 0.5
    assert r["retrieval_utilisation"] == 1.0  # "other" is not relevant
    assert r["retrieval_breadth"] == 1.0  # the one search brought one
    assert r["retrieval"] == pytest.approx(0.1 * 8 / 9 + 0.3 * 0.5 + 0.35 * 1.0 + 0.25)
    assert r["coordination"] == 1.0
    assert r["score"] == pytest.approx(1 + 0.8 * (0.6 * 2 / 3 + 0.2 * r["retrieval"] + 0.2))
    assert (r["valid"], r["acc"], r["searches"], r["documents"], r["stage"]) == (1.0, 1.0, 1.0, 2.0, 2.0)
    assert scored.failures == ()


def test_reasons_say_why_and_are_json():
    [scored] = score(SAMPLE)
    reasons = json.loads(json.dumps(scored.reasons))
    assert reasons["reasoning"]["reference"] == 1
    assert ["fbn1", "+", "marfan syndrome"] in reasons["reasoning"]["matched_triples"]
    assert reasons["retrieval"] == {"coverage_of": "gold_docs", "relevant": ["review"], "used": ["review"]}
    assert reasons["answer"]["level"] == 2 and reasons["answer"]["source"].startswith("rule")


def test_semantic_term_is_measured_in_every_stage_and_centred_but_for_authors():
    retrieval = dataclasses.replace(SAMPLE, stage="retrieval")
    [scored] = score(retrieval, encoder=FakeEncoder(0.75), c0=0.5)
    assert scored.record["reasoning_semantic"] == pytest.approx(0.5)
    assert scored.record["score"] == score(retrieval)[0].record["score"]
    authors = StageOptions(preset="authors")  # which does not centre it
    authors = score(SAMPLE, encoder=FakeEncoder(0.75), c0=0.5, options=authors)[0].record
    assert authors["reasoning_semantic"] == pytest.approx(0.75)
    assert authors["score"] == pytest.approx(1 + 0.8 * (1 + 1 + 0.75) / 3)


def test_passages_of_gold_documents_cover_them():
    passage = Hit(dataclasses.replace(REVIEW, id="review#c1"), 2.0)
    searches = (SearchTurn("ectopia lentis", (passage,), ("review#c1",)),)
    for gold in (("review", "missing"), ("review#c1", "missing"), ("review#c0", "review#c1", "missing#c0")):
        [scored] = score(dataclasses.replace(SAMPLE, gold_docs=gold, searches=searches))
        assert scored.record["retrieval_coverage"] == 0.5
        assert scored.reasons["retrieval"]["relevant"] == ["review#c1"]


def test_coverage_falls_back_from_gold_to_references_to_the_answer():
    [by_reference] = score(dataclasses.replace(SAMPLE, gold_docs=()))
    assert by_reference.reasons["retrieval"]["coverage_of"] == "references"
    assert by_reference.record["retrieval_coverage"] == 1.0  # both retrieved facts stand in the review
    [by_answer] = score(dataclasses.replace(SAMPLE, gold_docs=(), references=()))
    assert by_answer.reasons["retrieval"]["coverage_of"] == "answer"
    assert by_answer.record["retrieval_coverage"] == 1.0
    yes_no = dataclasses.replace(SAMPLE, gold_docs=(), references=(), answers=("yes",))
    assert score(yes_no)[0].reasons["retrieval"]["coverage_of"] == "nothing"


def test_no_search_and_empty_searches_earn_nothing():
    silent = dataclasses.replace(SAMPLE, searches=())
    empty = dataclasses.replace(SAMPLE, searches=(SearchTurn("ectopia lentis", outcome="empty"),) * 3)
    limit = dataclasses.replace(SAMPLE, searches=(SearchTurn("ectopia lentis", outcome="limit"),))
    for sample in (silent, empty, limit):
        r = score(sample)[0].record
        assert (r["retrieval"], r["coordination"], r["documents"]) == (0.0, 0.0, 0.0)
    assert [score(s)[0].record["searches"] for s in (silent, empty, limit)] == [0.0, 3.0, 0.0]


def test_only_documents_that_were_shown_count():
    hidden = dataclasses.replace(SAMPLE.searches[0], shown=("other",))
    r = score(dataclasses.replace(SAMPLE, searches=(hidden,)))[0].record
    assert (r["retrieval_quality"], r["retrieval_coverage"], r["documents"]) == (0.0, 0.0, 1.0)


def test_second_search_uses_what_it_brings():
    response = (
        "<think>ectopia lentis <search>a</search><document>1</document> Marfan syndrome? <search>b</search>"
        "<document>2</document> losartan treats Marfan syndrome</think><answer>losartan</answer>"
    )
    turns = (
        SearchTurn("a", (Hit(REVIEW, 1.0),), ("review",)),
        SearchTurn("b", (Hit(REVIEW, 1.0), Hit(TRIAL, 1.0)), ("trial",)),
    )
    [scored] = score(dataclasses.replace(SAMPLE, response=response, searches=turns, answers=("losartan",)))
    assert scored.reasons["retrieval"]["used"] == ["review"]  # the other is not relevant
    assert scored.record["retrieval_breadth"] == 0.5  # the second search brought no other


def test_copying_a_document_is_no_reasoning():
    text = "Ectopia lentis and aortic dilation are signs of Marfan syndrome, which FBN1 causes, as everybody knows."
    document = dataclasses.replace(REVIEW, text=text)
    turn = dataclasses.replace(SAMPLE.searches[0], hits=(Hit(document, 1.0),), shown=("review",))
    response = (
        f"<think><search>ectopia lentis</search><document>{text}</document>{text}</think>"
        "<answer>Marfan syndrome</answer>"
    )
    r = score(dataclasses.replace(SAMPLE, response=response, searches=(turn,)))[0].record
    assert r["reasoning_logic"] == r["reasoning_statistic"] == 0.0
    # only the answer itself used something
    assert score(dataclasses.replace(SAMPLE, searches=(turn,)))[0].record["reasoning_logic"] == 1.0


def test_forged_is_the_floor_and_asks_no_judge():
    judge = FakeJudge()
    by_environment = dataclasses.replace(SAMPLE, forged=True)
    by_text = dataclasses.replace(
        SAMPLE, forged=None, searches=(), response=OWN.replace("<search>ectopia lentis</search>", "")
    )
    for scored in score(by_environment, by_text, judge=judge):
        r = scored.record
        told = [r[key] for key in ("score", "forged", "valid", "acc", "reasoning", "retrieval")]
        assert told == [-1, 1, 1, 0, 0, 0]
    assert not judge.seen
    # the environment knows better than the text
    trusted = dataclasses.replace(by_text, forged=False)
    assert score(trusted)[0].record["forged"] == 0.0


def test_no_answer():
    [scored] = score(dataclasses.replace(SAMPLE, response=OWN.partition("</think>")[0]))
    r = scored.record
    assert (r["score"], r["answer"], r["acc"], r["valid"], r["reasoning"]) == (-0.5, 0.0, 0.0, 1.0, 0.0)
    assert r["retrieval"] > 0  # what it retrieved is measured all the same


def test_hedging_is_wrong():
    r = score(with_answer("Marfan syndrome or homocystinuria"))[0].record
    assert r["acc"] == 0.0 and r["score"] <= 0.3


def test_the_judge_decides_what_no_rule_decides_and_sees_only_the_answer():
    judge = FakeJudge()
    [scored] = score(
        with_answer("open answer", answers=("Some long explanation of a mechanism",)), judge=judge
    )
    assert judge.seen == ["open answer"]
    assert (scored.record["acc"], scored.reasons["answer"]["source"]) == (1.0, "fake")
    [without] = score(with_answer("open answer", answers=("Some long explanation of a mechanism",)))
    assert without.record["answer"] == 0.1
    assert "no judge" in without.reasons["answer"]["reason"]


def test_a_judge_failure_invalidates_its_sample_alone():
    gold = ("Some long explanation of a mechanism",)
    samples = [with_answer(a, answers=gold, id=a) for a in ("open answer", "down", "half")]
    scored = score(*samples, judge=FakeJudge())
    assert [s.record["valid"] for s in scored] == [1.0, 0.0, 1.0]
    assert [s.record["judge_failures"] for s in scored] == [0.0, 1.0, 0.0]
    assert scored[1].failures == ("judge_timeout",)
    assert scored[1].record["score"] == 0.0
    assert [s.record["acc"] for s in scored] == [1.0, 0.0, 0.0]


def test_a_retrieval_failure_invalidates_its_sample():
    failed = SearchTurn("x", outcome="failed", failure="connection")
    [scored] = score(dataclasses.replace(SAMPLE, searches=(*SAMPLE.searches, failed)))
    r = scored.record
    assert (r["valid"], r["search_failures"], r["searches"], r["score"]) == (0.0, 1.0, 2.0, 0.0)
    assert scored.failures == ("retrieval_connection",)


def test_an_encoder_failure_invalidates_only_where_the_term_counts():
    other = dataclasses.replace(SAMPLE, id="2", response=OWN.replace("Tallness", "Cataract"))
    encoder = FakeEncoder(fails_on="Cataract")
    scored = score(SAMPLE, other, encoder=encoder)
    assert [s.record["valid"] for s in scored] == [1.0, 0.0]
    assert scored[1].failures == ("encoder_outofmemoryerror",)
    assert scored[0].record["reasoning_logic"] > 0 and scored[0].record["retrieval"] > 0
    measured = ("reasoning", "reasoning_logic", "reasoning_semantic", "retrieval", "coordination")
    assert [scored[1].record[part] for part in measured] == [
        0.0
    ] * 5  # part of them alone could be compared with no other
    retrieval = score(dataclasses.replace(other, stage="retrieval"), encoder=encoder)[0].record
    assert retrieval["valid"] == 1.0 and retrieval["retrieval"] > 0


def test_judge_calls_run_together():
    judge = FakeJudge(latency=1)  # long enough for a busy machine to begin most of them
    samples = [with_answer(f"open {i}", answers=("A mechanism at length",), id=str(i)) for i in range(64)]
    scored = score(*samples, judge=judge)
    assert judge.most > 32
    assert [s.id for s in scored] == [s.id for s in samples]


def test_cancelling_cancels_the_judge_calls():
    judge = FakeJudge(latency=60)

    async def main():
        task = asyncio.create_task(scorer(judge=judge).score([with_answer("open", answers=("At length",))]))
        while not judge.under_way:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        return [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]

    assert asyncio.run(main()) == []


def test_given_triples_are_taken_as_they_are():
    sample = dataclasses.replace(SAMPLE, triples=(Triple("FBN1", "causes", "Marfan syndrome"),))
    [scored] = score(sample)
    assert scored.reasons["reasoning"]["own_triples"] == 1
    assert scored.record["reasoning_logic"] == pytest.approx(1 / 5)  # reference: 3 edges and 2 two-edge paths


def test_overlong_ramp_and_languages():
    options = StageOptions(penalties={"overlong": {"max_tokens": 100, "buffer": 50}})
    r = score(dataclasses.replace(SAMPLE, response_tokens=75), options=options)[0].record
    assert r["penalty_overlong"] == -0.5
    chinese = score(dataclasses.replace(SAMPLE, question="患者身材高大，晶状体脱位，诊断是什么？"))[0].record
    assert chinese["penalty_language"] == pytest.approx(-0.2)


def test_build_scorer_checks_everything_at_the_start(tmp_path):
    with pytest.raises(UserError, match=r"stages\.joint\.wieghts"):
        build_scorer({"stages": {"joint": {"wieghts": {}}}})
    with pytest.raises(UserError, match="warm-up"):
        build_scorer({"stages": {"warm-up": {}}})
    with pytest.raises(UserError, match="does not exist"):
        build_scorer({"extractor": {"vocabularies": [str(tmp_path / "none.jsonl")]}})
    with pytest.raises(UserError, match="judge needs"):
        build_scorer({"extractor": {"kind": "judge"}, "judge": {"kind": "rule"}})


def test_build_scorer_with_vocabulary_and_stages(tmp_path):
    path = tmp_path / "terms.jsonl"
    path.write_text("".join(json.dumps({"name": term}) + "\n" for term in TERMS))
    options = {
        "extractor": {"vocabularies": [str(path)]},
        "stages": {"warm-up": {"preset": "retrieval", "weights": {"retrieval": 0.5}}},
    }
    built = build_scorer(options)
    [scored] = asyncio.run(built.score([dataclasses.replace(SAMPLE, stage="warm-up")]))
    assert scored.record["stage"] == 1.0
    assert scored.record["score"] == pytest.approx(1 + 0.8 * 0.5 * scored.record["retrieval"])
    with pytest.raises(UserError, match="unheard"):
        asyncio.run(built.score([dataclasses.replace(SAMPLE, stage="unheard")]))


def test_trajectories_without_a_record_are_read_from_their_text():
    response = (
        "<think><search>q</search><document>Ectopia lentis is a sign of Marfan syndrome: a randomized controlled "
        "trial.</document>Marfan syndrome</think><answer>Marfan syndrome</answer>"
    )
    sample = dataclasses.replace(
        SAMPLE, response=response, searches=(), gold_docs=(), references=(), forged=None
    )
    r = score(sample)[0].record
    assert (r["searches"], r["documents"], r["retrieval_coverage"]) == (1.0, 1.0, 1.0)
    # an environment that recorded nothing retrieved nothing
    assert score(dataclasses.replace(sample, forged=False))[0].record["searches"] == 0.0


def test_empty_batch():
    assert score() == []
