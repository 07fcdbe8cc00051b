"""The rewards in TRL's GRPOTrainer: `GRPOTrainer(reward_funcs=[medr3_reward], ...)`.

    python examples/trl_reward.py

The function comes from `medr3_plugin.integrations.trl`; here it gets a scorer. TRL passes the dataset's columns:
`answers` (accepted answers) and, if present, `question`, `options`, `dataset` and `references`.
"""

from __future__ import annotations

import asyncio

from medr3_plugin import build_scorer
from medr3_plugin.integrations.trl import make_reward_func

# {"judge": {"kind": "openai", "base_url": "http://127.0.0.1:8000/v1"}} judges open answers by a language model.
# opens_think=True if the chat template ends its prompts with <think>.
medr3_reward = make_reward_func(build_scorer({}))


def main() -> None:
    question = "Which vitamin prevents scurvy?"
    thought = "<think>Scurvy is a lack of collagen.</think>"
    completions = [
        [{"role": "assistant", "content": f"{thought}<answer>{a}</answer>"}] for a in ("A", "B", "A or B")
    ]
    rewards = asyncio.run(
        medr3_reward(
            prompts=[[{"role": "user", "content": question}]] * 3,
            completions=completions,
            answers=[["vitamin C"]] * 3,
            options=[{"A": "vitamin C", "B": "vitamin D"}] * 3,
        )
    )
    print("rewards", [None if reward is None else round(reward, 3) for reward in rewards])


if __name__ == "__main__":
    main()
