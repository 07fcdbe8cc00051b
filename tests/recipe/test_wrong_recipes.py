"""Mistakes of every kind, each refused before a start with its key, and none with a traceback."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("verl")

from omegaconf import OmegaConf
from recipe_findings import ACTOR, ROLLOUT, changed, errors

from medr3_plugin.errors import UserError
from medr3_plugin.recipe.checks import check, check_config
from medr3_plugin.recipe.checks.forms import verl_defaults
from medr3_plugin.recipe.checks.parts import resumes
from medr3_plugin.recipe.shipped import Recipe, WrongOverride, compose, find_recipe
from medr3_plugin.stages.checkpoints import begin, mark_complete
from medr3_plugin.stages.formulas import formulas
from medr3_plugin.stages.schedule import Schedule
from medr3_plugin.stages.state import STATE_FILE, StageState

CPU = find_recipe("medr3_cpu")


@pytest.fixture(scope="module")
def composed() -> Any:
    return compose(CPU)


def findings(config: Any, changes: dict[str, Any], *, files: bool = False) -> list[tuple[str, str]]:
    found = check_config(changed(config, changes), CPU.folder, files=files, gpu_memory_gib=80)
    return [(finding.where, finding.message) for finding in found if finding.level == "error"]


FORMS = {
    "medr3": [None, "yes", [1]],
    "medr3.reward": ["medr3", [1]],
    "medr3.reward.judge": ["rule"],
    "medr3.environment": ["tags"],
    "medr3.retrieval": ["bm25", 3],
    "data": [None, 5],
    "trainer.v1": [None],
    ACTOR: ["fsdp2"],
    f"{ACTOR}.optim.lr": ["small", True],
    f"{ACTOR}.ppo_micro_batch_size_per_gpu": [0, "x", 1.5],
    f"{ACTOR}.use_dynamic_bsz": ["yes", 1],
    f"{ROLLOUT}.temperature": ["hot"],
    f"{ROLLOUT}.n": ["4", True, 0],
    f"{ROLLOUT}.max_model_len": ["long"],
    "ray_kwargs.ray_init.num_cpus": ["many"],
    "trainer.logger": [3, None],
    "trainer.nnodes": ["1", None],
    "trainer.save_freq": ["often", 1.5],
    "trainer.max_actor_ckpt_to_keep": ["two", 0],
    "trainer.total_training_steps": ["all"],
    "data.seed": [1.5, -1],
    "data.val_batch_size": ["many", 0],
    "data.dataloader_num_workers": [-1],
    f"{ACTOR}.ppo_epochs": [1.5, 0, None],
    f"{ACTOR}.optim.betas": [[0.9]],
    f"{ACTOR}.entropy_coeff": [float("nan"), "x"],
    "transfer_queue.backend.SimpleStorage.num_data_storage_units": [0],
    "actor_rollout_ref.model.path": [None],
}


@pytest.mark.parametrize(("key", "value"), [(key, v) for key, values in FORMS.items() for v in values])
def test_a_value_of_another_form(composed: Any, key: str, value: Any) -> None:
    (first, *_) = findings(composed, {key: value})
    assert first[0].startswith(key) and "needed" in first[1]


@pytest.mark.parametrize(
    "text", ["${paths.nowhere}/index", "${oc.env:MEDR3_NO_SUCH_VARIABLE}", "${medr3.retrieval.index}"]
)
def test_an_interpolation_that_leads_nowhere(composed: Any, text: str) -> None:
    ((where, message),) = findings(composed, {"medr3.retrieval.index": text})
    assert where == "medr3.retrieval.index" and message


def test_an_interpolation_is_named_where_it_stands(composed: Any) -> None:
    ((where, message),) = findings(composed, {"paths.run": "${oc.env:MEDR3_NO_SUCH_VARIABLE}"})
    assert where == "paths.run" and "${oc.env:MEDR3_NO_SUCH_VARIABLE,DEFAULT}" in message


@pytest.mark.parametrize("key", ["actor_rollout_ref.model.path", "data.train_files", "data.val_files"])
@pytest.mark.parametrize(
    ("value", "says"), [(None, "not set"), (5, "a text is needed"), ([5], "a text is needed")]
)
def test_what_verl_leaves_to_the_user(composed: Any, key: str, value: Any, says: str) -> None:
    usual = OmegaConf.select(OmegaConf.create(verl_defaults("dp")), key)
    found = findings(composed, {key: usual if value is None else value})
    assert (key, True) in [(where, says in message) for where, message in found]


def test_verls_example_may_be_there(composed: Any, tmp_path: Path, monkeypatch: Any) -> None:
    usual = str(OmegaConf.select(OmegaConf.create(verl_defaults("dp")), "data.val_files"))
    monkeypatch.setenv("HOME", str(tmp_path))
    file = Path(usual).expanduser()
    file.parent.mkdir(parents=True)
    file.touch()
    assert not any("not set" in message for _, message in findings(composed, {"data.val_files": usual}))


def stage(**keys: Any) -> list[dict[str, Any]]:
    return [{"name": "joint", "until": {"max_steps": 1}, **keys}]


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"medr3.stages": "joint"}, "medr3.stages", "must be a list"),
        ({"medr3.stages": {"joint": {}}}, "medr3.stages", "must be a list"),
        ({"medr3.stages": ["joint"]}, "medr3.stages[0]", "expected a mapping"),
        ({"medr3.stages": [None]}, "medr3.stages[0]", "expected a mapping"),
        ({"medr3.stages": [{"until": {"max_steps": 1}}]}, "medr3.stages[0].name", "missing"),
        ({"medr3.stages": [{"name": "joint"}]}, "medr3.stages[0].until", "missing"),
        ({"medr3.stages": [{"name": "推理", "until": {"max_steps": 1}}]}, "medr3.stages[0].name", "pattern"),
        ({"medr3.stages": [{"name": "foo", "until": {"max_steps": 1}}]}, "foo.preset", "no formula"),
        ({"medr3.stages": stage(reward="paper")}, "medr3.stages[0].reward", "mapping"),
        ({"medr3.stages": stage(reward={"preset": "papper"})}, "stages[0].reward.preset", "papper"),
        ({"medr3.stages": stage(max_searches="two")}, "medr3.stages[0].max_searches", "whole number"),
        ({"medr3.stages": stage() * 2}, "medr3.stages", "stages 0 and 1 are both named 'joint'"),
        ({"medr3.stages": stage(max_search=1)}, "medr3.stages[0].max_search", "did you mean max_searches"),
        (
            {"medr3.stages": [{"name": "joint", "max_steps": 4}]},
            "medr3.stages[0].max_steps",
            "belongs under medr3.stages[].until",
        ),
        ({"medr3.reward.extractor.kind": "judge"}, "medr3.reward.extractor.kind", "of kind openai or router"),
        ({"medr3.reward.agreement.kind": "judge"}, "medr3.reward.agreement.kind", "of kind openai or router"),
        ({"medr3.reward.agreement.kind": "llm"}, "medr3.reward.agreement.kind", "judge"),
        ({"medr3.topk": 3}, "medr3.topk", "belongs under medr3.environment"),
        ({"medr3.reward.base_url": "http://h/v1"}, "reward.base_url", "belongs under medr3.reward.judge"),
        ({"medr3.stags": []}, "medr3.stags", "did you mean stages"),
        (
            {"medr3.stages": stage(until={"max_step": 1})},
            "medr3.stages[0].until.max_step",
            "did you mean max_steps",
        ),
        ({"medr3.stages": stage(handover="weight")}, "medr3.stages[0].handover", "weights"),
        ({"medr3.stages": stage(mixture={"a": float("inf")})}, "medr3.stages[0].mixture.a", "finite"),
        ({"medr3.environment.topk": True}, "medr3.environment.topk", "not true or false"),
        ({"medr3.run_dir": ""}, "medr3.run_dir", "must not be empty"),
        ({"medr3.retrieval.ranking": "dense"}, "medr3.retrieval", "of backend milvus"),
        (
            {"medr3.retrieval.search": {"depth": 10, "rerank_depth": 20}},
            "medr3.retrieval.search",
            "larger than",
        ),
        (
            {"medr3.retrieval": {"backend": "http", "url": "http://host:99999"}},
            "medr3.retrieval",
            "expected http://HOST:PORT",
        ),
        (
            {"medr3.reward.penalties.overlong": {"max_tokens": 100, "buffer": 200}},
            "penalties.overlong",
            "larger than max_tokens",
        ),
        (
            {"medr3.stages": stage(until={"max_steps": 3, "metric": "acc", "threshold": float("nan")})},
            "until.threshold",
            "finite",
        ),
        ({"actor_rollout_ref.model.path": "~/model"}, "actor_rollout_ref.model.path", "what ~ means"),
        ({"data.train_files": ["~/train.parquet"]}, "data.train_files", "what ~ means"),
        ({"paths.run": "~/run"}, "trainer.default_local_dir", "/run/checkpoints"),
        ({"medr3.environment.document_template": "a document"}, "document_template", "shows nothing"),
        ({"medr3.environment.document_template": "{title.nope}"}, "document_template", "{title}, {text}"),
        ({"medr3.environment.document_template": "</document>{text}"}, "document_template", "</document>"),
        ({"medr3.environment.empty_line": "<answer>none</answer>"}, "empty_line", "<answer>"),
        ({"medr3.retrieval.backend": "in_process"}, "medr3.retrieval.backend", "inprocess"),
        ({"medr3.platform": "cup"}, "medr3.platform", "did you mean cpu"),
        ({"medr3.reward.encoder.device": "gpu"}, "medr3.reward.encoder.device", "not a device of torch"),
        ({"trainer.resume_mode": "atuo"}, "trainer.resume_mode", "did you mean auto"),
        ({"trainer.device": "gpu"}, "trainer.device", "expected cuda, cpu"),
        ({f"{ACTOR}.strategy": "fsdp3"}, f"{ACTOR}.strategy", "did you mean fsdp"),
        ({f"{ACTOR}.optim.optimizer": "AdamWW"}, f"{ACTOR}.optim", "AdamWW"),
        ({f"{ACTOR}.optim.betas": [0.9, 1.5]}, f"{ACTOR}.optim", "beta"),
        ({f"{ACTOR}.optim.lr_warmup_steps": 4}, f"{ACTOR}.optim.lr_warmup_steps", "none would reach"),
        ({f"{ACTOR}.grad_clip": 0.5}, f"{ACTOR}.grad_clip", "optim.clip_grad"),
        ({f"{ACTOR}.clip_ratio": 0.3}, f"{ACTOR}.clip_ratio", "is not read"),
        ({f"{ACTOR}.rollout_n": 9}, f"{ACTOR}.rollout_n", "set that key alone"),
        (
            {"trainer.save_freq": 1, f"{ACTOR}.checkpoint.save_contents": ["modle", "optimizer"]},
            "save_contents",
            "did you mean model",
        ),
        (
            {"trainer.save_freq": 1, f"{ACTOR}.checkpoint.save_contents": ["hf_model"]},
            "save_contents",
            "initial weights",
        ),
        (
            {"trainer.save_freq": 1, f"{ACTOR}.checkpoint.load_contents": ["model", "hf_model"]},
            "load_contents",
            "not saved",
        ),
        ({f"{ACTOR}.optim.lr": -1.0}, f"{ACTOR}.optim.lr", "out of range"),
        ({f"{ACTOR}.optim.lr_scheduler_type": "cosin"}, "lr_scheduler_type", "did you mean cosine"),
        ({f"{ACTOR}.policy_loss.loss_mode": "vanila"}, "policy_loss.loss_mode", "did you mean vanilla"),
        ({f"{ACTOR}.loss_agg_mode": "token_mean"}, ACTOR, "Invalid loss_agg_mode"),
        ({f"{ACTOR}.fsdp_config.model_dtype": "fp31"}, "model_dtype", "expected fp32"),
        ({f"{ROLLOUT}.name": "vlm"}, f"{ROLLOUT}.name", "did you mean vllm"),
        ({f"{ROLLOUT}.dtype": "float31"}, f"{ROLLOUT}.dtype", "did you mean float32"),
        ({f"{ROLLOUT}.gpu_memory_utilization": 20}, "gpu_memory_utilization", "out of range"),
        ({f"{ROLLOUT}.top_p": 7}, f"{ROLLOUT}.top_p", "out of range"),
        ({f"{ROLLOUT}.val_kwargs.temperature": -1}, "val_kwargs.temperature", "out of range"),
        ({f"{ROLLOUT}.max_num_batched_tokens": 10}, "max_num_batched_tokens", "vLLM refuses"),
        ({f"{ROLLOUT}.load_format": "dumy"}, f"{ROLLOUT}.load_format", "did you mean dummy"),
        ({f"{ROLLOUT}.response_length": 10}, f"{ROLLOUT}.response_length", "data.max_response_length"),
        ({f"{ROLLOUT}.calculate_log_probs": False}, f"{ROLLOUT}.calculate_log_probs", "must be true"),
        ({f"{ROLLOUT}.agent.agent_loop_config_path": "/nowhere.yaml"}, "agent_loop_config_path", "nowhere"),
        ({"data.train_max_samples": 2}, "data.train_max_samples", "fewer than"),
        ({"data.gen_batch_size": 4}, "data.gen_batch_size", "does not divide the 6 prompts"),
        ({"data.custom_cls": {"path": "/nowhere.py", "name": "X"}}, "data.custom_cls", "nowhere"),
        ({"trainer.default_hdfs_dir": "hdfs://a/b"}, "trainer.default_hdfs_dir", "do not copy checkpoints"),
        ({"trainer.critic_warmup": 5}, "trainer.critic_warmup", "no critic"),
        ({"trainer.v1.sampler.max_off_policy_strategy": "x"}, "trainer.v1.sampler", "off policy strategy"),
        ({"ray_kwargs.ray_init.num_cpu": 8}, "ray_init.num_cpu", "did you mean num_cpus"),
        ({"actor_rollout_ref.model.custom_chat_template": "{% if"}, "custom_chat_template", "cannot be used"),
        (
            {"algorithm.filter_groups": {"enable": True, "metric": "accc"}},
            "algorithm.filter_groups.metric",
            "did you mean acc",
        ),
        (
            {"reward.custom_reward_function": {"path": "/nowhere.py", "name": "f"}},
            "reward.custom_reward_function",
            "nowhere",
        ),
        (
            {"actor_rollout_ref.model.override_config.attn_implementation": "sdpaa"},
            "attn_implementation",
            "did you mean sdpa",
        ),
        (
            {"actor_rollout_ref.model.override_config.attn_implementation": "flash_attention_2"},
            "attn_implementation",
            "needs a GPU",
        ),
        ({f"{ROLLOUT}.logprobs_mode": "x"}, f"{ROLLOUT}.logprobs_mode", "expected raw_logits"),
        ({f"{ROLLOUT}.quantization": "fp9"}, f"{ROLLOUT}.quantization", "did you mean fp8"),
        ({"ray_kwargs.ray_init.num_gpus": None}, "ray_kwargs.ray_init.num_gpus", "0 logical GPUs"),
        ({"reward.reward_model.enable": True}, "reward.reward_model.rollout.name", "mandatory"),
        ({"trainer.n_gpus_per_node": 2}, "ray_kwargs.ray_init.num_gpus", "1 logical GPUs"),
        ({"trainer.v1.trainer_mode": "medr3_separate_async"}, f"{ROLLOUT}.nnodes", "at least 1"),
    ],
)
def test_a_value_that_is_refused_later(composed: Any, changes: dict[str, Any], where: str, says: str) -> None:
    found = findings(composed, changes)
    assert any(key.endswith(where) and says in message for key, message in found), found


def test_a_package_that_is_not_installed_is_missing(composed: Any) -> None:
    config = changed(composed, {"actor_rollout_ref.model.external_lib": "no_such_lib"})
    found = check_config(config, CPU.folder, files=False, gpu_memory_gib=80)
    assert ("missing", "actor_rollout_ref.model.external_lib") in [(f.level, f.where) for f in found]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (f"{ACTOR}.clip_ratio_low", None),
        (f"{ACTOR}.optim.weight_decay", 0),
        (f"{ROLLOUT}.max_num_seqs", None),
        (f"{ROLLOUT}.seed", 0),
        ("data.dataloader_num_workers", 0),
        ("data.seed", 7),
        ("trainer.project_name", 3),
        ("data.train_files", ["a.parquet", "b.parquet"]),
        ("data.val_files", ["a.parquet"]),
        ("actor_rollout_ref.model.exclude_modules", ["lm_head"]),
        ("trainer.v1.sampler.max_off_policy_threshold", None),
        ("trainer.v1.colocate_async.num_warmup_batches", 0.5),
    ],
)
def test_values_that_verl_takes_are_right(composed: Any, key: str, value: Any) -> None:
    assert findings(composed, {key: value}) == []


def test_numbers_of_environment_variables_are_texts(composed: Any) -> None:
    second = {"name": "retrieval", "until": {"max_steps": "1"}}
    stages = [*stage(max_searches="2", mixture={"rare_disease": "1"}), second]
    changes = {
        "medr3.stages": stages,
        "medr3.environment.max_searches": "1",
        "medr3.environment.prefill_think": "false",
        "medr3.reward.penalties": {"overlong": {"max_tokens": "120", "buffer": "20"}},
    }
    assert findings(composed, changes) == []


def test_separate_async_with_its_keys_is_right(composed: Any) -> None:
    changes = {
        "trainer.v1.trainer_mode": "medr3_separate_async",
        "trainer.v1.separate_async.parameter_sync_step": 1,
        "actor_rollout_ref.hybrid_engine": False,
        f"{ROLLOUT}.nnodes": 1,
        f"{ROLLOUT}.n_gpus_per_node": 1,
        f"{ROLLOUT}.checkpoint_engine.backend": "medr3_gloo",
        f"{ROLLOUT}.checkpoint_engine.custom_backend_module": "medr3_plugin.platform_cpu.gloo_weights",
        "ray_kwargs.ray_init.num_gpus": 2,
    }
    assert findings(composed, changes) == []
    ((where, message),) = findings(composed, {**changes, f"{ACTOR}.ppo_mini_batch_size": 3})
    assert where == "trainer.v1.separate_async.parameter_sync_step" and "1 x ppo_mini_batch_size 3" in message
    ((where, message),) = findings(composed, {**changes, f"{ROLLOUT}.checkpoint_engine.backend": "naive"})
    assert where == f"{ROLLOUT}.checkpoint_engine.backend" and "nccl" in message


@pytest.mark.parametrize(("samples", "questions"), [(2, 1), (3, 5), (4, 7), (5, 2), (8, 8)])
def test_samples_and_questions_can_be_changed_alone(composed: Any, samples: int, questions: int) -> None:
    assert findings(composed, {f"{ROLLOUT}.n": samples, "data.train_batch_size": questions}) == []


def test_an_encoder_whose_cosines_are_not_known(composed: Any) -> None:
    found = dict(findings(composed, {"medr3.reward.encoder.path": "models/another"}, files=True))
    assert "unknown for models/another" in found["medr3.reward.encoder.c0"]


def test_validation_on_training_files_is_said(composed: Any) -> None:
    same = {"data.train_files": "/nowhere/a.parquet", "data.val_files": ["/nowhere/a.parquet"]}
    found = check_config(changed(composed, same), CPU.folder, files=True, gpu_memory_gib=80)
    assert ("note", "data.val_files") in [(f.level, f.where) for f in found]


def test_models_of_a_search_are_looked_for(composed: Any) -> None:
    search = {"medr3.retrieval.search": {"reranker": "/nowhere/reranker"}}
    found = check_config(changed(composed, search), CPU.folder, files=True, gpu_memory_gib=80)
    assert ("missing", "medr3.retrieval.search.reranker") in [(f.level, f.where) for f in found]


def test_files_of_another_kind(composed: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text('{"model_type": ')
    (tmp_path / "file").write_bytes(b"\x00\xff\xfe")
    changes = {
        "actor_rollout_ref.model.path": str(tmp_path / "model"),
        "medr3.reward.encoder.path": str(tmp_path / "empty"),
        "medr3.retrieval.index": str(tmp_path / "empty"),
        "medr3.reward.extractor.vocabularies": [str(tmp_path / "file")],
        "paths.run": str(tmp_path / "file/run"),
        "data.train_files": str(tmp_path / "file/train.parquet"),
    }
    found = dict(findings(composed, changes, files=True))
    assert "config.json cannot be read" in found["actor_rollout_ref.model.path"]
    assert "config.json cannot be read" in found["medr3.reward.encoder.path"]
    assert "no manifest.json" in found["medr3.retrieval.index"]
    assert "a file of another kind" in found["medr3.reward.extractor.vocabularies"]
    for key in ("medr3.run_dir", "trainer.default_local_dir", "data.train_files"):
        assert "is a file" in found[key]


TEXT = (CPU.folder / "medr3_cpu.yaml").read_text(encoding="utf-8")


def written(folder: Path, content: bytes, name: str = "mine.yaml") -> Recipe:
    """The recipe with another yaml, in a folder of its own."""
    shutil.copytree(CPU.folder, folder, ignore=shutil.ignore_patterns("medr3_cpu.yaml"))
    (folder / name).write_bytes(content)
    return find_recipe(str(folder / name))


@pytest.mark.parametrize(
    "content",
    [
        TEXT.replace("  - ppo_trainer", "\t- ppo_trainer").encode(),
        (TEXT + "\nmedr3: {}\n").encode(),
        TEXT.replace("# Med-R^3", "# 检索").encode("gbk"),
        TEXT.replace("kind: rule", "kind: rule: x").encode(),
        TEXT.replace("preset: medr3", "preset: %medr3").encode(),
        TEXT.replace("ppo_trainer", "ppo_trainr").encode(),
        TEXT.replace("defaults:", "defalts:").encode(),
        TEXT.replace("  stages:\n", "stages:\n").encode(),
        bytes(range(256)),
        b"- 1\n",
        b"# nothing\n",
        b"",
    ],
    ids=(
        "tab", "twice", "gbk", "colon", "percent", "default", "no defaults", "indent", "binary", "list", "comment",
        "empty",
    ),
)  # fmt: skip
def test_a_yaml_that_is_none(tmp_path: Path, content: bytes) -> None:
    try:
        assert errors(written(tmp_path / "mine", content))
    except UserError as error:
        assert "mine" in str(error)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("my recipe", "my recipe.yaml"), ("配方 一", "配方.yaml"), ("a=b,c", "mine.yaml"), ("[x]", "mine.yaml")],
)
def test_names_with_spaces_and_of_other_scripts_are_right(tmp_path: Path, folder: str, name: str) -> None:
    recipe = written(tmp_path / folder, TEXT.encode(), name)
    assert errors(recipe) == []


def test_anchors_windows_line_ends_and_a_byte_order_mark_are_right(tmp_path: Path) -> None:
    text = TEXT.replace("until: {max_steps: 4}", "until: &until {max_steps: 4}", 1)
    text = text.replace("until: {max_steps: 4}", "until: *until")
    recipe = written(tmp_path / "mine", b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert errors(recipe) == []


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("ablation=joint_olny", "joint_only"),
        ("environment=tool", "tools"),
        ("precision=float16", "float32"),
        ("medr3.stages.7.max_searches=1", "out of range"),
        ("=", "does not compose"),
    ],
)
def test_an_override_of_nothing_is_an_error_of_the_recipe(override: str, says: str) -> None:
    (error,) = errors(CPU, [override])
    assert says in error.message


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trainer.nnodes", "expected KEY=VALUE"),
        ("", "expected KEY=VALUE"),
        ("+trainer.nnodes=2=3=", "cannot be read"),
        ("--trainer.nnodes=2", "cannot be read"),
        ("medr3.stages=[{name: joint", "brackets and quotes"),
        ('paths.run="a b', "brackets and quotes"),
        ("medr3.stages[0].until.max_steps=4", "write medr3.stages.0.until.max_steps=4"),
        ("paths.run = x", "write paths.run=x"),
        (
            "paths.run=/data/运行",
            """quote its value for hydra, and all of it for the shell: 'paths.run="/data/运行"'""",
        ),
    ],
)
def test_an_override_that_is_none_is_wrong_input(override: str, says: str) -> None:
    with pytest.raises(WrongOverride, match=re.escape(says)):
        check(CPU, [override])


def problems_in_folder(config: Any, folder: Path, **changes: Any) -> list[str]:
    own = {"medr3.run_dir": str(folder), "trainer.default_local_dir": str(folder / "checkpoints")}
    config = changed(config, own | {key.replace("__", "."): value for key, value in changes.items()})
    return [f"{finding.where}: {finding.message}" for finding in resumes(config)]


def test_a_resume_that_the_trainer_would_refuse_is_refused_by_the_check(
    composed: Any, tmp_path: Path
) -> None:
    stages = OmegaConf.to_container(composed.medr3.stages, resolve=True)
    assert not problems_in_folder(composed, tmp_path)  # nothing to resume
    checkpoint = tmp_path / "checkpoints" / "global_step_3"
    begin(checkpoint)
    schedule = Schedule.from_config(stages)
    StageState.begin(schedule, formulas(composed, schedule)).save(checkpoint)
    mark_complete(checkpoint)
    assert not problems_in_folder(composed, tmp_path)
    longer = [{**stages[0], "until": {"max_steps": 99}}, *stages[1:]]
    assert not problems_in_folder(composed, tmp_path, medr3__stages=longer)
    renamed = [{**stages[0], "name": "other"}, *stages[1:]]
    (said,) = problems_in_folder(composed, tmp_path, medr3__stages=renamed)
    assert "medr3.stages has changed" in said and str(checkpoint) in said
    assert not problems_in_folder(composed, tmp_path, medr3__stages=renamed, trainer__resume_mode="disable")
    for key, mode in (("default_local_dir", "auto"), ("resume_from_path", "resume_path")):
        for path in (None, "", 3):
            given = {"trainer__resume_mode": mode, f"trainer__{key}": path}
            (said,) = problems_in_folder(composed, tmp_path, **given)
            assert said.startswith(f"trainer.{key}: give ")
    (said,) = problems_in_folder(composed, tmp_path, medr3__reward__preset="paper")
    assert "medr3.reward.preset" in said and str(checkpoint) in said
    (checkpoint / STATE_FILE).unlink()  # damaged: the trainer skips it
    assert not problems_in_folder(composed, tmp_path)
    named = {"trainer__resume_mode": "resume_path", "trainer__resume_from_path": str(checkpoint)}
    (said,) = problems_in_folder(composed, tmp_path, **named)
    assert said.startswith(f"trainer.resume_from_path: {checkpoint}")


def test_a_folder_in_use_is_refused_by_the_check(composed: Any, tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from medr3_plugin.runs.writer import claimed; "
        "lock = claimed(pathlib.Path(sys.argv[1])); print(1, flush=True); time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert run.stdout is not None and run.stdout.readline()
        (said,) = problems_in_folder(composed, tmp_path)
        assert said.startswith("medr3.run_dir: another run is using")
    finally:
        run.kill()
        run.wait()
    assert not problems_in_folder(composed, tmp_path)
