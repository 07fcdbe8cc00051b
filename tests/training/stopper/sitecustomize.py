"""Stops a training run at a chosen point, so that a test can kill it there. On PYTHONPATH in that test only.

MEDR3_TEST_STOP is `<point>:<step>`; the point reached, the file MEDR3_TEST_STOP_FILE appears and nothing more
happens.
"""

import os
import threading
import time
from pathlib import Path

POINT, _, STEP = os.environ.get("MEDR3_TEST_STOP", "").partition(":")


def reached() -> None:
    Path(os.environ["MEDR3_TEST_STOP_FILE"]).touch()


def stop() -> None:
    reached()
    time.sleep(3600)


def during_rollout(original, trainer, args, kwargs):
    # the prompts are out: agent loops and vLLM work on them in other processes
    if trainer.global_steps == int(STEP):
        time.sleep(0.5)
        stop()
    return original(*args, **kwargs)


def during_update(original, trainer, args, kwargs):
    if trainer.global_steps == int(STEP):
        threading.Timer(0.2, reached).start()
        original(*args, **kwargs)
        time.sleep(3600)
    return original(*args, **kwargs)


def during_save(original, _, args, kwargs):
    # weights, data position and verl's own marker are written, ours is not
    if args[0].name == f"global_step_{STEP}":
        stop()
    return original(*args, **kwargs)


def during_handover(original, trainer, args, kwargs):
    # the old stage is closed and validated, the new one has no data yet
    if trainer.global_steps == int(STEP):
        stop()
    return original(*args, **kwargs)


POINTS = {
    "rollout": ("StagedTrainer.on_sample_begin", during_rollout),
    "update": ("StagedTrainer._update_actor", during_update),
    "save": ("mark_complete", during_save),
    "handover": ("StagedTrainer._enter_stage", during_handover),
}

if POINT:
    import wrapt

    @wrapt.when_imported("medr3_plugin.stages.trainer")
    def _wrap(module):
        name, wrapper = POINTS[POINT]
        wrapt.wrap_function_wrapper(module, name, wrapper)
