#!/usr/bin/env bash
# Sets up the environment and passes the tests: `bash tests/run.sh [--all | --long] [pytest arguments]`.
# --all adds the slow ones: a real three-stage run of verl's trainer, some minutes. --long is for releases: many
# real runs, with kill -9, LoRA, a critic, dynamic sampling; most of an hour.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
source "$root/examples/setup_cpu.sh" --dev
cd "$root"

quick='not slow and not long and not gpu'
# a process a core; real runs of the trainer come one at a time
each_core=(-n logical --maxprocesses 4)

case "${1:-}" in
  --all)
    shift
    # arguments, and only they, may select files without a test of one of the tiers: pytest's exit status 5
    "$PY" -m pytest -m "$quick" "${each_core[@]}" "$@" || { [ $? -eq 5 ] && [ $# -gt 0 ]; }
    "$PY" -m pytest -m slow "$@" || { [ $? -eq 5 ] && [ $# -gt 0 ]; }
    ;;
  --long) shift && "$PY" -m pytest -m long "$@" ;;
  *) "$PY" -m pytest -m "$quick" "${each_core[@]}" "$@" ;;
esac
