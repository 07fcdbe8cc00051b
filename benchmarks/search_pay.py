"""What a search earns within its group, for different weights of the first stage's pay for a search.

    python benchmarks/search_pay.py                                  # the table of docs/LEARNING.md
    python benchmarks/search_pay.py --keep RUN/trajectories.jsonl    # keep what the table needs of another run

Scores are computed again as A + g·((1−w)·S + w·N) + P from the parts of each trajectory of the first stage, and the
advantages from them as GRPO does: less the group's mean, divided by its standard deviation.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "docs/learning/unread_float32/first_stage.jsonl"
WEIGHTS = (0.1, 0.2, 0.3, 0.5, 1.0)


def parts_of(trajectories: Path) -> Iterator[dict[str, Any]]:
    """What the table needs of the trajectories of a run's first stage."""
    with trajectories.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            if (row["kind"], row["stage"]) != ("train", "reasoning"):
                continue
            reward = row["reward"]
            yield {
                "step": row["step"],
                "question": row["id"],
                "answer": reward["answer"],
                "gate": row["reasons"]["composition"]["gate"],
                "reasoning": round(reward["reasoning"], 6),
                "searched": reward["searches"] > 0,
                "penalties": round(sum(v for name, v in reward.items() if name.startswith("penalty_")), 6),
            }


def advantages_of_searches(rows: Sequence[Mapping[str, Any]], weight: float) -> list[float]:
    """The advantages of the trajectories that searched, if a search weighs `weight`."""
    groups = defaultdict(list)
    for row in rows:
        bonus = (1 - weight) * row["reasoning"] + weight * row["searched"]
        score = row["answer"] + row["gate"] * bonus + row["penalties"]
        groups[row["step"], row["question"]].append((score, row["searched"]))
    found = []
    for group in groups.values():
        scores = [score for score, _ in group]
        mean, deviation = statistics.mean(scores), statistics.stdev(scores)
        found += [(score - mean) / (deviation + 1e-6) for score, searched in group if searched]
    return found


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each weight."""
    lines = ["| weight of a search | mean advantage of a search | share above 0 |", "|---|---|---|"]
    for weight in WEIGHTS:
        found = advantages_of_searches(rows, weight)
        above = sum(value > 0 for value in found) / len(found)
        lines.append(f"| {weight:g} | {statistics.mean(found):+.2f} | {above:.2f} |")
    searches = sum(row["searched"] for row in rows)
    return "\n".join([*lines, f"{searches} of {len(rows)} trajectories searched"])


def main() -> None:
    """Print the table, or keep a run's parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--keep", type=Path, help="trajectories.jsonl of a run; its parts replace the kept ones"
    )
    parser.add_argument("--file", type=Path, default=FILE, help="the kept parts")
    args = parser.parse_args()
    if args.keep:
        rows = [json.dumps(row) for row in parts_of(args.keep)]
        args.file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(table([json.loads(line) for line in args.file.read_text(encoding="utf-8").splitlines()]))


if __name__ == "__main__":
    main()
