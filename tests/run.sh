#!/usr/bin/env bash
# Sets up the environment and passes the tests: `bash tests/run.sh [--all] [pytest arguments]`.
# --all adds the slow ones: a real three-stage run of verl's trainer, some minutes.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
source "$root/examples/setup_cpu.sh" --dev
cd "$root"

marks='not slow and not gpu'
if [ "${1:-}" = --all ]; then
  marks='not gpu'
  shift
fi
exec "$PY" -m pytest -m "$marks" "$@"
