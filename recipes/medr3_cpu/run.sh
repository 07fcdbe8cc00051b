#!/usr/bin/env bash
# The recipe without our launcher: verl's own command. Arguments are hydra overrides.
#   medr3 train medr3_cpu          does the same, checks first, shows one line a step and cleans up
set -euo pipefail
recipe="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export MEDR3_TOOLS="${MEDR3_TOOLS:-$recipe/tools.yaml}"           # of environment=tools
export VERL_PLATFORM=cpu                                        # chooses the CPU platform, in every process
export VLLM_CPU_KVCACHE_SPACE="${VLLM_CPU_KVCACHE_SPACE:-1}"    # GiB; vLLM would take half of the memory
export VLLM_CPU_NUM_OF_RESERVED_CPU="${VLLM_CPU_NUM_OF_RESERVED_CPU:-0}" # rollout and update take turns
measured="$(python -m medr3_plugin.platform_cpu.speed)"         # threads and precision that are fastest here and now
eval "$measured"
exec python -m verl.trainer.main_ppo --config-dir "$recipe" --config-name medr3_cpu precision="$MEDR3_PRECISION" "$@"
