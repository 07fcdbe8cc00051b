"""S, T and C with a judge that compares the texts: its numbers counted by hand."""

from __future__ import annotations

import dataclasses
import json
import re
from types import SimpleNamespace

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.knowledge.judge_agreement import MAX_DOCUMENTS, MAX_FACTS
from medr3_plugin.records import Document, Hit, Reference, Sample, SearchTurn, Triple
from medr3_plugin.rewards.evidence import OwnText
from medr3_plugin.rewards.explain import explain
from medr3_plugin.rewards.judged import Judged, Sentence, sentences_of
from medr3_plugin.rewards.scorer import build_scorer

TRIAL = Document("trial", "Losartan slowed the widening of the aortic root in the trial.", evidence_level=6)
REVIEW = Document("review", "Mutations of FBN1 underlie Marfan syndrome.", evidence_level=9)
OTHER = Document("other", "Stroke units save lives.", evidence_level=9)
SAMPLE = Sample(
    stage="joint",
    id="1",
    question="Which drug?",
    response=(
        "<think>I recall that the gene is that of fibrillin. <search>marfan drug</search>"
        f"<document>{TRIAL.text}</document><document>{REVIEW.text}</document><document>{OTHER.text}</document>"
        "An ARB lets the vessel dilate faster. The gene behind it all is fibrillin's. So I take it.</think>"
        "<answer>losartan</answer>"
    ),
    answers=("losartan",),
    references=(
        Reference(
            (
                Triple("losartan", "slows", "aortic dilation", True),
                Triple("FBN1", "causes", "Marfan syndrome", True),
                Triple("Marfan syndrome", "affects", "lens"),
            )
        ),
    ),
    searches=(
        SearchTurn(
            "marfan drug", tuple(Hit(d, 1.0) for d in (TRIAL, REVIEW, OTHER)), ("trial", "review", "other")
        ),
    ),
)
# S1 recalls the gene before the search, S2 reverses the trial, S3 says what the review says
REPLY = {
    "per_document": [
        {"document": 1, "states": [1], "agrees": [], "contradicts": [2]},
        {"document": 2, "states": [2], "agrees": [1, 3], "contradicts": []},
        {"document": 3, "states": [], "agrees": [4], "contradicts": [1]},
    ],
    "facts": [
        {"fact": 1, "agrees": [], "contradicts": [2]},
        {"fact": 2, "agrees": [1, 3], "contradicts": []},
    ],
}


async def scored(server, sample=SAMPLE, reply=REPLY, stage="joint", **options):
    server.script = [reply if isinstance(reply, int | str) else json.dumps(reply)]
    judge = {"kind": "openai", "base_url": server.url, "model": "m", "attempts": 1}
    scorer = build_scorer({"judge": judge, "agreement": {"kind": "judge"}, **options})
    [one] = await scorer.score([dataclasses.replace(sample, stage=stage)])
    return one


async def test_its_numbers_make_the_parts(chat_server):
    record = (await scored(chat_server)).record
    assert record["retrieval_coverage"] == 1.0  # both facts from retrieval, each by one document
    assert record["retrieval_quality"] == pytest.approx((6 + 9) / 2 / 9)  # the third is not relevant
    assert record["retrieval_utilisation"] == 0.0  # one contradicted, one used
    assert record["retrieval_breadth"] == 1.0
    # one of three facts stated, one denied; four sentences, three of which speak of a fact
    assert record["reasoning_logic"] == 0.0
    assert record["coordination"] == 0.0  # one sentence after the search agrees, one contradicts


async def test_before_the_search_and_what_was_copied_is_no_use(chat_server):
    early = {
        **REPLY,
        "per_document": [{"document": 1}, {"document": 2, "states": [2], "agrees": [1]}, {"document": 3}],
    }
    record = (await scored(chat_server, reply=early)).record
    assert record["retrieval_utilisation"] == 0.0 and record["coordination"] == 0.0

    long = (
        "In this large trial "
        + TRIAL.text[0].lower()
        + TRIAL.text[1:-1]
        + " over three whole years of follow-up."
    )
    trial = dataclasses.replace(TRIAL, text=long)
    [turn] = SAMPLE.searches
    copying = dataclasses.replace(
        SAMPLE,
        response=SAMPLE.response.replace("An ARB lets the vessel dilate faster.", long),
        searches=(dataclasses.replace(turn, hits=(Hit(trial, 1.0), *turn.hits[1:])),),
    )
    others = [{"document": 2}, {"document": 3}]
    copied = {"per_document": [{"document": 1, "states": [1], "agrees": [2]}, *others], "facts": []}
    record = (await scored(chat_server, copying, copied)).record
    assert record["retrieval_coverage"] == 0.5 and record["retrieval_utilisation"] == 0.0
    denied = {"per_document": [{"document": 1, "states": [1], "contradicts": [2]}, *others], "facts": []}
    record = (await scored(chat_server, copying, denied)).record
    assert record["retrieval_utilisation"] == -1.0 and record["coordination"] == -1.0


async def test_what_another_relevant_document_says_contradicts_none(chat_server):
    reply = {
        "per_document": [
            {"document": 1, "states": [1], "agrees": [], "contradicts": [3]},
            {"document": 2, "states": [2], "agrees": [3], "contradicts": []},
            {"document": 3},
        ]
    }
    record = (await scored(chat_server, reply=reply)).record
    assert record["retrieval_utilisation"] == 0.5 and record["coordination"] > 0


def with_reasoning(text, **changed):
    before, _, after = SAMPLE.response.partition("An ARB lets the vessel dilate faster.")
    _, _, end = after.partition("</think>")
    return dataclasses.replace(SAMPLE, response=f"{before}{text}</think>{end}", **changed)


def numbered(server, letter="S"):
    """The last list of sentences (documents D, facts F) that the judge was shown."""
    shown = server.requests[-1]["messages"][1]["content"]
    return [line.split(": ", 1)[1] for line in shown.splitlines() if re.match(rf"{letter}\d+: ", line)]


async def test_saying_it_again_or_in_pieces_without_words_changes_nothing(chat_server):
    text = "An ARB slows the widening of the root. The sea is blue and wide today. So I take it."
    reply = {
        "per_document": [{"document": 1, "states": [1], "agrees": [2]}, {"document": 2}, {"document": 3}]
    }
    reply["facts"] = [{"fact": 1, "agrees": [2]}]
    once = (await scored(chat_server, with_reasoning(text), reply)).record
    more = text.replace(
        "So I", "1. - An ARB slows the widening of the root! * An ARB slows the widening of the root. So I"
    )
    again = (await scored(chat_server, with_reasoning(more), reply)).record
    assert once["coordination"] > 0 and once["reasoning_logic"] > 0
    parts = ("reasoning", "retrieval", "coordination")
    assert [again[part] for part in parts] == [once[part] for part in parts]
    assert len(numbered(chat_server)) == 7  # of which three are one


async def test_a_sentence_is_shown_wherever_it_stands_and_taken_back_there(chat_server):
    said, back = "An ARB slows the widening of the root.", "That is wrong."
    text = f"{said} The sea is blue and wide today. {back} {said} {back}"
    reply = {
        "per_document": [{"document": 1, "states": [1], "agrees": [2]}, {"document": 2}, {"document": 3}]
    }
    one = await scored(chat_server, with_reasoning(text), reply)
    assert numbered(chat_server)[1:] == [said, "The sea is blue and wide today.", back, said, back]
    assert one.record["coordination"] > 0
    reply["per_document"][0]["contradicts"] = [5]
    one = await scored(chat_server, with_reasoning(text), reply)
    assert one.record["coordination"] == one.record["retrieval_utilisation"] == -1.0
    assert one.reasons["coordination"]["contradicting"] == [said]


async def test_signs_make_sentences_differ_and_marks_do_not(chat_server):
    def different(*texts):
        case = SimpleNamespace(thoughts=[OwnText("think", text, 0, text) for text in texts])
        return len(sentences_of(case)[0])

    pairs = ["It fell (p < 0.05).|It fell (p > 0.05).", "A shift of +5 was seen.|A shift of -5 was seen."]
    pairs += ["Is it gout?|It is gout.", "Potency: morphine > codeine.|Potency: morphine < codeine."]
    pairs = [pair.split("|") for pair in pairs] + [["Is it gout?", "Is it gout."]]
    assert [different(*pair) for pair in pairs] == [2] * len(pairs)
    same = ["It is gout.", "> It is gout.", "- It is gout!", "-> It is gout.", "1. It is gout."]
    assert [different(same[0], other) for other in same[1:-1]] == [1] * 3


def test_one_and_the_same_occurrence_is_later_and_own():
    judged = Judged((Sentence("Own before, copied later.", ((0, True), (50, False)), True),), {}, {}, {})
    assert judged.own() and judged.later(10) and not judged.own(10)


async def test_a_document_is_read_as_far_as_it_was_shown(chat_server):
    whole = (
        "Losartan slowed the widening of the aortic root in the trial. Its dose was 50 mg, and nobody died."
    )
    cut = whole.partition(" Its dose")[0]
    twin = whole.replace("nobody died", "two patients died of it")  # begins as the other one does

    async def shown(response, *documents, texts=(whole, twin), title=""):
        found = [Document(id_, text, title=title) for id_, text in zip(("a", "b"), texts, strict=True)]
        search = SearchTurn("drug", tuple(Hit(d, 1.0) for d in found), ("a", "b"))
        before, after = response
        inside = "".join(f"<document> {text} </document>" for text in documents)
        text = f"<think>Hm. {before}{inside} An ARB is good for it.{after}</think><answer>losartan</answer>"
        sample = dataclasses.replace(SAMPLE, response=text, searches=(search,), gold_docs=(), forged=False)
        await scored(chat_server, sample, {"per_document": [{"document": 1}, {"document": 2}], "facts": []})
        return numbered(chat_server, "D")

    asked = ("<search>drug</search>", "")
    assert await shown(asked, cut, twin) == [cut, twin]
    assert await shown(asked, whole, twin[:50]) == [whole, twin[:50]]
    header = "[PubMed, rct, 2010] A trial of losartan. "
    assert await shown(asked, header + cut, header + twin) == [cut, twin]
    assert await shown(asked, header + cut[:19], twin) == [header + cut[:19], twin]
    assert await shown(asked, "A summary.", "Another.", title="T") == ["A summary.", "Another."]
    # places are not certain: several documents in one pair of tags, or in none
    assert await shown(asked, f"Doc 1: {whole} Doc 2: {twin}") == [whole, twin]
    assert await shown(asked) == [whole, twin]
    limit = ("<search>drug</search>", "<search>more</search><document>search limit reached</document>")
    assert await shown(limit, cut, twin) == [cut, twin]


async def test_a_search_that_is_hidden_leaves_documents_to_be_found_by_their_beginning(chat_server):
    whole = (
        "Losartan slowed the widening of the aortic root in the trial. Its dose was 50 mg, and nobody died."
    )
    twin = whole.replace("nobody died", "two patients died of it")
    documents = [Document("a", whole), Document("b", twin)]
    searches = tuple(SearchTurn(d.id, (Hit(d, 1.0),), (d.id,)) for d in documents)
    text = f"<think>Hm. <search>a</search><document>[1] {whole[:70]}</document><document>{twin}</document> So.</think>"
    sample = dataclasses.replace(
        SAMPLE, response=f"{text}<answer>losartan</answer>", searches=searches, forged=False
    )
    await scored(chat_server, sample, {"per_document": [{"document": 1}, {"document": 2}], "facts": []})
    assert numbered(chat_server, "D") == [whole[:70], twin]


async def test_of_too_many_facts_the_references_take_turns_and_the_others_do_not_count(chat_server):
    def reference(letter, count):
        return Reference(
            tuple(Triple(f"losartan {letter}{i}", "slows", f"root {i}", True) for i in range(count))
        )

    sample = dataclasses.replace(SAMPLE, references=(reference("a", 59), reference("b", 59)))
    states = list(range(2, MAX_FACTS + 1, 2))
    reply = {
        "per_document": [{"document": 1, "states": states, "agrees": [2]}, {"document": 2}, {"document": 3}]
    }
    reply["facts"] = [{"fact": place, "agrees": [2, 3]} for place in states]
    record = (await scored(chat_server, sample, reply)).record
    facts = numbered(chat_server, "F")
    assert len(facts) == MAX_FACTS and [fact.split()[1] for fact in facts[:4]] == ["a0", "b0", "a1", "b1"]
    assert record["retrieval_coverage"] == 1.0
    few = dataclasses.replace(SAMPLE, references=(reference("a", 2), reference("b", 2)))
    await scored(chat_server, few, {**reply, "facts": []})
    assert [fact.split()[1] for fact in numbered(chat_server, "F")] == ["a0", "a1", "b0", "b1"]


async def test_of_too_many_documents_gold_ones_are_read_and_it_is_told(chat_server):
    many = [Document(f"d{i}", f"Fact number {i} is here.") for i in range(MAX_DOCUMENTS + 3)]
    search = SearchTurn("drug", tuple(Hit(d, 1.0) for d in many), tuple(d.id for d in many))
    inside = "".join(f"<document>{d.text}</document>" for d in many)
    text = f"<think><search>drug</search>{inside} An ARB slows the widening of it.</think><answer>losartan</answer>"
    sample = dataclasses.replace(
        SAMPLE, response=text, searches=(search,), gold_docs=(many[-1].id,), forged=False
    )
    documents = [{"document": i, "agrees": [1] if i == 1 else []} for i in range(1, MAX_DOCUMENTS + 1)]
    one = await scored(chat_server, sample, {"per_document": documents, "facts": []})
    assert numbered(chat_server, "D") == [d.text for d in (many[-1], *many[: MAX_DOCUMENTS - 1])]
    assert one.record["retrieval_utilisation"] == 1.0 and "3 more documents than the judge" in explain(one)


async def test_a_scrap_agrees_with_nothing_but_can_contradict(chat_server):
    text = "Dilation slows. That is wrong. The sea is blue and wide today. The sky is blue and wide today."
    documents = [
        {"document": 1, "states": [1], "agrees": [2]},
        {"document": 2, "states": [2]},
        {"document": 3},
    ]
    record = (
        await scored(chat_server, with_reasoning(text), {"per_document": documents, "facts": []})
    ).record
    assert record["coordination"] == record["retrieval_utilisation"] == 0.0
    documents[0] = {"document": 1, "states": [1], "contradicts": [3]}
    record = (
        await scored(chat_server, with_reasoning(text), {"per_document": documents, "facts": []})
    ).record
    assert record["coordination"] == -1.0


async def test_of_very_many_sentences_scraps_are_left_out_first(chat_server):
    said = "The vessel under this drug dilates faster than ever."
    text = f"{' '.join(f'No {i}!' for i in range(200))} {said} {' '.join(f'Oh {i}!' for i in range(200))}"
    reply = {"per_document": [{"document": i} for i in (1, 2, 3)], "facts": []}
    await scored(chat_server, with_reasoning(text), reply)
    assert said in numbered(chat_server) and len(numbered(chat_server)) == 2


async def test_references_that_share_a_fact_share_what_is_said_of_it(chat_server):
    [fact, *_] = SAMPLE.references[0].triples
    again = Triple(fact.head, fact.relation, fact.tail, False)
    reply = {"per_document": [{"document": i} for i in (1, 2, 3)], "facts": [{"fact": 1, "agrees": [3]}]}
    sample = dataclasses.replace(SAMPLE, references=(Reference((fact,)), Reference((again,))))
    record = (await scored(chat_server, sample, reply)).record
    assert record["reasoning_logic"] > 0
    assert chat_server.requests[-1]["messages"][1]["content"].count("losartan slows aortic dilation") == 1


async def test_a_reference_of_text_alone_is_compared_by_rules(chat_server):
    text = "Losartan slows the dilation of the aortic root in Marfan syndrome."
    reply = {"per_document": [{"document": i} for i in (1, 2, 3)], "facts": []}
    sample = with_reasoning(text.replace("slows", "does not slow"), references=(Reference((), text),))
    assert (await scored(chat_server, sample, reply)).record["reasoning"] == 0.0
    assert (await scored(chat_server, with_reasoning(text, references=(Reference((), text),)), reply)).record[
        "reasoning"
    ]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {"max_tokens": 4096}),
        ({"max_tokens": 9000}, {"max_tokens": 9000}),
        (
            {"parameters": {"max_tokens": None, "max_completion_tokens": 9000}},
            {"max_completion_tokens": 9000},
        ),
    ],
)
async def test_the_judge_s_own_limit_counts_if_it_is_higher(chat_server, given, sent):
    chat_server.script = [json.dumps(REPLY)]
    judge = {"kind": "openai", "base_url": chat_server.url, "model": "m", **given}
    await build_scorer({"judge": judge, "agreement": {"kind": "judge"}}).score([SAMPLE])
    request = chat_server.requests[0]
    assert {key: request[key] for key in request if key.startswith("max_")} == sent


async def test_what_contradicts_is_explained(chat_server):
    one = await scored(chat_server)
    assert "An ARB lets the vessel dilate faster." in explain(one)


PARTS = (
    "reasoning",
    "reasoning_logic",
    "reasoning_statistic",
    "retrieval",
    "retrieval_coverage",
    "coordination",
)


async def test_a_judge_that_fails_makes_the_sample_invalid_and_nothing_is_measured(chat_server):
    one = await scored(chat_server, reply=500)
    assert not one.record["valid"] and one.failures == ("judge_status_500",)
    assert [one.record[part] for part in PARTS] == [0.0] * len(PARTS)
    assert one.record["acc"] == 1.0 and one.record.keys() == (await scored(chat_server)).record.keys()
    told = explain(one)
    assert "invalid" in told and "judge_status_500" in told and "coordination" not in told
    json.dumps(one.reasons)


async def test_a_failed_verdict_leaves_what_was_measured(chat_server):
    undecided = dataclasses.replace(
        SAMPLE, response=SAMPLE.response.replace("<answer>l", "<answer>something like L")
    )
    chat_server.script = [
        lambda asked: json.dumps(REPLY) if "F1: " in asked["messages"][1]["content"] else 500
    ]
    judge = {"kind": "openai", "base_url": chat_server.url, "model": "m", "attempts": 1}
    scorer = build_scorer({"judge": judge, "agreement": {"kind": "judge"}})
    [one] = await scorer.score([undecided])
    whole = await scored(chat_server)
    assert one.failures == ("judge_status_500",) and one.record["judge_failures"] == 1.0
    assert [one.record[part] for part in PARTS] == [whole.record[part] for part in PARTS]
    assert one.record["retrieval"] > 0 and "coordination" in explain(one)


async def test_a_failed_verdict_and_a_failed_comparison_are_one_failed_sample(chat_server):
    undecided = dataclasses.replace(
        SAMPLE, response=SAMPLE.response.replace("<answer>l", "<answer>something like L")
    )
    one = await scored(chat_server, undecided, 500)
    assert chat_server.asked() == 2
    assert one.failures == ("judge_status_500",) and one.record["judge_failures"] == 1.0


async def test_a_failed_extractor_leaves_nothing_measured(chat_server):
    one = await scored(chat_server, reply=500, extractor={"kind": "judge"}, agreement={"kind": "rules"})
    assert one.failures == ("judge_status_500",)
    assert [one.record[part] for part in PARTS] == [0.0] * len(PARTS) and "reasoning" not in one.reasons


@pytest.mark.parametrize("extractor", [{}, {"extractor": {"kind": "judge"}, "agreement": {"kind": "rules"}}])
async def test_what_is_invalid_from_the_start_is_not_read(chat_server, extractor):
    [turn] = SAMPLE.searches
    failed = SearchTurn("more", outcome="failed", failure="timeout")
    lost = [{"failures": ("rollout_aborted",)}, {"searches": (turn, failed)}]
    for changed in lost:
        one = await scored(chat_server, dataclasses.replace(SAMPLE, **changed), **extractor)
        assert not one.record["valid"] and one.record["judge_failures"] == 0.0 and chat_server.asked() == 0
        assert [one.record[part] for part in PARTS] == [0.0] * len(PARTS) and "invalid" in explain(one)


@pytest.mark.parametrize(
    ("options", "stage"),
    [
        ({"preset": "paper"}, "joint"),
        ({"preset": "authors"}, "reasoning"),
        ({"weights": {"searched": 0.5}}, "reasoning"),
    ],
)
async def test_it_is_not_asked_where_nothing_depends_on_it(chat_server, options, stage):
    one = await scored(chat_server, stage=stage, **options)
    assert one.record["valid"] and chat_server.asked() == 0


async def test_the_retrieval_stage_asks_nothing_about_a_trajectory_without_documents(chat_server):
    sample = dataclasses.replace(
        SAMPLE, response="<think>I know it.</think><answer>losartan</answer>", searches=()
    )
    one = await scored(chat_server, sample, stage="retrieval")
    assert one.record["valid"] and chat_server.asked() == 0


async def test_it_needs_a_model():
    with pytest.raises(UserError, match=r"medr3\.reward\.agreement\.kind"):
        build_scorer({"agreement": {"kind": "judge"}})
