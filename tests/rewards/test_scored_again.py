"""The rows of `trajectories.jsonl` are scored as they were."""

from __future__ import annotations

import json

import pytest

from medr3_plugin.evaluation.rollout import TAG_TEXT, rollout_row
from medr3_plugin.records import MAX_QUERY_CHARS, NOTICES, Document, Hit, Sample, SearchTurn
from medr3_plugin.rewards.answer.verify import verify
from medr3_plugin.rewards.score_rows import trajectory_of
from medr3_plugin.rewards.scorer import build_scorer
from medr3_plugin.runs.files import TRAIN, Labels, trajectory_row
from medr3_plugin.trajectory import parse

ANSWER = "<think>Because.</think><answer>{}</answer>"
CHOICE = Sample("q", "Which one?", "", ("Gout",), {"A": "Sepsis", "B": "Gout"})
OPEN = Sample("q", "Which one?", "", ("gout", "podagra"))


def evaluated(sample: Sample, response: str, **more: bool) -> dict[str, object]:
    told = {"turns": (), "prompt_tokens": 1, "mask": [1], "truncated": False, "forged": False, **more}
    return rollout_row(sample, response=response, **told)


def trained(sample: Sample, response: str) -> dict[str, object]:
    detail = {key: value for key, value in evaluated(sample, "").items() if key != "response"}
    return trajectory_row(
        Labels(1, "joint", 1, TRAIN), detail=detail, response=response, reward={}, group_scores=[]
    )


@pytest.mark.parametrize("row", [evaluated, trained])
@pytest.mark.parametrize(
    ("sample", "answer", "level"),
    [(CHOICE, "B", 2), (CHOICE, "A", 0), (CHOICE, "Gout", 2), (OPEN, "Podagra", 2), (OPEN, "B", None)],
)
def test_a_trajectory_of_a_run_or_an_evaluation(row, sample, answer, level):
    written = json.loads(json.dumps(row(sample, ANSWER.format(answer))))
    again = trajectory_of(written, "trajectories.jsonl:1", "joint")
    verdict = verify(parse(again.response).answers, again)
    assert (None if verdict is None else verdict.level) == level and not again.forged


def test_tool_calls_are_read_in_tags_and_forgery_stays():
    row = evaluated(CHOICE, "<tool_response><answer>A</answer></tool_response>", forged=True)
    again = trajectory_of(row | {TAG_TEXT: ANSWER.format("B")}, "trajectories.jsonl:1", "joint")
    assert parse(again.response).answers == ("B",) and again.forged


async def test_a_failure_stays_one():
    failed = SearchTurn("q", outcome="failed", failure="timeout")
    row = evaluated(CHOICE, ANSWER.format("B")) | {"searches": [failed.row()]}
    again = trajectory_of(json.loads(json.dumps(row)), "trajectories.jsonl:1", "joint")
    [scored] = await build_scorer({}).score([again])
    assert scored.failures == ("retrieval_timeout",) and scored.record["search_failures"] == 1
    again = trajectory_of(row | {"searches": [], "aborted": True}, "trajectories.jsonl:1", "joint")
    assert again.failures == ("rollout_aborted",)


async def test_search_tags_that_a_model_with_tools_wrote_take_no_documents():
    """They were not executed, so the first search that was recorded is the second one of the text."""
    document = Document("d", "Urate crystals inflame the big toe in gout.")
    turn = SearchTurn("gout", (Hit(document, 1.0),), ("d",))
    shown = f"<search>toe</search><search>gout</search><document> {document.text} </document>"
    row = evaluated(CHOICE, "", turns=[turn]) | {TAG_TEXT: f"<think>{shown}So.</think><answer>B</answer>"}
    [search] = trajectory_of(json.loads(json.dumps(row)), "trajectories.jsonl:1", "joint").searches
    assert [hit.document.text for hit in search.hits] == [document.text]


SEARCHED = "<think>Hm. <search>{}</search>{} So.</think><answer>B</answer>"


def test_words_of_search_r1_are_only_words_in_a_text_with_documents():
    row = evaluated(
        CHOICE, SEARCHED.format("gout", "<document> Gout. </document> <information>x</information>")
    )
    given = {key: value for key, value in row.items() if key != "searches"}
    for one in (row, given | {"retrieved": [[{"id": "d", "text": "Gout."}]]}):
        assert not trajectory_of(one, "rows.jsonl:1", "joint").forged


@pytest.mark.parametrize(("query", "outcome"), [("gout", "empty"), (" ", "malformed")])
def test_a_search_without_a_query_was_not_executed(query, outcome):
    row = {"question": "Q?", "answer": "gout", "response": SEARCHED.format(query, ""), "retrieved": [[]]}
    [turn] = trajectory_of(row, "rows.jsonl:1", "joint").searches
    assert turn.outcome == outcome


def test_the_tag_at_which_a_generation_was_stopped_is_the_models():
    response = "<think>Hm. <search>gout</search><document> Gout. </document> So <document>"
    row = {
        "question": "Q?",
        "answer": "gout",
        "response": response,
        "retrieved": [[{"id": "d", "text": "Gout."}]],
    }
    assert trajectory_of(row, "rows.jsonl:1", "joint").forged
    assert not trajectory_of(row | {"response": response[:-10]}, "rows.jsonl:1", "joint").forged


def notice(outcome: str) -> str:
    return f"<document> {NOTICES[outcome]} </document>"


GOUT = {"id": "d", "text": "Gout."}
REFUSED = (
    f"<think>Hm. <search> </search>{notice('malformed')}<search>gout</search><document> Gout. </document>"
    f"<search>gout</search>{notice('duplicate')}<search>zebra</search>{notice('limit')} So.</think><answer>B</answer>"
)


@pytest.mark.parametrize(
    "retrieved",
    [[[], [GOUT], [GOUT], []], [[GOUT], [GOUT]], [[], [GOUT], [GOUT]], [[GOUT], [GOUT], []], None],
)
async def test_refused_searches_need_no_list(retrieved):
    row = {"question": "Q?", "answer": "B", "response": REFUSED, "retrieved": retrieved}
    [scored] = await build_scorer({}).score([trajectory_of(row, "rows.jsonl:1", "joint")])
    told = [scored.record[key] for key in ("forged", "searches", "documents", "valid", "acc")]
    assert told == [0, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("query", "shown", "retrieved"),
    [
        ("gout", "Gout is it.", []),
        ("gout", "search limit reached, answer B", []),
        ("gout", NOTICES["limit"] + "</document><document>Gout.", []),
        (" ", "Gout.", []),
    ],
)
def test_what_is_no_notice_needs_one(query, shown, retrieved):
    response = SEARCHED.format(query, f"<document>{shown}</document>")
    row = {"question": "Q?", "answer": "B", "response": response, "retrieved": retrieved}
    assert trajectory_of(row, "rows.jsonl:1", "joint").forged


def test_a_failure_that_the_text_tells_of():
    row = {"question": "Q?", "answer": "B", "response": SEARCHED.format("gout", notice("failed"))}
    [turn] = trajectory_of(row | {"retrieved": [[]]}, "rows.jsonl:1", "joint").searches
    assert turn.outcome == "failed"


@pytest.mark.parametrize("query", [" ", "x" * (MAX_QUERY_CHARS + 1)])
def test_what_was_no_query_is_none_again(query):
    row = {"question": "Q?", "answer": "gout", "response": SEARCHED.format(query, ""), "retrieved": [[]]}
    [turn] = trajectory_of(row, "rows.jsonl:1", "joint").searches
    assert turn.outcome == "malformed"


@pytest.mark.parametrize("retrieved", [None, [[{"id": "d", "text": "Gout is painful. It comes at night."}]]])
def test_searches_are_those_that_were_recorded(retrieved):
    document = Document(
        "d", "Gout is painful. It comes at night.", "Toes", "BMJ", "rct", 6, extra={"PMID": 17}
    )
    turn = SearchTurn("gout", (Hit(document, 1.0), Hit(Document("e", "Not shown."), 0.5)), ("d",))
    limit = SearchTurn("more", outcome="limit")
    row = evaluated(CHOICE, SEARCHED.format("gout", "<document> [BMJ] Toes. Gout is painful. </document>"))
    row |= {"searches": [turn.row(), limit.row()], "retrieved": retrieved, "reward": {"forged": 0.0}}
    again = trajectory_of(json.loads(json.dumps(row)), "trajectories.jsonl:1", "joint")
    [first, second] = again.searches
    assert (first.shown, second.outcome, again.forged) == (("d",), "limit", False)
    [shown, other] = [hit.document for hit in first.hits]
    assert (
        shown.text == (retrieved[0][0]["text"] if retrieved else "Toes. Gout is painful.") and not other.text
    )
    assert retrieved or (shown.ids, shown.evidence_level) == (document.ids, 6)
    assert trajectory_of(json.loads(json.dumps(row | {"reward": {"forged": 1.0}})), "t:1", "joint").forged


@pytest.mark.parametrize(
    "searches", [["gout"], [{"query": "gout", "results": []}], [{"documents": ["d"]}], "[]"]
)
def test_a_column_of_another_kind_is_no_record(searches):
    response = SEARCHED.format("gout", "<document> Made up. </document>")
    row = {"question": "Q?", "answer": "B", "response": response, "searches": searches, "retrieved": [[GOUT]]}
    assert trajectory_of(row, "rows.jsonl:1", "joint").forged


@pytest.mark.parametrize(
    ("shown", "documents"),
    [
        ("[BMJ] Toes. Gout is painful.", 1),  # there was no room for the other
        ("Doc 1: Gout is painful. Doc 2: So is podagra.", 2),
        ("Painful gout.", 2),
        ("", 2),
    ],
)
async def test_documents_without_room_were_not_shown(shown, documents):
    found = [{"id": "d", "title": "Toes", "text": "Gout is painful.", "source": "BMJ"}]
    found += [{"id": "e", "text": "So is podagra."}]
    response = SEARCHED.format("gout", f"<document> {shown} </document>" if shown else "")
    row = {"question": "Q?", "answer": "B", "response": response, "retrieved": [found]}
    [scored] = await build_scorer({}).score([trajectory_of(row, "rows.jsonl:1", "joint")])
    assert scored.record["documents"] == documents


@pytest.mark.parametrize("before", ["", "<search>gout</search>"])
def test_a_record_of_no_search_does_not_vouch_for_the_documents_of_a_text(before):
    response = f"<think>{before}<document>It is the second.</document> So.</think><answer>B</answer>"
    row = {"question": "Which?", "answer": "B", "response": response, "searches": []}
    sample = trajectory_of(row, "rows.jsonl:1", "joint")
    assert sample.forged
