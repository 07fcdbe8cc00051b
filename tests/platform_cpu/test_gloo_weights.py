"""The transport of weights over gloo, between one process's threads."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("verl")

from medr3_plugin.platform_cpu.gloo_weights import BACKEND, GlooCheckpointEngine  # noqa: E402

WEIGHTS = {
    "embedding": torch.arange(12.0).reshape(4, 3),
    "half": torch.linspace(-1, 1, 5, dtype=torch.bfloat16),
    "transposed": torch.arange(6).reshape(2, 3).T,
    "scalar": torch.tensor(7, dtype=torch.int64),
    "empty": torch.empty(0, 3),
    "Gewicht äß": torch.tensor([True, False]),
}


def transfer(engines, weights, trainers):
    """One transfer as verl's manager makes it; what each rollout worker received."""
    walked = []

    def produced():
        for item in weights.items():
            walked.append(item[0])
            yield item

    async def received(engine):
        return {name: values async for name, values in engine.receive_weights(global_steps=1)}

    metadata = [engine.prepare() for engine in engines]
    of_trainer, of_rollout = GlooCheckpointEngine.build_topology(trainers, len(engines) - trainers, metadata)
    given = [
        {key: values[place] for key, values in kwargs.items()}
        for kwargs, count in ((of_trainer, trainers), (of_rollout, len(engines) - trainers))
        for place in range(count)
    ]
    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(lambda pair: pair[0].init_process_group(**pair[1]), zip(engines, given, strict=True)))
        sent = [pool.submit(asyncio.run, engine.send_weights(produced())) for engine in engines[:trainers]]
        got = [pool.submit(asyncio.run, received(engine)) for engine in engines[trainers:]]
        for done in sent:
            done.result(60)
        found = [done.result(60) for done in got]
    for engine in engines:
        engine.finalize()
    assert len(walked) == trainers * len(weights)  # producing a weight is collective: all trainers do it
    return found


@pytest.mark.parametrize(("trainers", "rollouts"), [(1, 1), (2, 2)])
def test_every_rollout_worker_gets_every_weight_twice_in_a_row(trainers, rollouts):
    engines = [
        GlooCheckpointEngine(1 << 20, is_master=place == 0, timeout_s=60)
        for place in range(trainers + rollouts)
    ]
    for factor in (1, 2):
        weights = {name: values * factor for name, values in WEIGHTS.items()}
        for found in transfer(engines, weights, trainers):
            assert list(found) == list(weights)
            for name, values in weights.items():
                assert found[name].dtype == values.dtype and torch.equal(found[name], values)


def test_verl_finds_it_by_the_name_in_the_yaml():
    from verl.checkpoint_engine import CheckpointEngineRegistry

    assert CheckpointEngineRegistry.get(BACKEND) is GlooCheckpointEngine
