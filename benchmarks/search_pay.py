"""What a search earns within its group, for different weights of the first stage's pay for a search, and which groups
an update comes from.

    python benchmarks/search_pay.py                                  # the tables of docs/LEARNING.md
    python benchmarks/search_pay.py --keep RUN/trajectories.jsonl    # keep what they need of another run

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
DEFAULT = 0.5
MALFORMED = -0.05
"""Penalties below it hold that of a malformed response."""


def parts_of(trajectories: Path) -> Iterator[dict[str, Any]]:
    """What the tables need of the trajectories of a run's first stage."""
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


def groups_of(
    rows: Sequence[Mapping[str, Any]], weight: float
) -> list[list[tuple[float, Mapping[str, Any]]]]:
    """The trajectories of each question, with their scores less the group's mean, if a search weighs `weight`."""
    groups = defaultdict(list)
    for row in rows:
        bonus = (1 - weight) * row["reasoning"] + weight * row["searched"]
        groups[row["step"], row["question"]].append(
            (row["answer"] + row["gate"] * bonus + row["penalties"], row)
        )
    means = {key: statistics.mean(score for score, _ in group) for key, group in groups.items()}
    return [[(score - means[key], row) for score, row in group] for key, group in groups.items()]


def deviation(group: Sequence[tuple[float, Mapping[str, Any]]]) -> float:
    """What GRPO divides a group's advantages by."""
    return statistics.stdev(score for score, _ in group) + 1e-6


def pays(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each weight: the advantages of the trajectories that searched."""
    lines = ["| weight of a search | mean advantage of a search | share above 0 |", "|---|---|---|"]
    for weight in WEIGHTS:
        found = [
            score / deviation(group)
            for group in groups_of(rows, weight)
            for score, row in group
            if row["searched"]
        ]
        above = sum(value > 0 for value in found) / len(found)
        lines.append(f"| {weight:g} | {statistics.mean(found):+.2f} | {above:.2f} |")
    return "\n".join(lines)


def sources(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each kind of group: its share of the squared advantages, with and without division."""
    kinds: dict[str, list[tuple[float, float]]] = {"a search": [], "a malformed response": [], "neither": []}
    for group in groups_of(rows, DEFAULT):
        searched = any(row["searched"] for _, row in group)
        malformed = any(row["penalties"] < MALFORMED for _, row in group)
        kind = "a search" if searched else "a malformed response" if malformed else "neither"
        squares = sum(score**2 for score, _ in group)
        kinds[kind].append((squares / deviation(group) ** 2, squares))
    divided, plain = (sum(found[i] for group in kinds.values() for found in group) for i in (0, 1))
    lines = ["| groups with | groups | share, divided | share, not divided |", "|---|---|---|---|"]
    for kind, found in kinds.items():
        shares = (sum(one for one, _ in found) / divided, sum(other for _, other in found) / plain)
        lines.append(f"| {kind} | {len(found)} | {shares[0]:.2f} | {shares[1]:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables, or keep a run's parts."""
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
    rows = [json.loads(line) for line in args.file.read_text(encoding="utf-8").splitlines()]
    print(
        f"{sum(row['searched'] for row in rows)} of {len(rows)} trajectories searched",
        pays(rows),
        sources(rows),
        sep="\n\n",
    )


if __name__ == "__main__":
    main()
