#!/usr/bin/env bash
# Sets up the environment and passes the tests: `bash tests/run.sh [--all | --long] [pytest arguments]`.
# --all adds the slow ones: a real three-stage run of verl's trainer, among others. --long is for releases: many real
# runs, with kill -9, LoRA, a critic and dynamic sampling. CONTRIBUTING.md says how long each takes.
# With --all the slow ones run beside the others, as they mostly wait or use one core; their output comes last.
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
    passed() { [ "$1" -eq 0 ] || { [ "$1" -eq 5 ] && [ "$2" -gt 0 ]; }; }
    said="$(mktemp)"
    trap 'rm -f "$said"' EXIT
    set -m # otherwise Ctrl-C would be ignored by a command in the background, and all that it starts
    # the slow ones take longer, so they come first where a core is wanted by both; Ray's workers have niceness 15 otherwise
    RAY_worker_niceness=0 "$PY" -m pytest -m slow "$@" >"$said" 2>&1 &
    slow=$!
    status=0
    nice -n 3 "$PY" -m pytest -m "$quick" "${each_core[@]}" "$@" || status=$?
    passed $status $# || kill -INT -- -$slow 2>/dev/null || true
    slow_status=0
    wait $slow || slow_status=$?
    cat "$said"
    passed $status $# && passed $slow_status $#
    ;;
  --long) shift && "$PY" -m pytest -m long "$@" ;;
  *) "$PY" -m pytest -m "$quick" "${each_core[@]}" "$@" ;;
esac
