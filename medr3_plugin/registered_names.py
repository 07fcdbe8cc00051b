"""Names under which `plugin` registers with verl; recipes use them."""

REWARD_MANAGER = "medr3"
AGENT_LOOP = "medr3_search"
TOOL_LOOP = "medr3_tool"
TRAINER_MODE = "medr3_progressive"
ADVANTAGE_ESTIMATOR = "medr3_grpo"
