"""Names under which `plugin` registers with verl; recipes use them."""

REWARD_MANAGER = "medr3"
AGENT_LOOP = "medr3_search"
TOOL_LOOP = "medr3_tool"
TRAINER_MODE = "medr3_progressive"
TRAINER_MODES = {
    TRAINER_MODE: "sync",
    "medr3_colocate_async": "colocate_async",
    "medr3_separate_async": "separate_async",
}
"""Our trainer modes -> the mode of verl that each runs stages in."""

ADVANTAGE_ESTIMATOR = "medr3_grpo"

VERL_VERSION = "0.9.1"
"""The verl version that this package is written for; `tests/compatibility` lists what another one lacks."""
