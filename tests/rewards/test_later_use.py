"""Which of the model's words count as use of what it retrieved: those behind the documents, and none of the query."""

from __future__ import annotations

import asyncio

import pytest

from medr3_plugin.records import Document, Hit, Reference, Sample, SearchTurn, Triple
from medr3_plugin.rewards.scorer import build_scorer

DOCUMENT = Document(
    "d1",
    "Allopurinol lowers serum urate by inhibition of xanthine oxidase. Febuxostat is an alternative in renal disease.",
    source="review",
    evidence_level=8,
)
USE = "Allopurinol inhibits xanthine oxidase, so febuxostat is the alternative here."
SHOWN = f"<document>{DOCUMENT.text}</document>"


def utilisation(response: str, query: str) -> float:
    sample = Sample(
        "1",
        "Which drug lowers the level in this man?",
        f"{response}<answer>the second one</answer>",
        ("the second one",),
        gold_docs=("d1",),
        searches=(SearchTurn(query, (Hit(DOCUMENT, 1.0),), ("d1",)),),
        stage="retrieval",
        forged=False,
    )
    [scored] = asyncio.run(build_scorer({}).score([sample]))
    assert scored.record["documents"] == 1.0
    return scored.record["retrieval_utilisation"]


@pytest.mark.parametrize(
    "query", ["gout drugs", "gout <think> drugs", "gout </think> drugs", "gout <answer> drugs"]
)
def test_what_stands_before_the_documents_is_no_use(query):
    search = f"<search>{query}</search>"
    before = utilisation(f"<think>{USE} {search}{SHOWN} Well.</think>", query)
    behind = utilisation(f"<think>Let me look. {search}{SHOWN} {USE}</think>", query)
    assert (before, behind) == (0.0, 1.0)


@pytest.mark.parametrize(
    "call",
    [
        '<tool_call>{{"name": "medical_search", "arguments": {{"query": "{query}"}}}}</tool_call>'
        "<tool_response>{shown}</tool_response>",
        "<search>{query}</search>{shown}",
    ],
)
def test_the_query_is_no_use(call):
    asked = call.format(query=USE, shown=SHOWN)
    assert utilisation(f"<think>Let me look. {asked} Well.</think>", USE) == 0.0
    # nor does the query's own claim become use by being named again
    assert utilisation(f"<think>Let me look. {asked} As for febuxostat.</think>", USE) == 0.0
    asked = call.format(query="gout drugs", shown=SHOWN)
    assert utilisation(f"<think>Let me look. {asked} {USE}</think>", "gout drugs") == 1.0


def test_a_document_is_used_by_what_it_states_and_half_by_what_it_names():
    def of(words):
        return utilisation(
            f"<think>Let me look. <search>gout drugs</search>{SHOWN} {words}</think>", "gout drugs"
        )

    assert of("Xanthine oxidase is inhibited by allopurinol.") == 1.0
    assert of("So febuxostat.") == 0.5
    assert of("Allopurinol raises serum urate by activation of xanthine oxidase.") == -1.0


@pytest.mark.parametrize("answer", ["<answer>febuxostat</answer>", "<answer>B</answer>"])
def test_naming_the_answer_is_no_use(answer):
    """Every right trajectory names it, and whoever read nothing does."""

    def of(words, query="gout drugs"):
        sample = Sample(
            "1",
            "Which drug lowers the level in this man?",
            f"<think>Hm. <search>{query}</search>{SHOWN} {words}</think>{answer}",
            ("febuxostat",),
            options={"A": "colchicine", "B": "febuxostat"},
            gold_docs=("d1",),
            searches=(SearchTurn(query, (Hit(DOCUMENT, 1.0),), ("d1",)),),
            forged=False,
            stage="retrieval",
        )
        return asyncio.run(build_scorer({}).score([sample]))[0].record["retrieval_utilisation"]

    assert of("So febuxostat.") == 0.0
    assert of("A matter of xanthine oxidase, so febuxostat.") == 0.5
    # nor is what a longer phrase of the query names
    assert of("A matter of xanthine oxidase.", "xanthine oxidase inhibitors") == 0.0


@pytest.mark.parametrize(
    ("text", "relevant"),
    [
        ("Botulinum toxin causes flaccid paralysis.", False),  # what another diagnosis would be
        ("Tetanospasmin blocks interneurons.", True),
        ("Less release of glycine causes spasm, while botulinum toxin causes flaccid paralysis.", True),
    ],
)
def test_documents_on_something_else_alone_are_not_relevant(text, relevant):
    triples = [
        Triple("tetanospasmin", "blocks", "interneurons", True),
        Triple("tetanospasmin", "decreases", "glycine", False),
        Triple("botulinum toxin", "causes", "flaccid paralysis", True),
    ]
    sample = Sample(
        "1",
        "Which mechanism?",
        f"<think>Hm. <search>spasm</search><document>{text}</document> Well.</think><answer>glycine</answer>",
        ("decreased release of glycine",),
        references=(Reference(tuple(triples), ""),),
        searches=(SearchTurn("spasm", (Hit(Document("d", text), 1.0),), ("d",)),),
        forged=False,
        stage="retrieval",
    )
    record = asyncio.run(build_scorer({}).score([sample]))[0].record
    assert (record["retrieval_coverage"] > 0) == relevant


def test_what_another_document_says_contradicts_none_on_another_subject():
    angelman = Document(
        "a", "Frequent inappropriate laughter and absent speech are typical of Angelman syndrome."
    )
    rett = Document("r", "Laughter and absent speech are not typical of Rett syndrome. Hand wringing is.")
    text = "Frequent laughter and absent speech are typical of Angelman syndrome. Rett syndrome has hand wringing."
    sample = Sample(
        "1",
        "Which syndrome?",
        "<think><search>laughter</search>"
        f"<document>{angelman.text}</document><document>{rett.text}</document> {text}</think><answer>A</answer>",
        ("Angelman syndrome",),
        gold_docs=("a", "r"),
        searches=(SearchTurn("laughter", (Hit(angelman, 1.0), Hit(rett, 0.9)), ("a", "r")),),
        stage="retrieval",
        forged=False,
    )
    [scored] = asyncio.run(build_scorer({}).score([sample]))
    assert scored.record["retrieval_utilisation"] >= 0.5


@pytest.mark.parametrize(("own", "breadth"), [(USE, 1.0), ("I leave that aside.", 0.0)])
def test_a_search_counts_if_what_it_brought_is_taken_up(own, breadth):
    sample = Sample(
        "1",
        "Which drug lowers the level in this man?",
        f"<think><search>gout</search>{SHOWN} {own}</think><answer>the second one</answer>",
        ("the second one",),
        gold_docs=("d1",),
        searches=(SearchTurn("gout", (Hit(DOCUMENT, 1.0),), ("d1",)),),
        stage="retrieval",
        forged=False,
    )
    [scored] = asyncio.run(build_scorer({}).score([sample]))
    assert scored.record["retrieval_breadth"] == breadth


def test_naming_in_an_untrue_statement_is_no_use():
    """It contradicts a known fact of which the document, whose name it takes, says nothing."""
    reference = Reference((Triple("febuxostat", "raises", "clearance of creatinine", True),))
    response = (
        f"<think>Let me look. <search>gout drugs</search>{SHOWN} %s</think><answer>the second one</answer>"
    )

    def of(words):
        sample = Sample(
            "1",
            "Which drug?",
            response % words,
            ("the second one",),
            gold_docs=("d1",),
            references=(reference,),
            searches=(SearchTurn("gout drugs", (Hit(DOCUMENT, 1.0),), ("d1",)),),
            forged=False,
            stage="retrieval",
        )
        return asyncio.run(build_scorer({}).score([sample]))[0].record["retrieval_utilisation"]

    assert of("So febuxostat.") == 0.5
    assert of("Febuxostat lowers the clearance of creatinine.") == 0.0
    assert of("Febuxostat lowers the clearance of creatinine. A matter of xanthine oxidase.") == 0.5
