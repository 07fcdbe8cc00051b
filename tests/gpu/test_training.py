"""verl's trainer on one GPU: bfloat16, FlashAttention over packed sequences, vLLM that sleeps, checkpoints, LoRA."""

from __future__ import annotations

import math

import pytest
from one_gpu_runs import LORA, RECIPE, STEPS, overrides
from test_survives_kill import kill_when
from training_runs import history, lines, train

from medr3_plugin.recipe.checks import check
from medr3_plugin.recipe.shipped import find_recipe
from medr3_plugin.stages.checkpoints import latest


@pytest.mark.parametrize("extra", [(), LORA], ids=["full weights", "LoRA"])
def test_the_runs_of_this_tier_pass_the_checks(tmp_path, extra):
    """Without a GPU: whatever would be refused on one, but for packages that only such machines have."""
    pytest.importorskip("verl")
    found = check(find_recipe(RECIPE), [*overrides(tmp_path), *extra, f"paths.run={tmp_path}/run"])
    assert [str(f) for f in found if f.level != "note" and "not installed" not in f.message] == []


@pytest.mark.gpu
@pytest.mark.parametrize("extra", [(), LORA], ids=["full weights", "LoRA"])
def test_three_stages(tmp_path, extra):
    run = tmp_path / "run"
    train(run, RECIPE, *overrides(tmp_path), *extra)
    assert [(name, start) for name, start, *_ in history(run)] == [
        ("reasoning", 1),
        ("retrieval", STEPS + 1),
        ("joint", 2 * STEPS + 1),
    ]
    steps = [line for line in lines(run / "metrics.jsonl") if line["kind"] == "train"]
    assert len(steps) == 3 * STEPS
    assert all(math.isfinite(line["actor/grad_norm"]) for line in steps)
    # packed sequences and FlashAttention in the update, padded ones in vLLM: they must agree in bfloat16
    correlations = [line.get("training/rollout_actor_probs_pearson_corr") for line in steps]
    assert all(found is None or found > 0.95 for found in correlations), correlations


@pytest.mark.gpu
def test_a_killed_run_resumes_in_its_stage(tmp_path):
    run, given = tmp_path / "run", [RECIPE, *overrides(tmp_path)]
    assert kill_when(lambda: latest(run / "checkpoints", verify=False)[0] is not None, run, given)
    train(run, *given)
    assert f"global_step_{STEPS}: stage retrieval, step {STEPS}" in (run / "train.log").read_text()
    steps = [line["step"] for line in lines(run / "metrics.jsonl") if line["kind"] == "train"]
    assert steps == list(range(1, 3 * STEPS + 1))
