#!/usr/bin/env bash
# Data, then training; arguments are hydra overrides. The model: medr3 data model --out models/SmolLM2-135M-Instruct
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
[ -f data/gsm8k/val.parquet ] || python "$here/make_data.py" data/gsm8k
exec medr3 train "$here" "$@"
