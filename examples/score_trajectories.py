"""Score trajectories of your own model with the rewards of Med-R^3: no trainer, no GPU, core package only.

    python examples/score_trajectories.py

For files there is a command: `medr3 score --in TRAJ.jsonl --out SCORED.jsonl --stage joint --explain`.
"""

from __future__ import annotations

import asyncio

from medr3_plugin import Document, Hit, Reference, Sample, SearchTurn, Triple, build_scorer

PROFILE = Document(
    "d1",
    "Ectopia lentis, arachnodactyly and aortic root aneurysm are signs of Marfan syndrome.",
    title="Marfan syndrome",
    source="textbook",
    evidence_type="systematic review",
    evidence_level=8,
)
QUESTION = "Ectopia lentis and arachnodactyly: which disease?"
REFERENCE = Reference(
    triples=(
        Triple("ectopia lentis", "suggests", "marfan syndrome"),
        Triple("arachnodactyly", "suggests", "marfan syndrome"),
    ),
    text="Ectopia lentis and arachnodactyly suggest Marfan syndrome.",
)


def sample(name: str, answer: str) -> Sample:
    """A trajectory that searches once, reasons about what it found, and answers."""
    response = (
        "<think>Both are signs of connective tissue disorders. <search>ectopia lentis arachnodactyly</search>"
        f"<document>{PROFILE.text}</document>Ectopia lentis suggests Marfan syndrome. Arachnodactyly suggests "
        f"Marfan syndrome.</think><answer>{answer}</answer>"
    )
    search = SearchTurn("ectopia lentis arachnodactyly", (Hit(PROFILE, 12.3),), shown=("d1",))
    return Sample(
        id=name,
        question=QUESTION,
        response=response,
        answers=("Marfan syndrome",),
        gold_docs=("d1",),
        references=(REFERENCE,),
        searches=(search,),
        stage="joint",
    )


def main() -> None:
    scorer = build_scorer({})
    samples = [
        sample("right", "Marfan syndrome"),
        sample("hedged", "Marfan syndrome or homocystinuria"),
        sample("wrong", "cystic fibrosis"),
    ]
    parts = ("score", "answer", "reasoning", "retrieval", "coordination")
    print(f"{'':8}" + "".join(f"{part:>14}" for part in parts))
    for scored in asyncio.run(scorer.score(samples)):
        print(f"{scored.id:8}" + "".join(f"{scored.record[part]:14.3f}" for part in parts))


if __name__ == "__main__":
    main()
