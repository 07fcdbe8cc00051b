"""What a CPU run measures before it starts, and what it makes of it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from medr3_plugin.platform_cpu import speed
from medr3_plugin.platform_cpu.speed import Speed, choose, choose_in


def test_the_clearly_fastest_is_chosen():
    plain = Speed(2, "float32", decode=100, update=2)
    assert choose([plain, Speed(2, "bfloat16", decode=300, update=6)]).precision == "bfloat16"
    assert choose([plain, Speed(2, "bfloat16", decode=40, update=0.1)]) == plain
    assert (
        choose([plain, Speed(2, "bfloat16", decode=110, update=2.1)]) == plain
    )  # no gain worth another precision
    assert choose([plain, Speed(1, "float32", decode=100, update=20)]).threads == 1


def test_a_precision_that_is_slow_here_is_named():
    plain, half = Speed(2, "float32", decode=100, update=2), Speed(2, "bfloat16", decode=40, update=0.1)
    chosen, warning = choose_in("bfloat16", [plain, half])
    assert chosen == half
    assert "precision=float32" in warning
    assert choose_in("float32", [plain, half]) == choose_in(None, [plain, half]) == (plain, "")
    fast = Speed(1, "bfloat16", decode=300, update=6)
    assert choose_in(None, [plain, half, fast]) == choose_in("bfloat16", [plain, half, fast]) == (fast, "")
    assert choose_in("float32", [plain, half, fast])[1]


def test_measuring_leaves_the_threads_as_they_were(monkeypatch):
    import torch

    monkeypatch.setattr(speed, "SECONDS", 0.0)
    before = torch.get_num_threads()
    found = speed.measured_here()
    assert {(s.threads, s.precision) for s in found} >= {(1, "float32"), (1, "bfloat16")}
    assert all(s.decode > 0 and s.update > 0 for s in found)
    assert torch.get_num_threads() == before


def test_one_thread_is_not_bound_to_a_core_of_its_own(monkeypatch):
    monkeypatch.setattr(speed, "cores", lambda: 4)
    assert speed.thread_environment(4) == {"OMP_NUM_THREADS": "4"}
    assert speed.thread_environment(1) == {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def test_a_run_goes_on_in_the_precision_it_began_with(tmp_path):
    file = tmp_path / "config.yaml"
    assert speed.precision_of_run(file) is None
    file.write_text("precision: bfloat16\n")
    assert speed.precision_of_run(file) == "bfloat16"
    file.write_text("precision: auto\n")
    assert speed.precision_of_run(file) is None
