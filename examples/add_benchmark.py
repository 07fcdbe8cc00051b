"""Add your own benchmark: write it as jsonl, see what the model would be asked, evaluate.

    python examples/add_benchmark.py my_benchmark.jsonl

A row is {"id", "question", "answer"} and, for a choice question, "options" (letter -> text); "answers" lists accepted
synonyms, "gold_docs" the documents that hold the answer (for retrieval recall).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from medr3_plugin.evaluation.benchmarks import load_benchmark

ROWS = [
    {"id": "own:1", "question": "Which vitamin prevents scurvy?", "answers": ["vitamin C", "ascorbic acid"]},
    {
        "id": "own:2",
        "question": "Which drug is first choice in status epilepticus?",
        "options": {"A": "lorazepam", "B": "aspirin", "C": "ibuprofen", "D": "metformin"},
        "answer": "A",
        "gold_docs": ["guideline:epilepsy:3"],
    },
]


def main(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    name, questions = load_benchmark(f"generic={path}", form="choice", style="search")
    for question in questions:
        print(f"{question.sample.id}: accepted {list(question.sample.answers)}")
    print("\nwhat the model is asked:\n")
    print(questions[-1].prompt[-1]["content"])
    print(
        f"\nevaluate with\n  medr3 eval --model MODEL --benchmark {name}={path} --index INDEX --out results"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "my_benchmark.jsonl"))
