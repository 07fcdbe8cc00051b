#!/usr/bin/env bash
# Sets up the environment and passes the tests: `bash tests/run.sh [--all | --long] [pytest arguments]`.
# --all adds the slow ones: a real three-stage run of verl's trainer, some minutes. --long is for releases: many
# real runs, with kill -9, LoRA, a critic, dynamic sampling; most of an hour.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
source "$root/examples/setup_cpu.sh" --dev
cd "$root"

case "${1:-}" in
  --all) marks='not gpu and not long' && shift ;;
  --long) marks=long && shift ;;
  *) marks='not slow and not long and not gpu' ;;
esac
exec "$PY" -m pytest -m "$marks" "$@"
