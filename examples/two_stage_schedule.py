"""Your own schedule: two stages with their own rewards, checked before any GPU is used.

    python examples/two_stage_schedule.py

The yaml below replaces `medr3.stages` in a copied recipe. The simulated accuracies show when a stage would end.
"""

from __future__ import annotations

import math

import yaml

from medr3_plugin import Schedule
from medr3_plugin.rewards.options import read_options, stage_options
from medr3_plugin.stages.promotion import decide

STAGES = """
- name: search_first          # learn to find evidence; the answer still decides
  max_searches: 3
  reward:
    preset: retrieval
    weights: {retrieval: 1.0}
    retrieval: {coverage: 0.6, quality: 0.2, utilisation: 0.1, breadth: 0.1}
  until: {max_steps: 80, min_steps: 20, metric: acc, window: 5, patience: 10}
- name: reason_with_it        # the weight moves from retrieval to reasoning over the stage
  max_searches: 3
  reward:
    preset: joint
    weights: {retrieval: [0.8, 0.2], reasoning: [0.2, 0.8]}
  until: {max_steps: 120}
"""


def accuracy(step: int) -> float:
    """A made-up learning curve that flattens out."""
    return 0.3 + 0.2 * (1 - math.exp(-step / 8))


def main() -> None:
    stages = yaml.safe_load(STAGES)
    schedule = Schedule.from_config(stages)
    options = {"stages": {stage["name"]: stage["reward"] for stage in stages}}
    read_options(options)
    for stage in schedule.stages:
        weights = stage_options(options, stage.name).weights
        assert weights is not None
        moved = zip(weights.at(0).items(), weights.at(1).values(), strict=True)
        print(
            f"{stage.name}: {', '.join(f'{part} {start} to {end}' for (part, start), end in moved if start or end)}"
        )
    history: list[float] = []
    for stage in schedule.stages:
        history.clear()
        for step in range(1, stage.until.max_steps + 1):
            history.append(accuracy(step))
            if reason := decide(stage.until, step, history):
                print(f"{stage.name} ends after step {step}: {reason}")
                break


if __name__ == "__main__":
    main()
