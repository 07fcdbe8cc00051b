"""Documents that list what belongs to their subject: saying one of these of it uses the document."""

from __future__ import annotations

import asyncio
import json

import pytest

from medr3_plugin.rewards.score_rows import read_rows
from medr3_plugin.rewards.scorer import build_scorer

PROFILE = (
    "Malignant atrophic papulosis. Signs: telangiectasia of the skin, papule, intestinal perforation. "
    "There is no fever."
)
NAMES = [
    "Malignant atrophic papulosis",
    "Telangiectasia of the skin",
    "Papule",
    "Intestinal perforation",
    "Deafness",
    "Fever",
]


@pytest.mark.parametrize(
    ("says", "utilisation"),
    [
        ("Malignant atrophic papulosis has deafness, papule, telangiectasia of the skin.", 1.0),
        ("There is papule. There is telangiectasia of the skin.", 0.0),  # the question's signs, of nothing
        ("Malignant atrophic papulosis has deafness.", 0.0),
        ("Malignant atrophic papulosis has no papule.", -1.0),
        ("Malignant atrophic papulosis has fever, deafness.", 0.0),  # the profile denies it
        ("It is so.", 0.0),
    ],
)
def test_use_of_a_profile(tmp_path, says, utilisation):
    vocabulary, rows = tmp_path / "vocabulary.jsonl", tmp_path / "rows.jsonl"
    vocabulary.write_text("".join(json.dumps({"name": name}) + "\n" for name in NAMES))
    row = {
        "question": "Which disease has the signs papule, telangiectasia of the skin?",
        "answer": NAMES[0],
        "gold_docs": ["d"],
        "retrieved": [[{"id": "d", "text": PROFILE}]],
        "response": f"<think><search>papule</search><document>{PROFILE}</document>{says}</think>"
        f"<answer>{NAMES[0]}</answer>",
    }
    rows.write_text(json.dumps(row) + "\n")
    scorer = build_scorer({"extractor": {"vocabularies": [str(vocabulary)]}})
    [scored] = asyncio.run(scorer.score(list(read_rows(rows, "retrieval"))))
    assert scored.record["retrieval_utilisation"] == utilisation
