"""The real thing: three stages in verl's own trainer on a CPU, through the command line. Minutes.

The run is a user's: the package from its wheel, a copied recipe, and no part of the repository in sight.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from training_runs import clean_environment, history, lines, medr3, needs_trainer, train

from medr3_plugin.rewards.record import KEYS

pytestmark = pytest.mark.slow

needs_trainer()

SMALL = [
    "data.train_batch_size=2",
    "actor_rollout_ref.actor.ppo_mini_batch_size=2",
    "actor_rollout_ref.rollout.n=2",
    "data.val_max_samples=4",
    # recomputed log-probs, so that verl compares them with the rollout's
    "algorithm.rollout_correction.bypass_mode=false",
    *(f"medr3.stages.{i}.until.max_steps=1" for i in range(3)),
]


@pytest.fixture(scope="session")
def copied(installed, tmp_path_factory) -> Path:
    recipe = tmp_path_factory.mktemp("project") / "my_recipe"
    done = medr3("recipes", "copy", "medr3_cpu", str(recipe), installed=installed)
    assert done.returncode == 0, done.stderr
    return recipe


@pytest.fixture(scope="session")
def run(installed, copied, prepared, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run")
    done = train(out, str(copied), *prepared, *SMALL, installed=installed)
    assert "reasoning" in done.stdout and "joint" in done.stdout
    return out


def test_the_run_was_of_the_wheel(installed):
    where = [sys.executable, "-c", "import medr3_plugin; print(medr3_plugin.__file__)"]
    environment = clean_environment({"PYTHONPATH": str(installed)})
    done = subprocess.run(where, capture_output=True, text=True, cwd=installed, env=environment)
    assert Path(done.stdout.strip()).is_relative_to(installed)
    assert not (installed / "tests").exists() and (installed / "medr3_plugin/_recipes/medr3_cpu").is_dir()


def test_a_copied_recipe_passes_validate_outside_the_repository(installed, copied, prepared):
    done = medr3("recipes", "validate", str(copied), *prepared, installed=installed)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_converted_model_stops_at_the_end_token(prepared):
    from transformers import AutoTokenizer

    from medr3_plugin.data.quickstart import models

    folder = Path(prepared[0].partition("=")[2])
    assert models.is_language_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == 2
    text = "<think> 12 signs <search> aortic root dilatation </search><document> x. </document>"
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids) == text
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert prompt.endswith("<|im_start|>user\nHi<|im_end|>\n")


def test_stage_history(run):
    assert history(run) == [
        ("reasoning", 1, 1, "max_steps 1"),
        ("retrieval", 2, 2, "max_steps 1"),
        ("joint", 3, 3, "max_steps 1"),
    ]


def test_metrics_have_every_key_every_step(run):
    train = [line for line in lines(run / "metrics.jsonl") if line["kind"] == "train"]
    assert [(line["step"], line["stage"]) for line in train] == [
        (1, "reasoning"),
        (2, "retrieval"),
        (3, "joint"),
    ]
    wanted = {f"reward/{key}" for key in KEYS} | {
        "search/per_trajectory", "search/share", "search/hit_at_k", "search/latency_p50", "search/latency_p95",
        "invalid_share", "zero_variance_groups", "time/step", "actor/pg_loss", "stage_step",
    }  # fmt: skip
    for number, line in enumerate(train):
        assert wanted <= set(line)
        assert line["reward/stage"] == number
        assert line["invalid_share"] == 0
        assert line["training/rollout_actor_probs_pearson_corr"] > 0.99


def test_validation_before_between_and_after(run):
    validated = [line["step"] for line in lines(run / "metrics.jsonl") if line["kind"] == "val"]
    assert validated == [0, 1, 2, 3]


def test_the_model_searched_and_the_searches_are_recorded(run):
    rows = lines(run / "trajectories.jsonl")
    assert {row["stage"] for row in rows} == {"reasoning", "retrieval", "joint"}
    turns = [turn for row in rows for turn in row["searches"] if turn["outcome"] == "ok"]
    assert turns and all(turn["documents"][0]["id"] for turn in turns)
    for row in rows:
        assert set(row["reward"]) == set(KEYS)
        assert row["response"].count("<document>") >= sum(turn["outcome"] == "ok" for turn in row["searches"])


def test_nothing_is_left_running(run):
    left = subprocess.run(["pgrep", "-f", str(run)], capture_output=True, text=True).stdout.split()
    assert [pid for pid in left if pid != str(os.getpid())] == []


def test_report_of_the_run(run):
    done = medr3("report", str(run))
    assert done.returncode == 0, done.stderr
    assert "<html" in (run / "report.html").read_text(encoding="utf-8")


def test_a_mistake_is_one_line_and_exit_2(prepared, tmp_path):
    mistake = "medr3.retrieval.index=/nowhere/index"
    done = medr3("train", "medr3_cpu", *prepared, f"paths.run={tmp_path / 'run'}", mistake)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1 and "/nowhere/index" in errors[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
