"""What a run needs of its machines: packages, CPUs for Ray, devices of encoders, addresses on several nodes."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from medr3_plugin.recipe.checks.finding import Finding, most_searches, section, verl_mode

CPUS_PER_GPU = 3
"""CPUs that verl reserves with each GPU (`ResourcePoolManager.max_colocate_count`)."""

CPUS_PER_ROLLOUT_GPU = 2
"""The same for GPUs that only roll out (`RolloutReplica.init_standalone`)."""


def packages(config: Any) -> Iterator[Finding]:
    """Packages that the run's processes import first when they start."""
    model = config.actor_rollout_ref.model
    attention = str(model.override_config.get("attn_implementation", "flash_attention_2"))
    fsdp = config.actor_rollout_ref.actor.strategy in ("fsdp", "fsdp2")
    if config.trainer.device == "cpu" and fsdp and attention.startswith("flash"):
        key = "actor_rollout_ref.model.override_config.attn_implementation"
        yield Finding.error(key, f"{attention} needs a GPU; set sdpa")
    wanted = {
        "vllm": ("vllm", config.actor_rollout_ref.rollout.name == "vllm", "medr3-plugin[train]"),
        "flash_attn": (
            "flash-attn",
            config.trainer.device == "cuda" and fsdp and attention == "flash_attention_2",
            "flash-attn --no-build-isolation (after torch), or set actor_rollout_ref.model.override_config."
            "attn_implementation=sdpa (slower, no sequence parallelism)",
        ),
        "liger_kernel": ("liger-kernel", bool(model.use_liger), "liger-kernel"),
        "sentence_transformers": (
            "sentence-transformers",
            bool(section(config, "reward", "encoder").get("path")),
            "medr3-plugin[dense]",
        ),
    }
    for module, (name, needed, remedy) in wanted.items():
        if needed and importlib.util.find_spec(module) is None:
            yield Finding.missing(name, f"not installed here; pip install {remedy}")


def devices(config: Any, retrieval: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Encoders in processes without a GPU of their own must not choose a device themselves.

    Ray hides no GPU from an actor that has none, so each would take memory of GPU 0, which vLLM and the
    trainer share out among themselves.

    Args:
        retrieval: backend options by yaml path.
    """
    if config.trainer.device != "cuda":
        return
    for key, options in retrieval.items():
        search = options.get("search") or {}
        if options.get("backend") == "http" or search.get("device"):
            continue
        index = options.get("index")
        if search.get("reranker"):
            what, remedy = "the reranker", "set cpu"
        elif index and _engine(Path(index).expanduser()) in ("dense", "hybrid"):
            what, remedy = f"the query encoder of the dense index {index}", "set cpu"
        elif options.get("uri") and options.get("ranking") != "bm25":
            what, remedy = (
                "the query encoder of a collection with vectors",
                f"set cpu, or {key}.ranking to bm25",
            )
        else:
            continue
        where = f"{key}.search.device"
        yield Finding.error(
            where, f"not set: {what} would go onto GPU 0, next to vLLM and the trainer; {remedy}"
        )


def milvus(config: Any, retrieval: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Milvus answers, and a file of Milvus Lite is not shared by processes."""
    workers = config.actor_rollout_ref.rollout.agent.num_workers
    for key, options in retrieval.items():
        uri = str(options.get("uri") or "")
        if "://" in uri:
            if why := silence(uri, 19530):
                message = f"nothing answers at {uri} ({why}): start the Milvus server"
                yield Finding.missing(f"{key}.uri", message)
        elif uri and workers > 1:
            yield Finding.error(
                f"{key}.uri",
                f"{uri} is a Milvus Lite file, which only one process at a time can open, and "
                f"actor_rollout_ref.rollout.agent.num_workers is {workers}: use a Milvus server, or set it to 1",
            )


def silent_servers(config: Any, retrieval: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Judge and retrieval servers at which nothing answers now; a note, as they may be started later."""
    asked = {f"{key}.url": options.get("url") for key, options in retrieval.items()}
    asked["medr3.reward.judge.base_url"] = _judge_url(config)
    for key, url in asked.items():
        if url and (why := silence(str(url))):
            yield Finding.note(key, f"nothing answers at {url} now ({why}): start it before the run")


def silence(address: str, usual_port: int = 0) -> str:
    """Why no connection to a server can be made; empty if one can.

    Args:
        usual_port: where the address names none; 0: that of its scheme.
    """
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        port = parts.port or usual_port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=2).close()
    except (OSError, ValueError) as error:  # ValueError: not a port
        return str(error)
    return ""


def _judge_url(config: Any) -> str | None:
    judge = section(config, "reward", "judge")
    return judge.get("base_url") if judge.get("kind") == "openai" else None


def addresses(config: Any, retrieval: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Servers that all nodes ask are not at an address that means another machine on each of them."""
    nodes = config.trainer.nnodes + _judge_nodes(config)
    if nodes < 2:
        return
    asked = [("medr3.reward.judge.base_url", _judge_url(config), "reward")]
    if most_searches(config):
        asked += [
            (f"{key}.{name}", options.get(name), "rollout")
            for key, options in retrieval.items()
            for name in ("url", "uri")
        ]
    for key, url, workers in asked:
        host = urlsplit(str(url)).hostname or ""
        if host in ("localhost", "::1", "0.0.0.0") or host.startswith("127."):  # noqa: S104 (compared, not bound)
            yield Finding.missing(
                key,
                f"the {workers} workers run on all {nodes} nodes, and {url} is a different machine on each: give an "
                "address that every node reaches (for the judge of a shipped recipe, set MEDR3_JUDGE_URL)",
            )


def cpus(config: Any, retrieval: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Ray has the CPUs that the run's actors reserve; with fewer it waits forever and says nothing."""
    gpus = config.trainer.nnodes * config.trainer.n_gpus_per_node
    gpus += _judge_nodes(config) * config.reward.reward_model.n_gpus_per_node
    queue = config.transfer_queue.backend
    units = queue.SimpleStorage.num_data_storage_units if queue.storage_backend == "SimpleStorage" else 0
    searching = sum(
        float(options.get("ray_cpus", 1)) * int(options.get("ray_replicas", 1))
        for options in retrieval.values()
        if options.get("backend") == "ray"
    )
    own = config.actor_rollout_ref.rollout  # in separate_async the rollout has GPUs of its own
    rollout = int(own.nnodes * own.n_gpus_per_node) if verl_mode(config) == "separate_async" else 0
    # 1 for TransferQueue's controller; 1 to place the actors that hold none while they run
    needed = CPUS_PER_GPU * gpus + CPUS_PER_ROLLOUT_GPU * rollout + units + 1 + 1 + searching
    parts = f"{CPUS_PER_GPU} per GPU, {units} + 1 for TransferQueue, {searching:g} for retrieval, 1 to place the others"
    ray_init = config.ray_kwargs.ray_init
    slots = ray_init.get("num_gpus") or 0
    if config.trainer.device == "cpu" and not ray_init.get("address") and slots < gpus + rollout:
        yield Finding.error(
            "ray_kwargs.ray_init.num_gpus",
            f"{slots} logical GPUs, but the run needs {gpus + rollout}, one for each rank on the CPU",
        )
    given = config.ray_kwargs.ray_init.num_cpus
    if given is not None and given < needed:
        yield Finding.error(
            "ray_kwargs.ray_init.num_cpus",
            f"{given} is too few: Ray needs {needed:g} CPUs ({parts}), or the run waits forever",
        )
    here = os.cpu_count() or 1
    if given is None and config.trainer.nnodes == 1 and here < needed:
        yield Finding.note(
            "ray_kwargs.ray_init.num_cpus",
            f"Ray needs {needed:g} CPUs ({parts}); this machine has {here}. To run here, set the key to "
            f"{needed:g}, or the run waits forever",
        )


def _judge_nodes(config: Any) -> int:
    """Nodes that the run takes for a judge of its own."""
    judge = config.reward.reward_model
    return int(judge.nnodes) if judge.enable and judge.enable_resource_pool else 0


def _engine(index: Path) -> str | None:
    try:
        return str(json.loads((index / "manifest.json").read_text(encoding="utf-8"))["engine"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not built yet, or no index: said elsewhere
