"""verl's own training loop with its real replay buffers, data loaders and checkpoints, but without models.

What needs Ray or a model is replaced where verl's v1 trainers call it: TransferQueue is a dictionary, rollouts are
made up and take a seeded number of polls, worker groups note what they are asked for. `fit`, `step`, prefetching,
resuming and our trainers run as they are.
"""

from __future__ import annotations

import copy
import json
import random
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transfer_queue
from omegaconf import OmegaConf
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import PPOTrainer
from verl.trainer.ppo.v1.trainer_separate_async import HybridEngineMode
from verl.utils import tensordict_utils as tu

from medr3_plugin.recipe.shipped import compose, find_recipe
from medr3_plugin.runs.step_metrics import DETAIL_KEY
from medr3_plugin.stages import trainer as trainer_module
from medr3_plugin.stages.trainer import ColocatedAsyncTrainer, ProgressiveTrainer, SeparateAsyncTrainer

BATCH, ROLLOUTS = 4, 2

MODES = {
    "medr3_progressive": ProgressiveTrainer,
    "medr3_colocate_async": ColocatedAsyncTrainer,
    "medr3_separate_async": SeparateAsyncTrainer,
}


class Killed(Exception):
    """The run ends here, as if by `kill -9`."""


class Trained(NamedTuple):
    """A prompt that was trained on: the stage it was drawn in, its question, the step it was drawn in."""

    stage: str
    question: str
    drawn: int


class Texts(list):
    """Stands for a nested tensor of token ids."""

    def unbind(self) -> list[Any]:
        return list(self)


class Queue:
    """TransferQueue's key-value calls over dictionaries."""

    def __init__(self) -> None:
        self.tags: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.fields: dict[str, dict[str, Any]] = defaultdict(dict)
        self.poll: Callable[[], None] = lambda: None

    def kv_list(self, partition_id: str | None = None) -> dict[str, Any]:
        self.poll()
        return copy.deepcopy(dict(self.tags))

    def kv_batch_put(self, keys, partition_id, tags=None, fields=None) -> KVBatchMeta:
        for i, key in enumerate(keys):
            self.tags[partition_id].setdefault(key, {}).update(tags[i] if tags else {})
            if fields is not None:
                self.fields[partition_id][key] = fields[i : i + 1] if hasattr(fields, "keys") else fields[i]
        return KVBatchMeta(partition_id=partition_id, keys=list(keys), tags=[{} for _ in keys])

    def kv_batch_get(self, keys, partition_id, select_fields=None) -> Any:
        rows = [self.fields[partition_id][key] for key in keys]
        if select_fields is None:
            return rows[0] if len(rows) == 1 else tu.concat_tensordict(rows)
        return {name: Texts(row[name] for row in rows) for name in select_fields}

    def kv_clear(self, keys, partition_id) -> None:
        for key in [keys] if isinstance(keys, str) else keys:
            self.tags[partition_id].pop(key, None)
            self.fields[partition_id].pop(key, None)

    def save_checkpoint(self, folder, metadata=None) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        torch.save((dict(self.tags), dict(self.fields)), Path(folder) / "queue.pt")

    def load_checkpoint(self, folder) -> None:
        tags, fields = torch.load(Path(folder) / "queue.pt", weights_only=False)
        self.tags, self.fields = defaultdict(dict, tags), defaultdict(dict, fields)


class Rollouts:
    """Stands for the agent loops: a prompt's trajectories are there after a seeded number of polls."""

    def __init__(self, queue: Queue, seed: int, invalid: float = 0.0, lost: int = 0) -> None:
        self.queue, self.random, self.invalid, self.lost = queue, random.Random(seed), invalid, lost
        self.waiting: dict[str, tuple[int, dict[str, Any], int]] = {}
        queue.poll = self.advance

    def generate_sequences(self, batch: Any) -> None:
        for i in range(len(batch)):
            uid, info = str(batch["uid"][i]), batch["extra_info"][i]
            info = getattr(info, "data", info)
            self.waiting[uid] = (self.random.choice([1, 1, 1, 12]), dict(info), int(batch["global_steps"]))
            self.queue.tags["train"][uid]["status"] = "running"

    def advance(self) -> None:
        for uid, (left, info, drawn) in list(self.waiting.items()):
            if left > 1:
                self.waiting[uid] = (left - 1, info, drawn)
                continue
            del self.waiting[uid]
            if uid in self.queue.tags["train"]:
                self._finish(uid, info, drawn)

    def _finish(self, uid: str, info: dict[str, Any], drawn: int) -> None:
        for session in range(ROLLOUTS - self.lost):
            valid = float(self.random.random() >= self.invalid)
            detail = {
                "id": info["id"],
                "question": info["id"],
                "failures": [] if valid else ["judge_timeout"],
            }
            record = {"acc": float(session), "valid": valid, DETAIL_KEY: json.dumps(detail)}
            row = {
                "uid": uid,
                "extra_fields": {"reward_extra_info": record},
                "rm_scores": torch.tensor([0.0, float(session)]),
                "responses": f"answer to {info['id']}",
                "drawn_in": info["stage"],
                "question": info["id"],
                "step": drawn,
            }
            tags = [{"min_global_steps": drawn, "max_global_steps": drawn}]
            self.queue.kv_batch_put([f"{uid}_{session}_0"], "train", tags, [row])
        self.queue.tags["train"][uid]["status"] = "failure" if self.lost else "finished"


class Workers:
    """Stands for the actor's worker group and for checkpoint managers."""

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def begin_stage(self, **arguments: Any) -> None:
        self.told.append(("begin", arguments))

    def save_checkpoint(self, folder: str, *_: Any, **__: Any) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "model.pt").write_text("weights")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_, **__: {}


class WithoutModels(PPOTrainer):
    """Between our trainer and verl's: the calls of verl's trainers that need Ray or a model."""

    kill_at: tuple[str, int] | None = None
    validation = (1.0, 1.0, 0.0)
    """`valid` of the three samples of a validation."""

    def _setup(self) -> None:
        self.told: list[Any] = []
        self._init_dataloader()
        self._init_dump_executor()
        self.actor_rollout_wg = Workers(self.told)
        self.checkpoint_manager = self.standalone_checkpoint_manager = Workers(self.told)
        self.reward_loop_manager = type("None", (), {"reward_loop_worker_handles": []})
        self.current_mode = HybridEngineMode.TRAINER
        self.tokenizer = type("Texts", (), {"decode": staticmethod(lambda text, **_: text)})
        self.replay_buffer.poll_interval = 0
        self._load_checkpoint()

    def _init_dataloader(self) -> None:
        [file] = self.config.data.train_files
        rows = int(Path(file).read_text() or 64)
        self.train_dataset = [
            {
                "raw_prompt": [{"role": "user", "content": "?"}],
                "index": i,
                "extra_info": {"id": f"{Path(file).stem}:{i}"},
            }
            for i in range(rows)
        ]
        self.val_dataloader: Any = []
        self.train_dataloader_it = None
        if self.trainer_mode != "sync":
            self.config.data.gen_batch_size = 1
        self.total_training_steps = self.config.trainer.total_training_steps

    def _die_at(self, point: str) -> None:
        if self.kill_at == (point, self.global_steps):
            raise Killed(point)

    def on_sample_begin(self) -> None:
        super().on_sample_begin()
        self._die_at("rollout")

    def _balance_batch(self, batch: Any, metrics: Any, *_: Any, **__: Any) -> Any:
        return batch

    def _compute_old_log_prob(self, batch: Any, metrics: Any) -> Any:
        return batch

    def _compute_advantage(self, batch: Any, metrics: Any) -> Any:
        return batch

    def _update_actor(self, batch: Any, metrics: Any) -> Any:
        self._die_at("update")
        rows = [self.queue.fields["train"][key] for key in batch.keys]
        drawn = {Trained(row["drawn_in"], row["question"], row["step"]) for row in rows}
        self.told.append(("train", self.global_steps, drawn, batch.extra_info["temperature"]))
        return batch

    def _compute_metrics(self, batch: Any, metrics: Any, *_: Any, **__: Any) -> None:
        metrics["actor/lr"] = 1e-5

    def _validate(self) -> dict[str, float]:
        self.told.append(("validate", self.global_steps))
        infos = {
            "reward": [1.0, 0.0, 0.0],
            "acc": [1.0, 0.0, 0.0],
            "valid": self.validation,
            DETAIL_KEY: [
                json.dumps({"dataset": "a"}),
                None,  # of another reward manager
                json.dumps({"dataset": "b", "failures": ["judge_timeout"]}),
            ],
        }
        self._maybe_log_val_generations(["?"] * 3, ["one", "two", "three"], infos["reward"])
        expected = {("a", "1"): 1, ("a", "2"): 1, ("b", "3"): 1}
        return self._val_metrics_update(["a", "a", "b"], ["1", "2", "3"], infos, [2, 2, 2], expected)

    def _save_checkpoint(self) -> None:
        self._die_at("save")
        super()._save_checkpoint()
        self._die_at("saved")
        self.told.append(("save", self.global_steps))


@cache
def recipe() -> Any:
    config = compose(find_recipe("medr3_cpu"))
    OmegaConf.set_struct(config, False)
    return config


def make(
    mode: str,
    folder: Path,
    stages: list[dict[str, Any]],
    *overrides: str,
    kill_at: tuple[str, int] | None = None,
    seed: int = 0,
    invalid: float = 0.0,
    lost: int = 0,
    monkeypatch: Any,
) -> Any:
    """A trainer before its start; `init()` and `fit(trainer.rollouts)` run it.

    Args:
        stages: `medr3.stages`; each trains on a file of its own.
        kill_at: where the run dies, and in which step.
        seed: of how long rollouts take.
        invalid: share of the samples whose judge fails.
        lost: trajectories of each prompt that end in an exception.
    """
    queue = Queue()
    for name in ("kv_list", "kv_batch_put", "kv_batch_get", "kv_clear", "save_checkpoint", "load_checkpoint"):
        monkeypatch.setattr(transfer_queue, name, getattr(queue, name))
    monkeypatch.setattr(trainer_module, "POLL_S", 0)
    files = []
    for stage in stages:
        files.append(folder / f"{stage['name']}.parquet")
        if not files[-1].exists():
            files[-1].touch()
    given = [
        f"paths.run={folder / 'run'}",
        f"trainer.v1.trainer_mode={mode}",
        f"data.train_batch_size={BATCH}",
        f"actor_rollout_ref.rollout.n={ROLLOUTS}",
        f"actor_rollout_ref.actor.ppo_mini_batch_size={BATCH // 2}",
        "trainer.v1.separate_async.parameter_sync_step=2",
        "actor_rollout_ref.rollout.nnodes=1",
        "actor_rollout_ref.rollout.n_gpus_per_node=1",
        "actor_rollout_ref.rollout.checkpoint_engine.backend=nccl",
        "actor_rollout_ref.hybrid_engine=false",
        "trainer.logger=[]",
        "trainer.val_before_train=false",
        "medr3.checkpoint_at_handover=true",
        *overrides,
    ]
    config = OmegaConf.merge(recipe(), OmegaConf.from_dotlist(given))
    OmegaConf.update(
        config,
        "medr3.stages",
        [{"train_files": [str(file)], **stage} for file, stage in zip(files, stages, strict=True)],
        force_add=True,
    )
    ours = MODES[mode]
    combined = type(
        ours.__name__, (*ours.__bases__[:-1], WithoutModels, ours.__bases__[-1]), dict(vars(ours))
    )
    trainer = combined(config)
    trainer.queue, trainer.kill_at = queue, kill_at
    trainer.rollouts = Rollouts(queue, seed, invalid, lost)
    return trainer


def run(trainer: Any) -> Any:
    """Run to the end, or to where the trainer is killed."""
    try:
        trainer.init()
        trainer.fit(trainer.rollouts)
    except Killed:
        pass
    return trainer


def trained(*runs: Any) -> dict[int, set[Trained]]:
    """Step -> what trained in it; where a step was repeated, the last run counts."""
    steps: dict[int, set[Trained]] = {}
    for trainer in runs:
        own: dict[int, set[Trained]] = defaultdict(set)
        for entry in trainer.told:
            if entry[0] == "train":
                own[entry[1]] |= entry[2]
        steps |= own
    return steps
