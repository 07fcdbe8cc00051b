#!/usr/bin/env bash
# Med-R^3's three stages with the real verl trainer, on a CPU, from nothing: environment, model, corpus,
# index, data, training, report. Running it again reuses what is there.
#   bash examples/quickstart.sh [--steps N] [--out DIR]
set -euo pipefail

steps=4
out=runs/quickstart
while [ $# -gt 0 ]; do
  case "$1" in
    --steps) steps="${2:?--steps needs a number}"; shift 2 ;;
    --out) out="${2:?--out needs a folder}"; shift 2 ;;
    -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "error: unknown option $1 (known: --steps N, --out DIR)" >&2; exit 2 ;;
  esac
done
case "$steps" in '' | *[!0-9]* | 0) echo "error: --steps: $steps is not a positive number" >&2; exit 2 ;; esac

root="$(cd "$(dirname "$0")/.." && pwd)"
case "$out" in /*) ;; *) out="$root/$out" ;; esac
source "$root/examples/setup_cpu.sh"
cd "$root"

data="$root/data/quickstart"
model="$root/models/SmolLM2-135M-Instruct"
encoder="$root/models/all-MiniLM-L6-v2"
export TOKENIZERS_PARALLELISM=false
trap 'echo "stopped: run the same command again to continue; \`medr3 doctor\` says what is missing" >&2' ERR

medr3 data model --out "$model"
medr3 data encoder --out "$encoder"
[ -f "$data/val.parquet" ] || medr3 data quickstart --out "$data"
# takes seconds; an index of an earlier version may be refused
medr3 index build --corpus "$data/corpus.jsonl.gz" --out "$data/index" --engine bm25 --overwrite

medr3 train medr3_cpu \
  paths.data="$data" paths.model="$model" paths.encoder="$encoder" paths.run="$out" \
  medr3.stages.0.until.max_steps="$steps" \
  medr3.stages.1.until.max_steps="$steps" \
  medr3.stages.2.until.max_steps="$steps"

medr3 report "$out"
echo
echo "look at   $out/report.html"
echo "          $out/metrics.jsonl        a line per step, all keys"
echo "          $out/stages.json          stage history"
echo "          $out/trajectories.jsonl   sampled trajectories with their reward records"
