"""An index behind real Ray actors on this machine."""

from __future__ import annotations

import asyncio
from unittest.mock import AsyncMock

import pytest
from service_helpers import SlowEngine, outcomes_of, small_index

from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.retrieval import ray_backend
from medr3_plugin.retrieval.backend import BackendOptions, make_backend
from medr3_plugin.retrieval.engine import open_index

ray = pytest.importorskip("ray")

QUERIES = ["type 1 diabetes", "statins", "fever cough", "unknown"]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return small_index(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


class Here:
    """An actor in this process, with its handle's form."""

    def __init__(self):
        self.actor = ray_backend.IndexActor("index", BackendOptions(index="index").search)
        self.search = self
        self.refused = 0

    async def remote(self, *arguments):
        found = await self.actor.search(*arguments)
        self.refused += found[1] == "overloaded"
        return found


@pytest.fixture
def slow(monkeypatch):
    """A backend with one actor that searches 10 queries a second; deadline 5 s."""
    engine = SlowEngine()
    engine.seconds = 0.1
    monkeypatch.setattr(ray_backend, "open_index", lambda *_: engine)
    actor = Here()
    monkeypatch.setattr(ray_backend, "find_or_make", AsyncMock(return_value=[actor]))
    return ray_backend.RayBackend(BackendOptions(backend="ray", index="index", timeout_s=5)), actor, engine


async def test_an_actor_with_more_than_it_can_do_refuses_and_works_for_nobody_who_left(slow):
    backend, actor, engine = slow
    outcomes = await outcomes_of(backend.search, 200)
    assert outcomes["answered"] > 10  # all in one call would take 20 s, and be for nobody
    assert outcomes.total() == 200
    assert actor.refused > 0
    worked_on = sum(len(queries) for queries, _ in engine.calls)
    await asyncio.sleep(1.5)
    assert sum(len(queries) for queries, _ in engine.calls) - worked_on < 20  # what was begun is finished


async def test_a_refused_search_is_asked_again_until_the_deadline(slow):
    backend, actor, _ = slow
    assert (await outcomes_of(backend.search, 4))["answered"] == 4  # its speed is known now
    outcomes = await outcomes_of(backend.search, 35)  # 3.5 s of work; half of the deadline is taken at once
    assert actor.refused > 0
    assert outcomes["answered"] > 25


async def test_a_lost_actor_is_told_once(slow, caplog):
    _, actor, _ = slow

    async def remote(*_):
        raise ray.exceptions.ActorUnavailableError("its node is gone", None)

    actor.remote = remote
    backend = ray_backend.RayBackend(BackendOptions(backend="ray", index="index", timeout_s=0.5))
    assert not (await outcomes_of(backend.search, 50))["answered"]
    assert len(caplog.records) == 1


def options(index: str, **more) -> dict:
    return {"backend": "ray", "index": index, "ray_cpus": 0.25, **more}


@pytest.mark.slow
async def test_a_killed_actor_is_made_again(cluster, index):
    backend = make_backend(options(index, ray_replicas=2))
    before = await backend.search(QUERIES, 5)
    assert before == open_index(index).search(QUERIES, 5)
    for actor in ray.util.list_named_actors(all_namespaces=True):
        ray.kill(ray.get_actor(**actor))
    assert await backend.search(QUERIES, 5) == before
    await backend.close()
    with pytest.raises(RetrievalFailure) as caught:
        await backend.search(QUERIES, 5)
    assert caught.value.kind == "closed"


@pytest.mark.slow
async def test_a_wrong_index_is_the_users_mistake(cluster, tmp_path):
    backend = make_backend(options(str(tmp_path / "nowhere")))
    with pytest.raises(UserError, match="nowhere"):
        await backend.search(["rash"], 5)
    await backend.close()


@pytest.mark.slow
def test_workers_of_a_job_share_the_actors(cluster, index):
    @ray.remote(num_cpus=0.25)
    class AgentLoopWorker:  # as verl's: an async actor that makes its backend inside its event loop
        async def search(self, section: dict) -> list[str]:
            backend = make_backend(section)
            found = await asyncio.gather(*(backend.search([query], 3) for query in QUERIES))
            return [hit.document.id for hits in found for hit in hits[0]]

    section = options(index, ray_replicas=2, ray_cpus=0.2)
    before = len(ray.util.list_named_actors(all_namespaces=True))
    workers = [AgentLoopWorker.remote() for _ in range(2)]
    first, second = ray.get([worker.search.remote(section) for worker in workers], timeout=120)
    assert first == second and len(first) >= 3
    assert len(ray.util.list_named_actors(all_namespaces=True)) - before == 2
