"""What made a run fail, read from logs as Ray and vLLM write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from medr3_plugin.runs.log_errors import last_error

NOISE = """\
\x1b[36m(TaskRunnerV1 pid=1)\x1b[0m /verl/workers/engine/__init__.py:32: UserWarning: torchtitan engine is \
not available: ModuleNotFoundError("No module named 'torchtitan'")
\x1b[36m(TaskRunnerV1 pid=1)\x1b[0m   warnings.warn(f"torchtitan engine is not available: {e!r}", stacklevel=1)
\x1b[36m(TaskRunnerV1 pid=1)\x1b[0m Loading
\x1b[36m(vLLMHttpServer pid=9)\x1b[0m Exception ignored in: <function Old.__del__ at 0x7f>
\x1b[36m(vLLMHttpServer pid=9)\x1b[0m Traceback (most recent call last):
\x1b[36m(vLLMHttpServer pid=9)\x1b[0m   File "x.py", line 1, in __del__
\x1b[36m(vLLMHttpServer pid=9)\x1b[0m AttributeError: 'NoneType' object has no attribute 'close'
"""
ENGINE = "\x1b[36m(vLLMHttpServer pid=9)\x1b[0m \x1b[0;36m(EngineCore_DP0 pid=77)\x1b[0;0m "
RECORD = "ERROR 11-28 01:02:03 [core.py:1349] "
SERVER = "\x1b[36m(vLLMHttpServer pid=9)\x1b[0m "
RUNNER = "\x1b[36m(TaskRunnerV1 pid=1)\x1b[0m "


def traced(prefix: str, *exceptions: str, link: str = "") -> str:
    """Tracebacks as a process prints them, chained if there are several."""
    blocks = [
        f'Traceback (most recent call last):\n  File "/site-packages/m{n}.py", line {n}, in run\n    call()\n'
        f"    ^^^^^^\n{exception}\n"
        for n, exception in enumerate(exceptions)
    ]
    lines = f"\n{link}\n\n".join(blocks).splitlines()
    return "".join(f"{prefix}{line}\n" for line in lines)


DIRECT = "The above exception was the direct cause of the following exception:"
DURING = "During handling of the above exception, another exception occurred:"
DEAD = (
    "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root "
    "cause."
)
IN_MAIN = (
    'Traceback (most recent call last):\n  File "main_ppo.py", line 40, in main\n    ray.get(x)\n'
    "ray.exceptions.RayTaskError(EngineDeadError): \x1b[36mray::TaskRunnerV1.run()\x1b[39m (pid=1, ip=10.0.0.1)\n"
    '  File "trainer.py", line 7, in fit\n' + DEAD + "\n"
)


def read(folder: Path, text: str, start: int = 0) -> str:
    log = folder / "train.log"
    log.write_text(text)
    return last_error(log, start)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.32 GiB. GPU 0 has 79 GiB",
            "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.32 GiB",
        ),
        ("ValueError: Head size 30 is not supported by PagedAttention.", "ValueError: Head size 30"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/models/x/model.safetensors'",
            "/models/x/model.safetensors",
        ),
        (
            "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata",
            "incomplete metadata",
        ),
    ],
)
def test_a_dead_engine_is_reported_with_its_reason(tmp_path: Path, printed: str, said: str) -> None:
    log = (
        NOISE
        + f"{ENGINE}{RECORD}EngineCore encountered a fatal error.\n"
        + traced(ENGINE + RECORD, printed)
        + "".join(f"{SERVER}INFO 11-28 01:02:04 [loggers.py:1] step {n}\n" for n in range(300))
        + traced(SERVER, DEAD)
        + traced(RUNNER, "BrokenPipeError: [Errno 32] Broken pipe")
        + IN_MAIN
    )
    assert said in read(tmp_path, log)


def test_an_engine_that_does_not_start(tmp_path: Path) -> None:
    worker = f"{SERVER}(Worker_TP1 pid=78) ERROR 11-28 01:02:03 [multiproc_executor.py:870] "
    log = (
        NOISE
        + f"{worker}WorkerProc failed to start.\n"
        + traced(worker, "OSError: /models/x does not appear to have a file named config.json")
        + traced(
            ENGINE + RECORD,
            "Exception: WorkerProc initialization failed due to an exception in a background process. See stack trace "
            "for root cause.",
        )
        + traced(
            SERVER,
            "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'x': 1}",
        )
        + "ray.exceptions.RayTaskError(RuntimeError): ray::vLLMHttpServer.launch_server()\n"
        + '  File "x.py", line 1, in y\n'
        + "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}\n"
    )
    assert read(tmp_path, log) == "OSError: /models/x does not appear to have a file named config.json"


def test_a_full_disk_is_the_reason(tmp_path: Path) -> None:
    """As `torch.save` and the file system tell it, at a checkpoint."""
    worker = "\x1b[36m(WorkerDict pid=5)\x1b[0m "
    chained = traced(
        worker,
        "OSError: [Errno 28] No space left on device",
        "RuntimeError: [enforce fail at inline_container.cc:672] . unexpected pos 1024 vs 918",
        link=DURING,
    )
    relayed = (
        "ray.exceptions.RayTaskError(RuntimeError): ray::WorkerDict.save_checkpoint()\n"
        '  File "x.py", line 1, in y\n'
        "RuntimeError: [enforce fail at inline_container.cc:672] . unexpected pos 1024 vs 918\n"
    )
    said = read(tmp_path, NOISE + chained + relayed)
    assert said == "the disk is full (OSError: [Errno 28] No space left on device)"
    assert read(tmp_path, NOISE + relayed).endswith("(is the disk full?)")


def test_a_port_that_another_process_took(tmp_path: Path) -> None:
    printed = """(vLLMHttpServer pid=5) (Worker pid=8) ERROR 11-29 17:26:44 [multiproc_executor.py:912] Traceback (most recent call last):
(vLLMHttpServer pid=5) (Worker pid=8) ERROR 11-29 17:26:44 [multiproc_executor.py:912] torch.distributed.DistNetworkError: The server socket has failed to listen. port: 32819, name: EADDRINUSE, message: address already in use
(vLLMHttpServer pid=5) (EngineCore pid=7) Exception: WorkerProc initialization failed due to an exception in a background process. See stack trace for root cause.
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""  # noqa: E501
    said = read(tmp_path, printed)
    assert "start again" in said and "32819" in said


def test_a_dead_reward_worker_is_named_in_place_of_what_verl_says_of_its_batch(tmp_path: Path) -> None:
    loop = "\x1b[36m(AgentLoopWorkerTQ pid=8)\x1b[0m "
    died = "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task."
    log = NOISE + traced(loop, died)
    log += f"{loop}\tclass_name: RewardLoopWorker\n{loop}\tactor_id: 5e\n{loop}\tpid: 11\n"
    log += traced(
        RUNNER,
        "RuntimeError: Sync replay buffer selected terminal groups with no materializable trajectories. Enable x.",
    )
    said = read(tmp_path, log)
    assert (
        said == "ActorDiedError: The actor died unexpectedly before finishing this task. (RewardLoopWorker)"
    )


def test_the_reason_may_arrive_after_the_first_message_of_the_death(tmp_path: Path) -> None:
    log = NOISE + IN_MAIN + traced(ENGINE + RECORD, "ValueError: Head size 30 is not supported") + IN_MAIN
    assert read(tmp_path, log) == "ValueError: Head size 30 is not supported"


def test_an_exception_that_was_raised_from_another_names_both(tmp_path: Path) -> None:
    chained = traced(RUNNER, "KeyError: 'lr'", "verl.ConfigProblem: cannot build the optimizer", link=DIRECT)
    said = read(tmp_path, NOISE + chained)
    assert "ConfigProblem: cannot build the optimizer" in said and "KeyError: 'lr'" in said
    said = read(tmp_path, traced("", "KeyError: 'lr'", "OSError: cannot reach the hub", link=DURING))
    assert said == "OSError: cannot reach the hub"


def test_what_waits_for_a_dead_process_is_not_the_reason(tmp_path: Path) -> None:
    log = traced(RUNNER, "RuntimeError: step 3: 80% of the samples are invalid") + traced(
        SERVER, "ConnectionResetError: [Errno 104] Connection reset by peer"
    )
    assert read(tmp_path, log) == "RuntimeError: step 3: 80% of the samples are invalid"


def test_a_failure_of_a_service_is_found(tmp_path: Path) -> None:
    log = traced(RUNNER, "medr3_plugin.errors.RetrievalFailure: http://127.0.0.1:8765: connection refused")
    assert read(tmp_path, log) == "RetrievalFailure: http://127.0.0.1:8765: connection refused"


def test_a_worker_that_ray_killed_for_memory(tmp_path: Path) -> None:
    log = (
        "(raylet) [2026-01-01 15:25:54,230 E 7302 7302] (raylet) node_manager.cc:1: 1 Workers (tasks / actors) killed "
        "due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: 11e9)\n"
        + traced("", "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.")
    )
    assert "memory" in read(tmp_path, log)


def test_a_mistake_of_the_user_comes_first_and_earlier_runs_do_not_count(tmp_path: Path) -> None:
    earlier = "earlier run\nValueError: old\n"
    log = (
        earlier
        + f"{RUNNER}medr3_plugin.errors.UserError: medr3.stages: at least one stage\n"
        + "ray.exceptions.RayTaskError(UserError): ray::run()\nKeyError: 'later noise'\n"
    )
    assert read(tmp_path, log) == "medr3.stages: at least one stage"
    assert read(tmp_path, log, len(earlier)) == "medr3.stages: at least one stage"
    assert read(tmp_path, earlier, len(earlier)) == "no error was printed"
    assert read(tmp_path, NOISE) == "no error was printed"
