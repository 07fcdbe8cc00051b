"""S, T and C with a judge that compares the texts: its numbers counted by hand."""

from __future__ import annotations

import dataclasses
import json

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.records import Document, Hit, Reference, Sample, SearchTurn, Triple
from medr3_plugin.rewards.explain import explain
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
        "<document>trial</document><document>review</document><document>other</document>"
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


def numbered(server):
    shown = server.requests[0]["messages"][1]["content"]
    return [line.split(": ", 1)[1] for line in shown.splitlines() if line.startswith("S")]


async def test_saying_it_again_or_in_pieces_without_words_changes_nothing(chat_server):
    text = "An ARB slows the widening of the root. The sea is blue and wide today. So I take it."
    reply = {"per_document": [{"document": 1, "states": [1], "agrees": [2]}, {"document": 2}, {"document": 3}]}
    reply["facts"] = [{"fact": 1, "agrees": [2]}]
    once = (await scored(chat_server, with_reasoning(text), reply)).record
    more = text.replace(
        "So I", "1. - An ARB slows the widening of the root! * An ARB slows the widening of the root. So I"
    )
    again = (await scored(chat_server, with_reasoning(more), reply)).record
    assert once["coordination"] > 0 and once["reasoning_logic"] > 0
    parts = ("reasoning", "retrieval", "coordination")
    assert [again[part] for part in parts] == [once[part] for part in parts]
    assert len(numbered(chat_server)) == 4


async def test_a_scrap_agrees_with_nothing_but_can_contradict(chat_server):
    text = "Dilation slows. That is wrong. The sea is blue and wide today. The sky is blue and wide today."
    documents = [
        {"document": 1, "states": [1], "agrees": [2]},
        {"document": 2, "states": [2]},
        {"document": 3},
    ]
    record = (await scored(chat_server, with_reasoning(text), {"per_document": documents, "facts": []})).record
    assert record["coordination"] == record["retrieval_utilisation"] == 0.0
    documents[0] = {"document": 1, "states": [1], "contradicts": [3]}
    record = (await scored(chat_server, with_reasoning(text), {"per_document": documents, "facts": []})).record
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


async def test_a_judge_that_fails_makes_the_sample_invalid(chat_server):
    one = await scored(chat_server, reply=500)
    assert not one.record["valid"] and "judge_status_500" in one.failures


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
