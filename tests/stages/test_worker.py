"""What the start of a stage does to a real optimizer, through verl's own schedule."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("verl")

import torch
from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

from medr3_plugin.stages.worker import StagedActorWorker


class Engine(FSDPEngine):
    """verl's, as far as its optimizer goes: two parameters, a warm-up of a tenth of 100 steps."""

    def __init__(self) -> None:
        self.parameter = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
        self.rank = 0
        self.optimizer_config = SimpleNamespace(
            lr=1e-2,
            total_training_steps=100,
            lr_warmup_steps=-1,
            lr_warmup_steps_ratio=0.1,
            lr_scheduler_type="cosine",
            min_lr_ratio=0.0,
            num_cycles=0.5,
            zero_indexed_step=True,
        )
        self.optimizer = torch.optim.AdamW([self.parameter], lr=1e-2, weight_decay=0.0)
        self.lr_scheduler = self._build_lr_scheduler(self.optimizer)
        self.checkpoint_manager = SimpleNamespace(lr_scheduler=self.lr_scheduler)


def step(made: Any, gradient: float) -> float:
    """One training step; returns its learning rate."""
    rate = made.optimizer.param_groups[0]["lr"]
    made.parameter.grad = torch.full((2,), gradient)
    made.optimizer.step()
    made.lr_scheduler.step()
    return rate


def begin(made: Any, **arguments: Any) -> None:
    StagedActorWorker.begin_stage(SimpleNamespace(actor=SimpleNamespace(engine=made)), **arguments)


def trained(**arguments: Any) -> Any:
    """An engine with twenty steps behind it, at the start of a stage of ten."""
    made = Engine()
    for _ in range(20):
        step(made, 1.0)
    begin(made, **{"total_steps": 10, "learning_rate": None, "reset_optimizer": True, **arguments})
    return made


def test_the_schedule_runs_once_over_the_stage():
    made = trained()
    rates = [step(made, 1.0) for _ in range(11)]
    fresh = Engine()
    begin(fresh, total_steps=10, learning_rate=None, reset_optimizer=False)
    assert rates == [step(fresh, 1.0) for _ in range(11)]
    assert rates[0] == 0 and max(rates) == rates[1] == 1e-2  # a warm-up of one step
    assert rates[1:] == sorted(rates[1:], reverse=True) and rates[10] == pytest.approx(0, abs=1e-12)


def test_a_learning_rate_of_the_stage_is_its_peak():
    made = trained(learning_rate=3e-4)
    assert max(step(made, 1.0) for _ in range(10)) == pytest.approx(3e-4)
    begin(made, total_steps=10, learning_rate=None, reset_optimizer=True)  # the next one has the run's again
    assert max(step(made, 1.0) for _ in range(10)) == pytest.approx(1e-2)


@pytest.mark.parametrize("reset", [True, False])
def test_adam_forgets_its_moments_only_if_asked(reset):
    made, fresh = trained(reset_optimizer=reset), Engine()
    begin(fresh, total_steps=10, learning_rate=None, reset_optimizer=False)
    before = made.parameter.detach().clone()
    for _ in range(3):
        step(made, -1.0)
        step(fresh, -1.0)
    moved, moved_by_fresh = made.parameter - before, fresh.parameter - torch.tensor([1.0, -1.0])
    # twenty steps of the other sign are in the moments, unless they were forgotten
    assert torch.allclose(moved, moved_by_fresh, atol=1e-6) is reset
    assert bool((moved > 0).all()) is reset


def test_the_checkpoint_gets_the_new_schedule():
    made = trained()
    assert made.checkpoint_manager.lr_scheduler is made.lr_scheduler
    state = made.lr_scheduler.state_dict()
    rest = [step(made, 1.0) for _ in range(6)]
    resumed = Engine()
    begin(resumed, total_steps=10, learning_rate=None, reset_optimizer=False)
    resumed.optimizer.load_state_dict(trained().optimizer.state_dict())  # empty moments can be loaded
    resumed.lr_scheduler.load_state_dict(state)
    assert [step(resumed, 1.0) for _ in range(6)] == rest


def test_other_engines_keep_theirs():
    other = SimpleNamespace()
    begin(other, total_steps=10, learning_rate=None, reset_optimizer=False)
    with pytest.raises(RuntimeError, match="handover: weights\\+optimizer"):
        begin(other, total_steps=10, learning_rate=None, reset_optimizer=True)
