"""Every shipped recipe composes against the installed verl and passes its checks; broken ones are caught."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hydra")
pytest.importorskip("verl")

from command_line import medr3
from omegaconf import OmegaConf
from recipe_findings import ACTOR, ROLLOUT, changed, errors

from medr3_plugin.errors import UserError
from medr3_plugin.recipe.checks import check, check_config
from medr3_plugin.recipe.checks.cluster import CPUS_PER_GPU
from medr3_plugin.recipe.checks.forms import READ_WITHOUT_DEFAULT, unknown_keys
from medr3_plugin.recipe.memory import estimate, model_size
from medr3_plugin.recipe.shipped import Recipe, compose, copy_recipe, find_recipe, list_recipes

ROOT = Path(__file__).parents[2]
NAMES = [recipe.name for recipe in list_recipes()]
TOOLS = f"{ROLLOUT}.multi_turn.tool_config_path=tools.yaml"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Away from the repository, so that nothing is found by accident."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_a_copied_recipe_has_no_error(name: str, elsewhere: Path) -> None:
    recipe = copy_recipe(name, elsewhere / "mine")
    assert errors(recipe) == []


@pytest.mark.parametrize("name", ["qwen2_5_7b", "qwen2_5_14b", "llama3_1_8b"])
def test_the_papers_settings(name: str) -> None:
    config = compose(find_recipe(name))
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    assert (config.data.train_batch_size, actor.ppo_mini_batch_size, rollout.n) == (256, 64, 16)
    assert (config.data.max_prompt_length, config.data.max_response_length) == (2048, 14336)
    assert (actor.clip_ratio_low, actor.clip_ratio_high, actor.clip_ratio_c) == (0.2, 0.28, 3.0)
    assert (actor.optim.lr, actor.optim.weight_decay, actor.entropy_coeff) == (1e-6, 0.01, 0)
    assert not actor.use_kl_loss and not config.algorithm.use_kl_in_reward
    assert actor.loss_agg_mode == "token-mean" and rollout.temperature == 1.0
    assert config.medr3.reward.penalties.overlong == {"max_tokens": 14336, "buffer": 3072, "factor": 1.0}
    assert config.medr3.environment.max_searches == 4 and config.medr3.environment.topk == 5
    assert [stage.name for stage in config.medr3.stages] == ["reasoning", "retrieval", "joint"]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "medr3_cpu"])
def test_verl_makes_its_dataclasses_of_it(name: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from transformers import LlamaConfig
    from verl.utils.config import omega_conf_to_dataclass

    LlamaConfig(architectures=["LlamaForCausalLM"]).save_pretrained(tmp_path)
    model = [f"actor_rollout_ref.model.path={tmp_path}", "+actor_rollout_ref.model.load_tokenizer=false"]
    config = compose(find_recipe(name), model)
    parts = config.actor_rollout_ref
    actor, rollout, policy = (omega_conf_to_dataclass(parts[key]) for key in ("actor", "rollout", "model"))
    assert (actor.engine.strategy, policy.hf_config._attn_implementation) == ("fsdp2", "flash_attention_2")
    assert actor.engine.ulysses_sequence_parallel_size == parts.actor.ulysses_sequence_parallel_size
    assert actor.optim.clip_grad == 1.0 and actor.optim.lr_scheduler_type == "constant"
    # the worker asserts the first, and takes the second for old log-probabilities
    assert rollout.log_prob_use_dynamic_bsz == actor.use_dynamic_bsz
    assert rollout.log_prob_max_token_len_per_gpu == actor.ppo_max_token_len_per_gpu
    assert rollout.free_cache_engine and rollout.enable_sleep_mode and rollout.load_format == "dummy"
    assert omega_conf_to_dataclass(config.algorithm).norm_adv_by_std_in_grpo


def test_baselines_differ_from_the_method_in_what_they_ablate_only() -> None:
    method, answer, search = (
        compose(find_recipe(n)) for n in ("qwen2_5_7b", "answer_only", "search_r1_style")
    )
    for section in ("data", "actor_rollout_ref", "algorithm", "trainer"):
        for other in (answer, search):
            mine, theirs = (OmegaConf.to_container(config[section]) for config in (method, other))
            for key in ("experiment_name", "default_local_dir"):
                mine.pop(key, None)
                theirs.pop(key, None)
            assert mine == theirs, section
    assert answer.medr3.environment.max_searches == 0
    budgets = [sum(stage.until.max_steps for stage in c.medr3.stages) for c in (method, answer, search)]
    assert len(set(budgets)) == 1


@pytest.fixture(scope="module")
def composed() -> Any:
    return compose(find_recipe("qwen2_5_7b"))


@pytest.fixture(scope="module")
def plain_cpu() -> Any:
    return compose(find_recipe("medr3_cpu"))


def no_error(config: Any, recipe: Recipe) -> bool:
    found = check_config(config, recipe.folder, files=False, gpu_memory_gib=80)
    return all(finding.level != "error" for finding in found)


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        (
            {f"{ROLLOUT}.max_model_len": 16384},
            "rollout.max_model_len",
            "16384 < prompt + response + <think> = 16392",
        ),
        (
            {f"{ROLLOUT}.log_prob_max_token_len_per_gpu": 4096},
            "rollout.log_prob_max_token_len_per_gpu",
            "is 8192",
        ),
        (
            {"data.max_response_length": 8192},
            "penalties.overlong.max_tokens",
            "data.max_response_length 8192",
        ),
        ({f"{ROLLOUT}.tensor_model_parallel_size": 3}, "tensor_model_parallel", "not divide"),
        ({f"{ROLLOUT}.tensor_model_parallel_size": 8}, "tensor_model_parallel", "28 attention"),
        ({f"{ACTOR}.ulysses_sequence_parallel_size": 3}, "ulysses", "the 16 GPUs"),
        ({f"{ACTOR}.ulysses_sequence_parallel_size": 8}, "ulysses", "28 attention and 4 key"),
        (
            {
                f"{ACTOR}.ulysses_sequence_parallel_size": 1,
                f"{ACTOR}.fsdp_config.ulysses_sequence_parallel_size": 8,
            },
            "ulysses",
            "28 attention and 4 key",
        ),
        (
            {"actor_rollout_ref.model.override_config.attn_implementation": "sdpa"},
            "override_config.attn_implementation",
            "flash_attention_2",
        ),
        ({"actor_rollout_ref.model.use_remove_padding": False}, "verl validate_config", "use_remove_padding"),
        (
            {f"{ACTOR}.ppo_mini_batch_size": 2, f"{ROLLOUT}.n": 2},
            "ppo_mini_batch_size",
            "2 x rollout.n 2 = 4",
        ),
        (
            {
                f"{ACTOR}.use_dynamic_bsz": False,
                f"{ACTOR}.ppo_micro_batch_size_per_gpu": 3,
                f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu": 3,
            },
            f"{ACTOR}.ppo_micro_batch_size_per_gpu",
            "3 does not divide the 128 samples",
        ),
        ({"medr3.reward.encoder.device": None}, "medr3.reward.encoder.device", "a text"),
        ({"medr3.retrieval.search.reranker": "a/b"}, "medr3.retrieval.search.device", "onto GPU 0"),
        ({"ray_kwargs.ray_init.num_cpus": 32}, "ray_kwargs.ray_init.num_cpus", "needs 59 CPUs"),
        ({"reward.num_workers": 0}, "reward.num_workers", "at least 1"),
        ({f"{ROLLOUT}.agent.num_workers": 0}, "agent.num_workers", "at least 1"),
        ({"data.max_respons_length": 512}, "data.max_respons_length", "did you mean max_response_length"),
        ({f"{ROLLOUT}.val_kwargs.temprature": 1}, "val_kwargs.temprature", "did you mean temperature"),
        ({f"{ACTOR}.ppo_max_token_len_per_gpu": 4096}, "ppo_max_token_len", "one trajectory"),
        ({f"{ACTOR}.ppo_mini_batch_size": 96}, "ppo_mini_batch_size", "does not divide"),
        ({f"{ROLLOUT}.n": 1}, "rollout.n", "at least 2"),
        ({"medr3.stages.0.until.patience": 0}, "until.patience", "at least 1"),
        ({"medr3.environment.max_serches": 2}, "max_serches", "unknown key"),
        ({"medr3.typo": 1}, "medr3.typo", "unknown key"),
        ({"medr3.stages.0.until.metric": "acy"}, "medr3.stages[0].until.metric", "did you mean acc"),
        ({"trainer.total_training_steps": 10}, "trainer.total_training_steps", "the stages are"),
        (
            {"trainer.v1.trainer_mode": "colocate_async"},
            "trainer.v1.trainer_mode",
            "would ignore medr3.stages",
        ),
        ({"trainer.v1.trainer_mode": "sync"}, "trainer.v1.trainer_mode", "medr3_progressive"),
        ({"medr3.environment.answer_reserve": 20000}, "max_response_length", "document_tokens"),
        ({"algorithm.adv_estimator": "remax"}, "algorithm.adv_estimator", "medr3_grpo"),
        ({f"{ROLLOUT}.agent.default_agent_loop": "medr3_s"}, "default_agent_loop", "medr3_search"),
        ({"trainer.nnodes": 1, "trainer.n_gpus_per_node": 1}, "memory", "training needs an estimated"),
        ({f"{ROLLOUT}.gpu_memory_utilization": 0.2}, "gpu_memory_utilization", "less than one"),
    ],
)
def test_mistakes_are_found(composed: Any, changes: dict[str, Any], where: str, what: str) -> None:
    folder = find_recipe("qwen2_5_7b").folder
    found = check_config(changed(composed, changes), folder, files=False, gpu_memory_gib=80)
    refused = [f for f in found if f.level == "error"]
    assert any(where in f.where and what in f.message for f in refused), refused


MEGATRON = [
    "model_engine=megatron",
    "actor_rollout_ref.actor.strategy=megatron",
    "~actor_rollout_ref.actor.ulysses_sequence_parallel_size",
    "~actor_rollout_ref.actor.fsdp_config",
]


def test_megatron_composes_and_says_what_it_cannot_do() -> None:
    recipe = find_recipe("qwen2_5_7b")
    config = compose(recipe, MEGATRON)
    assert config.actor_rollout_ref.actor.strategy == "megatron"
    (error,) = [
        f for f in check_config(config, recipe.folder, files=False, gpu_memory_gib=80) if f.level == "error"
    ]
    assert error.where == "medr3.stages[0]" and "weights+optimizer" in error.message
    for stage in config.medr3.stages:
        OmegaConf.update(stage, "handover", "weights+optimizer", force_add=True)
    assert no_error(config, recipe)


def test_cpu_precision_changes_what_is_multiplied_and_nothing_else() -> None:
    recipe = find_recipe("medr3_cpu")
    plain, fast = (compose(recipe, arguments) for arguments in ([], ["precision=bfloat16"]))
    assert no_error(fast, recipe)
    for config, compute, rollout in ((plain, "fp32", "float32"), (fast, "bf16", "bfloat16")):
        policy = config.actor_rollout_ref
        assert policy.actor.fsdp_config.mixed_precision.param_dtype == compute
        assert policy.actor.fsdp_config.model_dtype == "fp32"  # the optimizer's weights
        assert policy.rollout.dtype == rollout
        for role in (policy.actor, policy.ref):
            role.fsdp_config.mixed_precision.param_dtype = None
        policy.rollout.dtype = None
        config.precision = None
    assert plain == fast


@pytest.mark.parametrize("path", sorted((find_recipe("medr3_cpu").folder / "ablation").glob("*.yaml")))
def test_cpu_ablations_differ_in_the_stages_alone(path: Path, plain_cpu: Any) -> None:
    recipe = find_recipe("medr3_cpu")
    ablated = compose(recipe, [f"ablation={path.stem}"])
    assert no_error(ablated, recipe)
    assert plain_cpu.medr3.stages != ablated.medr3.stages
    ablated.medr3.stages = plain_cpu.medr3.stages
    assert plain_cpu == ablated


@pytest.mark.parametrize(
    "name", sorted(r.name for r in list_recipes() if (r.folder / "judge" / "verl.yaml").is_file())
)
def test_the_judge_that_verl_serves_composes(name: str) -> None:
    recipe = find_recipe(name)
    config = compose(recipe, ["judge=verl"])
    assert no_error(config, recipe)
    assert config.medr3.reward.judge.kind == "router" and config.reward.reward_model.enable


def test_the_copies_of_the_judge_fill_its_gpus() -> None:
    overrides = ["judge=verl", "reward.reward_model.rollout.tensor_model_parallel_size=3"]
    (error,) = errors("qwen2_5_7b", overrides)
    assert error.where.startswith("reward.reward_model.rollout.tensor_m") and "8 GPUs" in error.message


def test_a_judge_that_nobody_serves_is_an_error() -> None:
    assert errors("medr3_cpu", ["medr3.reward.judge.kind=router"])[0].where == "medr3.reward.judge.kind"


def test_keys_that_verl_reads_without_a_default_are_known() -> None:
    import verl

    sources = "".join(p.read_text() for p in (Path(verl.__file__).parent).rglob("*.py"))
    for keys in READ_WITHOUT_DEFAULT.values():
        for key in keys:
            assert f'"{key}"' in sources, key
    extra = [f"+{section}.{key}=1" for section, keys in READ_WITHOUT_DEFAULT.items() for key in keys]
    assert list(unknown_keys(compose(find_recipe("qwen2_5_7b"), extra))) == []


def test_sections_and_data_sets_of_ones_own_may_have_any_keys() -> None:
    extra = ["+mine.key=1", "+data.mine=1", "data.custom_cls.path=pkg://mine"]
    config = compose(find_recipe("qwen2_5_7b"), extra)
    assert list(unknown_keys(config)) == []
    (error,) = unknown_keys(compose(find_recipe("qwen2_5_7b"), ["+traner.nnodes=1"]))
    assert error.where == "traner" and "did you mean trainer" in error.message


def test_cpus_that_verl_reserves_with_a_gpu() -> None:
    from verl.single_controller.ray import ResourcePoolManager

    assert ResourcePoolManager.__dataclass_fields__["max_colocate_count"].default == CPUS_PER_GPU


def test_the_judges_gpus_reserve_cpus_too() -> None:
    few = ["ray_kwargs.ray_init.num_cpus=8"]
    assert errors("medr3_cpu", few) == []
    (error,) = errors("medr3_cpu", [*few, "judge=verl"])
    assert error.where == "ray_kwargs.ray_init.num_cpus" and "Ray needs 9 CPUs" in error.message


def test_milvus_is_there_and_its_files_are_not_shared() -> None:
    recipe = find_recipe("medr3_cpu")

    def found(uri: str, *overrides: str) -> list[tuple[str, str]]:
        options = [
            "medr3.retrieval.backend=milvus",
            "medr3.retrieval.index=null",
            f"+medr3.retrieval.uri='{uri}'",
            "+medr3.retrieval.collection=c",
            *overrides,
        ]
        return [(f.level, f.message) for f in check(recipe, options) if f.where == "medr3.retrieval.uri"]

    several = "actor_rollout_ref.rollout.agent.num_workers=2"
    ((level, message),) = found("milvus.db", several)
    assert level == "error" and "num_workers" in message
    assert found("milvus.db", "actor_rollout_ref.rollout.agent.num_workers=1") == []
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert found(uri, several) == []
    ((level, message),) = found(uri)
    assert level == "missing" and uri in message


def test_an_address_of_one_machine_does_not_serve_two(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = find_recipe("qwen2_5_7b")

    def missing(*overrides: str) -> dict[str, str]:
        return {f.where: f.message for f in check(recipe, overrides, files=False) if f.level == "missing"}

    assert "on all 2 nodes" in missing()["medr3.reward.judge.base_url"]
    assert "medr3.reward.judge.base_url" not in missing("trainer.nnodes=1")
    service = ["medr3.retrieval.backend=http", "+medr3.retrieval.url='http://localhost:8765'"]
    assert "on all 2 nodes" in missing(*service)["medr3.retrieval.url"]
    assert "on all 2 nodes" in missing("trainer.nnodes=1", "judge=verl", *service)["medr3.retrieval.url"]
    monkeypatch.setenv("MEDR3_JUDGE_URL", "http://10.0.0.5:8000/v1")
    assert "medr3.reward.judge.base_url" not in missing()
    # it has a backend that it never asks
    assert [
        f for f in check(find_recipe("answer_only"), files=False) if f.where == "medr3.retrieval.url"
    ] == []


def test_the_query_encoder_of_a_dense_index_must_not_choose_a_gpu(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"engine": "hybrid"}')
    overrides = [f"medr3.retrieval.index={tmp_path}"]
    assert [f.where for f in errors("qwen2_5_7b", overrides)] == ["medr3.retrieval.search.device"]
    assert errors("qwen2_5_7b", [*overrides, "+medr3.retrieval.search.device=cpu"]) == []


def test_packages_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    absent = ("flash_attn", "sentence_transformers", "vllm")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else find_spec(name))

    def names(*overrides: str) -> set[str]:
        found = check(find_recipe("one_gpu_1_5b"), overrides, files=False)
        return {f.where for f in found if f.level == "missing"}

    assert {"flash-attn", "sentence-transformers", "vllm"} <= names()
    sdpa = "+actor_rollout_ref.model.override_config.attn_implementation=sdpa"
    assert not {"flash-attn", "sentence-transformers"} & names(sdpa, "medr3.reward.encoder.path=null")


def test_unknown_keys_do_not_compose() -> None:
    (error,) = errors("qwen2_5_7b", [f"{ACTOR}.no_such_key=1"])
    assert "does not compose" in error.message and "no_such_key" in error.message


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("trainer.nnode=2", "; did you mean nnodes?"),
        ("medr3.stages.0.untill=2", "; did you mean until?"),
        ("traner.nnodes=2", "; did you mean trainer.nnodes?"),
        ("actor.optim.lr=1", "; did you mean actor_rollout_ref.actor.optim.lr?"),
        # keys that exist, but not in this yaml
        ("medr3.reward.weights={reasoning: 1}", ""),
        ("medr3.reward.judge={kind: openai, base_url: x}", ""),
    ],
)
def test_a_key_that_is_not_set_is_compared_with_those_beside_it(override: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        compose(find_recipe("one_gpu_1_5b"), [override])
    message = str(error.value)
    assert f"To append to your config use +{override}" in message
    assert message.partition("; did you mean")[1:] == (hint and "; did you mean", hint[14:])


@pytest.mark.parametrize(
    ("encoding", "text", "says"),
    [
        ("utf-16", "defaults: [ppo_trainer]\n", "save it as UTF-8"),
        ("utf-8", "a: ${b\n", "${b"),
    ],
)
def test_a_yaml_that_cannot_be_read_says_why(tmp_path: Path, encoding: str, text: str, says: str) -> None:
    (tmp_path / "mine.yaml").write_text(text, encoding=encoding)
    (tmp_path / "README.md").write_bytes(b"caf\xe9")
    (error,) = errors(find_recipe(str(tmp_path / "mine.yaml")))
    assert str(tmp_path) in error.message and says in error.message


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        ([f"{ROLLOUT}.multi_turn.max_tool_response_length=256"], "response_chars"),
        ([TOOLS, f"{ROLLOUT}.multi_turn.max_assistant_turns=4"], "4 leaves no turn"),
        ([TOOLS, "data.tool_config_path=other.yaml"], "without the tool's description"),
    ],
)
def test_tool_recipe_leaves_room_for_documents_and_a_turn_and_names_one_file(
    overrides: list[str], what: str
) -> None:
    assert any(what in f.message for f in errors("qwen3_8b_tools", overrides))


def test_files_are_missing_until_they_are_prepared(elsewhere: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    recipe = copy_recipe("one_gpu_1_5b", elsewhere / "mine")
    missing = {f.where for f in check(recipe) if f.level == "missing"}
    assert {"data.train_files", "data.val_files", "medr3.retrieval"} <= missing
    data = elsewhere / "data" / "medr3"
    (data / "index").mkdir(parents=True)
    (data / "vocab.jsonl").write_text("")
    rows = {"data_source": ["a"] * 8, "prompt": ["p"] * 8, "reward_model": ["r"] * 8, "extra_info": ["e"] * 8}
    pq.write_table(pyarrow.table(rows), data / "train.parquet")
    pq.write_table(pyarrow.table({"prompt": ["p"]}), data / "val.parquet")
    found = {(f.where, f.message) for f in check(recipe) if f.level != "note"}
    assert ("data.train_files", "8 rows, fewer than data.train_batch_size 32") in found
    assert ("data.val_files", "data/medr3/val.parquet lacks the column 'data_source'") in found


def test_prompts_of_another_agent_loop_are_an_error(elsewhere: Path) -> None:
    pytest.importorskip("pyarrow")
    from medr3_plugin.data.questions.items import Item
    from medr3_plugin.data.questions.parquet import training_row, write_parquet

    recipe = copy_recipe("one_gpu_1_5b", elsewhere / "mine")
    data = elsewhere / "data" / "medr3"
    for file, loop in (("train", "medr3_search"), ("val", "medr3_tool")):
        items = [Item(str(number), "generic", "Which?", ("gout",)) for number in range(32)]
        prompt = [{"role": "user", "content": "Which?"}]
        rows = [training_row(item, prompt, index=0, agent_name=loop) for item in items]
        write_parquet(rows, data / f"{file}.parquet")
    (error,) = errors(recipe, files=True)
    assert error.where == "data.val_files" and "medr3_tool" in error.message and "--prompt" in error.message
    assert errors(recipe, [TOOLS], files=True) == []  # both loops in one run


def test_missing_files_are_not_ready_and_listed_once(elsewhere: Path) -> None:
    result = medr3("recipes", "validate", "medr3_cpu")
    assert result.exit_code == 0 and "medr3_cpu: not ready, 6 missing" in result.output
    lines = [
        line for line in result.output.splitlines() if line.startswith("  missing: ") and ": no " in line
    ]
    assert len(lines) == len(set(lines)) == 6
    assert sum("`medr3 data quickstart --out data/quickstart`" in line for line in lines) == 4
    assert any("`medr3 data quickstart --out data/quickstart`, then `medr3 index build`" in s for s in lines)
    for command in ("model", "encoder"):
        assert sum(f"`medr3 data {command} --out" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("data.train_files", ".", "is a folder"),
        ("data.train_files", "null", "no file"),
        ("actor_rollout_ref.model.path", "[a,b]", "is needed"),
    ],
)
def test_what_is_no_file_and_no_model(elsewhere: Path, key: str, value: str, what: str) -> None:
    found = check(find_recipe("medr3_cpu"), [f"{key}={value}"])
    assert any(f.level == "error" and f.where == key and what in f.message for f in found)


def test_a_damaged_parquet_is_an_error(elsewhere: Path) -> None:
    pytest.importorskip("pyarrow")
    recipe = copy_recipe("one_gpu_1_5b", elsewhere / "mine")
    (elsewhere / "data" / "medr3").mkdir(parents=True)
    (elsewhere / "data" / "medr3" / "val.parquet").write_bytes(b"PAR1 cut off")
    (error,) = errors(recipe, files=True)
    assert error.where == "data.val_files" and "val.parquet cannot be read as parquet" in error.message


@pytest.mark.parametrize("value", ["abc", "null", "0"])
def test_a_count_that_is_no_number_is_an_error(value: str) -> None:
    (error,) = check(find_recipe("one_gpu_1_5b"), [f"data.train_batch_size={value}"])
    assert (error.level, error.where) == ("error", "data.train_batch_size")


def test_command_exit_codes(elsewhere: Path) -> None:
    good = medr3("recipes", "validate", "qwen2_5_7b", "--no-files")
    assert good.exit_code == 0 and "KV cache" in good.output
    wrong = ["recipes", "validate", "qwen2_5_7b", f"{ROLLOUT}.n=1", "--no-files"]
    bad, printed = medr3(*wrong), medr3(*wrong, "--json")
    assert bad.exit_code == printed.exit_code == 1 and "rollout.n" in bad.output
    (told,) = json.loads(printed.stdout)
    assert told["recipe"] == "qwen2_5_7b"
    assert any(f["level"] == "error" and "rollout.n" in f["where"] for f in told["findings"])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "medr3_cpu"])
def test_the_memory_and_the_disk_that_a_readme_states(name: str) -> None:
    recipe = find_recipe(name)
    config = compose(recipe)
    size = model_size(config.actor_rollout_ref.model.path)
    assert size is not None
    needed = estimate(config, size, 80)
    said = " ".join((recipe.folder / "README.md").read_text(encoding="utf-8").split())
    training, generating = (round(needed.training), round(needed.generating))
    in_short = f"at most {training} GiB in training, {generating} GiB in generation" in said
    if not in_short:
        assert f"| **training, sum** | | **{training}** |" in said
        assert re.search(rf"\| \*\*generating\*\* \|[^|]*\| \*\*{generating}\*\* \|", said)
        assert f"({round(needed.kv_tokens, -3):,} tokens of KV cache" in said
    gigabytes = size.parameters * 12 / 1e9
    assert (
        f"A checkpoint takes {gigabytes:.0f} GB" in said and f"three are kept: {3 * gigabytes:.0f} GB" in said
    )


def _documented_commands() -> list[tuple[str, list[str]]]:
    """Recipe and hydra overrides of every `./run.sh` of the recipes' READMEs and `medr3 train` of any page."""
    found = []
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "recipes").glob("*/README.md")):
        for line in page.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            if line.startswith(("./run.sh ", "medr3 train ")):
                words = shlex.split(line, comments=True)
                if overrides := [word for word in words if "=" in word]:
                    name = page.parent.name if words[0] == "./run.sh" else words[2]
                    found.append((name if name in NAMES else "qwen2_5_7b", overrides))
    return found


@pytest.mark.parametrize(("name", "overrides"), _documented_commands())
def test_commands_on_the_pages_have_no_error(name: str, overrides: list[str]) -> None:
    assert errors(name, overrides) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("Mine", None), ("Mien", "AttributeError: Object not found"), ("Broken", "no such thing")],
)
def test_a_reward_manager_of_ones_own_is_loaded_as_verl_will(
    name: str, said: str | None, elsewhere: Path
) -> None:
    text = "raise RuntimeError('no such thing')" if name == "Broken" else "class Mine: pass"
    (elsewhere / f"{name}.py").write_text(text)
    manager = {"source": "importlib", "name": name, "module.path": f"{name}.py"}
    overrides = [f"reward.reward_manager.{key}={value}" for key, value in manager.items()]
    told = [f.message for f in errors("one_gpu_1_5b", overrides) if f.where == "reward.reward_manager"]
    assert len(told) == (said is not None) and all(said in message for message in told)


def test_the_keys_of_the_migration_pages_exist() -> None:
    config = OmegaConf.to_container(compose(find_recipe("one_gpu_1_5b")))
    prefix = {
        "actor": "actor_rollout_ref",
        "rollout": "actor_rollout_ref",
        "agent": "actor_rollout_ref.rollout",
    }
    seen = set()
    for page in sorted((ROOT / "docs" / "migration").glob("*.md")):
        for cell in re.findall(r"^\|[^|]*\|([^|]*)\|", page.read_text(encoding="utf-8"), re.MULTILINE):
            for key in re.findall(r"`([a-z_]+(?:\.[a-z_0-9]+)+)[:`]", cell):
                if key.endswith(".yaml"):
                    continue
                first = key.split(".")[0]
                place: Any = config
                for part in f"{prefix[first]}.{key}".split(".") if first in prefix else key.split("."):
                    assert part in place, f"{page.name}: {key}"
                    place = place[part]
                seen.add(key)
    assert len(seen) > 25
