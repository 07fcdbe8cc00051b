"""The rewards in OpenRLHF: `--reward.remote_url openrlhf_reward.py --data.label_key label`.

    python examples/openrlhf_reward.py

OpenRLHF loads `reward_func` from this file; it is made by `medr3_plugin.integrations.openrlhf`. The label of a
row is the accepted answer, or JSON: {"question", "answers", "options"?, "dataset"?, "references"?}.
"""

from __future__ import annotations

import json

from medr3_plugin import build_scorer
from medr3_plugin.integrations.openrlhf import make_reward_func

# {"judge": {"kind": "openai", "base_url": "http://127.0.0.1:8000/v1"}} judges open answers by a language model.
reward_func = make_reward_func(build_scorer({}), stage="reasoning")


def main() -> None:
    prompt = "<|im_start|>user\nWhich vitamin prevents scurvy?<|im_end|>\n<|im_start|>assistant\n<think>"
    label = json.dumps(
        {"question": "Which vitamin prevents scurvy?", "answers": ["vitamin C", "ascorbic acid"]}
    )
    queries = [
        f"{prompt}Scurvy is a lack of collagen.</think><answer>{answer}</answer><|im_end|>"
        for answer in ("ascorbic acid", "vitamin D")
    ]
    result = reward_func(queries, [prompt] * 2, [label] * 2)
    print("rewards", [round(value, 3) for value in result["rewards"].tolist()])


if __name__ == "__main__":
    main()
