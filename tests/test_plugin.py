"""Registration with verl, in fresh processes as verl's own workers are."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "verl", "ray", "vllm", "transformers", "faiss", "fastapi", "sentence_transformers")


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "VERL_PLATFORM"} | environment
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=env, capture_output=True, text=True, timeout=1800
    )


LOOK = """
import json, verl
from medr3_plugin.doctor import registrations
print("\\n" + json.dumps(registrations()))
"""


def test_plugin_imports_nothing_heavy():
    done = run(f"import sys, medr3_plugin.plugin; print([m for m in {HEAVY} if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr


def test_import_verl_registers_everything():
    pytest.importorskip("verl")
    pytest.importorskip("transfer_queue")
    done = run(LOOK, VERL_PLATFORM="cpu")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert {name: where.split(".")[0] for name, where in found.items()} == {
        "reward manager medr3": "medr3_plugin",
        "agent loop medr3_search": "medr3_plugin",
        "agent loop medr3_tool": "medr3_plugin",
        "trainer mode medr3_progressive": "medr3_plugin",
        "advantage estimator medr3_grpo": "medr3_plugin",
        "platform cpu": "medr3_plugin",
    }


@pytest.mark.slow
def test_a_switched_off_plugin_is_reported_missing():
    pytest.importorskip("verl")
    pytest.importorskip("transfer_queue")
    done = run(LOOK, VERL_USE_EXTERNAL_PLUGINS="none")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    ours = {name: where for name, where in found.items() if "medr3" in name}
    assert len(ours) == 5 and all(where.startswith("MISSING") for where in ours.values()), ours


def test_a_ray_that_does_not_start_is_reported(monkeypatch):
    ray = pytest.importorskip("ray")
    from medr3_plugin import doctor

    def refuse(**_):
        raise ConnectionError("no room")

    monkeypatch.setattr(ray, "init", refuse)
    assert doctor.registrations_in_ray() == {"Ray": "MISSING (ConnectionError: no room)"}
