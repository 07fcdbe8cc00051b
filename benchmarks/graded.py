"""How well the bonus agrees with people who graded trajectories by hand, and whether your judge hears what they heard.

    python benchmarks/graded.py                                      # the table of docs/FIDELITY.md, without an encoder
    python benchmarks/graded.py --reward '{encoder: {path: models/all-MiniLM-L6-v2}}'
    python benchmarks/graded.py --recorded                           # a judge compares the texts: recorded replies
    python benchmarks/graded.py --reward '{judge: {kind: openai, base_url: "http://..."}, agreement: {kind: judge}}'

Spearman correlations of score and grade over `tests/rewards/graded` (every answer is right, so only the bonus
differs). The last column counts the questions for which a trajectory that contradicts its evidence scores at least as
high in stage joint as good reasoning without a search.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from scipy.stats import spearmanr

from medr3_plugin.errors import UserError
from medr3_plugin.knowledge.judge_agreement import JudgeAgreement
from medr3_plugin.llm.client import Completion
from medr3_plugin.rewards.score_rows import read_rows
from medr3_plugin.rewards.scorer import Scorer, build_scorer

FOLDER = Path(__file__).parent.parent / "tests/rewards/graded"
REPLIES = FOLDER / "replies.jsonl"
STAGES = ("reasoning", "retrieval", "joint")


class Recorded:
    """A chat client that answers from the recorded replies."""

    name = "recorded replies"

    def __init__(self) -> None:
        rows = map(json.loads, REPLIES.read_text(encoding="utf-8").splitlines())
        self._replies = {row["mark"]: json.dumps(row["reply"]) for row in rows}

    async def complete(self, messages: Sequence[Mapping[str, str]], *_: Any, **__: Any) -> Completion:
        mark = messages[1]["content"].split("\n", 1)[0].strip("=[] ")
        if mark not in self._replies:
            raise SystemExit(f"{REPLIES}: no reply to the messages of now; leave out --recorded")
        return Completion(self._replies[mark])


def table(scorer: Scorer, names: Sequence[str]) -> None:
    print("| set | trajectories | reasoning, retrieval, joint | contradiction on top |\n|---|---|---|---|")
    for name in names:
        path = FOLDER / f"{name}.jsonl"
        rows = list(map(json.loads, path.read_text(encoding="utf-8").splitlines()))
        found = []
        for stage in STAGES:
            scored = asyncio.run(scorer.score(list(read_rows(path, stage))))
            failures = [failure for one in scored for failure in one.failures]
            if failures:
                raise SystemExit(f"{len(failures)} failures: {', '.join(sorted(set(failures)))}")
            scores = [one.record["score"] for one in scored]
            found.append(spearmanr(scores, [row["grades"][stage] for row in rows])[0])
        kinds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for row, score in zip(rows, scores, strict=True):
            question, _, kind = row["id"].partition("/")
            kinds[question][kind[0]].append(score)
        both = [of_kind for of_kind in kinds.values() if "E" in of_kind and "B" in of_kind]
        on_top = sum(max(of_kind["E"]) >= min(of_kind["B"]) for of_kind in both)
        print(f"| {name} | {len(rows)} | {', '.join(f'{r:.2f}' for r in found)} | {on_top} of {len(both)} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", help="names of files in tests/rewards/graded (default: all)")
    parser.add_argument("--reward", default="{}", help="the section medr3.reward, as yaml")
    parser.add_argument("--recorded", action="store_true", help="compare the texts by recorded replies")
    arguments = parser.parse_args()
    sets = sorted(path.stem for path in FOLDER.glob("*.jsonl") if path != REPLIES)
    if unknown := set(arguments.sets) - set(sets):
        parser.error(f"no such set: {', '.join(sorted(unknown))}; there are {', '.join(sets)}")
    try:
        scorer = build_scorer(yaml.safe_load(arguments.reward))
    except (UserError, yaml.YAMLError) as error:
        parser.error(f"--reward: {error}")
    names = arguments.sets or sets
    if arguments.recorded:
        scorer.comparer = JudgeAgreement(Recorded())
        known = {
            json.loads(line)["trajectory"].split("/")[0]
            for line in REPLIES.read_text(encoding="utf-8").splitlines()
        }
        names = arguments.sets or sorted(known)
    table(scorer, names)


if __name__ == "__main__":
    main()
