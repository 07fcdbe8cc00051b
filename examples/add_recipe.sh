#!/usr/bin/env bash
# Make your own recipe: copy the nearest one, rename it, put your stages into a separate file, check it.
#   bash examples/add_recipe.sh [DIR]
set -euo pipefail
folder="${1:-search_first}"
name="$(basename "$folder")"

medr3 recipes copy one_gpu_1_5b "$folder"
mv "$folder/one_gpu_1_5b.yaml" "$folder/$name.yaml" # a recipe has the name of its yaml
sed -i "s/one_gpu_1_5b/$name/" "$folder/$name.yaml" # run folder and experiment name as well

# a group of the configuration: `./run.sh stages=joint_only` takes another file in that folder
mkdir "$folder/stages"
cat >"$folder/stages/search_first.yaml" <<'YAML'
# @package medr3
stages:
  - {name: retrieval, max_searches: 3, until: {max_steps: 80, min_steps: 20, metric: acc, window: 5, patience: 10}}
  - {name: joint, max_searches: 3, until: {max_steps: 220}}
YAML
cat >"$folder/stages/joint_only.yaml" <<'YAML'
# @package medr3
stages:
  - {name: joint, max_searches: 3, until: {max_steps: 300}}
YAML
sed -i 's/^  - _self_$/  - _self_\n  - stages: search_first/' "$folder/$name.yaml"

# the first paragraph is the summary that `medr3 recipes list` shows
cat >"$folder/README.md" <<MARKDOWN
# $name

Retrieval first, then both: two stages with Qwen2.5-1.5B-Instruct on one GPU of 80 GB.
MARKDOWN

medr3 recipes validate "$folder" --no-files
medr3 recipes validate "$folder" --no-files stages=joint_only
