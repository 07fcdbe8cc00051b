"""The trainer mode beside verl's other features: each a real run of a tiny model, one call of `medr3 train`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from training_runs import history, lines, needs_trainer, train

from medr3_plugin.retrieval.engine import open_index

pytestmark = pytest.mark.long

needs_trainer()

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TWO_STAGES = (
    "medr3.stages=[{name: reasoning, max_searches: 1, until: {max_steps: 1}}, "
    "{name: joint, max_searches: 2, until: {max_steps: 1}}]"
)


def trained(run: Path) -> list[dict[str, Any]]:
    return [line for line in lines(run / "metrics.jsonl") if line["kind"] == "train"]


def test_plateau_ends_stages_early_in_reverse_order(tiny, tmp_path):
    """A model of noise never improves: each stage ends as soon as its patience allows."""
    until = "{max_steps: 9, min_steps: 2, metric: score, window: 1, patience: 1, min_delta: 10}"
    stages = ", ".join(f"{{name: {name}, until: {until}}}" for name in ("joint", "retrieval", "reasoning"))
    done = train(tmp_path / "run", "medr3_cpu", *tiny, f"medr3.stages=[{stages}]")
    found = history(tmp_path / "run")
    assert [stage[:3] for stage in found] == [("joint", 1, 2), ("retrieval", 3, 4), ("reasoning", 5, 6)]
    assert all(
        reason.startswith("plateau: score did not improve by 10.0 for 1 steps") for *_, reason in found
    )
    assert len(trained(tmp_path / "run")) == 6 and "reasoning" in done.stdout


def test_kl_terms_and_several_workers(tiny, tmp_path):
    train(
        tmp_path / "run",
        *("medr3_cpu", *tiny, TWO_STAGES),
        "actor_rollout_ref.actor.use_kl_loss=true",
        "algorithm.use_kl_in_reward=true",
        "algorithm.rollout_correction.bypass_mode=false",
        "actor_rollout_ref.rollout.agent.num_workers=2",
        "reward.num_workers=2",
    )
    for line in trained(tmp_path / "run"):
        assert line["actor/kl_loss"] >= 0 and "actor/reward_kl_penalty" in line


def test_two_ranks(tiny, tmp_path):
    train(
        tmp_path / "run",
        *("medr3_cpu", *tiny, TWO_STAGES),
        "trainer.n_gpus_per_node=2",
        "ray_kwargs.ray_init.num_gpus=2",
    )
    assert len(trained(tmp_path / "run")) == 2


def test_critic_and_gae(tiny, tmp_path):
    train(
        tmp_path / "run",
        *("medr3_cpu", *tiny, TWO_STAGES),
        "algorithm.adv_estimator=gae",
        "critic.enable=true",
    )
    assert all("critic/vf_loss" in line for line in trained(tmp_path / "run"))


def test_lora(tiny, tmp_path):
    train(
        tmp_path / "run",
        *("medr3_cpu", *tiny, TWO_STAGES),
        "actor_rollout_ref.model.lora_rank=4",
        "actor_rollout_ref.model.lora_alpha=8",
        "actor_rollout_ref.model.lora.merge=true",
        "actor_rollout_ref.rollout.load_format=safetensors",
    )
    assert len(trained(tmp_path / "run")) == 2


def test_dynamic_sampling_with_a_reward_of_the_users_own(tiny, tmp_path):
    """Groups without variance are drawn again (filter_groups); the reward is a plain function."""
    function = tmp_path / "reward.py"
    function.write_text(
        "import zlib\n"
        "def compute_score(data_source, solution_str, ground_truth, extra_info=None):\n"
        "    return float(zlib.crc32(solution_str.encode()) % 2)\n"  # half of the groups have no variance
    )
    train(
        tmp_path / "run",
        *("medr3_cpu", *tiny, TWO_STAGES),
        f"reward.custom_reward_function.path={function}",
        "reward.custom_reward_function.name=compute_score",
        "reward.reward_manager.name=naive",
        "algorithm.adv_estimator=grpo",
        "algorithm.filter_groups.enable=true",
        "algorithm.filter_groups.metric=reward",
    )
    rows = trained(tmp_path / "run")
    assert len(rows) == 2
    for line in rows:
        assert line["zero_variance_groups"] == 0 and line["reward/score"] == 0.5


def test_verls_gsm8k_reward_in_two_stages(tiny, tmp_path):
    data = tmp_path / "data"
    subprocess.run([sys.executable, str(EXAMPLES / "two_stage_gsm8k/make_data.py"), str(data)], check=True)
    train(
        tmp_path / "run",
        str(EXAMPLES / "two_stage_gsm8k"),
        tiny[0],
        f"paths.data={data}",
        "medr3.stages.0.until.max_steps=2",
        "medr3.stages.1.until.max_steps=1",
    )
    assert [stage[:3] for stage in history(tmp_path / "run")] == [("one_digit", 1, 2), ("two_digits", 3, 3)]
    assert all({"reward/acc", "reward/score"} <= set(line) for line in trained(tmp_path / "run"))
    subprocess.run(
        [sys.executable, "-m", "medr3_plugin.cli", "report", str(tmp_path / "run")], check=True, timeout=300
    )


def test_stages_with_mixtures_of_their_own(tiny, tmp_path):
    """One file holds two data sets, each stage draws from one of them; weights move over a stage's steps."""
    table = pq.read_table(Path(tiny[1].partition("=")[2]) / "train.parquet")
    column = table.column_names.index("data_source")
    sources = pa.array(["even" if row % 2 == 0 else "odd" for row in range(len(table))])
    pq.write_table(table.set_column(column, "data_source", sources), tmp_path / "two.parquet")
    stages = ", ".join(
        f"{{name: {name}, max_searches: 1, mixture: {{even: {even}, odd: {odd}}}, "
        f"reward: {{weights: {{reasoning: [0.6, 0.2]}}}}, until: {{max_steps: 3}}}}"
        for name, even, odd in (("reasoning", 1, 0), ("joint", 0, 1))
    )
    train(
        tmp_path / "run",
        *("medr3_cpu", *tiny, f"medr3.stages=[{stages}]", f"data.train_files={tmp_path / 'two.parquet'}"),
        "trainer.test_freq=-1",
    )
    rows = [row for row in lines(tmp_path / "run/trajectories.jsonl") if row["kind"] == "train"]
    places = {info["id"]: place for place, info in enumerate(table["extra_info"].to_pylist())}
    for stage, remainder in (("reasoning", 0), ("joint", 1)):
        drawn = [places[row["id"]] for row in rows if row["stage"] == stage]
        assert drawn and all(place % 2 == remainder for place in drawn)
    progress = {row["step"]: row["reasons"]["composition"]["progress"] for row in rows}
    assert progress == {1: 0.0, 2: 0.5, 3: 1.0, 4: 0.0, 5: 0.5, 6: 1.0}


def test_verl_serves_the_judge(prepared, tmp_path):
    """The policy's own weights as the judge: it reads badly, but every verdict is its own and none a failure."""
    train(
        tmp_path / "run",
        *("medr3_cpu", *prepared, "judge=verl", TWO_STAGES, "medr3.trajectories_per_step=1000"),
        "data.val_max_samples=2",
        "trainer.val_before_train=false",
    )
    rows = lines(tmp_path / "run/trajectories.jsonl")
    answers = [row["reasons"]["answer"] for row in rows]
    assert any(str(answer.get("source")).startswith("router:") for answer in answers)
    assert all(row["reward"]["valid"] == 1 for row in rows)


def test_searches_go_to_actors_of_the_training_cluster(prepared, tmp_path):
    """`backend: ray` with two actors and the real small model, which does search."""
    index = Path(prepared[1].partition("=")[2]) / "index"
    train(
        tmp_path / "run",
        *("medr3_cpu", *prepared, TWO_STAGES),
        "medr3.retrieval.backend=ray",
        "+medr3.retrieval.ray_replicas=2",
        "+medr3.retrieval.ray_cpus=0",
        "actor_rollout_ref.rollout.n=2",
        "data.val_max_samples=2",
        "trainer.val_before_train=false",
    )
    turns = [turn for row in lines(tmp_path / "run/trajectories.jsonl") for turn in row["searches"]]
    searched = [turn for turn in turns if turn["outcome"] == "ok"]
    assert searched
    engine = open_index(index)
    for turn in searched:
        (hit,) = engine.search([turn["query"]], 1)[0]
        assert [document["id"] for document in turn["documents"]] == [hit.document.id]
    assert {turn["outcome"] for turn in turns} <= {"ok", "duplicate", "limit", "malformed", "empty"}
    assert all(line["invalid_share"] == 0 for line in trained(tmp_path / "run"))


def test_separate_async_with_weights_over_gloo(tiny, tmp_path):
    """verl's third mode: the rollout has processes of its own, and goes on while the policy trains."""
    train(
        tmp_path / "run",
        *("medr3_cpu", *tiny, TWO_STAGES.replace("max_steps: 1", "max_steps: 2")),
        "trainer.v1.trainer_mode=medr3_separate_async",
        "trainer.v1.separate_async.parameter_sync_step=1",
        "actor_rollout_ref.hybrid_engine=false",
        "actor_rollout_ref.rollout.nnodes=1",
        "actor_rollout_ref.rollout.n_gpus_per_node=1",
        "actor_rollout_ref.rollout.checkpoint_engine.backend=medr3_gloo",
        "actor_rollout_ref.rollout.checkpoint_engine.custom_backend_module=medr3_plugin.platform_cpu.gloo_weights",
        "ray_kwargs.ray_init.num_gpus=2",
        "algorithm.rollout_correction.bypass_mode=false",
    )
    assert [stage[:3] for stage in history(tmp_path / "run")] == [("reasoning", 1, 2), ("joint", 3, 4)]
    for line in trained(tmp_path / "run"):
        # the rollout's weights are those of the policy, one step old at most
        assert line["training/rollout_actor_probs_pearson_corr"] > 0.9
