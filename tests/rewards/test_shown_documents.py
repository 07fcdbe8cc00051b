"""Whether the documents that a text shows are those that were retrieved, however they are rendered."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.records import Document, Hit, SearchTurn
from medr3_plugin.rewards.shown_documents import was_retrieved
from medr3_plugin.trajectory import parse

TEXT = "Sofosbuvir cures hepatitis C in most patients and is well tolerated."
CHINESE = "索磷布韦可治愈大多数丙型肝炎患者，且耐受性良好。"
INVENTED = "Aspirin cures every cancer within two weeks of daily treatment."
RENDERINGS = [
    '{{"id": "d1", "title": "HCV", "text": "{0}"}}',
    '[{{"rank": 1, "score": 0.87, "document": {{"title": "HCV", "contents": "{0}"}}}}]',
    "{{'id': 'd1', 'score': 0.87, 'content': '{0}'}}",
    "Title: HCV\nSource: PubMed\nRelevance score: 0.87\nSnippet: {0}",
    "Page content: {0} Metadata: {{'source': 'pubmed', 'score': 0.87}}",
    "page_content='{0}' metadata={{'source': 'pubmed', 'title': 'HCV'}}",
    "<title>HCV</title><text>{0}</text>",
    "id: d1\ntitle: HCV\nyear: 2014\nevidence type: rct\nurl: https://example.org/d1\ntext: {0}",
    "标题：HCV\n年份：2014\n相关度得分：0.87\n内容：{0}",
]


def genuine(shown: str, text: str = TEXT, title: str = "HCV") -> bool:
    document = Document(
        "d1", text, title, year=2014, evidence_type="rct", extra={"url": "https://example.org/d1"}
    )
    response = f"<think>a <search>q</search><document>{shown}</document> b</think><answer>c</answer>"
    return was_retrieved(parse(response), [SearchTurn("q", (Hit(document, 1.0),), "ok")])


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_fields_around_a_short_document_are_a_rendering(rendering: str) -> None:
    assert genuine(rendering.format(TEXT)) and genuine(rendering.format(CHINESE), CHINESE)


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_an_invented_sentence_beside_the_retrieved_ones_is_forged(rendering: str) -> None:
    assert not genuine(rendering.format(f"{TEXT} {INVENTED}")) and not genuine(rendering.format(INVENTED))
    assert not genuine(rendering.replace("HCV", INVENTED).format(TEXT)) or "HCV" not in rendering
    assert not genuine(rendering.format(f"{CHINESE}阿司匹林两周内治愈所有癌症。"), CHINESE)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": TEXT, "note": INVENTED},
        {"summary": "HCV is cured by aspirin in all", "text": TEXT},
        {"text": TEXT, "content": "Cures by aspirin: most patients, most cancers, most weeks."},
        {INVENTED: "", "text": TEXT},
    ],
)
def test_an_invented_field_is_forged(fields: dict[str, str]) -> None:
    assert not genuine(json.dumps(fields))


@given(
    st.lists(st.text("abcdefghij", min_size=2, max_size=6), min_size=6, max_size=30),
    st.lists(st.text("uvwxyz", min_size=2, max_size=6), min_size=6, max_size=30),
)
def test_json_of_a_document_is_genuine_and_with_other_words_is_not(own: list[str], other: list[str]) -> None:
    text = " ".join(own)
    assert genuine(json.dumps({"id": "d1", "title": "HCV", "text": text, "year": 2014}), text)
    assert (
        not genuine(json.dumps({"id": "d1", "text": f"{text} {' '.join(other)}"}), text)
        or len(other) < len(own) / 9 + 3
    )
