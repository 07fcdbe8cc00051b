#!/usr/bin/env bash
# Start (or resume) the run. Arguments are hydra overrides.
#
# One node:       NNODES=1 ./run.sh
# Two nodes:      on the first   NNODES=2 ./run.sh
#                 on the second  HEAD=<address of the first> ./run.sh worker
# Under Slurm:    srun starts both: the first task is the head, the others are workers
#   MEDR3_DATA        folder of the data, the same on every node (default data/medr3)
#   MEDR3_JUDGE_URL   OpenAI-compatible judge, e.g. http://judge:8000/v1 (a key: judge.api_key_env in the yaml)
#   MEDR3_JUDGE_MODEL its model name
set -euo pipefail
recipe="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false

nodes="${NNODES:-2}"
if [[ -n "${SLURM_NODEID:-}" ]]; then
  nodes="$SLURM_NNODES"
  # sed reads to the end; head would end scontrol by a signal, and pipefail the script
  HEAD="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)"
fi
if [[ "${1:-}" == worker || "${SLURM_NODEID:-0}" -gt 0 ]]; then
  # stays until the head ends the cluster
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
python -m verl.trainer.main_ppo --config-dir "$recipe" --config-name qwen2_5_14b trainer.nnodes="$nodes" "$@"
