"""What verl and vLLM need to run without a GPU.

Active only when chosen by `VERL_PLATFORM=cpu` (recipes for a CPU set it in their run script, `medr3 train`
sets it from `medr3.platform`). The platform class goes into verl's own registry; everything else is a
patch, listed in `patches.PATCHES`, each with a check that it is still needed, so that it can be deleted
when verl or vLLM mends the cause.
"""

from __future__ import annotations

import os


def is_chosen() -> bool:
    """Whether this process was asked to run on the CPU platform."""
    return os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"


def install() -> None:
    """Register the platform and arrange the patches (each waits for the module it touches)."""
    from wrapt import register_post_import_hook

    from medr3_plugin.platform_cpu.patches import PATCHES

    register_post_import_hook(_register_platform, "verl.plugin.platform.platform_manager")
    for patch in PATCHES:
        patch.arrange()


def _register_platform(module: object) -> None:
    # imported for the side effect of its decorator
    import medr3_plugin.platform_cpu.platform  # noqa: F401
