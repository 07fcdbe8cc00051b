"""What the formulas of the preset `paper` invite, and what the same earns under `medr3` (table: docs/FIDELITY.md).

python tests/adversarial/test_attacks_on_paper.py        prints the table
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from cases import CONCLUSION, REASONING, VOCABULARY, respond, sample, search, turn

from medr3_plugin.records import Document
from medr3_plugin.rewards.scorer import build_scorer

GUIDELINES = tuple(
    Document(
        f"g{i}",
        f"Hand hygiene prevents infection on the ward, part {i}.",
        "Hygiene",
        f"body {i}",
        "guideline",
        7,
    )
    for i in range(4)
)
PADDED = Document(
    "p1",
    "Colchicine reduces pain. Salbutamol relieves bronchospasm in asthma. Inhaled corticosteroids reduce "
    "exacerbations. Sepsis causes fever. Lupus causes fever.",
    "Pharmacology",
    "textbook",
    "textbook",
    1,
)
PADDING = (
    "Pain calls for colchicine. In asthma salbutamol works. Fever comes with sepsis. With lupus comes fever. "
)
# holds names together and states nothing of them; what the model says of them is invented
NAMES = Document(
    "n1",
    "Notes: pain and colchicine, asthma and salbutamol, fever and sepsis.",
    "Notes",
    "notes",
    "guideline",
    7,
)
INVENTED = "Colchicine causes pain. Salbutamol causes asthma. Fever causes sepsis. "
NOTHING = turn(query="x", outcome="empty")

CASES = {
    "honest": ("retrieval", sample(respond())),
    "guidelines only, all irrelevant": (
        "retrieval",
        sample(respond(think=f"{REASONING}{search(*GUIDELINES)}{CONCLUSION}"), searches=(turn(*GUIDELINES),)),
    ),
    "graph padded with retrieved facts": (
        "retrieval",
        sample(respond(think=f"{search(PADDED)}{PADDING}"), searches=(turn(PADDED),)),
    ),
    "retrieved names, invented statements": (
        "retrieval",
        sample(respond(think=f"{search(NAMES)}{INVENTED}"), searches=(turn(NAMES),)),
    ),
    "reasoning, no search": ("reasoning", sample(respond(think=REASONING + CONCLUSION), searches=())),
    "reasoning, one search for nothing": (
        "reasoning",
        sample(respond(think=f"{REASONING}<search>x</search>{CONCLUSION}"), searches=(NOTHING,)),
    ),
    "reasoning, one irrelevant search": (
        "reasoning",
        sample(respond(think=f"{REASONING}{search(*GUIDELINES)}{CONCLUSION}"), searches=(turn(*GUIDELINES),)),
    ),
    "no reasoning, one search for nothing": (
        "reasoning",
        sample(respond(think="It must be so, everybody can see it. <search>x</search>"), searches=(NOTHING,)),
    ),
}


FORMULAS = {
    "paper": {"preset": "paper"},
    "medr3": {"preset": "medr3"},
}


def bonuses(vocabulary: str) -> dict[str, tuple[float, ...]]:
    """For each case what a right answer earns beyond answer and format, under each of FORMULAS."""
    found: dict[str, list[float]] = {name: [] for name in CASES}
    for name, options in FORMULAS.items():
        base = 3.0 if name == "paper" else 1.0
        scorer = build_scorer({**options, "extractor": {"vocabularies": [vocabulary]}})
        for title, (stage, case) in CASES.items():
            staged = replace(case, stage=stage)
            [one] = asyncio.run(scorer.score([staged]))
            assert one.record["acc"] == 1.0
            found[title].append(one.record["score"] - base)
    return {title: tuple(earned) for title, earned in found.items()}


def vocabulary_in(folder: Path) -> str:
    path = folder / "terms.jsonl"
    path.write_text("\n".join(json.dumps({"name": name}) for name in VOCABULARY), encoding="utf-8")
    return str(path)


def test_what_the_formulas_of_the_paper_pay_for_and_ours_do_not(tmp_path):
    found = bonuses(vocabulary_in(tmp_path))
    paper, ours = ({name: earned[i] for name, earned in found.items()} for i in range(2))
    # six levels count whatever they are about: four irrelevant guidelines earn the most that quality can give
    assert paper["guidelines only, all irrelevant"] >= 0.5
    assert ours["guidelines only, all irrelevant"] == 0.0
    # facts of a document about something else count as breadth
    assert paper["graph padded with retrieved facts"] > 0.3
    assert ours["graph padded with retrieved facts"] == 0.0
    # and so does what is invented about names that a document holds together
    assert paper["retrieved names, invented statements"] > paper["honest"]
    assert ours["retrieved names, invented statements"] == 0.0
    # a search for nothing is worth as much as all of the reasoning
    assert paper["reasoning, one search for nothing"] == pytest.approx(paper["reasoning, no search"] + 1.0)
    assert paper["no reasoning, one search for nothing"] > paper["reasoning, no search"]
    assert ours["reasoning, one search for nothing"] <= ours["reasoning, no search"] + 1e-9
    assert ours["no reasoning, one search for nothing"] < ours["reasoning, no search"]
    assert ours["reasoning, one irrelevant search"] <= ours["reasoning, no search"] + 1e-9


def table(vocabulary: str) -> str:
    rows = [
        f"| {case} | {CASES[case][0]} | {' | '.join(f'+{value:.2f}' for value in earned)} |"
        for case, earned in bonuses(vocabulary).items()
    ]
    return "\n".join(
        [f"| what | stage | {' | '.join(FORMULAS)} |", f"|---|---|{'---|' * len(FORMULAS)}", *rows]
    )


def test_the_page_shows_what_the_formulas_pay(tmp_path):
    page = Path(__file__).parents[2] / "docs/FIDELITY.md"
    assert table(vocabulary_in(tmp_path)) in page.read_text(encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(table(vocabulary_in(Path(folder))) + "\n")
