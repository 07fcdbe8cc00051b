#!/usr/bin/env bash
# Start (or resume) the run. Arguments are hydra overrides.
#
# One machine:    ./run.sh
#   MEDR3_DATA        folder of the data (default data/medr3)
set -euo pipefail
recipe="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false

python -m verl.trainer.main_ppo --config-dir "$recipe" --config-name one_gpu_1_5b "$@"
