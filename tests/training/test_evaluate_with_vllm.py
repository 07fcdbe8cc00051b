"""`medr3 eval` with vLLM in its own process."""

from __future__ import annotations

import pytest
from training_runs import lines, medr3, needs_trainer

pytestmark = pytest.mark.slow

needs_trainer()


def test_every_sample_is_evaluated_once(tiny, tmp_path):
    """More prompt tokens at a time than vLLM takes in one step, each request with a seed of its own."""
    model, data = (override.partition("=")[2] for override in tiny[:2])
    out = tmp_path / "results"
    command = (
        *("eval", "--model", model, "--benchmark", f"rare_disease={data}/val.parquet", "--out", str(out)),
        *("--index", f"{data}/index", "--recipe", "medr3_cpu", "--samples", "2"),
        *("--prompt-length", "576", "--response-length", "96", f"paths.data={data}"),
    )
    for _ in range(2):  # the second command finds everything done
        done = medr3(*command)
        assert done.returncode == 0, done.stderr[-3000:]
        rows = lines(out / "trajectories.jsonl")
        assert len(rows) == len({(row["id"], row["sample"]) for row in rows}) == 16
    assert sum(row["prompt_tokens"] for row in rows) > 2 * 2048
    assert all(row["reward"]["valid"] and row["generated_tokens"] for row in rows)
    assert "| rare_disease | 8 |" in (out / "results.md").read_text()
