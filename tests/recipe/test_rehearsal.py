"""Rehearsals without the trainer: the tiny model, what is replaced, what is refused, the verdict of a run folder."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("verl")

from medr3_plugin.errors import UserError
from medr3_plugin.recipe.checks.cluster import silence
from medr3_plugin.recipe.rehearsal import stand_ins
from medr3_plugin.recipe.rehearsal.prepare import CONFIG_NAME, Prepared, prepare
from medr3_plugin.recipe.rehearsal.rehearse import verdict
from medr3_plugin.recipe.rehearsal.tiny_model import build_tiny_model
from medr3_plugin.recipe.shipped import find_recipe, list_recipes
from medr3_plugin.records import Reference, Sample, Triple
from medr3_plugin.rewards.scorer import build_scorer

TEXTS = [row["text"] for row in stand_ins.rows()]


def away(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """From the repository and its data, so that nothing is found by accident."""
    patch.chdir(folder)
    for variable in ("MEDR3_DATA", "MEDR3_TOOLS", "MEDR3_JUDGE_URL"):
        patch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away(monkeypatch, tmp_path)


def prepared_recipe(
    name: str, folder: Path, overrides: tuple[str, ...] = (), *, allowed: bool = True
) -> Prepared:
    with ExitStack() as resources:
        return prepare(
            find_recipe(name),
            overrides,
            folder,
            allow_stand_ins=allowed,
            gpu_memory_gib=80,
            resources=resources,
        )


@pytest.mark.parametrize(
    ("path", "kind", "heads_per_kv"),
    [
        ("Qwen/Qwen2.5-7B", "qwen2", 7),
        ("Qwen/Qwen2.5-14B", "qwen2", 5),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama", 4),
        ("Qwen/Qwen3-8B", "qwen3", 4),
    ],
)
def test_a_tiny_model_keeps_the_architecture(path: str, kind: str, heads_per_kv: int, tmp_path: Path) -> None:
    build_tiny_model(path, tmp_path, texts=TEXTS, stand_ins=True)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == kind and config["num_hidden_layers"] == 2
    assert config["num_attention_heads"] == heads_per_kv * config["num_key_value_heads"]
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    assert head == 32  # the smallest that vLLM's CPU attention takes
    if kind == "llama":
        assert config["rope_parameters"]["rope_type"] == "llama3"


def test_a_stand_in_tokenizer_writes_tool_calls_and_loses_no_text(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    build_tiny_model("Qwen/Qwen3-8B", tmp_path, texts=TEXTS, stand_ins=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    text = "甲状腺 <tool_call> é 5-HT₃"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    tool = {"type": "function", "function": {"name": "medical_search", "parameters": {}}}
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "q"}], tools=[tool], add_generation_prompt=True, tokenize=False
    )
    assert "medical_search" in prompt and prompt.endswith("<|im_start|>assistant\n")


def test_a_local_model_brings_its_own_tokenizer(tmp_path: Path) -> None:
    build_tiny_model("Qwen/Qwen2.5-7B", tmp_path / "a", texts=TEXTS, stand_ins=True)
    again = build_tiny_model(str(tmp_path / "a"), tmp_path / "b", texts=(), stand_ins=False)
    assert again.real_tokenizer and "qwen2" in again.architecture


@pytest.mark.parametrize("path", ["nobody/knows-this-7b", "Qwen/Qwen2.5-7B"])
def test_what_is_not_at_hand_is_refused_with_the_yaml_path(path: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"actor_rollout_ref\.model\.path"):
        build_tiny_model(path, tmp_path, texts=(), stand_ins=False)


@pytest.mark.parametrize("name", [r.name for r in list_recipes() if r.name != "medr3_cpu"])
def test_every_recipe_can_be_prepared(name: str, tmp_path: Path) -> None:
    """Devices are replaced, and the configuration that verl will read is valid and knows its stages."""
    from omegaconf import OmegaConf

    done = prepared_recipe(name, tmp_path / "out")
    config = OmegaConf.load(tmp_path / "out" / f"{CONFIG_NAME}.yaml")
    assert config.trainer.device == "cpu" and config.medr3.platform == "cpu"
    assert [stage.name for stage in config.medr3.stages] == done.stages
    assert done.steps >= 2 and len(done.prompts) == len(stand_ins.rows())
    replaced = {change.key for change in done.replaced}
    assert {"actor_rollout_ref.model.path", "trainer.device", "data.train_batch_size"} <= replaced
    # what makes the recipe what it is stays
    assert not replaced & {"algorithm.adv_estimator", "medr3.reward.preset", "medr3.reward.weights"}
    assert "MEDR3_TOOLS" not in os.environ  # another recipe has a tool file of its own


RECIPES_OF_USERS = {
    "critic": (
        "one_gpu_1_5b",
        (
            "algorithm.adv_estimator=gae",
            "critic.enable=true",
            "critic.model.path=Qwen/Qwen2.5-1.5B-Instruct",
        ),
    ),
    "own files": (
        "qwen2_5_7b",
        (
            "trainer.v1.trainer_mode=medr3_colocate_async",
            "+medr3.stages.1.mixture={medqa: 1, pubmedqa: 2}",
            "+medr3.stages.2.train_files=[data/other.parquet]",
            "medr3.reward.encoder.device=cuda",
            "+data.gen_batch_size=64",
        ),
    ),
    "rollout on its own GPUs": (
        "qwen2_5_7b",
        (
            "trainer.v1.trainer_mode=medr3_separate_async",
            "trainer.v1.separate_async.parameter_sync_step=4",
            "actor_rollout_ref.hybrid_engine=false",
            "actor_rollout_ref.rollout.nnodes=1",
            "actor_rollout_ref.rollout.n_gpus_per_node=4",
            "actor_rollout_ref.rollout.checkpoint_engine.backend=nccl",
        ),
    ),
}


@pytest.mark.parametrize("which", RECIPES_OF_USERS)
def test_recipes_of_users_can_be_prepared(which: str, tmp_path: Path) -> None:
    """What the shipped recipes do not use is replaced, too, so that the rehearsal's configuration is valid."""
    from omegaconf import OmegaConf

    recipe, overrides = RECIPES_OF_USERS[which]
    done = prepared_recipe(recipe, tmp_path / "out", overrides)
    config = OmegaConf.load(tmp_path / "out" / f"{CONFIG_NAME}.yaml")
    if which == "critic":
        assert config.critic.model.path == str(done.model.folder)
        assert config.critic.fsdp.model_dtype == "fp32" and not config.critic.model.use_remove_padding
    elif which == "own files":
        assert config.medr3.stages[1].mixture == {} and Path(config.medr3.stages[2].train_files[0]).is_file()
        assert config.medr3.reward.encoder.device == "cpu" and config.data.gen_batch_size == 4
    else:
        assert config.actor_rollout_ref.rollout.checkpoint_engine.backend == "medr3_gloo"
        assert config.ray_kwargs.ray_init.num_gpus == done.ranks + 1


def test_files_of_every_stage_are_looked_for(tmp_path: Path) -> None:
    own = stand_ins.write_data(tmp_path, "search")
    overrides = (
        f"+medr3.stages.2.train_files=[{own}]",
        "data.train_files=nowhere.parquet",
        "data.train_batch_size=4",
        "actor_rollout_ref.actor.ppo_mini_batch_size=4",
    )
    with pytest.raises(UserError, match=r"nowhere\.parquet"):
        prepared_recipe("one_gpu_1_5b", tmp_path / "out", overrides, allowed=False)


def test_without_stand_ins_everything_missing_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        prepared_recipe("qwen2_5_7b", tmp_path / "out", allowed=False)
    for what in ("medr3/train.parquet", "data/medr3/index", "vocab.jsonl", "127.0.0.1:8000", "--stand-ins"):
        assert what in str(refused.value)


def test_a_wrong_recipe_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"algorithm\.adv_estimator"):
        prepared_recipe("one_gpu_1_5b", tmp_path / "out", ("algorithm.adv_estimator=medr3_gpro",))
    assert not (tmp_path / "out").exists()


def test_the_stand_in_judge_answers_as_a_server_does() -> None:
    with stand_ins.judge_server() as url:
        assert not silence(url)
        request = urllib.request.Request(f"{url}/chat/completions", data=b"{}", method="POST")  # noqa: S310
        with urllib.request.urlopen(request) as reply:  # noqa: S310
            choice = json.load(reply)["choices"][0]
    assert choice["finish_reason"] == "stop" and json.loads(choice["message"]["content"])["score"] == 1
    assert silence(url)


def test_the_stand_in_judge_serves_whoever_asks_a_judge() -> None:
    [row, *_] = stand_ins.rows()
    shown = f"<document>{row['text']}</document>"
    sample = Sample(
        id="1",
        question=row["question"],
        response=f"<think><search>x</search>{shown}I read that it is so. It does help.</think><answer>?</answer>",
        answers=tuple(row["answers"]),
        references=(Reference(tuple(Triple(*triple) for triple in row["triples"]), row["text"]),),
        stage="joint",
    )
    with stand_ins.judge_server() as url:
        judge = {"kind": "openai", "base_url": url, "model": "stand-in"}
        options = {"judge": judge, "agreement": {"kind": "judge"}, "extractor": {"kind": "judge"}}
        [scored] = asyncio.run(build_scorer(options).score([sample]))
    assert scored.record["valid"] and not scored.failures


def run_folder(
    prepared: Prepared, *, log: str, steps: tuple[int, ...] = (1, 2, 3), **changed: object
) -> None:
    """What a run of the trainer would leave; `changed` replaces parts of one trajectory's record."""
    run = prepared.run_dir
    run.mkdir(parents=True)
    names = prepared.stages
    (run / "train.log").write_text(log)
    (run / "stages.json").write_text(
        json.dumps([{"name": name, "start_step": i, "end_step": i} for i, name in enumerate(names, 1)])
    )
    lines = [{"step": s, "kind": "train", "actor/grad_norm": 0.5, "judge/verdicts": 2} for s in steps]
    (run / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in [*lines, {"kind": "val", "step": 3}])
    )
    rows = []
    for stage in names:
        for score in (0.1, 1.2):
            record = {
                "score": score,
                "acc": float(score > 1),
                "valid": 1.0,
                "judge_failures": 0.0,
                "searches": 1.0,
            }
            documents = [{"id": "d", "shown": True}]
            search = {"query": "q", "outcome": "ok", "documents": documents}
            rows.append({"kind": "train", "stage": stage, "searches": [search], "reward": record})
    rows[0]["reward"] = {**rows[0]["reward"], **changed}
    (run / "trajectories.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("rehearsal")
    with pytest.MonkeyPatch.context() as patch:
        away(patch, folder)
        return prepared_recipe("qwen2_5_7b", folder / "out")


@pytest.fixture
def prepared(rehearsal: Prepared, tmp_path: Path) -> Prepared:
    return dataclasses.replace(rehearsal, run_dir=tmp_path / "run")


RESUMED = "[medr3] resuming from x/global_step_1: stage retrieval, step 1\n"


def test_a_whole_run_passes(prepared: Prepared) -> None:
    run_folder(prepared, log=RESUMED)
    lines = verdict(prepared)
    assert all(line.ok is not False for line in lines), lines
    assert any("rewards (joint)" in line.what for line in lines)


@pytest.mark.parametrize(
    ("log", "steps", "changed", "fails"),
    [
        ("", (1, 2, 3), {}, "kill and resume"),
        (RESUMED.replace("retrieval", "reasoning"), (1, 2, 3), {}, "kill and resume"),
        (RESUMED, (1, 3), {}, "kill and resume"),
        (RESUMED, (1, 2, 3), {"score": 1.2}, "rewards (reasoning)"),
        (RESUMED, (1, 2, 3), {"valid": 0.0}, "failures"),
        (RESUMED, (1, 2, 3), {"judge_failures": 1.0}, "judge"),
    ],
)
def test_each_fault_has_its_line(
    prepared: Prepared, log: str, steps: tuple[int, ...], changed: dict[str, float], fails: str
) -> None:
    run_folder(prepared, log=log, steps=steps, **changed)
    assert [line.what for line in verdict(prepared) if line.ok is False] == [fails]
