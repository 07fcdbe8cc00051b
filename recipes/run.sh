#!/usr/bin/env bash
# Start (or resume) the recipe beside this script with verl's own command. Arguments are hydra overrides.
#
# One node:       NNODES=1 ./run.sh
# Two nodes:      on the first   NNODES=2 ./run.sh
#                 on the second  HEAD=<address of the first> ./run.sh worker
# Under Slurm:    srun starts both: the first task is the head, the others are workers
# Variables that a recipe reads (MEDR3_DATA, MEDR3_JUDGE_URL, ...) are named in its README.
set -euo pipefail
recipe="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
config="$(grep -l '^defaults:' "$recipe"/*.yaml)" # the folder's only yaml with a defaults list
export PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false
[[ -f "$recipe/tools.yaml" ]] && export MEDR3_TOOLS="${MEDR3_TOOLS:-$recipe/tools.yaml}"
if grep -q '^  platform: cpu' "$config"; then
  export VERL_PLATFORM=cpu                                     # chooses the CPU platform, in every process
  export VLLM_CPU_KVCACHE_SPACE="${VLLM_CPU_KVCACHE_SPACE:-1}" # GiB; vLLM would take half of the memory
  export VLLM_CPU_NUM_OF_RESERVED_CPU="${VLLM_CPU_NUM_OF_RESERVED_CPU:-0}" # rollout and update take turns
  # the fastest threads and precision on this machine now; variables that are set take precedence
  while IFS='=' read -r name value; do
    [[ -n "${!name:-}" ]] || export "$name=$value"
  done < <(python -m medr3_plugin.platform_cpu.speed)
  # only if neither recipe nor arguments choose, because hydra refuses a second choice
  if grep -q '^  - precision: auto' "$config" && [[ " $*" != *" precision="* ]]; then
    set -- "$@" precision="$MEDR3_PRECISION"
  fi
fi

nodes="${NNODES:-$(sed -n 's/^  nnodes: *\([0-9]*\).*/\1/p' "$config")}"
if [[ -n "${SLURM_NODEID:-}" ]]; then
  nodes="$SLURM_NNODES"
  # sed reads to the end; head would stop scontrol with a signal and, through pipefail, this script
  HEAD="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)"
fi
if [[ "${1:-}" == worker || "${SLURM_NODEID:-0}" -gt 0 ]]; then
  # runs until the head ends the cluster
  exec ray start --address "${HEAD:?address of the first node}:6379" --block
fi
if [[ "$nodes" -gt 1 ]]; then
  ray start --head --port 6379
  trap 'ray stop' EXIT
  alive='import ray; ray.init(address="auto", log_to_driver=False); print(sum(n["Alive"] for n in ray.nodes()))'
  until (( $(python -c "$alive" 2>/dev/null || echo 0) >= nodes )); do
    echo "waiting for $nodes nodes"; sleep 5
  done
  export RAY_ADDRESS=auto
fi
python -m verl.trainer.main_ppo --config-dir "$recipe" --config-name "$(basename "$config" .yaml)" \
  trainer.nnodes="$nodes" "$@"
