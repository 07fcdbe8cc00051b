"""Accuracy of the evidence rules on documents whose type is known from their source (MEDR3_SHARED, else ../shared).

    python benchmarks/evidence.py

Known types: randomised trials (Evidence Inference), guideline summaries, text for patients and disease
profiles; and PubMedQA abstracts with a MeSH heading for their design, which is not shown to the rules.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections import Counter, defaultdict
from pathlib import Path

from medr3_plugin.retrieval.corpus.evidence import LEVELS
from medr3_plugin.retrieval.corpus.evidence_rules import classify

CORPUS = Path(os.environ.get("MEDR3_SHARED", Path(__file__).parents[2] / "shared")) / "data" / "corpus"
MESH = {
    "Double-Blind Method": "rct",
    "Random Allocation": "rct",
    "Case-Control Studies": "case_control",
    "Cross-Sectional Studies": "cross_sectional",
    "Retrospective Studies": "cohort",
    "Cohort Studies": "cohort",
    "Prospective Studies": "cohort",
    "Longitudinal Studies": "cohort",
    "Follow-Up Studies": "cohort",
}


def known(row: dict[str, object]) -> str | None:
    if row["evidence_type_method"] == "source":
        return str(row["evidence_type"])
    headings = row.get("mesh") or ()
    if isinstance(headings, list) and "Humans" in headings:
        return next((f"{kind} (MeSH)" for heading, kind in MESH.items() if heading in headings), None)
    return None


def main() -> None:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    seconds, documents = 0.0, 0
    for file in sorted(CORPUS.glob("*.jsonl.gz")):
        with gzip.open(file, "rt") as lines:
            for row in map(json.loads, lines):
                if (kind := known(row)) is None:
                    continue
                begun = time.process_time()
                guess = classify(row["title"], row["text"])
                seconds += time.process_time() - begun
                documents += 1
                found[kind][guess or "nothing"] += 1
    print("| known type | documents | same type | same level | level above 1 | most frequent answers |")
    print("|---|---|---|---|---|---|")
    for kind, guesses in sorted(found.items()):
        name, total = kind.removesuffix(" (MeSH)"), guesses.total()
        level = LEVELS[name]
        same = sum(count for guess, count in guesses.items() if LEVELS.get(guess, 1) == level)
        above = sum(count for guess, count in guesses.items() if LEVELS.get(guess, 1) > 1)
        common = ", ".join(f"{guess} {count}" for guess, count in guesses.most_common(4))
        print(
            f"| {kind} | {total} | {guesses[name] / total:.1%} | {same / total:.1%} | {above / total:.1%} | {common} |"
        )
    print(f"\n{1e6 * seconds / documents:.0f} microseconds of one core a document")


if __name__ == "__main__":
    main()
